"""Matrices of shares, with a number in each cell: the shade is never alone."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from dnalib.plots.style import BLACK, SMALL, TEXT

APART = 0.19  # of a cell's height, of two lines of text from its middle
LIGHT = 0.68  # opacity of the second


def draw_cells(
    axes: Axes,
    shares: NDArray[np.floating],
    texts: NDArray[np.str_],
    *,
    below: NDArray[np.str_] | None = None,
) -> AxesImage:
    """Cells shaded by a share in %, NaN staying white, each with its text, or two of them."""
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for (row, column), text in np.ndenumerate(texts):
        colour = "white" if shares[row, column] > 55 else BLACK
        look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": SMALL, "color": colour}
        if below is None:
            axes.text(column, row, str(text), **look)
            continue
        axes.text(column, row - APART, str(text), **look)
        axes.text(column, row + APART, str(below[row, column]), alpha=LIGHT, **look)
    return image


def shade_bar(figure: Figure, image: AxesImage, panels: Iterable[Axes], *, label: str) -> None:
    """The bar that says what the shades mean."""
    bar = figure.colorbar(image, ax=list(panels), shrink=0.7, pad=0.02)
    bar.set_label(label, fontsize=TEXT)
    bar.ax.tick_params(labelsize=SMALL)
