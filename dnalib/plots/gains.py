"""What remains of a gain by measures that a constant answer cannot win."""

import pandas as pd
from matplotlib.figure import Figure

from dnalib.plots.style import BLACK, BLUE, GREY, VERMILLION, dress, legend_above, new_figure

# The gain, what constants gain, and what the first gains beyond them.
LOOKS = ((VERMILLION, "D", VERMILLION), (GREY, "X", GREY), (BLUE, "o", "white"))


def remaining_gain(table: pd.DataFrame) -> Figure:
    """Differences in percentage points with their paired intervals, three to a measure.

    Args:
        table: from `gains.remaining_gain`; the quantities that are differences are drawn.

    Raises:
        ValueError: the table has no difference, or more than three for a measure.
    """
    differences = table[table.quantity.str.contains(" − ")]
    quantities = list(dict.fromkeys(differences.quantity))
    if not 1 <= len(quantities) <= len(LOOKS):
        raise ValueError(
            f"table has {len(quantities)} differences a measure; from 1 to {len(LOOKS)} are drawn"
        )
    measures = list(dict.fromkeys(differences.measure))
    figure = new_figure(0.5 * len(measures) + 1.3)
    axes = figure.subplots()
    for place, quantity in enumerate(quantities):
        rows = differences[differences.quantity == quantity].set_index("measure").loc[measures]
        colour, marker, face = LOOKS[place]
        axes.errorbar(
            100 * rows.value,
            [position + 0.24 * (place - 1) for position in range(len(measures))],
            xerr=100 * pd.concat([rows.value - rows.low, rows.high - rows.value], axis=1).T,
            color=colour,
            marker=marker,
            markerfacecolor=face,
            markersize=5.5,
            linestyle="none",
            capsize=2.5,
            linewidth=1.2,
            label=quantity,
        )
    axes.axvline(0, color=BLACK, linewidth=1)
    dress(axes, x="Difference (points)", grid="x")
    axes.set_yticks(range(len(measures)), measures)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(measures) - 0.5, -0.5)  # also where a difference is undefined
    legend_above(
        figure, title=f"{table.records.max():,} records; bars: paired 95 % intervals", ncols=3
    )
    return figure
