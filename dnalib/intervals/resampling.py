"""Bootstrap intervals: how far any number would move with another draw of records."""

import warnings
from collections.abc import Callable

import numpy as np
import scipy  # loads scipy.stats where it is used: that takes half a second
from numpy.typing import NDArray

from dnalib.array_arguments import check_count
from dnalib.intervals.confidence import check_confidence

DRAWN_AT_ONCE = 2_000_000  # records drawn in one piece: bounds the memory, not the result


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
        confidence: between 0 and 1.
        resamples: how many times the records are drawn again.
        seed: the same seed and number of records draw the same records.

    Returns:
        Scalars, or (measure,) each. Both ends are NaN where a resample leaves a number undefined.

    Raises:
        ValueError: no record or resample, a confidence outside (0, 1), or a statistic that does not
            give a number for each draw.

    Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.
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
        confidence, resamples, seed: as in `resampled_records`.

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
