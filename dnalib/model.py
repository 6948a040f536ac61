"""The 13-layer convolutional network of Goodfellow et al. 2018, at any width."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dnalib.array_arguments import check_count, is_number
from dnalib.filters import FourierFilter

FEATURES = 64
CLASSES = 4  # of CinC 2017
SHORTEST = 2  # samples: a single one is shorter than the first kernel with its padding
WIDEST = 4  # width above which a typing error is likelier than a network


@dataclass(frozen=True)
class Block:
    """One convolution block: full-width channels out, kernel, dilation, padding, pooling."""

    channels: int
    kernel: int
    dilation: int
    padding: int
    pool: bool = False
    scaled: bool = True


# Goodfellow et al. 2018, as in Han et al. 2020. The last two blocks keep their 64 channels at every
# width, so that the feature space and the regressions on it are the paper's.
BLOCKS = (
    Block(320, 24, 1, 11, pool=True),
    Block(256, 16, 2, 15),
    *(Block(256, 16, 4, 30) for _ in range(3)),
    Block(128, 8, 4, 14, pool=True),
    *(Block(128, 8, 6, 21) for _ in range(4)),
    Block(128, 8, 8, 28, pool=True),
    Block(64, 8, 8, 28, scaled=False),
    Block(FEATURES, 8, 8, 28, scaled=False),
)


class TimeConvolution(nn.Conv1d):
    """A `Conv1d` computed as a two-dimensional convolution over (lead, time).

    The weights are those of a `Conv1d`, so published checkpoints fit; the two-dimensional kernels
    of the backends come in a channels-last layout, which is faster on CPUs and on GPUs.
    """

    padding: tuple[int, ...]  # never a word

    def forward(self, signals: Tensor) -> Tensor:
        """(batch, channel in, 1, time) -> (batch, channel out, 1, time out)."""
        return functional.conv2d(
            signals,
            self.weight.unsqueeze(2),  # (channel out, channel in, 1, kernel)
            self.bias,
            padding=(0, self.padding[0]),
            dilation=(1, self.dilation[0]),
        )


class Dropout(nn.Module):
    """Dropout as in `torch.nn.Dropout`, with a mask that costs less on a CPU.

    PyTorch draws CPU masks one number an element in a single thread, which takes most of a training
    step of a narrow network. Here one 64-bit number yields four 16-bit ones, each compared with
    the probability (exact to 2⁻¹⁷). A compiled network draws PyTorch's.

    Args:
        probability: share of elements set to zero, in [0, 1).
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not is_number(probability) or not 0 <= probability < 1:
            raise ValueError(f"dropout is {probability!r}; accepted are values in [0, 1)")
        self.probability = probability

    def forward(self, features: Tensor) -> Tensor:
        """Any shape; the same shape back, unchanged in evaluation mode."""
        if not self.training or self.probability == 0:
            return features
        if features.device.type != "cpu" or torch.compiler.is_compiling():
            return functional.dropout(features, self.probability)
        return features * draw_mask(features, probability=self.probability)


