"""Perturbations that nobody searched for: what the size of a change does without an attack."""

import torch
from torch import Tensor

from dnalib.attacks.arguments import strip
from dnalib.attacks.smoothing import smooth, smoothing_kernel


def random_signs(
    signals: Tensor,
    *,
    epsilon: float,
    valid: Tensor | None = None,
    generator: torch.Generator,
) -> Tensor:
    """ε with a random sign at each sample: as large as a perturbation within ε can be.

    The control of `pgd`, which ends at a sign for each sample, too.

    Args:
        signals: (batch, lead, time), raw units; only their shape and device count.
        epsilon: size of the change of a sample, raw units.
        valid: (batch, lead, time), bool; False marks padding, which is left as it is.
        generator: source of the signs, on the CPU.

    Returns:
        Perturbation (batch, lead, time), float32.

    Raises:
        ValueError: an epsilon below 0.
    """
    return strip(epsilon_times(epsilon, drawn_signs(signals.shape, generator), signals), valid)


def smooth_random_signs(
    signals: Tensor,
    *,
    epsilon: float,
    valid: Tensor | None = None,
    generator: torch.Generator,
) -> Tensor:
    """Random signs behind the kernel of `sap`, each held for as long as the kernel is.

    The control of `sap`. Signs of single samples would cancel in the kernel's mean; one for each
    stretch of its 19 samples leaves a wave that comes near ±ε.

    Arguments, return value and error as in `random_signs`.
    """
    kernel = smoothing_kernel().float()  # (tap,)
    batch, leads, time = signals.shape
    stretches = -(-time // len(kernel))
    signs = drawn_signs((batch, leads, stretches), generator)
    held = signs.repeat_interleave(len(kernel), dim=2)[..., :time]  # (batch, lead, time)
    return strip(epsilon_times(epsilon, smooth(held, kernel), signals), valid)


def drawn_signs(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """−1 or 1, with probability one half each: float32, on the CPU."""
    return torch.randint(2, shape, generator=generator).float().mul_(2).sub_(1)


def epsilon_times(epsilon: float, directions: Tensor, signals: Tensor) -> Tensor:
    """A bound times directions within ±1, on the device of the signals.

    Raises:
        ValueError: a bound below 0.
    """
    if not epsilon >= 0:
        raise ValueError(f"epsilon is {epsilon}; accepted are numbers from 0")
    return (directions * epsilon).to(signals.device)
