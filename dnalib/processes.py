"""One training in several processes, as `torchrun` starts them: one a GPU, on one node or more.

Each process takes its share of every batch. Batch norms, the decorrelation loss and the sums of an
epoch see the whole batch, so that several processes train as one would.
"""

import os

import torch
from torch import Tensor, nn

__all__ = [
    "SynchronisedBatchNorm",
    "make_fabric",
    "rows_of_all",
    "set_batch_norms",
    "share",
    "sum_over_processes",
]


def make_fabric(precision: str):
    """Lightning Fabric on the devices of this launch: one process, or those of `torchrun`.

    Args:
        precision: as Fabric names it.

    Returns:
        A `lightning.fabric.Fabric` whose processes know each other.
    """
    from lightning.fabric import Fabric  # takes seconds to import, and only training needs it
    from lightning.fabric.plugins.environments import (
        LightningEnvironment,
        TorchElasticEnvironment,
    )
    from lightning.fabric.strategies import DDPStrategy

    processes = int(os.environ.get("WORLD_SIZE", 1))
    if processes == 1:
        # Named, or Fabric would take the tasks of a Slurm job for processes of this training.
        return Fabric(devices=1, precision=precision, plugins=[LightningEnvironment()])
    on_this_node = int(os.environ["LOCAL_WORLD_SIZE"])
    fabric = Fabric(
        devices=on_this_node,
        num_nodes=processes // on_this_node,
        # The running statistics are the same in all processes already.
        strategy=DDPStrategy(broadcast_buffers=False),
        precision=precision,
        plugins=[TorchElasticEnvironment()],
    )
    fabric.launch()
    return fabric


def share(records: Tensor, fabric) -> Tensor:
    """This process's part of a batch's records; the parts differ in size by one at most."""
    return records.tensor_split(fabric.world_size)[fabric.global_rank]


def sum_over_processes(tensor: Tensor) -> Tensor:
    """The sum of a tensor over all processes, through which gradients flow back to each."""
    from torch.distributed.nn.functional import all_reduce

    return all_reduce(tensor)


def rows_of_all(rows: Tensor, fabric, *, total: int) -> Tensor:
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
