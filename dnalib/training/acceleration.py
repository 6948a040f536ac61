"""What makes a training step fast on a GPU: memory layout and compilation."""

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from dnalib.model import TimeConvolution

Answer = TypeVar("Answer")


class CompiledNetwork(nn.Module):
    """A network whose full batches run as a compiled program, for as long as that works.

    The program is for the largest batch that was met. An epoch begins with full batches and ends
    with some that are a row shorter: these few run uncompiled, for a second program would take as
    long to make as the first.

    Args:
        network: trained; its weights are shared.

    Attributes:
        network: the same.
        awaits_proof: whether the next pass is the first one of the program, and compiles.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.rows = 0  # of the largest batch so far
        # Of a method, not of the module: the result is no module, whose weights would count twice.
        self.program: Callable[..., Any] | None = torch.compile(network.forward, dynamic=False)
        self.awaits_proof = True

    def forward(self, signals: Tensor, **options: Any) -> Any:
        """Signals (…, batch, lead, time), as the network takes them and answers."""
        rows = signals.shape[-3]
        if self.program is None or rows < self.rows:
            return self.network(signals, **options)
        self.rows = rows
        return self.program(signals, **options)

    def give_up(self) -> None:
        """Run uncompiled from now on."""
        self.program, self.awaits_proof = None, False


def accelerate(network: nn.Module, *, device: torch.device, compiled: bool | None) -> nn.Module:
    """The network as its training step is to call it on a device.

    Args:
        network: changed in place: on a GPU its kernels are laid out channels-last.
        device: where the step will run.
        compiled: whether to compile; None: on a GPU, if `can_compile`. On a CPU the dropout of
            `dnalib.model` stays uncompiled, and little is gained.

    Returns:
        The network itself, or a `CompiledNetwork` around it.
    """
    if device.type == "cuda":
        lay_out_channels_last(network)
    if compiled is None:
        compiled = device.type == "cuda" and can_compile(device)
    if compiled:
        return CompiledNetwork(network)
    return network


def compiled_of(network: nn.Module) -> CompiledNetwork | None:
    """The compiled network within what Lightning Fabric set up; None where it is not compiled."""
    return network.module if isinstance(network.module, CompiledNetwork) else None


def awaits_proof(network: nn.Module) -> bool:
    """Whether the next pass through what Lightning Fabric set up is its first compiled one."""
    compiled = compiled_of(network)
    return compiled is not None and compiled.awaits_proof


def pass_through(network: nn.Module, attempt: Callable[[], Answer], *, may_fail: bool) -> Answer:
    """What a forward and backward pass gives; uncompiled where its first compiled one fails.

    `can_compile` tries a toy; whether a backend takes the network itself, it says at the first
    step. What that step changed before it failed is undone, so that a training goes on as an
    uncompiled one does.

    Args:
        network: as Lightning Fabric set it up.
        attempt: a forward pass through it and the backward pass, which may be called twice; no
            optimizer step.
        may_fail: whether the program may be given up; of several processes none may alone, for the
            others would wait for the sums of the pass that failed.

    Raises:
        Exception: what the attempt raises, but for a first compiled one where that may fail; there
            a ValueError, which PyTorch does not raise for a backend, and a lack of memory.
    """
    compiled = compiled_of(network)
    if compiled is None or not compiled.awaits_proof:
        return attempt()
    undo = way_back(compiled)
    try:
        answer = attempt()
        compiled.awaits_proof = False
        return answer
    except Exception as error:  # of many kinds, as many as there are backends
        if not may_fail or isinstance(error, ValueError) or lacks_memory(error):
            raise
        warnings.warn(
            "the training goes on uncompiled and takes longer, because its first compiled step "
            f"failed: {first_line(error)}",
            stacklevel=2,
        )
    # Behind the handler: within it the error would keep what the failed pass holds of memory.
    compiled.give_up()
    undo()
    return attempt()


def way_back(network: nn.Module) -> Callable[[], None]:
    """A function that undoes what a pass changes: buffers, and the states of random numbers."""
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    device = next(network.parameters()).device
    of_cpu = torch.get_rng_state()
    of_gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None

    def undo() -> None:
        for name, buffer in network.named_buffers():
            buffer.copy_(buffers[name])
        torch.set_rng_state(of_cpu)
        if of_gpu is not None:
            torch.cuda.set_rng_state(of_gpu, device)

    return undo


def lacks_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that it was made of, is a lack of memory; PyTorch wraps some."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, torch.OutOfMemoryError | MemoryError):
            return True
        seen.add(id(error))
        error = getattr(error, "inner_exception", None) or error.__cause__ or error.__context__
    return False


def first_line(error: Exception) -> str:
    """The first line of what an error says, or what kind it is: of a wrapped one the inner one's.

    What PyTorch wraps around a backend's error begins with a line on the backend alone.
    """
    while isinstance(inner := getattr(error, "inner_exception", None), Exception):
        error = inner
    return str(error).strip().partition("\n")[0] or type(error).__name__


def can_compile(device: torch.device) -> bool:
    """Whether PyTorch compiles for a device here, by trying; warns where it does not.

    Many things may be missing: a C compiler, the headers of Python, Triton, a GPU it knows.
    """
    try:
        torch.compile(sum_of_squares, dynamic=False)(torch.ones(2, device=device))
    except Exception as error:  # of many kinds, as many as may be missing
        warnings.warn(
            "the training step is not compiled and takes longer: PyTorch, which needs a C compiler "
            f"and Python's headers for it, says: {first_line(error)}",
            stacklevel=2,
        )
        return False
    return True


def sum_of_squares(values: Tensor) -> Tensor:
    """What `can_compile` compiles: (value,) -> scalar."""
    return values.square().sum()


def lay_out_channels_last(network: nn.Module) -> None:
    """Store each kernel with its input channels innermost; its values and shape stay.

    The kernels are (channel out, channel in, time) and are used with a lead axis before the time:
    channels-last inputs then meet channels-last kernels, and no step converts them.
    """
    for module in network.modules():
        if isinstance(module, TimeConvolution):
            weight = module.weight.data
            module.weight.data = weight.transpose(1, 2).contiguous().transpose(1, 2)


def lay_out_contiguous(network: nn.Module) -> None:
    """Undo `lay_out_channels_last`."""
    for parameter in network.parameters():
        parameter.data = parameter.data.contiguous()
