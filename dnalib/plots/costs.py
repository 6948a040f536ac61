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

APART = 1.07  # factor between the places of two ensembles of one cost
ALIKE = 0.02  # costs that differ by less, relatively, are drawn as one
TICKS = (0.3, 0.5, 1, 2, 3, 5, 10)  # of the axis of costs, which is logarithmic


def costs(table: pd.DataFrame) -> Figure:
    """What an ensemble keeps under attack against what its trainings cost, a panel a measure.

    Ensembles of one cost stand beside each other; ticks at the foot are at the costs themselves.

    Args:
        table: from `rival_costs.bought_at`.

    Raises:
        ValueError: the table is empty, or a cost is not above 0.
    """
    if table.empty or not (table.times > 0).all():
        raise ValueError("table needs a row, and in each a cost (times) above 0")
    names, ensembles = list(dict.fromkeys(table.name)), list(dict.fromkeys(table.ensemble))
    figure = new_figure(4.4)
    panels = figure.subplots(1, len(names), sharex=True, sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        rows = table[table.name == name]
        for row, place in zip(rows.itertuples(), side_by_side(rows.times), strict=True):
            series = ensemble_series(row.ensemble)
            axes.errorbar(
                [place],
                [100 * row.value],
                yerr=[[100 * (row.value - row.low)], [100 * (row.high - row.value)]],
                color=series.colour,
                marker=series.marker,
                markersize=6,
                capsize=2,
                linewidth=1.2,
            )
        axes.plot(
            rows.times,
            [0.0] * len(rows),
            linestyle="none",
            marker="|",
            markersize=9,
            color="black",
            transform=axes.get_xaxis_transform(),
            clip_on=False,
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


def side_by_side(times: pd.Series) -> list[float]:
    """Where costs are drawn, so that none hides another: those that are alike around their own."""
    places = []
    for position, one in enumerate(times):
        alike = [other for other, cost in enumerate(times) if abs(cost - one) < ALIKE * one]
        places.append(one * APART ** (alike.index(position) - (len(alike) - 1) / 2))
    return places
