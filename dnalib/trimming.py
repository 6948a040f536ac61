"""Evaluate a network where a record is, and not on the zero padding around it.

Far from a record every layer holds a constant. Written on its deviation from that constant, a layer
is d′ = ReLU(W∗d + k) − ReLU(k), k the layer's output before ReLU for an input of zeros: nothing
where nothing deviates. So only the record and what it reaches are computed, and the features of an
input of zeros are added. This is exact, up to rounding, as long as what the record reaches stays
clear of what the ends of the axis reach.
"""

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dnalib.model import BLOCKS, Block, Network, TimeConvolution, check_evaluation_mode

ALIGNMENT = 2 ** sum(block.pool for block in BLOCKS)  # samples that three poolings make one of


@dataclass(frozen=True)
class Extent:
    """A stretch of one layer's time axis.

    Attributes:
        first, last: its first position and the one after its last.
        length: positions of the whole axis.
        edge: positions at either end that the end of the axis reaches.
    """

    first: int
    last: int
    length: int
    edge: int

    @property
    def clear(self) -> bool:
        """Whether the stretch stays clear of what the ends reach."""
        return self.first >= self.edge and self.last <= self.length - self.edge

    def convolved(self, block: Block) -> "Extent":
        """What the stretch reaches through a block's convolution."""
        span = block.dilation * (block.kernel - 1)
        return Extent(
            self.first + block.padding - span,
            self.last + block.padding,
            self.length + 2 * block.padding - span,
            self.edge + block.padding,
        )

    def pooled(self) -> "Extent":
        """What it reaches through MaxPool(2, stride 2, padding 1, dilation 2)."""
        return Extent(
            self.first // 2, self.last // 2 + 1, (self.length + 1) // 2, self.edge // 2 + 1
        )


def folded(network: Network) -> Network:
    """A copy in evaluation mode whose batch norms are part of the convolutions before them.

    Args:
        network: in evaluation mode; it is left alone.

    Raises:
        ValueError: a part of it is in training mode, where a batch norm depends on its batch.
    """
    check_evaluation_mode(network, name="the network", before="it is folded")
    copy = deepcopy(network).requires_grad_(False)
    for number in range(1, len(BLOCKS) + 1):
        convolution: TimeConvolution = getattr(copy, f"conv{number}")
        norm: nn.BatchNorm2d = getattr(copy, f"bn{number}")
        copy.set_submodule(f"conv{number}", fuse_conv_bn_eval(convolution, norm))
        copy.set_submodule(f"bn{number}", nn.Identity())
    return copy.eval()  # what took the batch norms' place as well


def is_folded(network: Network) -> bool:
    """Whether `folded` has made it: nothing is where its batch norms were."""
    return isinstance(network.bn1, nn.Identity)


class TrimmedNetwork(nn.Module):
    """A network's logits from a window on the record: (batch, lead, time) -> (batch, class).

    Gradients with respect to the window are those of the full computation.

    Args:
        network: in evaluation mode, as it is or `folded`, without a Fourier filter (behind one, a
            record has no end).
        length: samples of the padded axis.

    Raises:
        ValueError: the network has a filter or is in training mode.

    Source: exact rewriting of the network; see the module's text.
    """

    features_of_zeros: Tensor

    def __init__(self, network: Network, *, length: int) -> None:
        super().__init__()
        if network.fourier_filter is not None:
            raise ValueError(
                "the network has a Fourier filter, behind which a record reaches everywhere; "
                "accepted are networks without one"
            )
        self.length = length
        plain = network if is_folded(network) else folded(network)
        self.fc = plain.fc
        constant = next(network.parameters()).new_zeros(network.leads)  # (channel,): the input's
        for number in range(1, len(BLOCKS) + 1):
            # (channel out, channel in, kernel), (channel out,)
            weight, bias = (
                plain.get_parameter(f"conv{number}.{name}").detach() for name in ("weight", "bias")
            )
            # Behind the batch norm, before ReLU, far from the record.
            level = weight.sum(dim=2) @ constant + bias  # (channel out,)
            constant = level.relu()
            weight = weight.unsqueeze(2).to(memory_format=torch.channels_last)
            self.register_buffer(f"weight{number}", weight)
            # ReLU(x + k) − ReLU(k) = max(x + min(k, 0), −max(k, 0))
            self.register_buffer(f"bias{number}", level.clamp(max=0))
            self.register_buffer(f"floor{number}", -constant.view(1, -1, 1, 1))
        with torch.no_grad():
            zeros = constant.new_zeros(1, network.leads, length)
            self.register_buffer("features_of_zeros", plain.features(zeros))  # (1, 64)
        self.positions = self.extents(0, length)[-1].length
        self.eval()

    def extents(self, first: int, last: int) -> list[Extent]:
        """What samples `first` … `last` − 1 reach, layer by layer, after each pooling or ReLU."""
        extent = Extent(first, last, self.length, 0)
        extents = [extent]
        for block in BLOCKS:
            extent = extent.convolved(block)
            extents.append(extent)
            if block.pool:
                extent = extent.pooled()
                extents.append(extent)
        return extents

    def window(self, first: int, last: int) -> tuple[int, int] | None:
        """The smallest window that the network takes for samples `first` … `last` − 1.

        Returns:
            Its first sample and the one after its last; None where the record reaches too far and
            the full computation is needed.
        """
        first -= first % ALIGNMENT
        return (first, last) if all(extent.clear for extent in self.extents(first, last)) else None

    def features(self, windows: Tensor) -> Tensor:
        """Windows (batch, lead, time), raw units, from `window` -> features (batch, 64)."""
        # (batch, channel, 1, time), deviations
        maps = windows.unsqueeze(2).to(memory_format=torch.channels_last)
        first = 0
        for number, block in enumerate(BLOCKS, start=1):
            span = block.dilation * (block.kernel - 1)
            maps = functional.conv2d(
                maps,
                self.get_buffer(f"weight{number}"),
                self.get_buffer(f"bias{number}"),
                padding=(0, span),  # all that the deviation reaches
                dilation=(1, block.dilation),
            )
            first += block.padding - span
            # As one product in bf16 leaves them: with a float32 floor all maps would become that.
            maps = maps.clamp(min=self.get_buffer(f"floor{number}").to(maps.dtype))
            if block.pool:
                # Element s is the larger of 2s − 1 and 2s + 1: begin at an odd position.
                left = 1 + first % 2
                maps = functional.max_pool2d(
                    functional.pad(maps, (left, 2)), (1, 2), (1, 2), 0, (1, 2)
                )
                first = (first - left + 1) // 2
        return self.features_of_zeros + maps.sum(dim=(2, 3)) / self.positions

    def forward(self, windows: Tensor) -> Tensor:
        """Windows (batch, lead, time), raw units, from `window` -> logits (batch, class)."""
        return self.fc(self.features(windows))
