"""What an ensemble gains by deferring the records that it is least certain of."""

import pandas as pd
from matplotlib.figure import Figure

from dnalib.plots.style import (
    TEXT,
    dress,
    ensemble_handle,
    ensemble_series,
    legend_above,
    new_figure,
    panel_letters,
)

FEWEST = 20  # kept records: below, a curve is mostly noise


def deferral(table: pd.DataFrame, *, fewest: int = FEWEST) -> Figure:
    """Accuracy of the kept records against the share deferred, a panel a condition.

    Args:
        table: from `deferral.risk_coverage_table`.
        fewest: curves stop where fewer records than this are kept.

    Raises:
        ValueError: the table is empty.
    """
    points = table.assign(x=100 * (1 - table.coverage), y=100 * (1 - table.risk))
    return _curves(
        points,
        x="Records deferred, the least certain first (%)",
        y="Accuracy of the kept (%)",
        fewest=fewest,
    )


def risk_coverage(table: pd.DataFrame, *, fewest: int = FEWEST) -> Figure:
    """Share of wrong answers among the kept records against the share kept.

    Arguments as in `deferral`, which shows the same from the other side.
    """
    points = table.assign(x=100 * table.coverage, y=100 * table.risk)
    return _curves(
        points,
        x="Coverage: records kept, the most certain first (%)",
        y="Risk: wrong among the kept (%)",
        fewest=fewest,
    )


def _curves(points: pd.DataFrame, *, x: str, y: str, fewest: int) -> Figure:
    """One curve an ensemble, one panel a condition, with columns x and y in %."""
    if points.empty:
        raise ValueError("table is empty; give at least one condition and ensemble")
    conditions = list(dict.fromkeys(points.condition))
    columns = min(2, len(conditions))
    rows = -(-len(conditions) // columns)
    figure = new_figure(2.3 * rows + 0.9)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, condition in zip(panels, conditions, strict=False):
        drawn = points[(points.condition == condition) & (points.kept >= fewest)]
        for place, (ensemble, curve) in enumerate(drawn.groupby("ensemble", sort=False)):
            series = ensemble_series(str(ensemble))
            axes.plot(
                curve.x,
                curve.y,
                color=series.colour,
                linestyle=series.line,
                linewidth=1.5,
                marker=series.marker,
                markersize=5,
                markevery=(0.02 + 0.03 * place, 0.2),  # marks of several curves side by side
                label=ensemble,
            )
        dress(axes)
        axes.set(xlim=(-2, 102), ylim=(-3, 103))
    for axes in panels[len(conditions) :]:
        axes.set_axis_off()
    for axes in panels[len(conditions) - columns : len(conditions)]:
        axes.tick_params(labelbottom=True)
    panel_letters(panels[: len(conditions)], conditions)
    figure.supxlabel(x, fontsize=TEXT)
    figure.supylabel(y, fontsize=TEXT)
    legend_above(
        figure,
        handles=[ensemble_handle(name) for name in dict.fromkeys(points.ensemble)],
        ncols=3,
        handlelength=3,
    )
    return figure
