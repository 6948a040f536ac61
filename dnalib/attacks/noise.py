"""Perturbations that nobody searched for: what the size of a change does without an attack."""

import torch
from torch import Tensor

from dnalib.attacks.arguments import as_bound, check_signals, strip
from dnalib.attacks.smoothing import smooth, smoothing_kernel


def random_signs(
    signals: Tensor,
    *,
    epsilon: float | Tensor,
    valid: Tensor | None = None,
    generator: torch.Generator,
) -> Tensor:
    """ε with a random sign at each sample: as large as a perturbation within ε can be.

    The control of `pgd`, which stays within the same bound and, where a gradient changes its sign
    on the way, does not fill it: at the same ε these are the stronger of the two.

    Args:
        signals: (batch, lead, time), floating point, raw units; their values do not count.
        epsilon: size of the change of a sample, raw units, as `pgd` takes it.
        valid: (batch, lead, time), bool; False marks padding, which is left as it is.
        generator: source of the signs, on the CPU.

    Returns:
        Perturbation (batch, lead, time), of the signals' type, on their device.

    Raises:
        ValueError: signals or an epsilon that `pgd` would not take either.
    """
    check_signals(signals, valid=valid)
    signs = drawn_signs(signals.shape, generator).to(signals)  # (batch, lead, time)
    return strip(signs * as_bound(epsilon, signals), valid)


def smooth_random_signs(
    signals: Tensor,
    *,
    epsilon: float | Tensor,
    valid: Tensor | None = None,
    generator: torch.Generator,
) -> Tensor:
    """Random signs behind the kernel of `sap`, each held for as long as the kernel is.

    The control of `sap`. Signs of single samples would cancel in the kernel's mean; one for each
    stretch of its 19 samples leaves a wave that comes near ±ε.

    Arguments, return value and error as in `random_signs`.
    """
    check_signals(signals, valid=valid)
    kernel = smoothing_kernel().float()  # (tap,)
    batch, leads, time = signals.shape
    stretches = -(-time // len(kernel))
    signs = drawn_signs((batch, leads, stretches), generator)
    held = signs.repeat_interleave(len(kernel), dim=2)[..., :time]  # (batch, lead, time)
    waves = smooth(held, kernel).clamp_(-1, 1).to(signals)  # the kernel's sum rounds above 1
    return strip(waves * as_bound(epsilon, signals), valid)


def drawn_signs(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """−1 or 1, with probability one half each: float32, on the CPU."""
    return torch.randint(2, shape, generator=generator).float().mul_(2).sub_(1)
