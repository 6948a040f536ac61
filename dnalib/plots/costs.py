"""What robustness costs to train."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, NullFormatter

from dnalib.plots.style import (
    TEXT,
    dress,
    ensemble_handle,
    ensemble_series,
    legend_above,
    new_figure,
    panel_letters,
)

TICKS = (0.3, 0.5, 1, 2, 3, 5, 10)  # of the axis of costs, which is logarithmic


def costs(table: pd.DataFrame) -> Figure:
    """What an ensemble keeps under attack against what its trainings cost, a panel a measure.

    Args:
        table: from `rivalry.bought_at`.

    Raises:
        ValueError: the table is empty, or a cost is not above 0.
    """
    if table.empty or not (table.times > 0).all():
        raise ValueError("table needs a row, and in each a cost (times) above 0")
    names, ensembles = list(dict.fromkeys(table.name)), list(dict.fromkeys(table.ensemble))
    figure = new_figure(4.4)
    panels = figure.subplots(1, len(names), sharex=True, sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        for row in table[table.name == name].itertuples():
            series = ensemble_series(row.ensemble)
            axes.errorbar(
                [row.times],
                [100 * row.value],
                yerr=[[100 * (row.value - row.low)], [100 * (row.high - row.value)]],
                color=series.colour,
                marker=series.marker,
                markersize=6,
                capsize=2,
                linewidth=1.2,
            )
        dress(axes, grid="both")
        axes.set_xscale("log")
        shown = [tick for tick in TICKS if 0.8 * table.times.min() < tick < 1.3 * table.times.max()]
        axes.set_xticks(shown or [1])
        axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(-3, 103)
    panel_letters(panels, names)
    figure.supxlabel("Cost of all trainings (times that of cor)", fontsize=TEXT)
    figure.supylabel("Records (%)", fontsize=TEXT)
    legend_above(
        figure,
        handles=[ensemble_handle(name, lines=False) for name in ensembles],
        title=f"{table.records.max():,} records; bars: 95 % intervals",
        ncols=5,
    )
    return figure
