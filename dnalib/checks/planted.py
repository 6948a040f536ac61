"""The check with a planted adversarial example: an attack must find what is known to be there."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from dnalib.checks.common import (
    MASKED_PGD,
    Attack,
    CheckResult,
    percent,
    rightly_classified,
    success,
)
from dnalib.signals import check_generator


def planted_example_is_found(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    features: Callable[[Tensor], Tensor],
    generator: torch.Generator,
    attack: Attack = MASKED_PGD,
    valid: Tensor | None = None,
    neighbours: int = 15,
    inner: float = 0.5,
    threshold: float = 0.95,
) -> CheckResult:
    """Share of records at which an attack finds an adversarial example that was put there.

    For each record the model's head is replaced by one that tells two classes apart: the record
    and random neighbours of it against one point at the full distance ε. That point is an
    adversarial example by construction, and random search near the record does not meet it. A
    record at which the features do not tell the point from the neighbours counts as not found.

    Args:
        model, signals, labels, valid: as in `dnalib.checks.zero_gradients`; a record at a time.
        epsilon: largest change of a sample, raw units.
        features: the model up to its last layer, (batch, lead, time) -> (batch, feature).
        generator: source of the points, on the CPU.
        attack: run as it is.
        neighbours: random points beside the record; fewer than features, so that a head exists.
        inner: their largest distance, in ε.
        threshold: smallest share that passes.

    Raises:
        ValueError: as in `dnalib.checks.zero_gradients`, or what the attack raises.

    Source: section `check-planted` of the book's page on masked gradients; Zimmermann et al. 2022,
    with a head fitted by least squares.
    """
    check_generator("generator", generator)
    records = zip(*rightly_classified(model, signals, labels, valid), strict=True)
    plant = partial(
        _plant,
        features,
        epsilon=epsilon,
        neighbours=neighbours,
        inner=inner,
        generator=generator,
    )
    found = []
    for signal, label, mask in records:
        target = plant(signal, mask)
        clean = torch.zeros_like(label)[None]
        found.append(
            target is not None
            and success(target, attack, signal[None], clean, mask[None], epsilon=epsilon) == 1
        )
    measured = sum(found) / len(found)
    return CheckResult(
        "planted",
        measured >= threshold,
        measured,
        threshold,
        f"The attack finds an adversarial example at {percent(measured)} of the records where one "
        f"was planted; at least {percent(threshold)} must be found.",
    )


def _plant(
    features: Callable[[Tensor], Tensor],
    signal: Tensor,
    mask: Tensor,
    *,
    epsilon: float,
    neighbours: int,
    inner: float,
    generator: torch.Generator,
) -> "_TwoClasses | None":
    """The features with a head that has an adversarial example; None where none can be told."""
    numbers = 2 * torch.rand(neighbours + 2, *signal.shape, generator=generator) - 1
    numbers[:-2] *= inner
    numbers[-2] = 0  # the record itself
    numbers[-1] = numbers[-1].sign()  # the planted point
    points = signal + epsilon * numbers.to(signal) * mask  # (point, lead, time)
    with torch.no_grad():
        held = features(points).double()  # (point, feature)
    centred = held - held[-2]
    spread = centred.abs().amax(0)
    scale = torch.where(spread > 0, spread, 1)
    wanted = torch.zeros(len(held), 1, dtype=held.dtype, device=held.device)
    wanted[-1] = 1
    # The pseudo-inverse gives the smallest head, also with more features than points.
    weight = (torch.linalg.pinv(centred / scale) @ wanted).squeeze(1) / scale  # (feature,)
    scores = centred @ weight  # (point,)
    if not scores[-1] > scores[:-1].max():
        return None
    offset = held[-2] @ weight + (scores[-1] + scores[:-1].max()) / 2
    return _TwoClasses(features, weight.to(signal.dtype), offset.to(signal.dtype)).eval()


class _TwoClasses(nn.Module):
    """Class 1 where the weighted features pass an offset, else class 0."""

    def __init__(
        self, features: Callable[[Tensor], Tensor], weight: Tensor, offset: Tensor
    ) -> None:
        super().__init__()
        self.features = features
        self.weight = weight
        self.offset = offset

    def forward(self, signals: Tensor) -> Tensor:
        """(batch, lead, time) -> logits (batch, 2)."""
        score = self.features(signals) @ self.weight - self.offset  # (batch,)
        return torch.stack([torch.zeros_like(score), score], dim=1)
