"""How many records fit into memory at once."""

import math
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch import Tensor, nn

SHARE = 0.5  # of the free memory; the rest is for work space and for others
MOST = 64  # records: more than that makes nothing faster
OWN_GROUP = Path("/proc/self/cgroup")  # of Linux: the control groups of this process
GROUPS = Path("/sys/fs/cgroup")  # all of them


@dataclass(frozen=True)
class Version:
    """Where a version of Linux's control groups keeps what it says of memory.

    Attributes:
        folder: of the groups that limit memory, below that of all.
        limit, used: files of a group, in bytes.
        cached: which of a group's numbers are files that make room when asked.
    """

    folder: str
    limit: str
    used: str
    cached: str


# By the controllers that Linux names beside a group.
VERSIONS = {
    "": Version("", "memory.max", "memory.current", "inactive_file"),
    "memory": Version(
        "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
    ),
}


def records_that_fit(
    model: nn.Module, example: Tensor, *, most: int = MOST, free: int | None = None
) -> int:
    """Records whose gradients fit into memory together.

    Args:
        model: on the device of the example.
        example: (1, lead, time), one record as the model will be given it.
        most: the answer's upper limit, at least 1.
        free: bytes that may be used; None asks the device.

    Returns:
        1 … `most`; where not even one record fits, 1.
    """
    free = free_bytes(example.device) if free is None else free
    return max(1, min(most, int(SHARE * free) // max(1, kept_bytes(model, example))))


def kept_bytes(model: nn.Module, example: Tensor) -> int:
    """Bytes that a forward pass keeps for the gradient of its input, parameters left out.

    Args:
        model, example: as in `records_that_fit`.
    """
    parameters = {tensor.untyped_storage().data_ptr() for tensor in model.parameters()}
    parameters |= {tensor.untyped_storage().data_ptr() for tensor in model.buffers()}
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    example = example.detach().clone().requires_grad_(True)
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(count, lambda kept: kept):
        model(example)
    return sum(kept.values())


def free_bytes(device: torch.device) -> int:
    """Free memory of a device; for a GPU with what PyTorch holds and does not use.

    Of a processor's it is what this process may have: a container, or a job on a cluster, often has
    less than the machine.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free + unused
    return int(min(psutil.virtual_memory().available, left_to_group()))


def left_to_group(*, own: Path = OWN_GROUP, groups: Path = GROUPS) -> float:
    """Bytes that the control group of this process, and those above it, leave; inf without limits.

    Args:
        own: file that names the process's groups, as Linux writes it.
        groups: folder of all groups, of version 2 or 1.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:  # not Linux
        return math.inf
    left = [math.inf]
    for line in lines:
        _, controllers, name = line.split(":", maxsplit=2)
        version = VERSIONS.get(controllers)
        if version is not None:
            path = Path(name.lstrip("/"))
            folders = [groups / version.folder / above for above in (path, *path.parents)]
            left += [left_in(folder, version) for folder in folders]
    return min(left)


def left_in(group: Path, version: Version) -> float:
    """Bytes that one group leaves; inf where it has no limit. Cached files make room when asked."""
    try:
        limit = (group / version.limit).read_text().strip()
        if limit == "max":
            return math.inf
        used = int((group / version.used).read_text())
        fields = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except OSError:  # the topmost group of version 2 has no such files
        return math.inf
    return max(0, int(limit) - used + int(fields[version.cached]))
