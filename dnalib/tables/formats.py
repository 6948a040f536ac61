"""How numbers, intervals and rows are shown: in %, with a dash for what is undefined."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import SupportsFloat, TypeVar

import pandas

Names = TypeVar("Names", bound=tuple[str, ...])  # of a row


def percent(share: SupportsFloat | None) -> str:
    """A share as a percentage with one decimal; a dash where there is none."""
    if share is None or math.isnan(float(share)):
        return "–"
    value = round(100 * float(share), 1) + 0.0  # adding 0 turns −0.0 into 0.0
    return f"{value:.1f}".replace("-", "−")


def points(share: float) -> str:
    """A difference of shares in percentage points, with its sign; a dash where there is none."""
    if share != share:
        return "–"
    return f"{round(100 * share, 1) + 0.0:+.1f}".replace("-", "−")  # adding 0 turns −0.0 into 0.0


def points_between(value: float, low: float, high: float) -> str:
    """A difference in percentage points with its interval; a dash where it is undefined."""
    if value != value:
        return "–"
    ends = " to ".join(points(end).lstrip("+") for end in (low, high))
    return points(value) if low != low else f"{points(value)} ({ends})"


def decimals(value: SupportsFloat | None) -> str:
    """Three decimals; a dash for what is undefined, as R² of features that never change.

    Undefined are NaN and None, by which it is stored.
    """
    number = math.nan if value is None else float(value)
    return "–" if math.isnan(number) else f"{number:.3f}".replace("-", "−")


def between(low: float, high: float) -> str:
    """An interval of shares in %, a dash where there is none."""
    if low != low or high != high:
        return "–"
    return from_to(percent(low), percent(high))


def from_to(low: str, high: str) -> str:
    """Both ends of an interval: a word between them where a dash would look like a minus."""
    return f"{low}{' to ' if low[0] == '−' else '–'}{high}"


def with_interval(value: float, low: float, high: float) -> str:
    """A share in % with its interval; without one, or a dash, where it is undefined."""
    return percent(value) if low != low else f"{percent(value)} ({between(low, high)})"


def narrow(value: float, low: float, high: float) -> str:
    """A share in % with the ends of its interval, in whole numbers where these tell as much.

    They hide something where they leave the share outside, or on which side of zero an end lies.
    """
    if low != low:
        return percent(value)
    first, last = (round(100 * end) for end in (low, high))
    hidden = any(not round(100 * end) and round(100 * end, 1) for end in (low, high))
    if hidden or not first <= round(100 * value, 1) <= last:
        return f"{percent(value)} ({between(low, high)})"
    return f"{percent(value)} ({from_to(*(str(end).replace('-', '−') for end in (first, last)))})"


def in_a_sentence(words: Sequence[str]) -> str:
    """Words in a sentence: "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def selected(table: pandas.DataFrame, **conditions: object) -> pandas.DataFrame:
    """The rows of a table whose columns have the given values.

    Raises:
        ValueError: a value that the table has nowhere in its column.
    """
    chosen = pandas.Series(True, index=table.index)
    for column, value in conditions.items():
        found = table[column] == value
        if not found.any():
            accepted = ", ".join(map(str, table[column].unique()))
            raise ValueError(f"{column} is {value!r}; accepted are {accepted or 'none'}")
        chosen &= found
    return table[chosen]


def wide(
    table: pandas.DataFrame,
    *,
    columns: str,
    cell: Callable[[float, float, float], str] | None = None,
) -> pandas.DataFrame:
    """One row an ensemble, one column a value of `columns`: "value (low–high)" in %.

    Args:
        table: columns ensemble, value, low, high, and the one that makes columns.
        columns: its name.
        cell: text of a value and the ends of its interval; None for `with_interval`.
    """
    text = cell or with_interval
    cells = table.assign(cell=[text(row.value, row.low, row.high) for row in table.itertuples()])
    order = {
        "index": list(dict.fromkeys(table.ensemble)),
        "columns": list(dict.fromkeys(table[columns])),
    }
    found = cells.pivot(index="ensemble", columns=columns, values="cell").reindex(**order)
    if columns == "epsilon":
        found = found.rename(columns=lambda value: f"{value:g} µV")
    return with_rows(found, "ensemble")


def with_rows(table: pandas.DataFrame, name: str) -> pandas.DataFrame:
    """The table with what its rows are in the corner, where pandas would take another line."""
    return table.rename_axis(index=None, columns=name)


def by_names(rows: Mapping[Names, Mapping[str, object]], names: Sequence[str]) -> pandas.DataFrame:
    """A table of rows that have several names each; what these are stands above them."""
    table = pandas.DataFrame.from_dict(rows, orient="index")
    table.index = pandas.MultiIndex.from_tuples(rows, names=names)
    return table
