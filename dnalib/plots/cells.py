"""Matrices of shares, with a number in each cell: the shade is never alone."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from dnalib.plots.style import BLACK, SMALL, TEXT


def draw_cells(axes: Axes, shares: NDArray[np.floating], texts: NDArray[np.str_]) -> AxesImage:
    """Cells shaded by a share in %, NaN staying white, each with its text."""
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for (row, column), text in np.ndenumerate(texts):
        colour = "white" if shares[row, column] > 55 else BLACK
        axes.text(column, row, text, ha="center", va="center", fontsize=SMALL, color=colour)
    return image


def shade_bar(figure: Figure, image: AxesImage, panels: Sequence[Axes], *, label: str) -> None:
    """The bar that says what the shades mean."""
    bar = figure.colorbar(image, ax=panels, shrink=0.7, pad=0.02)
    bar.set_label(label, fontsize=TEXT)
    bar.ax.tick_params(labelsize=SMALL)
