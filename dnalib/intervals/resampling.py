"""Bootstrap intervals: how far a number would move with another draw of records."""

import warnings
from collections.abc import Callable

import numpy as np
import scipy  # loads scipy.stats where it is used: that takes half a second
from numpy.typing import ArrayLike, NDArray

from dnalib.array_arguments import check_count, check_dimensions, check_finite, check_records

DRAWN_AT_ONCE = 2_000_000  # records drawn in one piece: bounds the memory, not the result


def bootstrap_interval(
    values: ArrayLike, *, confidence: float = 0.95, resamples: int = 2000, seed: int
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over records.

    Values that are all equal have nothing to resample: both ends are that value, which is not
    certainty (0 of 600 records still leaves up to 0.5 % possible).

    Args:
        values: (record,) bool or float.
        confidence: between 0 and 1.
        resamples: how many times the records are drawn again.
        seed: the same seed and number of records draw the same records.

    Raises:
        ValueError: no record, more than one axis, a value that is not finite, no resample, or a
            confidence outside (0, 1).

    Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.
    """
    values = np.asarray(values, dtype=float)
    check_dimensions("values", values, 1)
    check_finite("values", values)
    if np.all(values == values[0]):
        check_confidence(confidence)
        value = float(values[:1].mean())  # of one record: exact, where a mean of many rounds
        return value, value
    low, high = resampled_interval(
        values, np.mean, confidence=confidence, resamples=resamples, seed=seed
    )
    return float(low), float(high)


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int,
) -> tuple[float, float, float]:
    """Mean of `first` less mean of `second`, with its interval: (difference, low, high).

    Both are (record,) on the same records in the same order, and every resample takes the same
    records from both. Options as in `bootstrap_interval`.

    Source: :eq:`eq-difference` of chapter 8; Efron & Tibshirani 1993, as in `bootstrap_interval`.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    check_records("first", first, 0, "second", second)
    difference = first - second  # (record,)
    low, high = bootstrap_interval(
        difference, confidence=confidence, resamples=resamples, seed=seed
    )
    return float(difference.mean()), low, high


def resampled_records(
    statistic: Callable[[NDArray[np.integer]], NDArray[np.floating]],
    *,
    records: int,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int,
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
    """Any number computed from records, with its bootstrap interval: (value, low, high).

    A difference between two ensembles is paired if `statistic` takes the same records from both.

    Args:
        statistic: takes positions of records (..., record), returns (...), or (measure, ...) for
            several numbers at once.
        records: how many there are to draw from.
        confidence, resamples, seed: as in `bootstrap_interval`; the same seed and number of records
            draw the same records.

    Returns:
        Scalars, or (measure,) each. Both ends are NaN where a resample leaves a number undefined.

    Raises:
        ValueError: no record or resample, a confidence outside (0, 1), or a statistic that does not
            give a number for each draw.
    """
    check_count("records", records, least=1)
    everything = np.arange(records)
    value = statistic(everything)
    shape = np.shape(statistic(np.stack([everything, everything])))
    if shape != (*np.shape(value), 2):
        raise ValueError(
            f"statistic gives shape {shape} for two draws of records; accepted is "
            f"{(*np.shape(value), 2)}: it takes (draw, record) and sums over the last axis alone"
        )
    low, high = resampled_interval(
        everything,
        lambda drawn, axis: statistic(drawn),
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )
    return value, low, high


def resampled_interval(
    values: NDArray[np.generic],
    statistic: Callable[..., NDArray[np.floating]],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int,
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Percentile bootstrap interval of `statistic(values, axis=...)`, which may be vector-valued.

    Args:
        values: (record,).
        statistic: takes (..., record) and axis=-1, returns (...) or (measure, ...).
        confidence, resamples, seed: as in `bootstrap_interval`.

    Returns:
        low, high: scalars, or (measure,) each.
    """
    check_confidence(confidence)
    check_count("resamples", resamples, least=1)
    if np.all(values == values[0]):  # also the single record, which scipy refuses
        value = statistic(values, axis=-1)
        return value, value
    with warnings.catch_warnings():
        # Of NaN ends, which are what a resample without a value gives, scipy says "BCa failed".
        warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)
        result = scipy.stats.bootstrap(
            (values,),
            statistic,
            vectorized=True,
            axis=-1,
            n_resamples=resamples,
            batch=max(1, DRAWN_AT_ONCE // len(values)),
            confidence_level=confidence,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
    return result.confidence_interval.low, result.confidence_interval.high


def check_confidence(confidence: float) -> None:
    """Refuse a confidence outside (0, 1)."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; it must lie between 0 and 1")
