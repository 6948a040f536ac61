"""One perturbation for all records."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from dnalib.array_arguments import check_count
from dnalib.attacks.arguments import (
    Padding,
    as_bound,
    check_arguments,
    check_step_size,
    perturbation_mask,
)
from dnalib.attacks.ascent import Objective, check_numbers, project, signs
from dnalib.attacks.losses import Loss, cross_entropy, cut
from dnalib.signals import check_batches, check_generator


def universal_perturbation(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    epsilon: float | Tensor,
    generator: torch.Generator,
    epochs: int = 10,
    batch_size: int = 64,
    at_once: int | None = None,
    step_size: float | None = None,
    loss: Loss = cross_entropy,
    largest_loss: float | None = None,
    valid: Tensor | None = None,
    padding: Padding = "mask",
) -> Tensor:
    """A perturbation that, added to any record, misleads as many as it can.

    One step of α·sign of the gradient of a batch's summed loss after the other, over shuffled
    batches, kept within ε.

    Args:
        model, labels, loss: as in `pgd`.
        signals: (record, lead, time), floating point, raw units: the records to learn it from.
        epsilon: largest change of a sample, raw units: one number, or (1, lead, time).
        generator: of the order of the records, on the CPU.
        epochs: passes over the records.
        batch_size: records a step.
        at_once: records of a step whose gradient is taken together, which bounds the memory and
            leaves the step as it is, but for rounding; None: all of them.
        step_size: α in raw units; `epsilon / 10` when None.
        largest_loss: what a record's loss is cut to, lest a few that are already misled decide the
            direction; None: no cut.
        valid: (record, lead, time), bool; False marks padding. None: no padding.
        padding: with "mask" no record's padding is perturbed, so a place of the axis counts only
            where a record is; otherwise the perturbation covers the padding while it is learnt.

    Returns:
        (lead, time) over the whole axis, dtype of `signals`, `|δ| ≤ ε`. Add `strip(δ, valid)` to
        records that are padded.

    Raises:
        ValueError: as in `pgd`; an ε for each record, or a parameter out of range.

    Source: the aim is that of Moosavi-Dezfooli et al. 2017, "Universal adversarial perturbations";
    the stochastic ascent and the cut loss are those of Shafahi et al. 2020, "Universal adversarial
    training", with the signs of the gradient.
    """
    check_count("epochs", epochs, least=0)
    check_arguments(model, signals, labels, valid=valid, steps=epochs, padding=padding)
    check_batches(records=len(signals), batch_size=batch_size)
    at_once = batch_size if at_once is None else at_once
    check_count("at_once", at_once, least=1)
    check_step_size(step_size)
    check_generator("generator", generator)
    loss = cut(loss, largest_loss=largest_loss)
    bound = as_bound(epsilon, signals[:1])
    mask = perturbation_mask(signals, valid, padding=padding).expand_as(signals)
    size = bound / 10 if step_size is None else step_size

    def objectives(batch: Tensor) -> Iterator[Objective]:
        for part in batch.split(at_once):
            change = partial(torch.mul, mask[part])
            yield Objective(model, signals[part], labels[part], loss, change=change)

    theta = torch.zeros_like(signals[:1])  # (1, lead, time)
    for _ in range(epochs):
        order = torch.randperm(len(signals), generator=generator).to(signals.device)
        for batch in order.split(batch_size):
            gradients = [objective.gradient(theta)[1] for objective in objectives(batch)]
            theta = project(theta + size * signs(torch.stack(gradients).sum(dim=0)), bound)
    check_numbers(theta)
    return theta[0]
