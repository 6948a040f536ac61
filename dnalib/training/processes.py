"""One training in several processes, as `torchrun` starts them: one a GPU, on one node or more.

Each process takes its share of every batch. Batch norms, the decorrelation loss and the sums of an
epoch see the whole batch, so that several processes train as one would.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

from dnalib.training.recipes import fastest_device

if TYPE_CHECKING:
    from lightning.fabric import Fabric
    from lightning.fabric.plugins import Precision

__all__ = [
    "Alone",
    "FirstProcessError",
    "LaunchError",
    "Processes",
    "SynchronisedBatchNorm",
    "Together",
    "TooManyProcessesError",
    "total_over_processes",
    "processes_of_launch",
    "rows_of_all",
    "set_batch_norms",
    "share",
    "sum_over_processes",
]

Answer = TypeVar("Answer")
OF_A_PROCESS = ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")  # that torchrun tells beside WORLD_SIZE
# The others wait while the first computes alone, or waits for another job: days, if need be.
PATIENCE = timedelta(days=30)


class FirstProcessError(RuntimeError):
    """The first of several processes failed, and has said why; this one ends with it."""


class LaunchError(RuntimeError):
    """The environment tells of several processes, but not as `torchrun` starts them."""


class TooManyProcessesError(ValueError):
    """More processes were launched than a training can be shared between."""


class Processes(Protocol):
    """The processes that compute the same: one alone, or several of which the first decides.

    Attributes:
        count: how many they are.
        first: whether this one decides, writes, and speaks for all.
    """

    count: int
    first: bool

    def make_fabric(self, precision: str) -> "Fabric":
        """A `lightning.fabric.Fabric` on their devices.

        Args:
            precision: as Fabric names it.
        """

    def follow(self, action: Callable[[], Answer]) -> Answer:
        """What an action of the first process returns, in all of them.

        Args:
            action: called in the first process alone; its answer is one that pickle takes. An error
                of it is raised there.

        Raises:
            FirstProcessError: in the others, where the first one's action failed.
        """


class Alone:
    """One process that waits for no other, even where `torchrun` started several."""

    count = 1
    first = True

    def make_fabric(self, precision: str) -> "Fabric":
        """Fabric on one device."""
        from lightning.fabric import Fabric  # takes seconds to import, and only training needs it
        from lightning.fabric.plugins.environments import LightningEnvironment

        device = fastest_device().type
        # Named, or Fabric would take the tasks of a Slurm job for processes of this training.
        return Fabric(
            accelerator=device,
            devices=1,
            plugins=[LightningEnvironment(), make_precision(precision, device=device)],
        )

    def follow(self, action: Callable[[], Answer]) -> Answer:
        """What the action returns."""
        return action()


class Together:
    """The processes that `torchrun` started; each of them makes one of these at the same point.

    Raises:
        LaunchError: a variable that `torchrun` sets is missing or no number.
    """

    def __init__(self) -> None:
        self.count = number_of_processes()
        for name in OF_A_PROCESS:
            number_of_launch(name)
        # Fabric knows how processes on these devices meet; any precision will do for that.
        self.first = self.make_fabric("32-true").is_global_zero
        # Decisions are made on the host: a GPU's processes would spin, and give up in minutes.
        self._group = torch.distributed.new_group(backend="gloo", timeout=PATIENCE)

    def make_fabric(self, precision: str) -> "Fabric":
        """Fabric on a device for each process, all of which know each other."""
        from lightning.fabric import Fabric
        from lightning.fabric.plugins.environments import TorchElasticEnvironment
        from lightning.fabric.strategies import DDPStrategy

        on_this_node, device = number_of_launch("LOCAL_WORLD_SIZE"), fastest_device().type
        fabric = Fabric(
            accelerator=device,
            devices=on_this_node,
            num_nodes=self.count // on_this_node,
            # The running statistics are the same in all processes already.
            strategy=DDPStrategy(broadcast_buffers=False),
            plugins=[TorchElasticEnvironment(), make_precision(precision, device=device)],
        )
        fabric.launch()
        return fabric

    def follow(self, action: Callable[[], Answer]) -> Answer:
        """What the first process's action returns; after an error all processes are to end."""
        if not self.first:
            answer, failure = self._exchange(None, None)
            if failure is not None:
                raise FirstProcessError(failure)
            return answer
        try:
            answer = action()
        except Exception as error:
            # Those that failed as well and have ended need no word.
            with suppress(RuntimeError):
                self._exchange(None, f"{type(error).__name__}: {error}")
            raise
        self._exchange(answer, None)
        return answer

    def _exchange(self, answer: Answer | None, failure: str | None) -> list[Any]:
        """What the first process hands over, in every process."""
        held = [answer, failure]
        torch.distributed.broadcast_object_list(held, src=0, group=self._group)
        return held


