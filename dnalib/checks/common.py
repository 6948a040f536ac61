"""What the checks share: their result, the success of an attack, gradients that always exist."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from dnalib.attacks import pgd
from dnalib.attacks.arguments import check_labelled
from dnalib.attacks.ascent import frozen_parameters
from dnalib.attacks.losses import check_reach
from dnalib.classifiers import classifier_logits, logits_of
from dnalib.memory import records_that_fit
from dnalib.model import check_evaluation_mode

Attack = Callable[..., Tensor]
MASKED_PGD: Attack = partial(pgd, padding="mask")  # never weakened by what it must strip


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    Attributes:
        name: of the check, as in its section of the book's page: `check-` and this.
        passed: whether the measured value is within the threshold.
        measured: a share in [0, 1], or a difference of two.
        threshold: what `measured` is held against, in the same unit.
        sentence: both, in words.
    """

    name: str
    passed: bool
    measured: float
    threshold: float
    sentence: str


def success(
    model: nn.Module,
    attack: Attack,
    signals: Tensor,
    labels: Tensor,
    valid: Tensor,
    *,
    epsilon: float,
    source: nn.Module | None = None,
) -> float:
    """Share of records that the model no longer classifies as their labels under an attack.

    Args:
        model: the classifier that is asked.
        attack: as `dnalib.checks` describes it.
        signals, labels, valid: records (batch, …), as in `zero_gradients`.
        epsilon: raw units.
        source: the classifier that is attacked; None for the same.
    """
    target = Connected(model if source is None else source)
    turned = []
    for batch in fitting_batches(target, signals):
        records = signals[batch]
        delta = attack(target, records, labels[batch], epsilon=epsilon, valid=valid[batch])
        with torch.no_grad():
            turned.append(model(records + delta).argmax(1) != labels[batch])
    return torch.cat(turned).double().mean().item()


def rightly_classified(
    model: nn.Module, signals: Tensor, labels: Tensor, valid: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The records that an attack has to turn: signals, labels and validity, (batch, …) each.

    Raises:
        ValueError: what `check_labelled` and `classifier_logits` refuse, a label of a class that
            the model does not have, a model with a part in training mode, or one that gets no
            record right.
    """
    check_evaluation_mode(model, name="the model", before="a check")
    check_labelled(signals, labels, valid=valid)
    with torch.no_grad():
        logits = classifier_logits(model, signals)  # (batch, class)
    check_reach(labels, classes=logits.shape[1])
    right = logits.argmax(1) == labels  # (batch,)
    if not right.any():
        raise ValueError("the model gets no record right; a check needs at least one to attack")
    valid = torch.ones_like(signals, dtype=torch.bool) if valid is None else valid
    return signals[right], labels[right], valid[right]


class Connected(nn.Module):
    """The same logits, with a gradient of zero where the model itself is cut off from its input.

    Otherwise automatic differentiation refuses such a model, and no check could report it.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.training = model.training

    def forward(self, signals: Tensor) -> Tensor:
        """(batch, lead, time) -> logits (batch, class)."""
        return logits_of(self.model, signals) + 0 * signals.sum()


def gradient(model: nn.Module, signals: Tensor, labels: Tensor) -> Tensor:
    """Of the cross-entropy in the signals, (batch, lead, time)."""
    found = []
    for batch in fitting_batches(model, signals):
        inputs = signals[batch].detach().clone().requires_grad_(True)
        with frozen_parameters(model):
            logits = Connected(model)(inputs)
            loss = functional.cross_entropy(logits, labels[batch], reduction="sum")
            found.append(torch.autograd.grad(loss, inputs)[0])
    return torch.cat(found)


def fitting_batches(model: nn.Module, signals: Tensor) -> tuple[Tensor, ...]:
    """Positions of the records in batches whose gradients fit into memory, (batch,) each."""
    size = records_that_fit(model, signals[:1], most=len(signals))
    return torch.arange(len(signals), device=signals.device).split(size)


def percent(share: float) -> str:
    """A share as the sentences give it: 0.953 -> "95.3 %"."""
    return f"{100 * share:.1f} %"


def points(share: float) -> str:
    """A difference of shares as the sentences give it: 0.01 -> "1.0 points"."""
    return f"{100 * share:.1f} points"
