"""Gradient attacks, one perturbation a record: PGD and smooth adversarial perturbations (SAP)."""

from collections.abc import Sequence
from functools import partial
from typing import TypedDict

import torch
from torch import Tensor, nn

from dnalib.attacks.arguments import (
    Padding,
    as_bound,
    check_arguments,
    check_search,
    check_start,
    perturbation_mask,
    strip,
    varies_in_time,
)
from dnalib.attacks.ascent import Objective, Schedule, climb, project
from dnalib.attacks.losses import Loss, cross_entropy, of_each
from dnalib.attacks.restarts import random_perturbation, worst_of
from dnalib.attacks.smoothing import smooth, smoothing_kernel
from dnalib.classifiers import logits_of


class Search(TypedDict):
    """Options of `climb` that PGD and SAP share."""

    step_size: float | None
    momentum: float
    schedule: Schedule


def pgd(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    epsilon: float | Tensor,
    steps: int = 20,
    step_size: float | None = None,
    valid: Tensor | None = None,
    padding: Padding = "strip",
    loss: Loss = cross_entropy,
    momentum: float = 0.0,
    schedule: Schedule = "constant",
    random_start: bool = False,
    restarts: int = 1,
    compared_by: Loss | None = None,
    generators: Sequence[torch.Generator] | None = None,
) -> Tensor:
    """Projected gradient descent: steps of α·sign(∇ₓ loss), kept within ε of the record.

    A record's perturbation depends on nothing else in its batch.

    Args:
        model: in evaluation mode: a classifier, (batch, lead, time) -> logits (batch, class); or an
            ensemble, -> (member, batch, class), with a loss of `dnalib.attacks.targets`.
        signals: (batch, lead, time), floating point, raw units.
        labels: (batch,), int64, the classes to lead away from.
        epsilon: largest change of a sample, raw units (µV for CinC 2017): one number, one a record
            (batch,), or one a sample (batch, lead, time); see `from_millivolts`.
        steps: number of gradient steps.
        step_size: α in raw units; `epsilon / 10` when None.
        valid: (batch, lead, time), bool; False marks zero padding. None: no padding.
        padding: "strip" lets the perturbation live on the padding and removes it at the end (the
            paper's); "mask" holds it to the record at every step; "keep" neither: the state from
            which the published SAP goes on.
        loss: what is maximised, (model's logits, labels) -> (batch,).
        momentum: weight of the last direction in the next; 0 for none.
        schedule: "constant" takes steps of `step_size` and returns the last state; "apgd" sets the
            step sizes and the momentum itself and returns the state of the greatest loss (under
            "strip", before stripping). It wants some 100 steps.
        random_start: start uniformly in the ball, on the record only, and not at the record.
        restarts: runs, of which each record keeps the worst; all but the first start at random.
        compared_by: which loss decides between runs; `loss` when None. `margin` prefers a run that
            misleads to any that does not.
        generators: of the random starts, one a record; see `record_generators`.

    Returns:
        Perturbation (batch, lead, time), dtype of `signals`, `|δ| ≤ ε`, zero on the padding (unless
        kept).

    Raises:
        ValueError: shapes or types that do not fit, non-finite signals, a model that is no module,
            has a part in training mode or answers no tensor, a parameter out of range, random
            starts without generators, or a loss or a gradient that is no tensor or NaN.

    Source: :eq:`eq-pgd` of chapter 7; Madry et al. 2018; start and step size as in Han et al.
    2020. For momentum and "apgd" see `dnalib.attacks.ascent`.
    """
    check_arguments(model, signals, labels, valid=valid, steps=steps, padding=padding)
    search: Search = {"step_size": step_size, "momentum": momentum, "schedule": schedule}
    check_search(
        signals, random_start=random_start, restarts=restarts, generators=generators, **search
    )
    bound = as_bound(epsilon, signals)
    mask = perturbation_mask(signals, valid, padding=padding)
    objective = Objective(model, signals, labels, loss, change=lambda theta: theta * mask)

    def run(number: int) -> Tensor:
        start = torch.zeros_like(signals)
        if generators is not None and (random_start or number > 0):
            start = random_perturbation(signals, valid, bound=bound, generators=generators)
        delta = climb(objective, start=start, bound=bound, steps=steps, **search)
        return delta if padding == "keep" else strip(delta, valid)

    value = partial(loss_under, model, signals, labels, loss=compared_by or loss)
    return worst_of(restarts, run=run, value=value)