def make_precision(precision: str, *, device: str) -> "Precision":
    """Fabric's precision, but that records reach the network, and so its filter, unrounded.

    Fabric's own rounds all inputs to bf16. What that leaves of a record's bands is their noise, in
    training alone. The first convolution rounds them as well, behind the filter.

    Args:
        precision: "32-true" or "bf16-mixed".
        device: its type.
    """
    from lightning.fabric.plugins import MixedPrecision, Precision

    class Unrounded(MixedPrecision):
        def convert_input(self, data: Any) -> Any:
            return data

    return Precision() if precision == "32-true" else Unrounded("bf16-mixed", device)


def processes_of_launch() -> Processes:
    """Those of this launch: one alone, or, under `torchrun`, all of which call this together.

    Raises:
        LaunchError: WORLD_SIZE tells of several, and another variable of `torchrun` is missing.
    """
    return Alone() if number_of_processes() == 1 else Together()


def number_of_processes() -> int:
    """How many processes were launched as one."""
    return number_of_launch("WORLD_SIZE") if "WORLD_SIZE" in os.environ else 1


def number_of_launch(name: str) -> int:
    """A number that `torchrun` tells each process in its environment.

    Raises:
        LaunchError: the variable is missing or holds no whole number.
    """
    told = os.environ.get(name)
    if told is None or not told.isdecimal():
        found = "is not set" if told is None else f"is {told!r}"
        raise LaunchError(
            f"{name} {found} in the environment, where WORLD_SIZE is "
            f"{os.environ.get('WORLD_SIZE')!r}; accepted are the whole numbers that torchrun sets: "
            "start the processes with it, or unset WORLD_SIZE for one alone"
        )
    return int(told)


def share(records: Tensor, fabric: "Fabric") -> Tensor:
    """This process's part of a batch's records; the parts differ in size by one at most."""
    return records.tensor_split(fabric.world_size)[fabric.global_rank]


def sum_over_processes(tensor: Tensor) -> Tensor:
    """The sum of a tensor over all processes, through which gradients flow back to each."""
    from torch.distributed.nn.functional import all_reduce

    return all_reduce(tensor)


def total_over_processes(tensor: Tensor, fabric: "Fabric") -> Tensor:
    """The sum of a tensor over all processes, without gradients, on any number of them."""
    return cast(Tensor, fabric.all_reduce(tensor, reduce_op="sum"))


def rows_of_all(rows: Tensor, fabric: "Fabric", *, total: int) -> Tensor:
    """The rows of a whole batch from each process's share of them, in the batch's order.

    Args:
        rows: (row of the share, feature), with gradient.
        fabric: of this process.
        total: rows of the batch.

    Returns:
        (total, feature), the same in all processes. A loss that each of them takes of it and that
        is averaged over them gives each share the gradient of that loss.
    """
    if fabric.world_size == 1:
        return rows
    mine = share(torch.arange(total), fabric)
    before = int(mine[0])
    padded = nn.functional.pad(rows, (0, 0, before, total - before - len(rows)))
    return sum_over_processes(padded)


class SynchronisedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation with the statistics of all processes' batches together.

    PyTorch's own runs on GPUs alone; this one runs wherever processes can add up a tensor.
    """

    # Such as the network's have, always.
    momentum: float
    num_batches_tracked: Tensor
    running_mean: Tensor
    running_var: Tensor

    def forward(self, maps: Tensor) -> Tensor:
        """(batch, channel, 1, time) -> the same shape and dtype."""
        if not self.training:
            return super().forward(maps)
        axes = (0, 2, 3)
        wide = maps.float()
        elements = wide.new_full((1,), maps.numel() // maps.shape[1])
        sums = sum_over_processes(torch.cat([wide.sum(axes), elements]))  # (channel + 1,)
        count = sums[-1].detach()
        mean = sums[:-1] / count  # (channel,)
        deviation = wide - mean[:, None, None]
        # In a second pass: a mean of squares less a square would lose digits.
        variance = sum_over_processes(deviation.square().sum(axes)) / count  # (channel,)
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (deviation * scale[:, None, None] + self.bias[:, None, None]).to(maps.dtype)


def set_batch_norms(network: nn.Module, kind: type[nn.BatchNorm2d]) -> None:
    """Make every batch norm of a network one of a kind, with the same parameters and statistics."""
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.BatchNorm2d) and type(module) is not kind:
            changed = kind(module.num_features, eps=module.eps, momentum=module.momentum)
            changed.weight, changed.bias = module.weight, module.bias
            for statistic in ("running_mean", "running_var", "num_batches_tracked"):
                setattr(changed, statistic, getattr(module, statistic))
            changed.train(module.training)
            network.set_submodule(name, changed)
