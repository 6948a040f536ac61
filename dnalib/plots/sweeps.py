"""Measures of the ensembles against a parameter's values."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dnalib.plots.style import (
    BLACK,
    TEXT,
    dress,
    ensemble_handle,
    ensemble_series,
    legend_above,
    new_figure,
    panel_letters,
)


def sweep(table: pd.DataFrame, *, parameter: str, chosen: float | None = None) -> Figure:
    """Each measure in a panel, against the values of a parameter, which stand at equal distances.

    Args:
        table: from `sweeps.sweep_table`.
        parameter: its name for the axis, with the unit if it has one.
        chosen: the value that the book's other chapters have, marked by a line.

    Raises:
        ValueError: the table has no row.
    """
    if table.empty:
        raise ValueError("table is empty; a sweep needs at least one value")
    measures = list(dict.fromkeys(table.measure))
    values = sorted(table.setting.unique())
    figure = new_figure(2.1 * -(-len(measures) // 2) + 0.8)
    panels = figure.subplots(-(-len(measures) // 2), 2, sharex=True, squeeze=False).ravel()
    ensembles = list(dict.fromkeys(table.ensemble))
    for axes, measure in zip(panels, measures, strict=False):
        axes.set_ylim(-2, 102)
        for place, ensemble in enumerate(ensembles):
            rows = table[(table.ensemble == ensemble) & (table.measure == measure)]
            shift = 0.06 * (place - (len(ensembles) - 1) / 2)
            _draw_values(axes, ensemble, rows.sort_values("setting"), values=values, shift=shift)
        if chosen in values:
            axes.axvline(values.index(chosen), color=BLACK, linestyle=":", linewidth=0.8, zorder=1)
        axes.set_xticks(range(len(values)), [f"{value:g}" for value in values])
        axes.tick_params(labelbottom=True)
        dress(axes)
    for axes in panels[len(measures) :]:
        axes.set_axis_off()
    panel_letters(panels[: len(measures)], measures)
    figure.supxlabel(parameter, fontsize=TEXT)
    figure.supylabel("Share of records (%); R² (%)", fontsize=TEXT)
    legend_above(
        figure, handles=[ensemble_handle(name) for name in ensembles], ncols=5, handlelength=3
    )
    return figure


def _draw_values(
    axes: Axes, ensemble: str, rows: pd.DataFrame, *, values: Sequence[float], shift: float
) -> None:
    """One ensemble's means in per cent, with intervals where there are some; nothing of no rows."""
    if rows.empty:
        return
    series = ensemble_series(ensemble)
    below, above = rows.value - rows.low, rows.high - rows.value
    axes.errorbar(
        np.searchsorted(values, rows.setting) + shift,
        100 * rows.value,
        yerr=None if rows.low.isna().all() else [100 * below, 100 * above],
        color=series.colour,
        linestyle=series.line,
        marker=series.marker,
        markersize=5,
        linewidth=1.3,
        elinewidth=1,
        capsize=2,
        label=ensemble,
    )
