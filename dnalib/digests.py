"""What tells tensors from others."""

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor


def digest_of_tensors(tensors: Iterable[Tensor]) -> str:
    """Hexadecimal sha256 of tensors in their order: their types, shapes and numbers."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()
