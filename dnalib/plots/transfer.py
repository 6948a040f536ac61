"""How often perturbations crafted on one model fool another."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from dnalib.plots.cells import draw_cells, shade_bar
from dnalib.plots.style import SMALL, TEXT, WIDTH, new_figure

CELL = 0.52  # inches: room for an interval in the smallest text
LEVEL = 7  # characters of a name that fit below a cell


def transfer(table: pd.DataFrame, *, unit: str = "Model") -> Figure:
    """A cell a pair of models: the share fooled in %, and its 95 % interval below.

    Args:
        table: from `transfer.transfer_table`, of one attack; models stand in its order.
        unit: what a row and a column are, for the axes.

    Raises:
        ValueError: the table is empty, or has two rows for a pair of models.
    """
    if table.empty:
        raise ValueError("table is empty; give at least one pair of models")
    if table.duplicated(["crafted", "evaluated"]).any():
        raise ValueError("table has two rows for one pair of models; give one attack")
    rows, columns = (list(dict.fromkeys(table[name])) for name in ("crafted", "evaluated"))
    cells = table.assign(
        share=100 * table.value,
        text=[_text(row.value, row.low, row.high) for row in table.itertuples()],
    ).pivot(index="crafted", columns="evaluated", values=["share", "text"])
    shares = cells["share"].reindex(index=rows, columns=columns).to_numpy(dtype=float)
    texts = cells["text"].reindex(index=rows, columns=columns).fillna("").to_numpy(dtype=str)
    figure = new_figure(1.1 + CELL * len(rows), width=min(WIDTH, 1.9 + CELL * len(columns)))
    axes = figure.subplots()
    image = draw_cells(axes, shares, texts)
    axes.set_aspect("auto")
    slanted: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
    too_long = max(map(len, columns)) > LEVEL
    axes.set_xticks(range(len(columns)), columns, **(slanted if too_long else {}))
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(labelsize=SMALL, length=0)
    axes.set_xlabel(f"{unit} that the perturbed records are shown to", fontsize=TEXT)
    axes.set_ylabel(f"{unit} that they are crafted on", fontsize=TEXT)
    shade_bar(figure, image, [axes], label="Share of records fooled (%)")
    return figure


def _text(*shares: float) -> str:
    """A share in whole per cent, and its interval (low, high) unless that is the same number."""
    if any(map(pd.isna, shares)):
        return "–"
    value, low, high = (f"{100 * share:.0f}" for share in shares)
    return value if low == high else f"{value}\n{low}–{high}"
