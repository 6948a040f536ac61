"""How far the members' features predict one another (the paper's Figure 6)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from numpy.typing import ArrayLike, NDArray

from dnalib.plots.style import (
    BLACK,
    SMALL,
    ensemble_series,
    new_figure,
    panel_letters,
)

ANGLES = (135.0, 45.0, 225.0, 315.0)  # degrees: the middle of each ensemble's area
SPREAD = 18.0  # degrees from there to a member
TALL = 1.35  # height of the ring of members over its width: room between lines
ARROWS = "→↗↑↖←↙↓↘"  # counter-clockwise from the right, 45° apart


def r_squared_diagram(
    sources: Mapping[str, Mapping[str, ArrayLike]],
    *,
    names: Mapping[str, Sequence[str]],
) -> Figure:
    """R² between the members: ensembles as coloured areas around the model that all share.

    A line carries each direction, its arrow pointing along the line from the regressor to the
    regressand; its width is their mean. Sources stand side by side.

    Args:
        sources: caption -> ensemble -> (3, 3), rows regressors, columns regressands; the first
            member is the same model in each ensemble. At most four ensembles.
        names: ensemble -> its three members' names, in the same order.

    Raises:
        ValueError: no source or ensemble, more than four, an array that is not (3, 3), an ensemble
            that lacks three names, or ensembles that share no first member.
    """
    if not sources or not all(sources.values()):
        raise ValueError("sources is empty or holds an empty one; give at least one ensemble each")
    figure = new_figure(4.1 if len(sources) > 1 else 7.0)
    panels = figure.subplots(1, len(sources), squeeze=False)[0]
    for axes, ensembles in zip(panels, sources.values(), strict=True):
        shared = _check(ensembles, names)
        for angle, ensemble in zip(ANGLES, ensembles, strict=False):
            values = np.asarray(ensembles[ensemble], dtype=float)
            _draw_area(axes, values, names[ensemble], ensemble, angle)
        _draw_member(axes, np.zeros(2), shared)
        axes.set(xlim=(-1.17, 1.17), ylim=(-1.45, 1.45), aspect="equal")
        axes.set_axis_off()
    panel_letters(panels, list(sources))
    return figure


def _check(ensembles: Mapping[str, ArrayLike], names: Mapping[str, Sequence[str]]) -> str:
    """The first member that all ensembles share."""
    if len(ensembles) > len(ANGLES):
        raise ValueError(f"{len(ensembles)} ensembles; there is room for {len(ANGLES)}")
    for ensemble, values in ensembles.items():
        if np.shape(values) != (3, 3) or len(names.get(ensemble, ())) != 3:
            raise ValueError(
                f"{ensemble!r} has values of shape {np.shape(values)} and "
                f"{len(names.get(ensemble, ()))} names; expected (3, 3) and 3"
            )
    first = {names[ensemble][0] for ensemble in ensembles}
    if len(first) != 1:
        raise ValueError(f"ensembles start with {', '.join(sorted(first))}; expected one model")
    return first.pop()


def _draw_area(
    axes: Axes,
    values: NDArray[np.floating],
    members: Sequence[str],
    ensemble: str,
    angle: float,
) -> None:
    """One ensemble: its area, its name, three lines with their values, its two own members."""
    colour = ensemble_series(ensemble).colour
    corners = np.stack([np.zeros(2), _at(angle + SPREAD), _at(angle - SPREAD)])  # (member, xy)
    axes.add_patch(Polygon(corners, facecolor=colour, alpha=0.18, linewidth=0, zorder=0))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        there, back = values[one, other], values[other, one]
        ends = corners[[one, other]]  # (end, xy)
        axes.plot(
            *ends.T,
            color=colour,
            label=f"{members[one]}, {members[other]}",
            linewidth=0.6 + 6 * max(0.0, (there + back) / 2),  # points
            solid_capstyle="butt",
            zorder=1,
        )
        x, y = _label_place(ends, outer=one > 0)
        axes.text(
            x,
            y,
            f"{_arrow(ends[1] - ends[0])} {there:.2f}\n{_arrow(ends[0] - ends[1])} {back:.2f}",
            ha="center",
            va="center",
            fontsize=SMALL,
            linespacing=1.1,
            zorder=2,
            bbox={"facecolor": "white", "edgecolor": colour, "boxstyle": "round,pad=0.15"},
        )
    for corner, name in zip(corners[1:], members[1:], strict=True):
        _draw_member(axes, corner, name)


def _label_place(ends: NDArray[np.floating], *, outer: bool) -> NDArray[np.floating]:
    """Where a line's values stand: in its middle, or, from the centre, a little further out."""
    return 1.04 * ends.mean(axis=0) if outer else 0.42 * ends[0] + 0.58 * ends[1]


def _draw_member(axes: Axes, place: NDArray[np.floating], name: str) -> None:
    x, y = place
    axes.text(
        x,
        y,
        name,
        ha="center",
        va="center",
        fontsize=SMALL,
        weight="bold",
        zorder=3,
        bbox={"facecolor": "white", "edgecolor": BLACK, "boxstyle": "round,pad=0.3"},
    )


def _at(degrees: float) -> NDArray[np.floating]:
    """The point of the members' ring at an angle: (xy,)."""
    return np.array([np.cos(np.radians(degrees)), TALL * np.sin(np.radians(degrees))])


def _arrow(direction: NDArray[np.floating]) -> str:
    """The arrow that points nearest to a direction (xy,)."""
    return ARROWS[round(np.degrees(np.arctan2(direction[1], direction[0])) / 45) % 8]
