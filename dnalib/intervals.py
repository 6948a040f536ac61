"""Intervals over records, and over seeds besides, and an exact test between two ensembles.

An interval says how far a number would move with another draw of records; of another training it
says nothing, but for that of `crossed_seeds`, which takes several.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy  # loads scipy.stats where it is used: that takes half a second
from numpy.typing import ArrayLike, NDArray

from dnalib.array_arguments import (
    as_booleans,
    check_count,
    check_dimensions,
    check_finite,
    check_records,
)

SHARE = (0.0, 1.0)  # what bounds a share of records
DIFFERENCE = (-1.0, 1.0)  # what bounds the difference of two shares
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


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test: whether two ensembles are right equally often on the same records.

    Attributes:
        first_only: records that the first alone gets right.
        second_only: records that the second alone gets right.
        p_value: probability, if the two were right equally often, that so many records or more
            fall to one side; 1 where they never differ.
    """

    first_only: int
    second_only: int
    p_value: float


def mcnemar(first: ArrayLike, second: ArrayLike) -> McNemar:
    """McNemar's exact test, two-sided.

    Only records on which the two differ say which is better; where neither is, each of these falls
    to either side like a coin.

    Args:
        first: (record,) bool, right answers of one ensemble.
        second: (record,) bool, of the other, on the same records.

    Raises:
        ValueError: shapes differ, or numbers instead of bool.

    Source: McNemar 1947, with the exact binomial distribution; Dietterich 1998, "Approximate
    statistical tests for comparing supervised classification learning algorithms".
    """
    first, second = as_booleans("first", first), as_booleans("second", second)
    check_records("first", first, 0, "second", second)
    one, other = int((first & ~second).sum()), int((second & ~first).sum())
    p_value = scipy.stats.binomtest(one, one + other).pvalue if one + other else 1.0
    return McNemar(one, other, float(p_value))


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


@dataclass(frozen=True)
class Spread:
    """A number over several trainings, and how far either source of chance moves it.

    Attributes:
        mean: over seeds of the mean over records.
        low, high: ends of its interval, over seeds and records together.
        over_seeds: standard deviation of the seeds' means; NaN for a single seed.
        over_records: standard deviation of the mean over draws of the records, the seeds as they
            are.
    """

    mean: float
    low: float
    high: float
    over_seeds: float
    over_records: float


def crossed_seeds(
    values: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    confidence: float = 0.95,
) -> Spread:
    """A mean over seeds and records with its interval, where all seeds are tested on one set.

    What moves it is taken apart: the standard deviation of the seeds' means, and that of the mean
    when records are drawn again, the same ones for all seeds. A record that is hard for one
    training is hard for the next, so more seeds cannot average the draw of records away. Each
    source has an interval of its own, and the mean's reaches as far as the root of the sum of
    their squares: never less far than the seeds' alone. One seed has the interval of its records.

    Args:
        values: (seed, record) float, NaN where a seed has no such record.
        classes: (record,), of the records, to average over classes, as `metrics.class_averaged`
            does, instead of over records; None for all records alike.
        bounds: what the mean cannot go beyond, as `SHARE`; the interval ends there.
        confidence: between 0 and 1.

    Raises:
        ValueError: not two axes, an infinite value, other records in `classes`, a seed without a
            record, bounds that do not hold the mean, or a confidence outside (0, 1).

    Source: :eq:`eq-over-seeds`, :eq:`eq-over-records` and :eq:`eq-interval` of chapter 8; Zou &
    Donner 2008, "Construction of confidence limits about effect measures".
    """
    check_confidence(confidence)
    values = np.asarray(values, dtype=float)
    check_dimensions("values", values, 2)
    seeds, records = values.shape
    classes = np.zeros(records) if classes is None else np.asarray(classes)
    check_crossed(values, classes)
    means, weights = means_and_influences(values, classes)  # (seed,), (seed, record)
    least, most = bounds
    if not least <= means.mean() <= most:
        raise ValueError(
            f"bounds are {least:g} to {most:g} and the mean is {means.mean():g}; accepted are "
            "bounds that hold it, as shares from 0 to 1 do"
        )
    over_seeds = float(means.std(ddof=1)) if seeds > 1 else float("nan")
    over_records = float(np.linalg.norm(weights.mean(axis=0)))
    reach = reach_of_both(over_seeds, over_records, seeds=seeds, confidence=confidence)
    low, high = np.clip(means.mean() + np.array([-reach, reach]), *bounds)
    return Spread(float(means.mean()), float(low), float(high), over_seeds, over_records)


def check_crossed(values: NDArray[np.float64], classes: NDArray[np.generic]) -> None:
    """Refuse values (seed, record) or classes (record,) that `crossed_seeds` does not take."""
    endless = np.isinf(values).sum()
    if endless:
        raise ValueError(f"values: {endless} are infinite; accepted are finite ones, and NaN")
    if np.isnan(values).all(axis=1).any():
        raise ValueError(f"values has shape {values.shape}; each seed needs at least one record")
    if classes.shape != values.shape[1:]:
        raise ValueError(f"classes has shape {classes.shape}; accepted is {values.shape[1:]}")


def means_and_influences(
    values: NDArray[np.float64], classes: NDArray[np.generic]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each seed's mean, averaged over the classes that it has records of, and who moves it.

    Args:
        values: (seed, record), NaN where a seed has no such record.
        classes: (record,).

    Returns:
        Means (seed,), and (seed, record) how much a record moves its seed's mean when it is drawn
        once more: its distance from its class's mean over the number of records of the class and
        of classes. The root of the sum of their squares is the standard deviation of a mean over
        draws of the records, to first order.
    """
    counted = ~np.isnan(values)
    members = (classes == np.unique(classes)[:, None]).astype(float)  # (class, record)
    number = counted @ members.T  # (seed, class)
    sums = np.where(counted, values, 0) @ members.T
    within = np.divide(sums, number, out=np.zeros(sums.shape), where=number > 0)  # (seed, class)
    present = (number > 0).sum(axis=1)  # (seed,)
    own = within @ members  # (seed, record), the mean of a record's class
    share = 1 / (np.maximum(number, 1) @ members * present[:, None])  # (seed, record)
    return within.sum(axis=1) / present, np.where(counted, (values - own) * share, 0)


def reach_of_both(
    over_seeds: float, over_records: float, *, seeds: int, confidence: float
) -> float:
    """How far an interval over seeds and records reaches to either side of the mean.

    The seeds' deviation is known with `seeds` − 1 degrees of freedom, the records' as good as
    exactly. The limits of both sources are joined, not their variances: added to the variance of
    few seeds, that of the records would raise the degrees of freedom and could narrow the interval.

    Args:
        over_seeds, over_records: standard deviations, as of `Spread`.
        seeds: how many; the deviation of one is not looked at.
        confidence: between 0 and 1.

    Source: :eq:`eq-interval` of chapter 8; Zou & Donner 2008.
    """
    tail = (1 + confidence) / 2
    of_records = float(scipy.stats.norm.ppf(tail)) * over_records
    if seeds == 1:
        return of_records
    return math.hypot(
        float(scipy.stats.t.ppf(tail, seeds - 1)) * over_seeds / seeds**0.5, of_records
    )


def check_confidence(confidence: float) -> None:
    """Refuse a confidence outside (0, 1)."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; it must lie between 0 and 1")
