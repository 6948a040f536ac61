"""What is counted: accuracy, P(≥x), intervals over records, votes and uncertainty.

Arrays: `logits` (member, record, class) float; `labels` (record,) int; `correct` (member, record)
bool. Shares are fractions in [0, 1]. An interval says how far a share would move with another draw
of records; it says nothing about another training run.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

from dnalib._checks import as_booleans, check_classes, check_dimensions, check_records
from dnalib.intervals import bootstrap_interval, paired_difference, resampled_interval

__all__ = [
    "CONTROL",
    "accuracy",
    "at_least",
    "at_least_each",
    "average_accuracy",
    "bootstrap_interval",
    "challenge_f1",
    "class_averaged",
    "confusion_matrix",
    "correct_predictions",
    "ensemble_table",
    "majority_vote",
    "mean_softmax_prediction",
    "mutual_information",
    "paired_difference",
    "predictive_entropy",
    "robustness_table",
    "softmax",
    "uncertainty_scores",
    "with_constants",
]

CONTROL = "base + constants"  # name of the ensemble of `with_constants`
CLASSES = 4  # Normal, atrial fibrillation, Other, noise

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
        ValueError: the shapes do not fit, or a label is not one of the classes.
    """
    logits, labels = np.asarray(logits), np.asarray(labels)
    check_dimensions("logits", logits, 3)
    check_records("logits", logits, 1, "labels", labels)
    check_classes("labels", labels, logits.shape[-1])
    return logits.argmax(axis=-1) == labels  # (member, record)


def accuracy(logits: ArrayLike, labels: ArrayLike) -> Floats:
    """Accuracy of each member, (member,); arguments as in `correct_predictions`."""
    return correct_predictions(logits, labels).mean(axis=1)


def average_accuracy(correct: ArrayLike) -> float:
    """Mean accuracy over the members of `correct` (member, record)."""
    return float(_as_correct(correct).mean())


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
    correct = _as_correct(correct)
    if not 1 <= members <= len(correct):
        raise ValueError(f"members is {members}; an ensemble of {len(correct)} allows 1 to that")
    return correct.sum(axis=0) >= members


def class_averaged(indicator: ArrayLike, labels: ArrayLike) -> float:
    """Mean over classes of the mean within each class; classes without a record are left out.

    Args:
        indicator: (record,) bool or float, such as `at_least_each`.
        labels: (record,) class indices.
    """
    indicator, labels = np.asarray(indicator, dtype=float), np.asarray(labels)
    check_records("indicator", indicator, 0, "labels", labels)
    return float(np.mean([indicator[labels == label].mean() for label in np.unique(labels)]))


def confusion_matrix(
    predicted: ArrayLike, labels: ArrayLike, *, classes: int = CLASSES
) -> Integers:
    """Counts of records, (true class, predicted class)."""
    predicted, labels = np.asarray(predicted), np.asarray(labels)
    check_records("predicted", predicted, 0, "labels", labels)
    check_classes("predicted", predicted, classes)
    check_classes("labels", labels, classes)
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def challenge_f1(predicted: ArrayLike, labels: ArrayLike) -> float:
    """The challenge's score: the mean F1 of Normal, atrial fibrillation and Other.

    Noise has no F1 of its own, but a record taken for noise still counts as missed. A class that
    is neither present nor predicted has no F1, and the score is then NaN.

    Source: Clifford et al. 2017, "AF classification from a short single lead ECG recording".
    """
    counts = confusion_matrix(predicted, labels)  # (true, predicted)
    present = (counts.sum(axis=0) + counts.sum(axis=1)).astype(float)  # (class,)
    right = 2.0 * counts.diagonal()
    f1 = np.divide(right, present, out=np.full(CLASSES, np.nan), where=present > 0)
    return float(f1[:3].mean())


def softmax(logits: ArrayLike) -> Floats:
    """Probabilities over the last axis, the shape of `logits`."""
    return special.softmax(np.asarray(logits, dtype=float), axis=-1)


def mean_softmax_prediction(logits: ArrayLike) -> Integers:
    """The class with the greatest mean probability over members: (record,)."""
    logits = np.asarray(logits)
    check_dimensions("logits", logits, 3)
    return softmax(logits).mean(axis=0).argmax(axis=-1)


