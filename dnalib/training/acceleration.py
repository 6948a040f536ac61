"""What makes a training step fast on a GPU: memory layout and compilation."""

import warnings
from typing import cast

import torch
from torch import Tensor, nn

from dnalib.model import TimeConvolution


def accelerate(network: nn.Module, *, device: torch.device, compiled: bool | None) -> nn.Module:
    """The network as its training step is to call it on a device.

    Args:
        network: changed in place: on a GPU its kernels are laid out channels-last.
        device: where the step will run.
        compiled: whether to compile; None: on a GPU, if `can_compile`. On a CPU the dropout of
            `dnalib.model` stays uncompiled, and little is gained.

    Returns:
        The network itself, or one compiled around it that shares its weights.
    """
    if device.type == "cuda":
        lay_out_channels_last(network)
    if compiled is None:
        compiled = device.type == "cuda" and can_compile(device)
    if compiled:
        # Batches come in two sizes at most: a program for each beats one for all sizes.
        # It makes a module of a module.
        return cast(nn.Module, torch.compile(network, dynamic=False))
    return network


def can_compile(device: torch.device) -> bool:
    """Whether PyTorch compiles for a device here, by trying; warns where it does not.

    Many things may be missing: a C compiler, the headers of Python, Triton, a GPU it knows.
    """
    try:
        torch.compile(sum_of_squares, dynamic=False)(torch.ones(2, device=device))
    except Exception as error:  # of many kinds, as many as may be missing
        first_line = str(error).strip().partition("\n")[0]
        warnings.warn(
            "the training step is not compiled and takes longer: PyTorch, which needs a C compiler "
            f"and Python's headers for it, says: {first_line}",
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
