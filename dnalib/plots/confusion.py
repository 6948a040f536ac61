"""Which classes are taken for which."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike, NDArray

from dnalib.plots.cells import draw_cells, shade_bar
from dnalib.plots.style import SMALL, TEXT, WIDTH, new_figure, panel_letters


def confusion_matrices(
    matrices: Mapping[str, ArrayLike],
    *,
    names: Sequence[str],
) -> Figure:
    """Confusion matrices side by side: counts, shaded by the share of the true class.

    Args:
        matrices: caption -> (true class, predicted class) counts.
        names: (class,), short.

    Raises:
        ValueError: no matrix, or one that does not fit the names.
    """
    if not matrices:
        raise ValueError("matrices is empty; give at least one")
    columns = min(2, len(matrices))
    rows = -(-len(matrices) // columns)
    # One matrix alone needs no more width than itself, its labels and the bar.
    figure = new_figure(2.45 * rows + 0.4, width=WIDTH if columns == 2 else 0.68 * WIDTH)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, name in zip(panels, matrices, strict=False):
        image = _draw_matrix(axes, _counts(matrices, name, names))
        axes.set_xticks(range(len(names)), names)
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(labelsize=SMALL, length=0, labelbottom=True)
    for axes in panels[len(matrices) :]:
        axes.set_axis_off()
    panel_letters(panels[: len(matrices)], list(matrices))
    figure.supxlabel("Predicted class (number of records)", fontsize=TEXT)
    figure.supylabel("True class", fontsize=TEXT)
    shade_bar(figure, image, panels, label="Share of the true class (%)")
    return figure


def _counts(
    matrices: Mapping[str, ArrayLike], name: str, names: Sequence[str]
) -> NDArray[np.integer]:
    """One of the matrices, checked."""
    counts = np.asarray(matrices[name])
    if counts.shape != (len(names), len(names)):
        raise ValueError(
            f"matrices[{name!r}] has shape {counts.shape} and there are {len(names)} names; "
            "expected (class, class)"
        )
    return counts


def _draw_matrix(axes: Axes, counts: NDArray[np.integer]) -> AxesImage:
    """Counts over a shade of blue; a class without a record stays white."""
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    return draw_cells(axes, 100 * shares, np.vectorize(str)(counts))