def majority_vote(logits: ArrayLike) -> Integers:
    """The class most members answer, ties going to the greater mean probability: (record,)."""
    logits = np.asarray(logits)
    check_dimensions("logits", logits, 3)
    answers = logits.argmax(axis=-1)  # (member, record)
    votes = (answers[..., None] == np.arange(logits.shape[-1])).sum(axis=0)  # (record, class)
    tied = votes == votes.max(axis=-1, keepdims=True)
    return np.where(tied, softmax(logits).mean(axis=0), -1.0).argmax(axis=-1)


def predictive_entropy(probabilities: ArrayLike) -> Floats:
    """Entropy of the mean probabilities in nats; (member, record, class) -> (record,)."""
    probabilities = np.asarray(probabilities, dtype=float)
    check_dimensions("probabilities", probabilities, 3)
    return special.entr(probabilities.mean(axis=0)).sum(axis=-1)


def mutual_information(probabilities: ArrayLike) -> Floats:
    """What the members disagree about, in nats.

    The entropy of the mean probabilities less the mean entropy of the members': 0 where all
    members say the same, log(members) where each is sure of a class of its own.

    Args:
        probabilities: (member, record, class), each class axis summing to 1.

    Returns:
        (record,), in [0, log(members)].

    Source: :eq:`eq-mutual-information` of chapter 8.
    """
    probabilities = np.asarray(probabilities, dtype=float)
    total = predictive_entropy(probabilities)  # (record,)
    expected = special.entr(probabilities).sum(axis=-1).mean(axis=0)  # (record,)
    return np.maximum(total - expected, 0.0)  # rounding can leave -1e-17


def uncertainty_scores(
    uncertainty: ArrayLike, correct: ArrayLike, *, reference: ArrayLike, thresholds: int = 100
) -> dict[str, float]:
    """How well uncertainty tells right answers from wrong ones.

    Uncertainty is min–max scaled by `reference` and clipped to [0, 1]; a record is certain where
    that is at most the threshold. Averaged over equally spaced thresholds from 0 to 1:

    - `R_cc`: share correct among the certain;
    - `R_iu`: share uncertain among the incorrect;
    - `UA`: share of all records that are correct and certain or incorrect and uncertain.

    A threshold below which nobody is certain has no R_cc and is left out of its average. With no
    incorrect record at all R_iu is NaN.

    Args:
        uncertainty: (record,), such as `mutual_information`.
        correct: (record,) bool, the ensemble's answer.
        reference: uncertainty of the same ensemble on natural records, any number of them.
        thresholds: how many.

    Raises:
        ValueError: shapes differ, or the reference is constant and gives no scale.

    Source: :eq:`eq-uncertainty` of chapter 8, from the journal version of the paper; thresholds and
    the treatment of empty denominators follow `results/results.ipynb` in the authors' code.
    """
    uncertainty, correct = np.asarray(uncertainty, dtype=float), as_booleans("correct", correct)
    check_dimensions("uncertainty", uncertainty, 1)
    check_records("uncertainty", uncertainty, 0, "correct", correct)
    low, high = np.min(reference), np.max(reference)
    if not high > low:
        raise ValueError(f"reference uncertainty is {low} everywhere; scaling needs it to vary")
    scaled = np.clip((uncertainty - low) / (high - low), 0.0, 1.0)  # (record,)
    certain = scaled <= np.linspace(0.0, 1.0, thresholds)[:, None]  # (threshold, record)
    number = certain.sum(axis=1)  # (threshold,); the last is every record
    right = (certain & correct).sum(axis=1)
    uncertain_wrong = ~certain[:, ~correct]  # (threshold, incorrect record)
    return {
        "R_cc": float(np.mean(right[number > 0] / number[number > 0])),
        "R_iu": float(uncertain_wrong.mean()) if uncertain_wrong.size else float("nan"),
        "UA": float((certain == correct).mean()),
    }


def with_constants(
    logits: ArrayLike, *, constants: Sequence[int] = (0, 2), scale: float = 20.0
) -> Floats:
    """The control: the base model beside members that always give one and the same answer.

    No attack moves a constant, so this ensemble's P(≥1) never falls below the share of the
    constants' classes. A measure that rewards it does not measure knowledge.

    Args:
        logits: (record, class), the base model's.
        constants: classes always answered; 0 is Normal, 2 is Other.
        scale: a constant member's logit for its class, the others being 0 (finite: softmax works).

    Returns:
        (1 + constants, record, class).
    """
    logits = np.asarray(logits, dtype=float)
    check_dimensions("logits", logits, 2)
    check_classes("constants", np.asarray(constants), logits.shape[-1])
    one_hot = scale * np.eye(logits.shape[-1])[list(constants)]  # (constant, class)
    return np.concatenate([logits[None], np.repeat(one_hot[:, None], len(logits), axis=1)])


