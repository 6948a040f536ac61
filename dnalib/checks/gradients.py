"""Checks of the gradient itself: is it there, and does rounding decide it?"""

from copy import deepcopy

from torch import Tensor, nn

from dnalib.checks.common import CheckResult, gradient, percent, rightly_classified


def zero_gradients(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    valid: Tensor | None = None,
    threshold: float = 0.01,
) -> CheckResult:
    """Share of samples at which the cross-entropy has a gradient of exactly zero.

    Args:
        model: classifier in evaluation mode, (batch, lead, time) -> logits (batch, class).
        signals: (batch, lead, time), floating point, raw units.
        labels: (batch,), int64, the true classes.
        valid: (batch, lead, time), bool; False marks zero padding. None: no padding.
        threshold: largest share that passes.

    Raises:
        ValueError: signals, labels or a model that `dnalib.attacks.pgd` would not take either, an
            ensemble, whose logits are several, or a model that gets no record right.

    Source: section `check-zero-gradients` of the book's page on masked gradients; Athalye et al.
    2018; Croce & Hein 2020.
    """
    signals, labels, valid = rightly_classified(model, signals, labels, valid)
    found = gradient(model, signals, labels)
    # An undefined gradient moves no sample either: its sign is taken for 0.
    lost = (found == 0) | ~found.isfinite()
    measured = lost[valid].double().mean().item()
    return CheckResult(
        "zero-gradients",
        measured <= threshold,
        measured,
        threshold,
        f"{percent(measured)} of the samples have a gradient of exactly zero, or an undefined one; "
        f"up to {percent(threshold)} may.",
    )


def float64_agrees(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    valid: Tensor | None = None,
    threshold: float = 0.99,
) -> CheckResult:
    """Share of samples at which the gradient has the same sign in float64.

    Args:
        model, signals, labels, valid: as in `zero_gradients`; a copy of the model goes to float64.
        threshold: smallest share that passes.

    Raises:
        ValueError: as in `zero_gradients`.

    Source: section `check-float64`; Carlini & Wagner 2017, where rounding hid the gradient.
    """
    signals, labels, valid = rightly_classified(model, signals, labels, valid)
    found = gradient(model, signals, labels)
    exact = gradient(deepcopy(model).double(), signals.double(), labels)
    same = (found.sign() == exact.sign()) & found.isfinite() & exact.isfinite()
    measured = same[valid].double().mean().item()
    return CheckResult(
        "float64",
        measured >= threshold,
        measured,
        threshold,
        f"The gradient has the sign that float64 gives it at {percent(measured)} of the samples; "
        f"at least {percent(threshold)} is required.",
    )
