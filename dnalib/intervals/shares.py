"""Intervals of shares of records: how far a share would move with another draw of them."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from dnalib.array_arguments import check_dimensions, check_finite, check_records
from dnalib.intervals.confidence import check_confidence

Floats = NDArray[np.float64]
Limits = tuple[float, float]


def share_interval(
    values: ArrayLike, *, classes: ArrayLike | None = None, confidence: float = 0.95
) -> tuple[float, float, float]:
    """A share of records with its interval: (share, low, high).

    That of Jeffreys, which has a width also where no record counts, or all do: 0 of 200 leaves up
    to 1.2 % possible. Averaged over classes, the distances of each class's ends from its share are
    joined by the root of the sum of their squares. That holds the truth in 94 of 100 draws and more
    where classes differ in size, and in some 90 of several classes of few records, or many, that
    share one truth.

    Args:
        values: (record,) bool; or numbers from 0 to 1, such as the share of members that are right,
            which count as so many more records as they vary less than bool of their mean.
        classes: (record,), of the records, to average over classes, as `metrics.class_averaged`
            does, instead of over records; None for all records alike.
        confidence: between 0 and 1.

    Raises:
        ValueError: no record, more than one axis, values outside of 0 to 1, other records in
            `classes`, or a confidence outside (0, 1).

    Source: :eq:`eq-share` and :eq:`eq-joined` of chapter 8; Brown, Cai & DasGupta 2001, "Interval
    estimation for a binomial proportion"; Zou & Donner 2008.
    """
    check_confidence(confidence)
    parts = by_class(as_shares("values", values), classes, name="values")
    limits = [jeffreys(part, confidence=confidence) for part in parts]
    return joined([float(part.mean()) for part in parts], limits)


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    confidence: float = 0.95,
) -> tuple[float, float, float]:
    """A share of records less another, with its interval: (difference, low, high).

    Both are (record,) on the same records in the same order, so a record that is easy for both
    widens nothing. The ends follow from those of both shares and from how far the two go together.
    Other arguments and errors as in `share_interval`.

    Source: :eq:`eq-difference`, :eq:`eq-paired` and :eq:`eq-joined` of chapter 8; Newcombe 1998,
    "Improved confidence intervals for the difference between binomial proportions based on paired
    data", method 10, of other ends; Zou & Donner 2008.
    """
    check_confidence(confidence)
    first, second = as_shares("first", first), as_shares("second", second)
    check_records("first", first, 0, "second", second)
    sides = (by_class(first, classes, name="first"), by_class(second, classes, name="second"))
    pairs = list(zip(*sides, strict=True))
    differences = [float(one.mean() - other.mean()) for one, other in pairs]
    limits = [between_pairs(one, other, confidence=confidence) for one, other in pairs]
    return joined(differences, limits)


def jeffreys(values: Floats, *, confidence: float) -> Limits:
    """The ends of the interval of a mean of numbers from 0 to 1, (record,)."""
    share = float(values.mean())
    # Where nothing varies, they count as bool do: that nothing varied is all that is known.
    varies = values.min() < values.max()
    records = len(values) * (share * (1 - share) / float(values.var()) if varies else 1.0)
    tails = np.array([1 - confidence, 1 + confidence]) / 2
    low, high = special.betaincinv(share * records + 0.5, (1 - share) * records + 0.5, tails)
    # At 0 and at 1, and close to them among few records, the one end is the share itself.
    return min(float(low), share), max(float(high), share)


def between_pairs(first: Floats, second: Floats, *, confidence: float) -> Limits:
    """The ends of the interval of the difference of two paired means, (record,) each."""
    one, other = float(first.mean()), float(second.mean())
    low_one, high_one = jeffreys(first, confidence=confidence)
    low_other, high_other = jeffreys(second, confidence=confidence)
    together = correlation(first, second)
    difference = one - other
    return (
        difference - apart(one - low_one, high_other - other, together),
        difference + apart(high_one - one, other - low_other, together),
    )


def correlation(first: Floats, second: Floats) -> float:
    """How far two go together, −1 to 1; a positive covariance is corrected for continuity.

    So records on which the two never differed do not prove that they never will.
    """
    spread = float(first.std() * second.std())
    covariance = float((first * second).mean() - first.mean() * second.mean())
    if covariance > 0:
        covariance = max(covariance - 1 / (2 * len(first)), 0.0)
    return max(covariance / spread, -1.0) if spread > 0 else 0.0


def apart(first: float, second: float, together: float) -> float:
    """How far two distances reach together, at some correlation."""
    return math.sqrt(max(first**2 - 2 * together * first * second + second**2, 0.0))


def joined(values: list[float], limits: list[Limits]) -> tuple[float, float, float]:
    """The mean of independent values with the ends of its interval, from those of each."""
    mean, number = float(np.mean(values)), len(values)
    below = math.hypot(*(value - low for value, (low, _) in zip(values, limits, strict=True)))
    above = math.hypot(*(high - value for value, (_, high) in zip(values, limits, strict=True)))
    return mean, mean - below / number, mean + above / number


def by_class(values: Floats, classes: ArrayLike | None, *, name: str) -> list[Floats]:
    """The values (record,) of each class that has a record; of all together without classes."""
    if classes is None:
        return [values]
    classes = np.asarray(classes)
    check_records(name, values, 0, "classes", classes)
    if classes.dtype.kind == "f":
        check_finite("classes", classes)
    return [values[classes == one] for one in np.unique(classes)]


def as_shares(name: str, values: ArrayLike) -> Floats:
    """Numbers from 0 to 1, (record,), one at least."""
    values = np.asarray(values, dtype=float)
    check_dimensions(name, values, 1)
    check_finite(name, values)
    if values.min() < 0 or values.max() > 1:
        raise ValueError(
            f"{name} holds {values.min():g} to {values.max():g}; accepted are numbers from 0 to 1, "
            "or bool, one a record"
        )
    return values
