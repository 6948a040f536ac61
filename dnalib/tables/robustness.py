"""Accuracy and P(≥x) of ensembles, with intervals, as tables."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dnalib.array_arguments import check_classes, check_records
from dnalib.intervals import resampled_interval
from dnalib.metrics import as_correct

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]


def ensemble_table(
    correct: Mapping[str, ArrayLike], labels: ArrayLike, *, seed: int
) -> pd.DataFrame:
    """Accuracy and P(≥x) of several ensembles on one set of records, one row a measure.

    Args:
        correct: ensemble name -> (member, record) bool.
        labels: (record,) class indices of the same records, from 0; any number of classes.
        seed: of the 95 % intervals; all ensembles see the same resamples.

    Returns:
        Columns ensemble, measure, value, low, high (fractions) and records. The measures are
        "average", "at least 1" up to the number of members, and each of these averaged over classes
        instead of records, "at least 1, class-averaged" and so on.
    """
    rows = [
        {"ensemble": ensemble, **row}
        for ensemble, one in correct.items()
        for row in _measure_rows(ensemble, one, labels, seed=seed)
    ]
    return pd.DataFrame(rows, columns=["ensemble", "measure", "value", "low", "high", "records"])


def robustness_table(
    correct: Mapping[tuple[str, str, float], Mapping[str, ArrayLike]],
    labels: ArrayLike,
    *,
    seed: int,
) -> pd.DataFrame:
    """`ensemble_table` for each (attack, padding, epsilon in raw units), with those as columns."""
    tables = []
    for (attack, padding, epsilon), ensembles in correct.items():
        table = ensemble_table(ensembles, labels, seed=seed)
        condition = {"attack": attack, "padding": padding, "epsilon": float(epsilon)}
        tables.append(table.assign(**condition)[[*condition, *table.columns]])
    if not tables:
        raise ValueError("correct holds no condition; give at least one (attack, padding, epsilon)")
    return pd.concat(tables, ignore_index=True)


def _measure_rows(
    ensemble: str, correct: ArrayLike, labels: ArrayLike, *, seed: int
) -> list[dict[str, object]]:
    """The rows of one ensemble, without its name."""
    correct, labels = as_correct(correct), np.asarray(labels)
    check_records(f"correct[{ensemble!r}]", correct, 1, "labels", labels)
    check_classes("labels", labels)
    members, records = correct.shape
    present, places = np.unique(labels, return_inverse=True)  # classes that have a record
    classes = len(present)
    # Every measure depends on a record only through this code, so one small array is resampled.
    codes = correct.sum(axis=0) * classes + places  # (record,)
    codes = codes.astype(np.min_scalar_type((members + 1) * classes))

    def measures(codes: Integers, axis: int = -1) -> Floats:
        return _measures(codes, members=members, classes=classes, axis=axis)

    values = measures(codes)  # (measure,)
    low, high = resampled_interval(codes, measures, seed=seed)
    tails = [f"at least {x}" for x in range(1, members + 1)]
    names = ["average", *tails, *(f"{tail}, class-averaged" for tail in tails)]
    return [
        {"measure": name, "value": value, "low": a, "high": b, "records": records}
        for name, value, a, b in zip(names, values, low, high, strict=True)
    ]


def _measures(codes: Integers, *, members: int, classes: int, axis: int) -> Floats:
    """Average, P(≥1) to P(≥members), the same class-averaged: (measure, ...), `axis` gone."""
    counts = np.stack([(codes == code).sum(axis=axis) for code in range((members + 1) * classes)])
    counts = counts.reshape(members + 1, classes, *counts.shape[1:])  # (right, class, ...)
    records = codes.shape[axis]
    right = counts.sum(axis=1)  # (right, ...)
    average = np.tensordot(np.arange(members + 1), right, axes=1) / (members * records)
    tails = right[::-1].cumsum(axis=0)[::-1][1:] / records  # (x, ...)
    of_class = counts.sum(axis=0)  # (class, ...)
    found = counts[::-1].cumsum(axis=0)[::-1][1:]  # (x, class, ...)
    present = np.broadcast_to(of_class > 0, found.shape)
    within = np.divide(found, of_class, out=np.zeros(found.shape), where=present)
    return np.stack([average, *tails, *(within.sum(axis=1) / present.sum(axis=1))])
