"""The look all figures share: sizes, colours, markers and the figure itself.

No series is told apart by colour alone: each ensemble has its marker and line style, each class
and each filter its hatch. Figures are made without pyplot, so nothing is kept open behind them.
"""

import io
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType
from numpy.typing import ArrayLike

from dnalib.metrics import CONTROL

WIDTH = 6.0  # inches; at 400 pixels the smallest text is still 8 pixels high
TEXT = 10  # points: axis labels, legends, titles
SMALL = 9  # points: tick labels, notes
SCREEN_DPI = 150
BEHIND = 0.4  # opacity of what is drawn of another seed

# Okabe & Ito, "Color universal design" (2008): distinct for the common colour deficiencies.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
GREY, LIGHT_GREY = "#666666", "#D9D9D9"
OLIVE, BROWN = "#8A7A00", "#7B4B3A"

CLASS_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE)  # Normal, atrial fibrillation, Other, noise
FILTER_COLOURS = (BLUE, ORANGE)  # h₁, h₂
FILTER_HATCHES = ("////", "....")


@dataclass(frozen=True)
class Series:
    """How one ensemble looks in every figure."""

    colour: str
    marker: str
    line: LineStyleType


ENSEMBLES = {
    "cor": Series(BLUE, "o", "-"),
    "fcor": Series(ORANGE, "s", (0, (8, 2))),
    "dec": Series(GREEN, "^", "-."),
    "fdec": Series(VERMILLION, "D", (0, (1.2, 1.2))),
    CONTROL: Series(GREY, "X", "--"),
}
RIVALS = {  # never drawn in one panel with others as lines
    "adversarial": Series(SKY, "P", "-"),
    "adversarial dec": Series(PURPLE, "p", (0, (8, 2))),
    "parallel": Series(OLIVE, "v", "-."),
    "dverge": Series(BROWN, "<", (0, (1.2, 1.2))),
    "wide": Series(BLACK, "h", "--"),
}


# Of models by their number in an ensemble.
MODEL_LINES: Mapping[str, LineStyleType] = {
    "": "-",
    "1": "-",
    "2": (0, (4, 1.5)),
    "3": (0, (1.2, 1.2)),
}


class BookFigure(Figure):
    """A figure that a notebook shows as a picture although pyplot knows nothing of it."""

    def _repr_png_(self) -> bytes:
        return drawn(self, format="png")


def drawn(figure: Figure, **options: Any) -> bytes:
    """A figure as a picture for a screen; options as `Figure.savefig` takes them."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=SCREEN_DPI, **options)
    return buffer.getvalue()


def new_figure(
    height: float,
    *,
    width: float = WIDTH,
    layout: Literal["constrained", "compressed"] = "constrained",
) -> BookFigure:
    """An empty white figure, sizes in inches."""
    return BookFigure(figsize=(width, height), layout=layout, facecolor="white")


def dress(
    axes: Axes,
    *,
    x: str | None = None,
    y: str | None = None,
    grid: Literal["x", "y", "both", "none"] = "y",
) -> None:
    """Labels, text sizes and a quiet frame; `grid` is "x", "y", "both" or "none"."""
    axes.tick_params(labelsize=SMALL)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    if x is not None:
        axes.set_xlabel(x, fontsize=TEXT)
    if y is not None:
        axes.set_ylabel(y, fontsize=TEXT)
    if grid != "none":
        axes.grid(axis=grid, color=LIGHT_GREY, linewidth=0.6)


def spaced(values: Collection[float], *, share: float) -> list[float]:
    """Values for ticks, rising, without those whose labels would meet.

    Args:
        values: at least one; the least and the greatest are kept.
        share: of the way from one to the other that two labels are apart at least.
    """
    *others, last = sorted(set(values))
    gap = share * (last - min(values))
    kept: list[float] = []
    for value in others:
        if last - value >= gap and (not kept or value - kept[-1] >= gap):
            kept.append(value)
    return [*kept, last]


def draw_intervals(
    axes: Axes, x: ArrayLike, low: ArrayLike, high: ArrayLike, *, colour: str
) -> None:
    """Intervals over several places as a band; at a single one, where a band has no area, a bar."""
    if np.size(x) > 1:
        axes.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0)
    else:
        axes.vlines(x, low, high, color=colour, linewidth=1)


def intervals_word(places: Collection[float]) -> str:
    """How a legend calls the intervals that `draw_intervals` draws at these places."""
    return "shaded" if len(set(places)) > 1 else "bars"


def draw_behind(
    axes: Axes, x: ArrayLike, values: ArrayLike, *, series: Series, label: str, lines: bool = True
) -> None:
    """Another seed's values, light and behind our own: a line, or markers alone."""
    axes.plot(
        x,
        values,
        color=series.colour,
        linestyle=series.line if lines else "none",
        linewidth=0.8,
        marker=series.marker,
        markersize=3 if lines else 4,
        markevery=0.1 if lines else None,  # of the diagonal: published lines have none
        markeredgewidth=0,
        alpha=BEHIND,
        zorder=1.6,
        label=f"{label}, another seed",
    )


def legend_above(figure: Figure, **options: Any) -> None:
    """A legend over the panels, without a frame, its title no larger than its entries."""
    figure.legend(
        loc="outside upper center", fontsize=SMALL, title_fontsize=SMALL, frameon=False, **options
    )


def panel_letters(panels: Iterable[Axes], captions: Iterable[str] | None = None) -> None:
    """a, b, c … before each panel's caption, above its left edge."""
    captions = repeat("") if captions is None else captions
    for letter, axes, caption in zip("abcdefghijkl", panels, captions, strict=False):
        axes.set_title(f"{letter}  {caption}".rstrip(), fontsize=TEXT, loc="left", weight="bold")


def ensemble_series(name: str) -> Series:
    """The fixed look of an ensemble.

    Raises:
        ValueError: the name is one neither of `ENSEMBLES` nor of `RIVALS`.
    """
    known = ENSEMBLES | RIVALS
    if name not in known:
        raise ValueError(f"ensemble {name!r} has no style; known are {', '.join(known)}")
    return known[name]


def ensemble_handle(name: str, *, label: str | None = None, lines: bool = True) -> Line2D:
    """An ensemble's entry in a legend, under its name or a label; without its line for points."""
    series = ensemble_series(name)
    return Line2D(
        [],
        [],
        color=series.colour,
        marker=series.marker,
        linestyle=series.line if lines else "none",
        label=label or name,
    )


def model_series(name: str) -> Series:
    """The look of one model, or of one training: its ensemble's, with a line for its number.

    Args:
        name: "base"; an ensemble's name, for networks that are trained together; or that and a
            number from 1 to 3, such as "fdec2" or "adversarial-dec1".

    Raises:
        ValueError: no ensemble of that name, or another number.
    """
    if name == "base":
        return Series(BLACK, "*", "-")
    ensemble = name.rstrip("0123456789")
    number = name[len(ensemble) :]
    if number not in MODEL_LINES or ensemble.replace("-", " ") not in ENSEMBLES | RIVALS:
        raise ValueError(f"model {name!r} has no style; known are base and an ensemble plus 1 to 3")
    series = ensemble_series(ensemble.replace("-", " "))
    return Series(series.colour, series.marker, MODEL_LINES[number])
