"""How many records fit into memory at once."""

import psutil
import torch
from torch import Tensor, nn

SHARE = 0.5  # of the free memory; the rest is for work space and for others
MOST = 64  # records: more than that makes nothing faster


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
    """Free memory of a device; for a GPU with what PyTorch holds and does not use."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free + unused
    return psutil.virtual_memory().available
