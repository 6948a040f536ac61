"""How large a perturbation is: bounds in millivolts, norms and signal-to-noise ratio."""

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from dnalib.signals import check_tensor
from dnalib.units import GAIN, check_gain

Bound = TypeVar("Bound", float, Tensor)


def from_millivolts(millivolts: Bound, *, gain: float = GAIN) -> Bound:
    """A voltage in raw units, as `epsilon` takes it.

    Args:
        millivolts: a number or a tensor, mV.
        gain: raw units a mV; that of CinC 2017 by default, where a raw unit is 1 µV.

    Raises:
        ValueError: a gain that is not above 0.
    """
    check_gain(gain)
    return millivolts * gain


@dataclass(frozen=True)
class PerturbationSize:
    """How large the perturbation of each record is.

    Attributes:
        largest: (batch,), float64, ‖δ‖∞, raw units.
        norm: (batch,), float64, ‖δ‖₂, raw units.
        signal_to_noise: (batch,), float64, dB: ten times the decimal logarithm of the record's
            squares over the perturbation's; infinite where nothing is perturbed.
    """

    largest: Tensor
    norm: Tensor
    signal_to_noise: Tensor


def perturbation_size(
    perturbation: Tensor, signals: Tensor, *, valid: Tensor | None = None
) -> PerturbationSize:
    """‖δ‖∞, ‖δ‖₂ and the signal-to-noise ratio of each record, on its own samples.

    The signal is the record less the mean of each lead: a constant offset of an electrode would
    otherwise count as signal.

    Args:
        perturbation: (batch, lead, time), raw units.
        signals: (batch, lead, time), raw units.
        valid: (batch, lead, time), bool; False marks padding, of which nothing counts. None: no
            padding.

    Raises:
        ValueError: what is no tensor, shapes that differ, or a validity that is not bool.
    """
    check_tensor("perturbation", perturbation)
    check_tensor("signals", signals)
    if valid is not None:
        check_tensor("valid", valid)
    valid = torch.ones_like(signals, dtype=torch.bool) if valid is None else valid
    if not perturbation.shape == signals.shape == valid.shape or signals.ndim != 3:
        raise ValueError(
            f"perturbation, signals and valid have shapes {tuple(perturbation.shape)}, "
            f"{tuple(signals.shape)} and {tuple(valid.shape)}; accepted is one and the same, "
            "(batch, lead, time)"
        )
    if valid.dtype != torch.bool:
        raise ValueError(f"valid has type {valid.dtype}; accepted is bool")
    delta = perturbation.double().masked_fill(~valid, 0)  # (batch, lead, time)
    samples = valid.sum(dim=2, keepdim=True).clamp_min(1)  # (batch, lead, 1)
    own = signals.double().masked_fill(~valid, 0)
    mean = own.sum(dim=2, keepdim=True) / samples
    centred = (own - mean).masked_fill(~valid, 0)
    norm = delta.square().sum(dim=(1, 2)).sqrt()  # (batch,)
    ratio = centred.square().sum(dim=(1, 2)) / norm.square()
    ratio = ratio.masked_fill(norm == 0, torch.inf)  # of a flat record, too
    return PerturbationSize(
        largest=delta.abs().amax(dim=(1, 2)), norm=norm, signal_to_noise=10 * ratio.log10()
    )
