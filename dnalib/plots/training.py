"""The data set at a glance, and how training went."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from dnalib.plots.style import (
    BLACK,
    BLUE,
    CLASS_COLOURS,
    LIGHT_GREY,
    ORANGE,
    SMALL,
    TEXT,
    dress,
    model_series,
    new_figure,
    panel_letters,
)

MARKERS_A_CURVE = 6


def learning_curves(
    histories: Mapping[str, pd.DataFrame], *, majority: float | None = None
) -> Figure:
    """Loss and test accuracy an epoch, one line a model.

    A panel for the decorrelation loss is added where a model has one.

    Args:
        histories: model name ("base", "dec1", …) -> columns epoch, train_loss (nats),
            decorrelation_loss (nats, may be NaN) and test_accuracy (fraction).
        majority: share of the commonest class in the test records, drawn as a floor.

    Raises:
        ValueError: no history, or one lacks a column.
    """
    columns = ("epoch", "train_loss", "decorrelation_loss", "test_accuracy")
    for name, history in histories.items():
        missing = [column for column in columns if column not in history]
        if missing:
            raise ValueError(f"histories[{name!r}] lacks {', '.join(missing)}")
    if not histories:
        raise ValueError("histories is empty; give at least one model")
    decorrelated = any(history.decorrelation_loss.notna().any() for history in histories.values())
    panels = ["train_loss", "test_accuracy", *["decorrelation_loss"] * decorrelated]
    figure = new_figure(2.2 * len(panels) + 0.6)
    axes = figure.subplots(len(panels), sharex=True)
    labels = {
        "train_loss": "Training loss (nats)",
        "test_accuracy": "Test accuracy (%)",
        "decorrelation_loss": "Decorrelation (nats)",
    }
    for panel, column in zip(axes, panels, strict=True):
        scale = 100 if column == "test_accuracy" else 1
        for place, (name, history) in enumerate(histories.items()):
            _draw_curve(panel, name, history.epoch, scale * history[column], place=place)
        dress(panel, y=labels[column])
    if majority is not None:
        axes[1].axhline(100 * majority, color=BLACK, linestyle=":", label="majority class")
    panel_letters(axes)
    axes[-1].set_xlabel("Training time (epochs)", fontsize=TEXT)
    handles = axes[1].get_legend_handles_labels()[0]
    if majority is not None:
        # Under "base", so that each pair of auxiliary models shares a column of the legend.
        handles.insert(1, handles.pop())
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=5,
        fontsize=SMALL,
        frameon=False,
        handlelength=2.4,
        columnspacing=1.2,
    )
    figure.align_ylabels(axes)
    return figure


def class_counts(train: ArrayLike, test: ArrayLike, *, names: Sequence[str]) -> Figure:
    """Share of each class in the training and the test records, with the counts over the bars.

    Args:
        train, test: (class,) counts of records.
        names: (class,).

    Raises:
        ValueError: the three differ in length.
    """
    train, test = np.asarray(train), np.asarray(test)
    if not train.shape == test.shape == (len(names),):
        raise ValueError(
            f"train has shape {train.shape}, test has shape {test.shape} and there are "
            f"{len(names)} names; give one of each a class"
        )
    figure = new_figure(2.9)
    axes = figure.subplots()
    places = np.arange(len(names))
    parts = (("training", train, BLUE, "////", -0.2), ("test", test, ORANGE, "....", 0.2))
    for name, counts, colour, hatch, shift in parts:
        bars = axes.bar(
            places + shift,
            100 * counts / counts.sum(),
            width=0.38,
            facecolor="white",
            edgecolor=colour,
            hatch=hatch,
            label=f"{name}, {counts.sum():,} records",
        )
        axes.bar_label(bars, [f"{count:,}" for count in counts], padding=2, fontsize=SMALL)
    dress(axes, x="Class (records over the bars)", y="Share of the part (%)")
    axes.set_xticks(places, names)
    axes.margins(y=0.12)
    axes.legend(fontsize=SMALL, frameon=False)
    return figure


def record_lengths(edges_seconds: ArrayLike, counts: ArrayLike, *, names: Sequence[str]) -> Figure:
    """Histogram of the record lengths, one panel a class, counts on a logarithmic scale.

    Args:
        edges_seconds: (bin + 1,), s.
        counts: (class, bin), records.
        names: (class,).

    Raises:
        ValueError: the shapes do not fit.
    """
    edges, counts = np.asarray(edges_seconds, dtype=float), np.asarray(counts)
    if counts.shape != (len(names), len(edges) - 1):
        raise ValueError(
            f"counts has shape {counts.shape}, edges_seconds has shape {edges.shape} and there "
            f"are {len(names)} names; expected counts (class, bin) and edges (bin + 1,)"
        )
    rows = -(-len(names) // 2)
    figure = new_figure(1.6 * rows + 0.6)
    panels = figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False).ravel()
    for place, (axes, name) in enumerate(zip(panels, names, strict=False)):
        axes.stairs(
            counts[place],
            edges,
            baseline=0.5,  # below one record, where a logarithmic axis can start
            fill=True,
            facecolor=LIGHT_GREY,
            edgecolor=CLASS_COLOURS[place % len(CLASS_COLOURS)],
            linewidth=1.2,
            label=name,
        )
        axes.set_yscale("log")
        dress(axes)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    panels[0].set_ylim(bottom=0.5)
    panel_letters(panels[: len(names)], names)
    figure.supxlabel("Record length (s)", fontsize=TEXT)
    figure.supylabel("Records (number)", fontsize=TEXT)
    return figure


def _draw_curve(axes: Axes, name: str, epochs: pd.Series, values: pd.Series, *, place: int) -> None:
    """One line; markers are staggered so that nine models do not print them on each other."""
    if not values.notna().any():
        return
    series = model_series(name)
    step = max(1, len(epochs) // MARKERS_A_CURVE)
    axes.plot(
        epochs,
        values,
        color=series.colour,
        linestyle=series.line,
        linewidth=1.3,
        marker=series.marker,
        markersize=4.5,
        markevery=(place % step, step),
        markerfacecolor=series.colour if series.line == "-" else "white",
        label=name,
    )
