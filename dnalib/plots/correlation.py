"""How far the members' features predict one another (the paper's Figure 6)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from numpy.typing import ArrayLike

from dnalib.plots.style import (
    BLACK,
    SMALL,
    TEXT,
    ensemble_series,
    new_figure,
    panel_letters,
)

CORNERS = np.array([[0.5, 0.87], [0.0, 0.0], [1.0, 0.0]])  # (member, x and y)
# The two ends, and the arrows that point along the line from the first to the second and back.
EDGES = ((0, 1, "↙", "↗"), (0, 2, "↘", "↖"), (1, 2, "→", "←"))


def r_squared_diagram(
    r_squared: Mapping[str, ArrayLike], *, names: Mapping[str, Sequence[str]]
) -> Figure:
    """R² between the members of each ensemble, as a triangle of three members.

    A line carries the mean of the two directions (bold, and as its width) and below it each
    direction, its arrow pointing along the line from the regressor to the regressand.

    Args:
        r_squared: ensemble -> (3, 3), rows regressors, columns regressands.
        names: ensemble -> its three members' names, in the same order.

    Raises:
        ValueError: an array is not (3, 3), or an ensemble lacks three names.
    """
    if not r_squared:
        raise ValueError("r_squared is empty; give at least one ensemble")
    columns = min(2, len(r_squared))
    rows = -(-len(r_squared) // columns)
    figure = new_figure(2.7 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (ensemble, values) in zip(panels, r_squared.items(), strict=False):
        values, members = np.asarray(values, dtype=float), names.get(ensemble, ())
        if values.shape != (3, 3) or len(members) != 3:
            raise ValueError(
                f"r_squared[{ensemble!r}] has shape {values.shape} and {len(members)} names; "
                "expected (3, 3) and 3"
            )
        _draw_triangle(axes, values, members, colour=ensemble_series(ensemble).colour)
    for axes in panels:
        axes.set(xlim=(-0.25, 1.25), ylim=(-0.24, 1.06), aspect="equal")
        axes.set_axis_off()
    panel_letters(panels[: len(r_squared)], list(r_squared))
    return figure


def _draw_triangle(axes: Axes, values: np.ndarray, members: Sequence[str], *, colour: str) -> None:
    axes.add_patch(Polygon(CORNERS, facecolor=colour, alpha=0.18, linewidth=0, zorder=0))
    for one, other, forth, backward in EDGES:
        there, back = values[one, other], values[other, one]
        ends = CORNERS[[one, other]]  # (end, x and y)
        axes.plot(
            *ends.T,
            color=colour,
            linewidth=0.8 + 9 * max(0.0, (there + back) / 2),
            solid_capstyle="round",
            zorder=1,
            label=f"{members[one]}, {members[other]}",
        )
        axes.text(
            *ends.mean(axis=0),
            f"$\\mathbf{{{(there + back) / 2:.2f}}}$\n{forth} {there:.2f}\n{backward} {back:.2f}",
            ha="center",
            va="center",
            fontsize=SMALL,
            linespacing=1.3,
            zorder=2,
            bbox={"facecolor": "white", "edgecolor": colour, "boxstyle": "round,pad=0.25"},
        )
    for corner, name in zip(CORNERS, members, strict=True):
        axes.text(
            *corner,
            name,
            ha="center",
            va="center",
            fontsize=TEXT,
            weight="bold",
            zorder=3,
            bbox={"facecolor": "white", "edgecolor": BLACK, "boxstyle": "circle,pad=0.35"},
        )
