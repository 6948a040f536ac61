"""How much better one ensemble is than another on the same records."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from dnalib.plots.style import (
    BLACK,
    TEXT,
    draw_behind,
    draw_intervals,
    dress,
    ensemble_handle,
    ensemble_series,
    intervals_word,
    legend_above,
    new_figure,
    panel_letters,
    spaced,
)

COLUMNS = ("ensemble", "against", "epsilon", "value", "low", "high", "records")


def differences(
    tables: Mapping[str, pd.DataFrame],
    *,
    measure: str,
    behind: Sequence[Mapping[str, pd.DataFrame]] = (),
) -> Figure:
    """Differences between ensembles against the bound of an attack, with paired intervals.

    Args:
        tables: caption (of an attack) -> table from `comparisons.differences`, all against the
            same ensemble.
        measure: its name for the axis, such as "P(≥1)".
        behind: likewise of other seeds, drawn as light lines without intervals.

    Raises:
        ValueError: no table, one without rows or a column, or tables against several ensembles.
    """
    against = _common_reference(tables)
    figure = new_figure(3.7)
    panels = figure.subplots(1, len(tables), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (caption, table) in zip(panels, tables.items(), strict=True):
        for ensemble, rows in table.groupby("ensemble", sort=False):
            rows, series = rows.sort_values("epsilon"), ensemble_series(str(ensemble))
            low, high = 100 * rows.low, 100 * rows.high
            draw_intervals(axes, rows.epsilon, low, high, colour=series.colour)
            axes.plot(
                rows.epsilon,
                100 * rows.value,
                color=series.colour,
                linestyle=series.line,
                linewidth=1.5,
                marker=series.marker,
                markersize=5,
                label=ensemble,
            )
            for other in behind:
                theirs = other[caption].query("ensemble == @ensemble").sort_values("epsilon")
                values = 100 * theirs.value
                draw_behind(axes, theirs.epsilon, values, series=series, label=str(ensemble))
        axes.axhline(0, color=BLACK, linewidth=1)
        dress(axes)
        axes.set_xticks(spaced(table.epsilon, share=0.12))
    panel_letters(panels, list(tables))
    figure.supxlabel("Bound of the attack, ε (µV)", fontsize=TEXT)
    figure.supylabel(f"{measure} less that of {against} (points)", fontsize=TEXT)
    first = next(iter(tables.values()))
    names, word = dict.fromkeys(first.ensemble), intervals_word(first.epsilon)
    legend_above(
        figure,
        handles=[ensemble_handle(name, label=f"{name} − {against}") for name in names],
        title=f"{first.records.max():,} records; {word}: paired 95 % intervals",
        ncols=2,
        handlelength=3,
    )
    return figure


def _common_reference(tables: Mapping[str, pd.DataFrame]) -> str:
    """The one ensemble that all tables compare with."""
    if not tables:
        raise ValueError("tables is empty; give at least one")
    for caption, table in tables.items():
        missing = [column for column in COLUMNS if column not in table]
        if missing or table.empty:
            lack = f"lacks {', '.join(missing)}" if missing else "has no row"
            raise ValueError(f"tables[{caption!r}] {lack}")
    found = {name for table in tables.values() for name in table.against}
    if len(found) != 1:
        raise ValueError(f"tables compare with {', '.join(sorted(found))}; give one reference")
    return found.pop()