def draw_mask(features: Tensor, *, probability: float) -> Tensor:
    """A mask of `Dropout` for features on a CPU, scaled, in their shape, dtype and layout."""
    numbers = torch.empty((features.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    threshold = min(round(probability * 2**16), 2**16 - 1) - 2**15
    kept = numbers.view(torch.int16)[: features.numel()] >= threshold
    # Laid out in memory like the features: the product need not convert between layouts.
    mask = torch.empty_like(features, requires_grad=False)
    mask.as_strided((mask.numel(),), (1,)).copy_(kept)
    return mask.mul_(1 / (1 - probability))


class Network(nn.Module):
    """The 13-layer CNN: records in, class logits out, 64 features between.

    Blocks of Conv → BatchNorm → ReLU → (MaxPool) → Dropout, the mean over time, a linear layer.
    Names in the state dict are the published ones: `conv1.weight` … `bn13.running_var`, `fc.bias`.
    It does not hold the filter, and loads without one: make the network with the filter that it was
    trained behind before loading.

    Args:
        width: factor on the channels of blocks 1–11, in (0, 4]; 1 is the paper's network with
            5,486,916 parameters. Blocks 12 and 13 keep 64 channels.
        dropout: probability of dropout after each block.
        fourier_filter: filter that every input passes first, in training and in inference.
        classes: how many the last layer tells apart, whole, from 2; those of CinC 2017 by default.
        leads: that a record has, whole, from 1; the paper's records have one.

    Attributes:
        memory_format: layout of the maps between the blocks. Channels last is up to three times
            faster on CPUs, and what tensor cores ask for; the answer differs by rounding alone.

    Raises:
        ValueError: `width`, `dropout`, `classes` or `leads` out of range, or a `fourier_filter`
            that is none.

    Source: Goodfellow et al. 2018; Han et al. 2020. The features are those of :eq:`eq-features` of
    chapter 2.
    """

    def __init__(
        self,
        *,
        width: float = 1.0,
        dropout: float = 0.3,
        fourier_filter: FourierFilter | None = None,
        classes: int = CLASSES,
        leads: int = 1,
    ) -> None:
        super().__init__()
        if not is_number(width) or not 0 < width <= WIDEST:
            raise ValueError(f"width is {width!r}; accepted are values in (0, {WIDEST}]")
        if not isinstance(fourier_filter, FourierFilter | None):
            raise ValueError(
                f"fourier_filter is of type {type(fourier_filter).__name__}; accepted is a "
                "dnalib.filters.FourierFilter, or None"
            )
        check_count("classes", classes, least=2)
        check_count("leads", leads, least=1)
        self.width = width
        self.classes = classes
        self.leads = leads
        self.memory_format = torch.channels_last
        self.fourier_filter = fourier_filter
        self.dropout = Dropout(dropout)
        channels_in = leads
        for number, block in enumerate(BLOCKS, start=1):
            channels = max(1, round(block.channels * width)) if block.scaled else block.channels
            convolution = TimeConvolution(
                channels_in,
                channels,
                block.kernel,
                padding=block.padding,
                dilation=block.dilation,
            )
            self.add_module(f"conv{number}", convolution)
            self.add_module(f"bn{number}", nn.BatchNorm2d(channels))
            channels_in = channels
        self.fc = nn.Linear(FEATURES, classes)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled and copied: all, with the layout by name, as PyTorch pickles none."""
        layout = str(self.memory_format).removeprefix("torch.")
        return {**super().__getstate__(), "memory_format": layout}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """What `__getstate__` gave."""
        super().__setstate__({**state, "memory_format": getattr(torch, state["memory_format"])})

    def features(self, signals: Tensor) -> Tensor:
        """Signals (batch, lead, time), raw units -> features (batch, 64).

        Raises:
            ValueError: the signals are not three-dimensional with the network's leads.
        """
        return self.maps_after(signals, block=len(BLOCKS)).mean(dim=(2, 3))

    def maps_after(self, signals: Tensor, *, block: int) -> Tensor:
        """Signals (batch, lead, time), raw units -> maps (batch, channel, 1, position) of a block.

        Args:
            signals: as the network takes them.
            block: 1 to 13; the blocks behind it are not computed.

        Raises:
            ValueError: the signals are not three-dimensional with the network's leads, or no such
                block.
        """
        if not 1 <= block <= len(BLOCKS):
            raise ValueError(f"block is {block}; accepted are 1 to {len(BLOCKS)}")
        if signals.ndim != 3 or signals.shape[1] != self.leads or signals.shape[2] < SHORTEST:
            raise ValueError(
                f"signals have shape {tuple(signals.shape)}; accepted is (batch, {self.leads}, "
                f"time), of {SHORTEST} samples at least"
            )
        if self.fourier_filter is not None:
            signals = self.fourier_filter(signals)
        # (batch, channel, 1, time)
        maps = signals.unsqueeze(2).to(memory_format=self.memory_format)
        for number in range(1, block + 1):
            maps = self.get_submodule(f"conv{number}")(maps)
            maps = functional.relu(self.get_submodule(f"bn{number}")(maps), inplace=True)
            if BLOCKS[number - 1].pool:
                maps = functional.max_pool2d(maps, (1, 2), (1, 2), (0, 1), (1, 2))
            maps = self.dropout(maps)
        return maps

    def forward(
        self, signals: Tensor, *, with_features: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Signals (batch, lead, time), raw units -> logits (batch, class).

        With `with_features`, logits and features (batch, 64): one pass serves both losses.
        """
        features = self.features(signals)
        logits = self.fc(features)
        return (logits, features) if with_features else logits


def load_published(path: Path | str, *, fourier_filter: FourierFilter | None = None) -> Network:
    """The paper's network with the weights of a published checkpoint (`best_model.pth`).

    Only tensors are unpickled. A `module.` prefix, left by data-parallel training, is removed.

    Args:
        path: a PyTorch state dict, with or without the prefix.
        fourier_filter: the filter that the checkpoint was trained behind, if any.

    Returns:
        The network in evaluation mode, float32, on the CPU.

    Raises:
        ValueError: the file is no state dict of this network; the sentence names what is amiss.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # torch raises many types here; each means "no plain checkpoint"
        raise ValueError(f"{path} is not a checkpoint of tensors: {error}") from error
    if not isinstance(state, dict) or not all(
        isinstance(value, Tensor) for value in state.values()
    ):
        raise ValueError(f"{path} holds {type(state).__name__}; accepted is a dict of tensors")
    network = Network(fourier_filter=fourier_filter)
    found = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    try:
        network.load_state_dict(found)
    except RuntimeError as error:
        amiss = first_difference(found, network.state_dict())
        raise ValueError(f"{path} does not fit the paper's network: {amiss}") from error
    return network.eval()


def first_difference(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """What first keeps a state dict from being loaded, for a sentence."""
    for name, tensor in wanted.items():
        if name in found and found[name].shape != tensor.shape:
            return (
                f"{name} has shape {tuple(found[name].shape)}; accepted is {tuple(tensor.shape)}, "
                "that of width 1, 4 classes and one lead (for others, make a Network of these and "
                "call its load_state_dict)"
            )
    # PyTorch does without the counts of batches, which older checkpoints lack.
    counts = ".num_batches_tracked"
    missing = [name for name in wanted if name not in found and not name.endswith(counts)]
    if missing:
        return f"it lacks {missing[0]}; accepted are all of the network's tensors"
    more = [name for name in found if name not in wanted]
    return f"it also holds {more[0]}; accepted are the network's tensors alone"


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """In evaluation mode within; then each submodule as it was, for some may have been frozen."""
    modes = [(one, one.training) for one in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for one, mode in modes:
            one.training = mode


def check_evaluation_mode(module: nn.Module, *, name: str, before: str) -> None:
    """Raise a ValueError if something is no module, or any part of it is in training mode.

    Parts count one by one: a member or a batch norm that was put back into training mode answers
    otherwise at each call, whatever the mode of the whole.

    Args:
        module: what is to be in evaluation mode.
        name: of it, in the sentence.
        before: what it is wanted for, in the sentence.
    """
    if not isinstance(module, nn.Module):
        raise ValueError(
            f"{name} is of type {type(module).__name__}; accepted is a torch.nn.Module, whose "
            "forward may call any function"
        )
    training = next((part for part, one in module.named_modules() if one.training), None)
    if training is not None:
        whose = f"{name}'s part {training!r}" if training else name
        raise ValueError(f"{whose} is in training mode; call eval() on {name} before {before}")
