"""How well uncertainty finds an ensemble's wrong answers, by thresholds and by order.

Arrays: `uncertainty` (record,) float, greater where the answer is less sure, such as
`uncertainty.mutual_information`; `correct` (record,) bool, whether the ensemble answers right.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dnalib.array_arguments import (
    as_booleans,
    check_dimensions,
    check_finite,
    check_records,
    check_same_shape,
)
from dnalib.intervals import resampled_records, share_interval

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]
Booleans = NDArray[np.bool_]

SCORES = ("R_cc", "R_iu", "UA")
UA_GAIN = "UA − constant doubt"
DETECTED = ("error detection", "area", "wrong answers", "least area")
THRESHOLDS = 100  # as many as the authors' code takes


def uncertainty_scores(
    uncertainty: ArrayLike, correct: ArrayLike, *, reference: ArrayLike
) -> dict[str, float]:
    """How well uncertainty tells right answers from wrong ones.

    Uncertainty is min–max scaled by `reference` and clipped to [0, 1]; a record is certain where
    that is at most the threshold. Averaged over `THRESHOLDS` equally spaced ones from 0 to 1:

    - `R_cc`: share correct among the certain;
    - `R_iu`: share uncertain among the incorrect;
    - `UA`: share of all records that are correct and certain or incorrect and uncertain.

    A threshold below which nobody is certain has no R_cc and is left out of its average. With no
    incorrect record at all R_iu is NaN.

    Args:
        uncertainty: (record,), such as `uncertainty.mutual_information`.
        correct: (record,) bool, the ensemble's answer.
        reference: what sets the scale, any number of records: the uncertainty of the same ensemble
            on natural records (one scale for all sets), or `uncertainty` itself (each set its own,
            which hides that a whole set is more uncertain).

    Raises:
        ValueError: shapes differ, a value is not finite, or the reference is constant and gives no
            scale.

    Source: :eq:`eq-uncertainty` of chapter 8, from the journal version of the paper; thresholds and
    the treatment of empty denominators follow `results/results.ipynb` in the authors' code.
    """
    certain_from, correct = _certain_from(uncertainty, correct, reference)
    return dict(zip(SCORES, map(float, _scores(certain_from, correct)), strict=True))


def uncertainty_score_intervals(
    uncertainty: ArrayLike, correct: ArrayLike, *, reference: ArrayLike, seed: int
) -> dict[str, tuple[float, float, float]]:
    """`uncertainty_scores` with their 95 % intervals over records: (value, low, high) of each.

    Arguments and errors as there; `seed` as in `intervals.resampled_records`. The scale stays that
    of the reference. Both ends of R_iu are NaN where a draw can leave no incorrect record.

    Returns:
        By the names in `SCORES`, and `UA_GAIN`: UA less that of `constant_doubt`, on one and the
        same draw of records, for both move with the records that are right.
    """
    certain_from, correct = _certain_from(uncertainty, correct, reference)

    def measures(drawn: Integers) -> Floats:  # (..., record) -> (measure, ...)
        right = correct[drawn]
        scores = _scores(certain_from[drawn], right)
        return np.stack([*scores, scores[SCORES.index("UA")] - constant_doubt(right)])

    found = resampled_records(measures, records=len(correct), seed=seed)
    return _by_name((*SCORES, UA_GAIN), found)


def constant_doubt(correct: Booleans) -> Floats:
    """The UA of a doubt that is the same for every record: of all certain, or all uncertain.

    The larger of the two: (..., record) bool -> (...).
    """
    accuracy = correct.mean(axis=-1)
    return np.maximum(accuracy, 1 - accuracy)


def _certain_from(
    uncertainty: ArrayLike, correct: ArrayLike, reference: ArrayLike
) -> tuple[Integers, Booleans]:
    """From which threshold on each record is certain, and whether it is right: (record,) both."""
    uncertainty, correct = np.asarray(uncertainty, dtype=float), as_booleans("correct", correct)
    check_dimensions("uncertainty", uncertainty, 1)
    check_finite("uncertainty", uncertainty)
    check_records("uncertainty", uncertainty, 0, "correct", correct)
    if not np.size(reference):
        raise ValueError("reference holds no uncertainty; at least two records are needed")
    check_finite("reference", np.asarray(reference, dtype=float))
    low, high = np.min(reference), np.max(reference)
    if not high > low:
        raise ValueError(f"reference uncertainty is {low} everywhere; scaling needs it to vary")
    scaled = np.clip((uncertainty - low) / (high - low), 0.0, 1.0)  # (record,)
    return np.searchsorted(np.linspace(0.0, 1.0, THRESHOLDS), scaled), correct


def _scores(certain_from: Integers, correct: Booleans) -> Floats:
    """R_cc, R_iu and UA of records (..., record): (score, ...).

    A score depends on a record through its first threshold and its answer alone, so that counts of
    these are enough, for many draws of the records at once.
    """
    counts = _counts(certain_from, correct, kinds=THRESHOLDS)
    wrong, right = (one.cumsum(axis=-1) for one in counts)  # certain ones: (..., threshold) both
    incorrect = wrong[..., -1:]  # the last threshold is every record's
    with np.errstate(invalid="ignore"):  # nobody certain, or no incorrect record
        scores = [
            np.nanmean(right / (right + wrong), axis=-1),
            ((incorrect - wrong) / incorrect).mean(axis=-1),
            (right + incorrect - wrong).mean(axis=-1) / correct.shape[-1],
        ]
    return np.stack(scores)


def _counts(kind: Integers, correct: Booleans, *, kinds: int) -> tuple[Integers, Integers]:
    """How many wrong and how many right answers there are of each kind: (..., kind) both.

    Args:
        kind: (..., record), of 0 to `kinds` - 1.
        correct: of that shape.
        kinds: how many there are.
    """
    *draws, records = kind.shape
    rows = int(np.prod(draws))
    codes = (2 * kind + correct).reshape(rows, records) + 2 * kinds * np.arange(rows)[:, None]
    counts = np.bincount(codes.ravel(), minlength=2 * kinds * rows).reshape(*draws, kinds, 2)
    return counts[..., 0], counts[..., 1]


def error_detection(uncertainty: ArrayLike, correct: ArrayLike) -> float:
    """Area under the ROC curve of finding wrong answers by their uncertainty.

    The probability that a wrong answer is less certain than a right one, an equal uncertainty
    counting one half: 1 where every wrong answer is, 0.5 where uncertainty says nothing. Only the
    order of the uncertainties counts, so that no scale and no threshold is chosen.

    Args:
        uncertainty: (record,).
        correct: (record,) bool.

    Returns:
        NaN where no answer, or every answer, is wrong.

    Raises:
        ValueError: shapes differ, an uncertainty is not finite, or `correct` is not bool.

    Source: Mann & Whitney 1947; Hendrycks & Gimpel 2017, "A baseline for detecting misclassified
    and out-of-distribution examples".
    """
    place, correct, places = _places(uncertainty, correct)
    return float(_error_detection(*_counts(place, correct, kinds=places)))


def _error_detection(wrong: Integers, right: Integers) -> Floats:
    """`error_detection` of the counts of each uncertainty in their order: (..., place) -> (...)."""
    surer = right.cumsum(axis=-1) - right / 2  # right answers that are, equals counting one half
    pairs = wrong.sum(axis=-1) * right.sum(axis=-1)  # (...)
    won = (wrong * surer).sum(axis=-1)
    return np.divide(won, pairs, out=np.full(np.shape(pairs), np.nan), where=pairs > 0)


def selective_risk(uncertainty: ArrayLike, correct: ArrayLike) -> Floats:
    """Share of wrong answers among the most certain 1, 2, … records: the risk–coverage curve.

    Record k of the curve stands for a coverage of k / records; 1 − coverage is the share deferred
    and 1 − risk the accuracy of those kept. Records of equal uncertainty are kept in random order,
    of which this is the expectation, so that the order of the records in the arrays is immaterial.

    Args:
        uncertainty: (record,).
        correct: (record,) bool.

    Returns:
        (record,), in [0, 1]; the last is the share of all answers that are wrong.

    Source: El-Yaniv & Wiener 2010, "On the foundations of noise-free selective classification".
    """
    place, correct, places = _places(uncertainty, correct)
    wrong, right = _counts(place, correct, kinds=places)
    sizes = wrong + right
    return np.repeat(wrong / sizes, sizes).cumsum() / np.arange(1, len(correct) + 1)


def risk_coverage_area(uncertainty: ArrayLike, correct: ArrayLike) -> float:
    """Area under the risk–coverage curve: the mean of `selective_risk` over all coverages.

    Smaller is better. It measures accuracy as well as order: an uncertainty that says nothing has
    the share of wrong answers as its area; `least_risk_coverage_area` is what any order can reach.

    Args:
        uncertainty: (record,).
        correct: (record,) bool.

    Returns:
        In [0, 1].

    Source: Geifman, Uziel & El-Yaniv 2019, "Bias-reduced uncertainty estimation for deep neural
    classifiers".
    """
    place, correct, places = _places(uncertainty, correct)
    return float(_risk_coverage_area(*_counts(place, correct, kinds=places)))


def _risk_coverage_area(wrong: Integers, right: Integers) -> Floats:
    """`risk_coverage_area` of the counts of each uncertainty in their order: (..., place) -> (...).

    A wrong answer at place p adds 1/k to the risk at each k ≥ p. Among equals, which share several
    places, it adds the mean of that.
    """
    sizes = wrong + right
    last = sizes.cumsum(axis=-1)  # (..., place)
    records = int(last.flat[-1])  # as many in each draw
    added = np.cumsum(1 / np.arange(records, 0, -1))[::-1]  # (record,)
    below = np.concatenate([[0.0], added.cumsum()])  # (record + 1,)
    expected = (below[last] - below[last - sizes]) / np.maximum(sizes, 1)
    return (wrong * expected).sum(axis=-1) / records


def least_risk_coverage_area(correct: ArrayLike) -> Floats:
    """`risk_coverage_area` of an uncertainty that puts every wrong answer last.

    Args:
        correct: (..., record) bool.

    Returns:
        (...), 0 where no answer is wrong.

    Source: as `risk_coverage_area`, which calls what lies above it the excess.
    """
    correct = as_booleans("correct", correct)
    check_same_shape("correct", correct, "correct", correct)
    records, right = correct.shape[-1], correct.sum(axis=-1)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, records + 1))])
    # The risk is 0 up to coverage k = right, and 1 − right/k above.
    return 1 - right / records - right * (harmonic[-1] - harmonic[right]) / records


def detection_intervals(
    uncertainty: ArrayLike, correct: ArrayLike, *, seed: int
) -> dict[str, tuple[float, float, float]]:
    """What needs no threshold, with 95 % intervals over records: (value, low, high) of each.

    Args:
        uncertainty: (record,).
        correct: (record,) bool.
        seed: as in `intervals.resampled_records`.

    Returns:
        By the names in `DETECTED`: `error_detection`, `risk_coverage_area`, the share of wrong
        answers, which has the ends of `intervals.share_interval`, and `least_risk_coverage_area`.
        Ends are NaN where a draw can leave a number undefined.

    Raises:
        ValueError: as in `error_detection`.
    """
    place, correct, places = _places(uncertainty, correct)

    def measures(drawn: Integers) -> Floats:  # (..., record) -> (measure, ...)
        right = correct[drawn]
        counts = _counts(place[drawn], right, kinds=places)
        return np.stack(
            [
                _error_detection(*counts),
                _risk_coverage_area(*counts),
                least_risk_coverage_area(right),
            ]
        )

    found = resampled_records(measures, records=len(correct), seed=seed)
    detection, area, least = zip(*(one.tolist() for one in found), strict=True)
    of_each = (detection, area, share_interval(~correct), least)
    return dict(zip(DETECTED, of_each, strict=True))


def _by_name(
    names: Sequence[str], found: tuple[Floats, Floats, Floats]
) -> dict[str, tuple[float, float, float]]:
    """Several numbers with their ends, (number,) each, by their names."""
    rows = zip(*(one.tolist() for one in found), strict=True)
    return dict(zip(names, rows, strict=True))


def _places(uncertainty: ArrayLike, correct: ArrayLike) -> tuple[Integers, Booleans, int]:
    """Each record's place among the different uncertainties, whether it is right, their number.

    The first two are (record,), places from 0, the most certain. Order is all that detection knows,
    and counts of the places do for many draws of the records at once.
    """
    uncertainty, correct = np.asarray(uncertainty), as_booleans("correct", correct)
    check_same_shape("uncertainty", uncertainty, "correct", correct)
    check_dimensions("uncertainty", uncertainty, 1)
    check_finite("uncertainty", uncertainty)
    different, place = np.unique(uncertainty, return_inverse=True)
    return place, correct, len(different)
