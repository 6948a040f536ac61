"""What makes a training step fast on a GPU: memory layout and compilation."""

import os
import shutil
import warnings

import torch
from torch import nn

from dnalib.model import TimeConvolution


def accelerate(network: nn.Module, *, device: torch.device, compiled: bool | None) -> nn.Module:
    """The network as its training step is to call it on a device.

    Args:
        network: changed in place: on a GPU its kernels are laid out channels-last.
        device: where the step will run.
        compiled: whether to compile; None: on a GPU, if there is a C compiler, which PyTorch needs
            for it. On a CPU the dropout of `dnalib.model` stays uncompiled, and little is gained.

    Returns:
        The network itself, or one compiled around it that shares its weights.
    """
    if device.type == "cuda":
        lay_out_channels_last(network)
    if compiled is None:
        compiled = device.type == "cuda" and has_compiler()
    if compiled:
        # Batches come in two sizes at most: a program for each beats one for all sizes.
        return torch.compile(network, dynamic=False)
    return network


def has_compiler() -> bool:
    """Whether there is a C compiler, without which nothing compiles; warns where there is none."""
    if os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang"):
        return True
    warnings.warn(
        "there is no C compiler, so the training step is not compiled and takes longer; install "
        "gcc or clang, or set CC",
        stacklevel=2,
    )
    return False


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
