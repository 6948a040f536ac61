"""What an attack on an ensemble maximises: losses of all members' logits, one value a record.

Each function takes a loss of one classifier and returns one of the ensemble, for a `model` that
gives (member, batch, class), such as `ensemble.Ensemble`. A single member needs none of these: it
is a classifier, and is attacked as one.
"""

import math

import torch
from torch import Tensor

from dnalib.attacks.losses import Loss, cross_entropy, cut, margin


def end_to_end(loss: Loss = cross_entropy) -> Loss:
    """The loss of the ensemble's own answer, the logarithm of its mean softmax.

    Args:
        loss: of logits (batch, class) and labels (batch,), such as `cross_entropy` or `margin`.

    Returns:
        A loss of logits (member, batch, class) and labels (batch,).

    Source: :eq:`eq-adaptive-losses` of chapter A1, with the other three below.
    """
    return lambda logits, labels: loss(log_mean_softmax(logits), labels)


def mean_of_members(loss: Loss = cross_entropy) -> Loss:
    """The mean of the members' losses. Argument and return value as in `end_to_end`."""
    return lambda logits, labels: member_losses(loss, logits, labels).mean(dim=0)


def most_misled_member(loss: Loss = cross_entropy) -> Loss:
    """The greatest of the members' losses: enough to spoil P(≥ every member) of a record.

    Argument and return value as in `end_to_end`.
    """
    return lambda logits, labels: member_losses(loss, logits, labels).amax(dim=0)


def least_misled_member(loss: Loss = cross_entropy) -> Loss:
    """The smallest of the members' losses: it rises only by misleading them all, as P(≥1) asks.

    Argument and return value as in `end_to_end`.
    """
    return lambda logits, labels: member_losses(loss, logits, labels).amin(dim=0)


def confidently_wrong(
    loss: Loss = margin, *, weight: float = 1.0, largest_loss: float | None = 2.0
) -> Loss:
    """The ensemble's loss, up to a limit, less its mutual information: wrong, and with one voice.

    An ensemble that defers where its members disagree does not defer such a record.

    Args:
        loss: as in `end_to_end`, of the logarithm of the mean softmax.
        weight: of the mutual information, which is in nats, at most log(members).
        largest_loss: what the loss is cut to; None: no cut. Without one the error, which has no
            end, outweighs the doubt. A margin of 2 makes a wrong class e² = 7.4 times as probable
            as the true one; from there on only the doubt counts.

    Returns:
        As in `end_to_end`. Error and doubt pull apart on the way, so the schedule "apgd", which
        keeps the best state, and restarts serve it best.

    Raises:
        ValueError: a weight below 0, which would ask for disagreement, or a limit not above 0.

    Source: :eq:`eq-confidently-wrong` of chapter A1.
    """
    if not (weight >= 0 and math.isfinite(weight)):
        raise ValueError(f"weight is {weight}; accepted are finite values from 0")
    answer = end_to_end(cut(loss, largest_loss=largest_loss))
    return lambda logits, labels: answer(logits, labels) - weight * mutual_information(logits)


def member_losses(loss: Loss, logits: Tensor, labels: Tensor) -> Tensor:
    """Each member's loss: (member, batch)."""
    check_members(logits)
    return torch.stack([loss(of_member, labels) for of_member in logits])


def entropy(log_probabilities: Tensor) -> Tensor:
    """Entropy over the last axis, nats, from logarithms of probabilities."""
    return -(log_probabilities.exp() * log_probabilities).sum(dim=-1)


def log_mean_softmax(logits: Tensor) -> Tensor:
    """Logarithm of the members' mean probabilities: what a user of the ensemble is told.

    Args:
        logits: (member, batch, class).

    Returns:
        (batch, class): logits whose softmax is the mean softmax.

    Raises:
        ValueError: another number of axes.
    """
    check_members(logits)
    return logits.log_softmax(dim=-1).logsumexp(dim=0) - math.log(len(logits))


def mutual_information(logits: Tensor) -> Tensor:
    """What the members disagree about, in nats, with a gradient; as in `dnalib.uncertainty`.

    Args:
        logits: (member, batch, class).

    Returns:
        (batch,), from 0 up to rounding.
    """
    expected = entropy(logits.log_softmax(dim=-1)).mean(dim=0)  # (batch,)
    return entropy(log_mean_softmax(logits)) - expected


def check_members(logits: Tensor) -> None:
    """Raise a ValueError unless logits are those of several members."""
    if logits.ndim != 3:
        raise ValueError(
            f"logits have shape {tuple(logits.shape)}; accepted is (member, batch, class), as an "
            "Ensemble gives them"
        )
