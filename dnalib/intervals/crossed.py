"""Intervals over seeds and records: how far another training and another draw move a number."""

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy  # loads scipy.stats where it is used: that takes half a second
from numpy.typing import ArrayLike, NDArray

from dnalib.array_arguments import check_dimensions, check_same_shape
from dnalib.intervals.confidence import check_confidence, normal_quantile
from dnalib.intervals.shares import paired_difference, share_interval


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
    Shares of records have `crossed_shares`.

    Args:
        values: (seed, record) float, NaN where a seed has no such record.
        classes: (record,), of the records, to average over classes, as `metrics.class_averaged`
            does, instead of over records; None for all records alike.
        bounds: what the mean cannot go beyond; the interval ends there.
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
            "bounds that hold it"
        )
    over_seeds = float(means.std(ddof=1)) if seeds > 1 else float("nan")
    over_records = float(np.linalg.norm(weights.mean(axis=0)))
    reach = reach_of_both(over_seeds, over_records, seeds=seeds, confidence=confidence)
    low, high = np.clip(means.mean() + np.array([-reach, reach]), *bounds)
    return Spread(float(means.mean()), float(low), float(high), over_seeds, over_records)


def crossed_shares(
    values: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    least: float = 0.0,
    confidence: float = 0.95,
) -> Spread:
    """A share of records over seeds: `crossed_seeds`, and of one seed `share_interval`.

    Args:
        values: (seed, record), from 0 to 1, NaN where a seed has no such record.
        classes, confidence: as in `crossed_seeds`.
        least: what the share cannot fall below; the interval ends there.

    Raises:
        ValueError: as in `crossed_seeds` and `share_interval`.
    """
    values = np.asarray(values, dtype=float)
    spread = crossed_seeds(values, classes=classes, bounds=(least, 1.0), confidence=confidence)
    if len(values) > 1:
        return spread
    (own,), of = counted_alone(values, classes=classes)
    _, low, high = share_interval(own, classes=of, confidence=confidence)
    return replace(spread, low=max(low, least), high=high)


def crossed_differences(
    first: ArrayLike,
    second: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Spread:
    """A share less another over seeds: `crossed_seeds`, and of one seed `paired_difference`.

    Args:
        first, second: (seed, record), from 0 to 1, NaN where a seed has no such record; the same
            seeds and records. A record counts where both sides have it.
        classes, confidence: as in `crossed_seeds`.

    Raises:
        ValueError: as in `crossed_seeds` and `paired_difference`, or shapes that differ.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    check_same_shape("first", first, "second", second)
    spread = crossed_seeds(
        first - second, classes=classes, bounds=(-1.0, 1.0), confidence=confidence
    )
    if len(first) > 1:
        return spread
    sides, of = counted_alone(first, second, classes=classes)
    _, low, high = paired_difference(*sides, classes=of, confidence=confidence)
    return replace(spread, low=low, high=high)


def counted_alone(
    *values: NDArray[np.float64], classes: ArrayLike | None
) -> tuple[list[NDArray[np.float64]], NDArray[np.generic] | None]:
    """The records of a single seed, (1, record), that all have, (record,), and their classes."""
    counted = ~np.isnan(np.concatenate(values)).any(axis=0)
    of = None if classes is None else np.asarray(classes)[counted]
    return [one[0, counted] for one in values], of


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
    of_records = normal_quantile(confidence) * over_records
    if seeds == 1:
        return of_records
    quantile = float(scipy.stats.t.ppf((1 + confidence) / 2, seeds - 1))
    return math.hypot(quantile * over_seeds / seeds**0.5, of_records)