def ensemble_table(
    correct: Mapping[str, ArrayLike],
    labels: ArrayLike,
    *,
    seed: int,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> pd.DataFrame:
    """Accuracy and P(≥x) of several ensembles on one set of records, one row a measure.

    Args:
        correct: ensemble name -> (member, record) bool.
        labels: (record,) class indices of the same records.
        seed, confidence, resamples: of the intervals; all ensembles see the same resamples.

    Returns:
        Columns ensemble, measure, value, low, high (fractions) and records. The measures are
        "average", "at least 1" up to the number of members, and "at least 1, class-averaged".
    """
    options = {"seed": seed, "confidence": confidence, "resamples": resamples}
    rows = [
        {"ensemble": ensemble, **row}
        for ensemble, one in correct.items()
        for row in _measure_rows(ensemble, one, labels, **options)
    ]
    return pd.DataFrame(rows, columns=["ensemble", "measure", "value", "low", "high", "records"])


def robustness_table(
    correct: Mapping[tuple[str, str, float], Mapping[str, ArrayLike]],
    labels: ArrayLike,
    *,
    seed: int,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> pd.DataFrame:
    """`ensemble_table` for each (attack, padding, epsilon in raw units), with those as columns."""
    options = {"seed": seed, "confidence": confidence, "resamples": resamples}
    tables = []
    for (attack, padding, epsilon), ensembles in correct.items():
        table = ensemble_table(ensembles, labels, **options)
        condition = {"attack": attack, "padding": padding, "epsilon": float(epsilon)}
        tables.append(table.assign(**condition)[[*condition, *table.columns]])
    if not tables:
        raise ValueError("correct holds no condition; give at least one (attack, padding, epsilon)")
    return pd.concat(tables, ignore_index=True)


def _measure_rows(
    ensemble: str, correct: ArrayLike, labels: ArrayLike, **options: float
) -> list[dict[str, object]]:
    """The rows of one ensemble, without its name."""
    correct, labels = _as_correct(correct), np.asarray(labels)
    check_records(f"correct[{ensemble!r}]", correct, 1, "labels", labels)
    check_classes("labels", labels, CLASSES)
    members, records = correct.shape
    # Every measure depends on a record only through this code, so one small array is resampled.
    codes = (correct.sum(axis=0) * CLASSES + labels).astype(np.uint8)  # (record,)

    def measures(codes: Integers, axis: int = -1) -> Floats:
        return _measures(codes, members=members, axis=axis)

    values = measures(codes)  # (measure,)
    low, high = resampled_interval(codes, measures, **options)
    names = [
        "average",
        *(f"at least {x}" for x in range(1, members + 1)),
        "at least 1, class-averaged",
    ]
    return [
        {"measure": name, "value": value, "low": a, "high": b, "records": records}
        for name, value, a, b in zip(names, values, low, high, strict=True)
    ]


def _measures(codes: Integers, *, members: int, axis: int) -> Floats:
    """Average, P(≥1) to P(≥members), class-averaged P(≥1): (measure, ...), `axis` gone."""
    counts = np.stack([(codes == code).sum(axis=axis) for code in range((members + 1) * CLASSES)])
    counts = counts.reshape(members + 1, CLASSES, *counts.shape[1:])  # (right, class, ...)
    records = codes.shape[axis]
    right = counts.sum(axis=1)  # (right, ...)
    average = np.tensordot(np.arange(members + 1), right, axes=1) / (members * records)
    tails = right[::-1].cumsum(axis=0)[::-1][1:] / records  # (x, ...)
    of_class, found = counts.sum(axis=0), counts[1:].sum(axis=0)  # (class, ...)
    present = of_class > 0
    within = np.divide(found, of_class, out=np.zeros(found.shape), where=present)
    return np.stack([average, *tails, within.sum(axis=0) / present.sum(axis=0)])


def _as_correct(correct: ArrayLike) -> Booleans:
    correct = as_booleans("correct", correct)
    check_dimensions("correct", correct, 2)
    return correct
