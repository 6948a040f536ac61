"""The data set at a glance, and how training went."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from dnalib.plots.style import (
    BLACK,
    BLUE,
    CLASS_COLOURS,
    GREY,
    LIGHT_GREY,
    ORANGE,
    SMALL,
    TEXT,
    draw_behind,
    dress,
    legend_above,
    model_series,
    new_figure,
    panel_letters,
)

MARKERS_A_CURVE = 6
SHORT_NAME = 8  # letters of a name of which five stand beside each other in a legend


def learning_curves(
    histories: Mapping[str, pd.DataFrame],
    *,
    majority: float | None = None,
    chance: float | Mapping[str, float] | None = None,
) -> Figure:
    """Loss and test accuracy an epoch, one line a model.

    A panel for the decorrelation loss is added where a model has one.

    Args:
        histories: model name ("base", "dec1", …) -> columns epoch, train_loss (nats),
            decorrelation_loss (nats, may be NaN) and test_accuracy (fraction).
        majority: share of the commonest class in the test records, drawn as a floor.
        chance: decorrelation loss of features that share nothing (nats), drawn in its panel; one
            for all models, or those of some of them, each drawn in its model's colour.

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
        axes[1].axhline(100 * majority, color=BLACK, linestyle=":", label="commonest class")
    if decorrelated and chance is not None:
        _draw_chance(axes[-1], chance)
    panel_letters(axes)
    axes[-1].set_xlabel("Training time (epochs)", fontsize=TEXT)
    axes[-1].xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    handles = axes[1].get_legend_handles_labels()[0]
    if majority is not None:
        # Under "base", so that each pair of auxiliary models shares a column of the legend.
        handles.insert(1, handles.pop())
    legend_above(
        figure,
        handles=handles,
        ncols=5 if max(map(len, histories)) <= SHORT_NAME else 3,
        handlelength=2.4,
        columnspacing=1.2,
    )
    figure.align_ylabels(axes)
    return figure


def learning_curves_beside_published(
    histories: Mapping[str, pd.DataFrame],
    published: Mapping[str, ArrayLike],
    *,
    ensembles: Mapping[str, Sequence[str]],
    majority: float | None = None,
    behind: Sequence[Mapping[str, pd.DataFrame]] = (),
) -> Figure:
    """Test accuracy over the course of training, ours and the published, one panel an ensemble.

    Trainings of different lengths share an axis: the share of their epochs that is over.

    Args:
        histories: model name -> columns epoch (from 1) and test_accuracy (fraction).
        published: model name -> (epoch,) test accuracy, fraction; models without one are allowed.
        ensembles: name -> its members, each of them in `histories`.
        majority: share of the commonest class in the test records, drawn as a floor.
        behind: histories of other seeds, drawn as light lines.

    Raises:
        ValueError: no ensemble, or a member without a history.
    """
    missing = [name for names in ensembles.values() for name in names if name not in histories]
    if missing or not ensembles:
        raise ValueError(f"histories lacks {', '.join(missing) or 'every model'}")
    rows = -(-len(ensembles) // 2)
    figure = new_figure(2.1 * rows + 1.0)
    panels = figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, names in zip(panels, ensembles.values(), strict=False):
        for name in names:
            if name in published:
                _draw_published_curve(axes, name, np.asarray(published[name], dtype=float))
        for place, name in enumerate(names):
            epochs, values = histories[name].epoch, 100 * histories[name].test_accuracy
            _draw_curve(axes, name, 100 * epochs / epochs.max(), values, place=place)
            for other in behind:
                share = 100 * other[name].epoch / other[name].epoch.max()
                values = 100 * other[name].test_accuracy
                draw_behind(axes, share, values, series=model_series(name), label=name)
        if majority is not None:
            axes.axhline(100 * majority, color=BLACK, linestyle=":", label="commonest class")
        dress(axes)
    for axes in panels[len(ensembles) :]:
        axes.set_axis_off()
    ours = np.concatenate([histories[name].test_accuracy for name in histories])  # (any,)
    floor = ours.min() if majority is None else min(ours.min(), majority)
    panels[0].set_ylim(100 * floor - 5, None)  # single epochs of the published fall far below
    panel_letters(panels[: len(ensembles)], list(ensembles))
    figure.supxlabel("Share of the training that is over (%)", fontsize=TEXT)
    figure.supylabel("Test accuracy (%)", fontsize=TEXT)
    _beside_legend(figure, published=bool(published), majority=majority is not None)
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


def _draw_published_curve(axes: Axes, name: str, accuracy: NDArray[np.floating]) -> None:
    """A thin grey line behind ours, dashed for the second auxiliary model as ours is."""
    share = 100 * np.arange(1, len(accuracy) + 1) / len(accuracy)  # (epoch,), %
    axes.plot(
        share,
        100 * accuracy,
        color=GREY,
        linestyle=model_series(name).line,
        linewidth=0.7,
        zorder=1.5,
        label=f"{name}, published",
    )


def _beside_legend(figure: Figure, *, published: bool, majority: bool) -> None:
    """What lines mean in every panel: each has its ensemble's colour and markers."""
    base, first, second = (model_series(name) for name in ("base", "cor1", "cor2"))
    looks: list[tuple[str, dict[str, Any]]] = [
        ("base model", {"color": base.colour, "marker": base.marker}),
        ("first auxiliary", {"color": BLUE, "linestyle": first.line, "marker": "o"}),
        (
            "second auxiliary",
            {"color": BLUE, "linestyle": second.line, "marker": "o", "markerfacecolor": "white"},
        ),
    ]
    if published:
        looks.append(("first, published", {"color": GREY, "linewidth": 0.7}))
        thin = {"color": GREY, "linewidth": 0.7, "linestyle": second.line}
        looks.append(("second, published", thin))
    if majority:
        looks.append(("commonest class", {"color": BLACK, "linestyle": ":"}))
    handles = [Line2D([], [], label=label, markersize=4.5, **look) for label, look in looks]
    legend_above(figure, handles=handles, ncols=3, handlelength=2.4, columnspacing=1.2)


def _draw_chance(axes: Axes, chance: float | Mapping[str, float]) -> None:
    """A dashed line for all models, or one for each that has a level of its own."""
    levels = chance if isinstance(chance, Mapping) else {None: chance}
    for name, level in levels.items():
        colour = BLACK if name is None else model_series(name).colour
        axes.axhline(level, color=colour, linestyle="--", linewidth=1)


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
