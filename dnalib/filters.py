"""Complementary ring filters: two halves of the spectrum that add up to the whole."""

import torch
from torch import Tensor, nn

from dnalib.array_arguments import check_count
from dnalib.signals import check_tensor


def ring_filters(*, bands: int = 10, length: int = 18_000) -> Tensor:
    """The two complementary filters of the paper, as masks over a real signal's spectrum.

    The positive half of the spectrum is cut into equal bands. The first filter passes the first,
    third, fifth, … band, the second filter everything else: h₂ = 1 − h₁. The Nyquist bin belongs to
    the last band. Both are real and even, so they delay nothing.

    Args:
        bands: number of equal bands, whole, at least 2 and at most `length // 2`.
        length: samples of the signals to be filtered, whole.

    Returns:
        (2, length // 2 + 1), float32, zeros and ones: h₁ and h₂ over the bins of `torch.fft.rfft`.

    Raises:
        ValueError: `bands` or `length` out of range or no whole number.

    Source: :eq:`eq-filters` of chapter 5; Wiedeman & Wang, section "Fourier partitioning" and
    Figure 2a.
    """
    check_count("bands", bands, least=2)
    check_count("length", length, least=4)
    half = length // 2
    if bands > half:
        raise ValueError(f"bands is {bands}; accepted are 2 to {half} for {length} samples")
    bins = torch.arange(half + 1)  # (frequency,)
    band = torch.clamp(bins * bands // half, max=bands - 1)  # (frequency,), 0-based
    first = (band % 2 == 0).to(torch.float32)  # (frequency,)
    return torch.stack([first, 1 - first])  # (filter, frequency)


class FourierFilter(nn.Module):
    """Multiply a signal's spectrum by a fixed real mask; gradients pass through.

    A state dict does not hold the mask, as the published checkpoints do not: make the filter again
    before weights that were trained behind it are loaded.

    Args:
        mask: a tensor (length // 2 + 1,), float, such as a row of `ring_filters`: the weights
            of the bins of `torch.fft.rfft`.
        length: samples of the signals that will come, whole.

    Raises:
        ValueError: the mask is no tensor or does not belong to that length, or the length is no
            whole number.

    Source: :eq:`eq-filtered` of chapter 5; Wiedeman & Wang, section "Fourier partitioning".
    """

    mask: Tensor

    def __init__(self, mask: Tensor, *, length: int) -> None:
        super().__init__()
        check_tensor("mask", mask)
        check_count("length", length, least=1)
        if mask.shape != (length // 2 + 1,):
            raise ValueError(
                f"mask has shape {tuple(mask.shape)}; signals of {length} samples need "
                f"({length // 2 + 1},)"
            )
        self.length = length
        # Not persistent: the mask follows from two integers, and the published checkpoints lack it.
        self.register_buffer("mask", mask.to(torch.float32), persistent=False)

    def forward(self, signals: Tensor) -> Tensor:
        """Filter signals of shape (batch, lead, time), raw units; the same shape and dtype back.

        Raises:
            ValueError: the signals are no tensor, have another length than the mask was made for,
                or are whole numbers, which a filtered signal is not.
        """
        check_tensor("signals", signals)
        if not signals.is_floating_point():
            raise ValueError(f"signals have type {signals.dtype}; accepted is floating point")
        if signals.shape[-1] != self.length:
            raise ValueError(
                f"signals have shape {tuple(signals.shape)}; this filter takes (batch, lead, "
                f"{self.length})"
            )
        # float32 at least: half precision has no Fourier transform of every length.
        exact = signals.double() if signals.dtype == torch.float64 else signals.float()
        spectrum = torch.fft.rfft(exact)  # (batch, lead, frequency), complex
        filtered = torch.fft.irfft(spectrum * self.mask, n=self.length)  # (batch, lead, time)
        return filtered.to(signals.dtype)
