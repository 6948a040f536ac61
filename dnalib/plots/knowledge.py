"""What survives an attack, by what the attacker knows of the ensemble."""

import pandas as pd
from matplotlib.figure import Figure

from dnalib.plots.style import (
    GREY,
    TEXT,
    dress,
    legend_above,
    new_figure,
    panel_letters,
)

# From the least knowledge to the most: darker and darker, in no ensemble's colour or marker.
LOOKS = (("#B98BD0", "<"), ("#9C5FB5", "v"), ("#7A3E96", ">"), ("#552072", "P"), ("#26063A", "*"))
STEP = 0.15  # between the points of one ensemble


def knowledge(table: pd.DataFrame, *, measure: str, name: str) -> Figure:
    """A panel an ε, a row an ensemble, a point for each thing that the attacker may know.

    Args:
        table: from `knowledge.knowledge_table`.
        measure: the rows to draw.
        name: the measure's, for the axis, such as "P(≥1)".

    Raises:
        ValueError: the table has no row of the measure, or more kinds of knowledge than looks.
    """
    part = table[table.measure == measure]
    kinds = list(dict.fromkeys(part.knowledge))
    if not 1 <= len(kinds) <= len(LOOKS):
        raise ValueError(
            f"table has {len(kinds)} kinds of knowledge for {measure!r}; 1 to {len(LOOKS)} "
            "are drawn"
        )
    bounds, ensembles = sorted(part.epsilon.unique()), list(dict.fromkeys(part.ensemble))
    figure = new_figure(0.62 * len(ensembles) + 1.4)
    panels = figure.subplots(1, len(bounds), sharex=True, sharey=True, squeeze=False)[0]
    for axes, epsilon in zip(panels, bounds, strict=True):
        for place, (kind, (colour, marker)) in enumerate(zip(kinds, LOOKS, strict=False)):
            chosen = part[(part.epsilon == epsilon) & (part.knowledge == kind)]
            rows = chosen.set_index("ensemble").loc[ensembles]
            axes.errorbar(
                100 * rows.value,
                [row + STEP * (place - (len(kinds) - 1) / 2) for row in range(len(ensembles))],
                xerr=100 * pd.concat([rows.value - rows.low, rows.high - rows.value], axis=1).T,
                color=colour,
                marker=marker,
                markersize=5,
                linestyle="none",
                capsize=2,
                linewidth=1.2,
                label=kind,
            )
        for edge in range(len(ensembles) - 1):
            axes.axhline(edge + 0.5, color=GREY, linewidth=0.5)
        dress(axes, grid="x")
        axes.set(xlim=(-4, 104), ylim=(len(ensembles) - 0.5, -0.5))
        axes.set_yticks(range(len(ensembles)), ensembles)
        axes.tick_params(axis="y", length=0)
    panel_letters(panels, [f"ε = {epsilon:g} µV" for epsilon in bounds])
    figure.supxlabel(f"{name} (% of the records)", fontsize=TEXT)
    legend_above(
        figure,
        handles=panels[0].get_legend_handles_labels()[0],
        title=f"The attacker knows … ({part.records.max():,} records; bars: 95 % intervals)",
        ncols=3,
    )
    return figure