def sap(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    epsilon: float | Tensor,
    steps: int = 40,
    step_size: float | None = None,
    valid: Tensor | None = None,
    padding: Padding = "strip",
    start: Tensor | None = None,
    start_steps: int = 20,
    loss: Loss = cross_entropy,
    momentum: float = 0.0,
    schedule: Schedule = "constant",
    random_start: bool = False,
    restarts: int = 1,
    compared_by: Loss | None = None,
    generators: Sequence[torch.Generator] | None = None,
) -> Tensor:
    """Smooth adversarial perturbation: the gradient steps act on θ, and x′ = x + smooth(θ).

    The kernel has 19 samples whatever the rate: 63 ms of a record at 300 Hz, as published, 38 ms at
    500 Hz. So the faster a record is sampled, the rougher the perturbation may be.

    Args:
        model, signals, labels, valid, padding, restarts, compared_by: as in `pgd`.
        epsilon: as in `pgd`; where each sample has its own, smooth(θ) is cut to it.
        steps: gradient steps on θ.
        start: θ to start from, (batch, lead, time), `|θ| ≤ ε`, such as an earlier `pgd` answer;
            None runs `pgd` first. With "strip" that answer still covers the padding, as with
            `padding="keep"`: the published code strips only the final perturbation.
        start_steps: steps of that `pgd`.
        loss, step_size, momentum, schedule: as in `pgd`, for that `pgd` as well.
        random_start, generators: of that `pgd`, which is what starts at random.

    Returns:
        Perturbation smooth(θ) (batch, lead, time), `|δ| ≤ ε`, zero on the padding (unless kept).

    Raises:
        ValueError: as in `pgd`; a start outside the ε-ball, or beside random starts.

    Source: :eq:`eq-sap` of chapter 7; Han et al. 2020, "Methods"; 20 + 40 steps as in the code of
    Wiedeman & Wang.
    """
    check_arguments(model, signals, labels, valid=valid, steps=steps, padding=padding)
    search: Search = {"step_size": step_size, "momentum": momentum, "schedule": schedule}
    if start is not None and (random_start or restarts > 1):
        raise ValueError("a start is given beside random starts; accepted is one of them")
    check_search(
        signals, random_start=random_start, restarts=restarts, generators=generators, **search
    )
    bound = as_bound(epsilon, signals)
    if start is not None:
        check_start(start, signals, bound=bound)
    mask = perturbation_mask(signals, valid, padding=padding)
    kernel = smoothing_kernel().to(signals)

    def smoothed(theta: Tensor) -> Tensor:
        delta = smooth(theta, kernel)
        return project(delta, bound) if varies_in_time(bound) else delta

    objective = Objective(model, signals, labels, loss, change=lambda theta: smoothed(theta) * mask)

    def first_theta(number: int) -> Tensor:
        if start is not None:
            return start.to(signals)
        return pgd(
            model,
            signals,
            labels,
            epsilon=epsilon,
            steps=start_steps,
            valid=valid,
            padding="mask" if padding == "mask" else "keep",
            loss=loss,
            random_start=random_start or number > 0,
            generators=generators,
            **search,
        )

    def run(number: int) -> Tensor:
        theta = climb(objective, start=first_theta(number), bound=bound, steps=steps, **search)
        delta = project(smooth(theta, kernel), bound)  # the kernel's sum is 1 up to rounding
        return delta if padding == "keep" else strip(delta, valid)

    value = partial(loss_under, model, signals, labels, loss=compared_by or loss)
    return worst_of(restarts, run=run, value=value)


@torch.no_grad()
def loss_under(
    model: nn.Module, signals: Tensor, labels: Tensor, perturbation: Tensor, *, loss: Loss
) -> Tensor:
    """Each record's loss with the perturbation added: (batch,)."""
    return of_each(loss, logits_of(model, signals + perturbation), labels)
