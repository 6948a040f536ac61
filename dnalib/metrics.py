"""What is counted: accuracy, P(≥x), votes, and scores that a constant answer cannot win.

Arrays: `logits` (member, record, class) float; `labels` (record,) int; `correct` (member, record)
bool. Shares are fractions in [0, 1].
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from dnalib.array_arguments import (
    as_booleans,
    check_classes,
    check_dimensions,
    check_finite,
    check_logits,
    check_records,
    check_same_shape,
)

__all__ = [
    "CONSTANTS",
    "CONTROL",
    "accuracy",
    "as_correct",
    "at_least",
    "at_least_each",
    "average_accuracy",
    "challenge_f1",
    "class_averaged",
    "cohens_kappa",
    "confusion_matrix",
    "correct_predictions",
    "kept_by_constants",
    "majority_vote",
    "mean_softmax_prediction",
    "softmax",
    "with_constants",
    "within_classes",
    "worst_case",
]

CONTROL = "base + constants"  # name of the ensemble of `with_constants`
CLASSES = 4  # Normal, atrial fibrillation, Other, noise
CONSTANTS = (0, 2)  # the classes that the control always answers, the commonest two

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]
Booleans = NDArray[np.bool_]


def correct_predictions(logits: ArrayLike, labels: ArrayLike) -> Booleans:
    """Whether each member answers each record right.

    Args:
        logits: (member, record, class).
        labels: (record,) class indices.

    Returns:
        (member, record) bool.

    Raises:
        ValueError: the shapes do not fit, there is a single class, a label is not one of the
            classes, or a logit is not finite.
    """
    logits, labels = np.asarray(logits), np.asarray(labels)
    check_logits("logits", logits, 3)
    check_records("logits", logits, 1, "labels", labels)
    check_classes("labels", labels, logits.shape[-1])
    check_finite("logits", logits)
    return logits.argmax(axis=-1) == labels  # (member, record)


def accuracy(logits: ArrayLike, labels: ArrayLike) -> Floats:
    """Accuracy of each member, (member,); arguments as in `correct_predictions`."""
    return correct_predictions(logits, labels).mean(axis=1)


def average_accuracy(correct: ArrayLike) -> float:
    """Mean accuracy over the members of `correct` (member, record)."""
    return float(as_correct(correct).mean())


def at_least(correct: ArrayLike, *, members: int) -> float:
    """P(≥x): the share of records that at least x = `members` members answer right.

    Source: the paper's Figures 3 to 5. Members that differ score high on P(≥1) whether or not
    they know anything: see `with_constants`.
    """
    return float(at_least_each(correct, members=members).mean())


def at_least_each(correct: ArrayLike, *, members: int) -> Booleans:
    """The indicator behind P(≥x), one value a record, for intervals and paired differences.

    Args:
        correct: (member, record) bool.
        members: x, from 1 to the number of members.

    Returns:
        (record,) bool.
    """
    correct = as_correct(correct)
    if not 1 <= members <= len(correct):
        raise ValueError(f"members is {members}; an ensemble of {len(correct)} allows 1 to that")
    return correct.sum(axis=0) >= members


def within_classes(indicator: ArrayLike, labels: ArrayLike, *, classes: int = CLASSES) -> Floats:
    """Mean within each class: of right answers, the accuracy among the records of each class.

    Args:
        indicator: (..., record) bool or float, such as `at_least_each`.
        labels: (..., record) class indices, of the same shape.
        classes: how many there are.

    Returns:
        (..., class); NaN for a class without a record.
    """
    indicator, labels = np.asarray(indicator, dtype=float), np.asarray(labels)
    check_same_shape("indicator", indicator, "labels", labels)
    check_classes("labels", labels, classes, because=f"with classes={classes}")
    of_class = labels[..., None, :] == np.arange(classes)[:, None]  # (..., class, record)
    sums = np.where(of_class, indicator[..., None, :], 0.0).sum(axis=-1)  # (..., class)
    numbers = of_class.sum(axis=-1)
    return np.divide(sums, numbers, out=np.full(sums.shape, np.nan), where=numbers > 0)


def class_averaged(indicator: ArrayLike, labels: ArrayLike, *, classes: int = CLASSES) -> Floats:
    """Mean of `within_classes` over the classes; those without a record are left out.

    Of right answers this is the balanced accuracy, which is 1 / classes for any constant answer.

    Args:
        indicator, labels, classes: as in `within_classes`, (..., record).

    Returns:
        (...).
    """
    return np.nanmean(within_classes(indicator, labels, classes=classes), axis=-1)


def worst_case(survived: Sequence[ArrayLike]) -> Booleans:
    """Whether each record survives every one of several attacks: the strongest attack per record.

    What is counted is decided before, attack by attack: P(≥1) over the worst case joins the arrays
    of `at_least_each`. Joining members' right answers first would let one record be attacked in
    several ways at once, a different one for each member.

    Args:
        survived: an array for each attack, (..., record) bool, of one shape.

    Returns:
        (..., record) bool.

    Raises:
        ValueError: no attack, shapes that differ, or numbers instead of bool.
    """
    if not len(survived):
        raise ValueError("survived is empty; give the array of at least one attack")
    arrays = [as_booleans(f"survived[{place}]", one) for place, one in enumerate(survived)]
    for place, one in enumerate(arrays):
        check_same_shape(f"survived[{place}]", one, "survived[0]", arrays[0])
    return np.logical_and.reduce(arrays)


def confusion_matrix(
    predicted: ArrayLike, labels: ArrayLike, *, classes: int = CLASSES
) -> Integers:
    """Counts of records, (..., true class, predicted class).

    Args:
        predicted: (..., record) class indices.
        labels: (..., record) class indices, of the same shape.
        classes: how many there are.
    """
    predicted, labels = np.asarray(predicted), np.asarray(labels)
    check_same_shape("predicted", predicted, "labels", labels)
    check_classes("predicted", predicted, classes, because=f"with classes={classes}")
    check_classes("labels", labels, classes, because=f"with classes={classes}")
    # Narrow ones would overflow, and unsigned ones count nothing.
    predicted, labels = predicted.astype(np.int64), labels.astype(np.int64)
    cells = (labels * classes + predicted).reshape(-1, labels.shape[-1])  # (set, record)
    cells = cells + classes**2 * np.arange(len(cells))[:, None]  # each set counted apart
    counts = np.bincount(cells.ravel(), minlength=len(cells) * classes**2)
    return counts.reshape(*labels.shape[:-1], classes, classes)


def challenge_f1(predicted: ArrayLike, labels: ArrayLike) -> Floats:
    """The challenge's score: the mean F1 of Normal, atrial fibrillation and Other.

    Noise has no F1 of its own, but a record taken for noise still counts as missed. A class that
    is neither present nor predicted has no F1, and the score is then NaN. Other classes than the
    challenge's have no such score.

    Args:
        predicted, labels: (..., record), as in `confusion_matrix`, of the challenge's four classes.

    Returns:
        (...).

    Source: Clifford et al. 2017, "AF classification from a short single lead ECG recording".
    """
    for name, given in (("predicted", predicted), ("labels", labels)):
        check_classes(name, np.asarray(given), CLASSES, because="in the challenge")
    counts = confusion_matrix(predicted, labels)  # (..., true, predicted)
    present = (counts.sum(axis=-2) + counts.sum(axis=-1)).astype(float)  # (..., class)
    right = 2.0 * np.diagonal(counts, axis1=-2, axis2=-1)
    f1 = np.divide(right, present, out=np.full(present.shape, np.nan), where=present > 0)
    return f1[..., :3].mean(axis=-1)


def cohens_kappa(predicted: ArrayLike, labels: ArrayLike, *, classes: int = CLASSES) -> Floats:
    """Accuracy beyond what the frequencies of the answers alone would score.

    (accuracy − chance) / (1 − chance), where chance is the agreement of the same answers dealt out
    to the records at random: the sum over classes of share among labels times share among answers.
    It is 0 for every constant and for every guess that does not look at the record, 1 for right
    answers alone, and negative where answers are worse than dealt out. Balanced accuracy
    (`class_averaged`) is fair to constants too, but there the few noise records weigh as much as
    all Normal ones and set the width of the interval; kappa weighs records, as accuracy does.

    Args:
        predicted, labels, classes: as in `confusion_matrix`, (..., record).

    Returns:
        (...); NaN where labels and answers are one and the same class.

    Source: Cohen 1960, "A coefficient of agreement for nominal scales".
    """
    counts = confusion_matrix(predicted, labels, classes=classes)  # (..., true, predicted)
    records = np.shape(labels)[-1]
    # Times records², where all are whole numbers: a constant scores exactly 0.
    agreed = records * np.trace(counts, axis1=-2, axis2=-1)  # (...)
    chance = (counts.sum(axis=-1) * counts.sum(axis=-2)).sum(axis=-1)
    room = records**2 - chance
    return np.divide(agreed - chance, room, out=np.full(room.shape, np.nan), where=room > 0)[()]


def softmax(logits: ArrayLike) -> Floats:
    """Probabilities over the last axis, the shape of `logits`.

    Raises:
        ValueError: a logit is NaN, or infinite as one that overflowed fp16.
    """
    values = np.asarray(logits, dtype=float)
    check_finite("logits", values)
    return special.softmax(values, axis=-1)


def mean_softmax_prediction(logits: ArrayLike) -> Integers:
    """The class with the greatest mean probability over members: (record,).

    Args:
        logits: (member, record, class).

    Raises:
        ValueError: another number of axes, no record, a single class, or a logit that is not
            finite.
    """
    logits = np.asarray(logits)
    check_logits("logits", logits, 3)
    return softmax(logits).mean(axis=0).argmax(axis=-1)


def majority_vote(logits: ArrayLike) -> Integers:
    """The class most members answer, ties going to the greater mean probability: (record,).

    Arguments and errors as in `mean_softmax_prediction`.
    """
    logits = np.asarray(logits)
    check_logits("logits", logits, 3)
    mean = softmax(logits).mean(axis=0)  # (record, class)
    answers = logits.argmax(axis=-1)  # (member, record)
    votes = (answers[..., None] == np.arange(logits.shape[-1])).sum(axis=0)  # (record, class)
    tied = votes == votes.max(axis=-1, keepdims=True)
    return np.where(tied, mean, -1.0).argmax(axis=-1)


def with_constants(
    logits: ArrayLike, *, constants: Sequence[int] = CONSTANTS, scale: float = 20.0
) -> Floats:
    """The control: the base model beside members that always give one and the same answer.

    No attack moves a constant, so this ensemble's P(≥1) never falls below the share of the
    constants' classes. A measure that rewards it does not measure knowledge.

    Args:
        logits: (record, class), the base model's.
        constants: classes always answered; of the book's classes, 0 is Normal and 2 is Other, the
            commonest two.
        scale: a constant member's logit for its class, the others being 0 (finite: softmax works).

    Returns:
        (1 + constants, record, class).
    """
    logits = np.asarray(logits, dtype=float)
    check_logits("logits", logits, 2)
    check_classes("constants", np.asarray(constants), logits.shape[-1])
    one_hot = scale * np.eye(logits.shape[-1])[list(constants)]  # (constant, class)
    return np.concatenate([logits[None], np.repeat(one_hot[:, None], len(logits), axis=1)])


def kept_by_constants(labels: ArrayLike, *, constants: Sequence[int] = CONSTANTS) -> float:
    """P(≥1) averaged over classes that members which always answer `constants` keep for certain.

    Args:
        labels: (record,) class indices.
        constants: as in `with_constants`.

    Returns:
        The share of the classes that have a record of which a constant is right.
    """
    return float(np.isin(np.unique(labels), list(constants)).mean())


def as_correct(correct: ArrayLike) -> Booleans:
    """The array (member, record), refusing numbers and other shapes."""
    correct = as_booleans("correct", correct)
    check_dimensions("correct", correct, 2)
    return correct
