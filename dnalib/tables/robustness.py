"""Accuracy and P(≥x) of ensembles, with intervals, as tables."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dnalib.array_arguments import check_classes, check_records
from dnalib.intervals import share_interval
from dnalib.metrics import (
    CONTROL,
    as_correct,
    at_least_each,
    kept_by_constants,
)


def ensemble_table(
    correct: Mapping[str, ArrayLike], labels: ArrayLike, *, constants: Sequence[int] = ()
) -> pd.DataFrame:
    """Accuracy and P(≥x) of several ensembles on one set of records, one row a measure.

    Args:
        correct: ensemble name -> (member, record) bool.
        labels: (record,) class indices of the same records, from 0; any number of classes.
        constants: the classes that members of `metrics.CONTROL` always answer, if it is among the
            ensembles: its class-averaged P(≥1), and the interval's end, cannot fall below what
            these keep.

    Returns:
        Columns ensemble, measure, value, low, high (the ends of `intervals.share_interval`, 95 %;
        all fractions) and records. The measures are "average", "P(≥1)" up to the number of
        members, and each of these averaged over classes instead of records, "P(≥1),
        class-averaged" and so on.
    """
    rows = [
        {"ensemble": ensemble, **row}
        for ensemble, one in correct.items()
        for row in _measure_rows(
            ensemble, one, labels, constants=constants if ensemble == CONTROL else ()
        )
    ]
    return pd.DataFrame(rows, columns=["ensemble", "measure", "value", "low", "high", "records"])


def robustness_table(
    correct: Mapping[tuple[str, str, float], Mapping[str, ArrayLike]],
    labels: ArrayLike,
    *,
    constants: Sequence[int] = (),
) -> pd.DataFrame:
    """`ensemble_table` for each (attack, padding, epsilon in raw units), with those as columns."""
    tables = []
    for (attack, padding, epsilon), ensembles in correct.items():
        table = ensemble_table(ensembles, labels, constants=constants)
        condition = {"attack": attack, "padding": padding, "epsilon": float(epsilon)}
        tables.append(table.assign(**condition)[[*condition, *table.columns]])
    if not tables:
        raise ValueError("correct holds no condition; give at least one (attack, padding, epsilon)")
    return pd.concat(tables, ignore_index=True)


def _measure_rows(
    ensemble: str, correct: ArrayLike, labels: ArrayLike, *, constants: Sequence[int]
) -> list[dict[str, object]]:
    """The rows of one ensemble, without its name."""
    correct, labels = as_correct(correct), np.asarray(labels)
    check_records(f"correct[{ensemble!r}]", correct, 1, "labels", labels)
    check_classes("labels", labels)
    members, records = correct.shape
    tails = {f"P(≥{x})": at_least_each(correct, members=x) for x in range(1, members + 1)}
    shown: list[tuple[str, NDArray[np.generic], NDArray[np.integer] | None]] = [
        ("average", correct.mean(axis=0), None),
        *((name, hits, None) for name, hits in tails.items()),
        *((f"{name}, class-averaged", hits, labels) for name, hits in tails.items()),
    ]
    rows = []
    for name, values, classes in shown:
        value, low, high = share_interval(values, classes=classes)
        if name == "P(≥1), class-averaged":
            low = max(low, kept_by_constants(labels, constants=constants))
        rows.append({"measure": name, "value": value, "low": low, "high": high, "records": records})
    return rows
