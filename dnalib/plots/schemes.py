"""Diagrams of the method, drawn in code: the training scheme and the split of the spectrum."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch
from numpy.typing import ArrayLike

from dnalib.plots.style import (
    BLACK,
    FILTER_COLOURS,
    FILTER_HATCHES,
    GREY,
    SMALL,
    TEXT,
    dress,
    legend_above,
    new_figure,
    panel_letters,
)

MOST_NUMBERED = 12  # bands a side whose numbers fit beside each other
FROZEN, LEARNING, PLAIN, GOAL = "#E4EAF1", "#FBE3D3", "#FFFFFF", "#DDF0E8"


def training_scheme(*, projected_dimension: int = 50) -> Figure:
    """How an auxiliary model is trained against the models before it (the paper's Figure 1).

    Args:
        projected_dimension: columns of the random projection.

    Source: section 3 of the paper; the loss as in its authors' code, c7354d1.
    """
    figure = new_figure(5.0, layout="compressed")
    order, loss = figure.subplots(2, height_ratios=[1.9, 6.6])
    for axes, height in ((order, 1.9), (loss, 6.5)):
        axes.set(xlim=(-0.05, 12.05), ylim=(-0.05, height), aspect="equal")
        axes.set_axis_off()
    panel_letters([order, loss], ["one model after another", "the loss of the model in training"])
    _draw_order(order)
    _draw_loss(loss, projected_dimension)
    return figure


def spectrum_partition(*, bands: int = 10, rate: float = 300.0) -> Figure:
    """The spectrum cut into equal bands that two filters share (the paper's Figure 2a).

    In one dimension a ring of the Fourier plane is a pair of bands, one at the positive and one
    at the negative frequencies; a real filter treats both alike. Of many bands only some have a
    number, of both filters in turn.

    Args:
        bands: equal bands of the positive half.
        rate: samples a second, Hz.

    Raises:
        ValueError: fewer than two bands.
    """
    if bands < 2:
        raise ValueError(f"bands is {bands}; two filters need at least 2")
    width = rate / 2 / bands
    every = 1 if bands <= MOST_NUMBERED else -(-bands // MOST_NUMBERED) | 1  # odd: filters in turn
    figure = new_figure(1.9)
    axes = figure.subplots()
    for band in range(bands):
        which = band % 2
        for left in (band * width, -(band + 1) * width):
            axes.bar(
                left,
                1,
                width=width,
                align="edge",
                facecolor=_tint(FILTER_COLOURS[which]),
                edgecolor=FILTER_COLOURS[which],
                hatch=FILTER_HATCHES[which],
                linewidth=0.8,
            )
            if band % every == every // 2:  # from the middle, so that those beside zero stand apart
                _number(axes, left + width / 2, band + 1)
    dress(axes, x="Frequency (Hz)", grid="none")
    axes.set(xlim=(-rate / 2, rate / 2), ylim=(0, 1), yticks=[])
    axes.set_xticks(np.linspace(-rate / 2, rate / 2, 11))
    axes.spines["left"].set_visible(False)
    handles = [
        Patch(
            facecolor=_tint(FILTER_COLOURS[which]),
            edgecolor=FILTER_COLOURS[which],
            hatch=FILTER_HATCHES[which],
            label=f"{name} passes",
        )
        for which, name in enumerate(("h₁", "h₂"))
    ]
    legend_above(figure, handles=handles, ncols=2)
    return figure


def frequency_responses(first: ArrayLike, second: ArrayLike, *, rate: float) -> Figure:
    """The gains of the two filters over frequency (the paper's Figure 2b).

    Args:
        first, second: (bin,) gains of h₁ and h₂ on the bins of an rfft of even length.
        rate: samples a second, Hz.

    Raises:
        ValueError: the two have different shapes.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(
            f"first has shape {first.shape} and second has shape {second.shape}; "
            "both must be (bin,) of one length"
        )
    frequency = np.linspace(0, rate / 2, len(first))  # (bin,), Hz
    figure = new_figure(3.0)
    panels = figure.subplots(2, sharex=True)
    for axes, gain, which in zip(panels, (first, second), range(2), strict=True):
        colour = FILTER_COLOURS[which]
        axes.plot(frequency, gain, color=colour, linewidth=1.2, drawstyle="steps-mid")
        axes.fill_between(
            frequency,
            gain,
            step="mid",
            facecolor=_tint(colour),
            edgecolor=colour,
            hatch=FILTER_HATCHES[which],
            linewidth=0,
        )
        dress(axes, y="Gain (ratio)", grid="none")
        axes.set(ylim=(0, 1.12), yticks=[0, 1])
    panel_letters(panels, ["h₁", "h₂"])
    panels[-1].set_xlabel("Frequency (Hz)", fontsize=TEXT)
    panels[-1].set_xlim(0, rate / 2)
    panels[-1].set_xticks(np.linspace(0, rate / 2, 11))
    return figure


def _number(axes: Axes, frequency: float, band: int) -> None:
    """A band's number at its middle, counted from 1."""
    axes.text(
        frequency,
        0.5,
        str(band),
        ha="center",
        va="center",
        fontsize=SMALL,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
    )


def _tint(colour: str) -> tuple[float, float, float]:
    """The colour mixed with three parts of white."""
    red, green, blue = (0.25 * int(colour[i : i + 2], 16) / 255 + 0.75 for i in (1, 3, 5))
    return red, green, blue


def _draw_order(axes: Axes) -> None:
    """base → dec1 → dec2, with what each hands on."""
    names = ("base", "dec1", "dec2")
    under = (
        "cross-entropy",
        "+ $w\\,L_{dec}$ against base",
        "+ $w\\,L_{dec}$ against\nbase and dec1",
    )
    for place, (name, text) in enumerate(zip(names, under, strict=True)):
        x = 0.4 + 4.2 * place
        _box(axes, x, 1.0, 2.4, 0.8, name, FROZEN if place < 2 else LEARNING)
        axes.text(x + 1.2, 0.85, text, ha="center", va="top", fontsize=SMALL)
    for place in range(2):
        x = 2.8 + 4.2 * place
        _arrow(axes, (x, 1.4), (x + 1.8, 1.4))
        stored = ("$Z_1$", "$Z_1, Z_2$")[place]
        axes.text(x + 0.9, 1.48, f"{stored} stored", ha="center", va="bottom", fontsize=SMALL)


def _draw_loss(axes: Axes, projected_dimension: int) -> None:
    """From a batch of records to the loss: two paths of features that meet in a regression."""
    _box(axes, 0.0, 3.15, 1.9, 1.0, "batch of\n$N$ records", PLAIN)
    _box(axes, 2.7, 4.6, 3.0, 1.2, "frozen model $i$:\n$Z_i$ ($N$ × 64), stored", FROZEN)
    _box(axes, 2.7, 1.5, 3.0, 1.2, "model in training:\n$Z$ ($N$ × 64)", LEARNING)
    projected = f"regressor $X$,\nprojected to $XR$\n64 → {projected_dimension} columns"
    _box(axes, 6.6, 4.6, 2.5, 1.2, projected, PLAIN)
    _box(axes, 6.6, 3.0, 2.5, 0.9, "regressand $Y$", PLAIN)
    _box(
        axes,
        9.7,
        3.55,
        2.3,
        1.4,
        "least squares\n$\\hat{Y}$ from [$XR$, 1],\nscored by $R^2$",
        PLAIN,
    )
    _box(
        axes,
        9.0,
        1.5,
        3.0,
        1.2,
        "$L_{dec}$ = log $SS_{tot}$\n− log $SS_{res}$,\nmean over $i$",
        PLAIN,
    )
    _box(axes, 2.7, 0.0, 3.0, 0.9, "cross-entropy", PLAIN)
    _box(axes, 6.9, 0.0, 5.1, 0.9, "loss = cross-entropy + $w\\,L_{dec}$", GOAL)
    for start, end in (
        ((1.9, 3.9), (2.7, 5.0)),
        ((1.9, 3.4), (2.7, 2.3)),
        ((5.7, 5.2), (6.6, 5.2)),
        ((5.7, 2.3), (6.6, 3.3)),
        ((9.1, 5.0), (9.7, 4.6)),
        ((9.1, 3.5), (9.7, 3.9)),
        ((10.8, 3.55), (10.8, 2.7)),
        ((10.5, 1.5), (10.5, 0.9)),
        ((4.2, 1.5), (4.2, 0.9)),
        ((5.7, 0.45), (6.9, 0.45)),
    ):
        _arrow(axes, start, end)
    for start, end in (((5.7, 4.9), (6.6, 3.7)), ((5.7, 2.6), (6.6, 4.7))):
        _arrow(axes, start, end, dashed=True)
    axes.text(
        6.15,
        6.0,
        "which of the two is $X$: drawn anew for each $i$ and batch, ½ : ½",
        ha="center",
        va="bottom",
        fontsize=SMALL,
        color=GREY,
    )


def _box(
    axes: Axes, x: float, y: float, width: float, height: float, text: str, colour: str
) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (x + 0.08, y + 0.08),
            width - 0.16,
            height - 0.16,
            boxstyle="round,pad=0.08",
            facecolor=colour,
            edgecolor=BLACK,
            linewidth=0.9,
        )
    )
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=SMALL)


def _arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], *, dashed: bool = False
) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=10,
            shrinkA=1,
            shrinkB=1,
            linewidth=1.1,
            linestyle="--" if dashed else "-",
            color=GREY if dashed else BLACK,
        )
    )
