"""Measures of the ensembles against a parameter's values."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

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

APART = 0.035  # of the way between the outermost values: two ensembles at one value
R_SQUARED = "adjusted R²"  # the measure that is no share of records


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
        scale = 1 if measure == R_SQUARED else 100
        axes.set_ylim(-0.02 * scale, 1.02 * scale)
        for place, ensemble in enumerate(ensembles):
            rows = table[(table.ensemble == ensemble) & (table.measure == measure)]
            rows = rows.sort_values("setting")
            # The same on paper however many values there are.
            shift = APART * max(1, len(values) - 1) * (place - (len(ensembles) - 1) / 2)
            _draw_values(
                axes,
                ensemble,
                rows,
                places=np.searchsorted(values, rows.setting) + shift,
                scale=scale,
            )
        if chosen in values:
            axes.axvline(values.index(chosen), color=BLACK, linestyle=":", linewidth=0.8, zorder=1)
        axes.set_xticks(range(len(values)), [f"{value:g}" for value in values])
        axes.tick_params(labelbottom=True)
        dress(axes)
    for axes in panels[len(measures) :]:
        axes.set_axis_off()
    panel_letters(panels[: len(measures)], measures)
    figure.supxlabel(parameter, fontsize=TEXT)
    figure.supylabel("Share of records (%); R² from 0 to 1", fontsize=TEXT)
    legend_above(
        figure, handles=[ensemble_handle(name) for name in ensembles], ncols=5, handlelength=3
    )
    return figure


def _draw_values(
    axes: Axes, ensemble: str, rows: pd.DataFrame, *, places: NDArray[np.floating], scale: float
) -> None:
    """One ensemble's scaled means, with intervals where there are some; nothing of no rows."""
    if rows.empty:
        return
    series = ensemble_series(ensemble)
    below, above = rows.value - rows.low, rows.high - rows.value
    axes.errorbar(
        places,
        scale * rows.value,
        yerr=None if rows.low.isna().all() else [scale * below, scale * above],
        color=series.colour,
        linestyle=series.line,
        marker=series.marker,
        markersize=5,
        linewidth=1.3,
        elinewidth=1,
        capsize=2,
        label=ensemble,
    )
