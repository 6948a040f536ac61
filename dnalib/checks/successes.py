"""Checks of an attack's success: how it changes with steps, ε, and other ways to attack."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from torch import Tensor, nn

from dnalib.checks.common import (
    MASKED_PGD,
    Attack,
    CheckResult,
    percent,
    points,
    rightly_classified,
    success,
)


def iterative_beats_one_step(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    attack: Attack = MASKED_PGD,
    valid: Tensor | None = None,
    threshold: float = 0.0,
) -> CheckResult:
    """Success of many small steps less that of one step of size ε.

    Args:
        model, signals, labels, valid: as in `zero_gradients`.
        epsilon: largest change of a sample, raw units.
        attack: takes `steps` and `step_size` as well; run as it is, and with one step of ε.
        threshold: smallest difference that passes.

    Raises:
        ValueError: as in `zero_gradients`, or what the attack raises.

    Source: section `check-iterative`; Athalye et al. 2018.
    """
    records = rightly_classified(model, signals, labels, valid)
    many = success(model, attack, *records, epsilon=epsilon)
    one = success(model, partial(attack, steps=1, step_size=epsilon), *records, epsilon=epsilon)
    return CheckResult(
        "iterative",
        many - one >= threshold,
        many - one,
        threshold,
        f"Many steps turn {percent(many)} of the records and one step {percent(one)}; the "
        f"difference is at least {points(threshold)} where small steps follow a true gradient.",
    )


def success_rises_with_epsilon(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    epsilons: Sequence[float],
    attack: Attack = MASKED_PGD,
    valid: Tensor | None = None,
    threshold: float = 0.0,
) -> CheckResult:
    """Largest fall of the success from one ε to the next larger one; 0 where it never falls.

    Args:
        model, signals, labels, valid: as in `zero_gradients`.
        epsilons: two or more, rising, raw units.
        attack: run as it is at each ε.
        threshold: largest fall that passes.

    Raises:
        ValueError: as in `zero_gradients`; epsilons that do not rise; what the attack raises.

    Source: section `check-rising`; Carlini et al. 2019.
    """
    if len(epsilons) < 2 or any(later <= earlier for earlier, later in pairwise(epsilons)):
        raise ValueError(f"epsilons are {list(epsilons)}; accepted are two or more that rise")
    records = rightly_classified(model, signals, labels, valid)
    shares = [success(model, attack, *records, epsilon=epsilon) for epsilon in epsilons]
    measured = max(0.0, *(earlier - later for earlier, later in pairwise(shares)))
    listed = ", ".join(f"{percent(share)}" for share in shares)
    return CheckResult(
        "rising",
        measured <= threshold,
        measured,
        threshold,
        f"From the smallest ε to the largest, the attack turns {listed} of the records; from one "
        f"ε to the next, that share may fall by {points(threshold)} at most.",
    )


def large_epsilon_succeeds(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    attack: Attack = MASKED_PGD,
    valid: Tensor | None = None,
    threshold: float = 0.95,
) -> CheckResult:
    """Success at an ε so large that the record is drowned: nearly all.

    Args:
        model, signals, labels, valid: as in `iterative_beats_one_step`.
        epsilon: as large as the record itself, raw units.
        attack: run as it is.
        threshold: smallest success that passes.

    Raises:
        ValueError: as in `iterative_beats_one_step`.

    Source: section `check-large-epsilon`; Athalye et al. 2018.
    """
    measured = success(
        model, attack, *rightly_classified(model, signals, labels, valid), epsilon=epsilon
    )
    return CheckResult(
        "large-epsilon",
        measured >= threshold,
        measured,
        threshold,
        f"At ε = {epsilon:g} the attack turns {percent(measured)} of the records; at least "
        f"{percent(threshold)} must be turned where almost any change is allowed.",
    )


def doubling_steps_gains_little(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    steps: int,
    attack: Attack = MASKED_PGD,
    valid: Tensor | None = None,
    threshold: float = 0.01,
) -> CheckResult:
    """Success with twice the steps less that with the steps: under one point.

    Args:
        model, signals, labels, epsilon, valid: as in `iterative_beats_one_step`.
        steps: of the evaluation.
        attack: takes `steps` as well.
        threshold: gain from which on the check fails.

    Raises:
        ValueError: as in `iterative_beats_one_step`.

    Source: section `check-steps`; Carlini et al. 2019.
    """
    records = rightly_classified(model, signals, labels, valid)
    once, twice = (
        success(model, partial(attack, steps=number), *records, epsilon=epsilon)
        for number in (steps, 2 * steps)
    )
    return CheckResult(
        "steps",
        twice - once < threshold,
        twice - once,
        threshold,
        f"{steps} steps turn {percent(once)} of the records, and {2 * steps} steps turn "
        f"{percent(twice)}; an attack that has converged gains less than {points(threshold)}.",
    )


def gradient_free_stays_below(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    gradient_free: Attack,
    attack: Attack = MASKED_PGD,
    valid: Tensor | None = None,
    threshold: float = 0.0,
) -> CheckResult:
    """Success of an attack without gradients less that of the attack with them.

    Args:
        model, signals, labels, epsilon, valid: as in `iterative_beats_one_step`.
        gradient_free: such as `dnalib.independent.square` with its generator; run as it is.
        attack: the white-box attack; run as it is.
        threshold: largest difference that passes.

    Raises:
        ValueError: as in `iterative_beats_one_step`.

    Source: section `check-gradient-free`; Athalye et al. 2018.
    """
    records = rightly_classified(model, signals, labels, valid)
    without = success(model, gradient_free, *records, epsilon=epsilon)
    white_box = success(model, attack, *records, epsilon=epsilon)
    return CheckResult(
        "gradient-free",
        without - white_box <= threshold,
        without - white_box,
        threshold,
        f"Without gradients, {percent(without)} of the records are turned; with them, "
        f"{percent(white_box)}. The first share may exceed the second by {points(threshold)} at "
        "most.",
    )


def transferred_stays_below(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    source: nn.Module,
    attack: Attack = MASKED_PGD,
    valid: Tensor | None = None,
    threshold: float = 0.0,
) -> CheckResult:
    """Success of perturbations made on another model less that of those made on this one.

    Args:
        model, signals, labels, epsilon, valid, threshold: as in `gradient_free_stays_below`.
        source: the other classifier, of the same classes.
        attack: run as it is on both.

    Raises:
        ValueError: as in `iterative_beats_one_step`.

    Source: section `check-transferred`; Athalye et al. 2018.
    """
    records = rightly_classified(model, signals, labels, valid)
    other = success(model, attack, *records, epsilon=epsilon, source=source)
    white_box = success(model, attack, *records, epsilon=epsilon)
    return CheckResult(
        "transferred",
        other - white_box <= threshold,
        other - white_box,
        threshold,
        f"Perturbations made on another model turn {percent(other)} of the records, and the "
        f"model's own turn {percent(white_box)}. The first share may exceed the second by "
        f"{points(threshold)} at most.",
    )
