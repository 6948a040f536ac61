"""Accuracy and robustness of the ensembles, with intervals and published values."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dnalib.plots.style import (
    BLACK,
    CLASS_COLOURS,
    GREY,
    SMALL,
    TEXT,
    draw_behind,
    draw_intervals,
    dress,
    ensemble_handle,
    ensemble_series,
    intervals_word,
    legend_above,
    new_figure,
    panel_letters,
    spaced,
)

MEASURES = {
    "average": "Average accuracy",
    "P(≥1)": "P(≥1)",
    "P(≥2)": "P(≥2)",
    "P(≥3)": "P(≥3)",
}
NATURAL_MEASURES = {
    "average": "Average",
    "P(≥1)": "P(≥1)",
    "P(≥2)": "P(≥2)",
    "P(≥3)": "P(≥3)",
    "P(≥1), class-averaged": "P(≥1), class-\naveraged",
}


def robustness(
    table: pd.DataFrame,
    *,
    attack: str,
    padding: str,
    behind: Sequence[pd.DataFrame] = (),
    published: Mapping[tuple[str, str, float], float] | None = None,
    majority: float | None = None,
) -> Figure:
    """Accuracy and P(≥x) against the bound of an attack (the paper's Figures 3 and 4).

    Args:
        table: from `robustness.robustness_table`.
        attack, padding: the rows to draw.
        behind: tables of other seeds, whose values are drawn lightly and without intervals.
        published: (ensemble, measure, epsilon) -> fraction, drawn as open stars.
        majority: what always answering the commonest class scores on these records.

    Raises:
        ValueError: the table has no row for this attack and padding.
    """
    part, *others = [_condition(one, attack=attack, padding=padding) for one in (table, *behind)]
    published = published or {}
    figure = new_figure(5.6)
    panels = figure.subplots(2, 2, sharex=True, sharey=True).ravel()
    epsilons = sorted(part.epsilon.unique())
    margin = (0.2 if published else 0.05) * (epsilons[-1] - epsilons[0] or 1)  # room for names
    panels[0].set_xlim(epsilons[0] - margin, epsilons[-1] + margin)
    for axes, measure in zip(panels, MEASURES, strict=True):
        rows = part[part.measure == measure]
        for ensemble, line in rows.groupby("ensemble", sort=False):
            _draw_line(axes, ensemble, line.sort_values("epsilon"))
        for other in others:
            for ensemble, line in other[other.measure == measure].groupby("ensemble", sort=False):
                theirs, series = line.sort_values("epsilon"), ensemble_series(ensemble)
                draw_behind(axes, theirs.epsilon, 100 * theirs.value, series=series, label=ensemble)
        for (ensemble, of, epsilon), value in published.items():
            if of == measure:
                _draw_published(axes, ensemble, epsilon, value)
        if majority is not None:
            axes.axhline(100 * majority, color=BLACK, linestyle=":", linewidth=1)
        dress(axes)
        axes.set_xticks(spaced(epsilons, share=0.12))
        axes.set_ylim(-3, 103)
    panel_letters(panels, list(MEASURES.values()))
    figure.supxlabel("Bound of the attack, ε (µV)", fontsize=TEXT)
    figure.supylabel("Share of records (%)", fontsize=TEXT)
    _legend(figure, part, published=bool(published), majority=majority is not None)
    return figure


def natural_accuracy(
    table: pd.DataFrame,
    *,
    behind: Sequence[pd.DataFrame] = (),
    majority: float | None = None,
) -> Figure:
    """Accuracy and P(≥x) on natural records (the paper's Figure 5), with intervals.

    Args:
        table: from `robustness.ensemble_table`.
        behind: tables of other seeds, whose values are drawn lightly and without intervals.
        majority: what always answering the commonest class scores on these records; where the
            classes count alike, that is one class of all.

    Raises:
        ValueError: the table has two rows for an ensemble and measure.
    """
    if table.duplicated(["ensemble", "measure"]).any():
        raise ValueError("table has two rows for one ensemble and measure; give one condition")
    ensembles = list(dict.fromkeys(table.ensemble))
    figure = new_figure(3.4)
    axes = figure.subplots()
    for place, ensemble in enumerate(ensembles):
        shift = 0.16 * (place - (len(ensembles) - 1) / 2)
        rows = table[table.ensemble == ensemble].set_index("measure").reindex(NATURAL_MEASURES)
        _draw_points(axes, ensemble, np.arange(len(rows)) + shift, rows)
        for other in behind:
            theirs = (
                other[other.ensemble == ensemble].set_index("measure").reindex(NATURAL_MEASURES)
            )
            places = np.arange(len(theirs)) + shift
            series = ensemble_series(ensemble)
            draw_behind(
                axes, places, 100 * theirs.value, series=series, label=ensemble, lines=False
            )
    if majority is not None:
        for position, measure in enumerate(NATURAL_MEASURES):
            floor = 1 / len(CLASS_COLOURS) if "class" in measure else majority
            ends = (position - 0.5, position + 0.5)
            axes.plot(ends, [100 * floor] * 2, color=BLACK, linestyle=":", linewidth=1)
    for edge in np.arange(len(NATURAL_MEASURES) - 1) + 0.5:
        axes.axvline(edge, color=GREY, linewidth=0.5)
    dress(axes, x="Measure", y="Share of records (%)")
    axes.set_xticks(range(len(NATURAL_MEASURES)), NATURAL_MEASURES.values())
    axes.tick_params(axis="x", length=0)
    axes.set(xlim=(-0.5, len(NATURAL_MEASURES) - 0.5), ylim=(-3, 103))
    _legend(figure, table, published=False, majority=majority is not None, lines=False)
    return figure


def _condition(table: pd.DataFrame, *, attack: str, padding: str) -> pd.DataFrame:
    part = table[(table.attack == attack) & (table.padding == padding)]
    if part.empty:
        known = sorted(set(zip(table.attack, table.padding, strict=True)))
        raise ValueError(f"table has no {attack!r} with padding {padding!r}; it has {known}")
    return part


def _draw_line(
    axes: Axes,
    ensemble: str,
    rows: pd.DataFrame,
    *,
    line: object = None,
    face: str | None = None,
    label: str | None = None,
) -> None:
    """One ensemble over epsilon, in per cent, with its intervals."""
    series = ensemble_series(ensemble)
    draw_intervals(axes, rows.epsilon, 100 * rows.low, 100 * rows.high, colour=series.colour)
    axes.plot(
        rows.epsilon,
        100 * rows.value,
        color=series.colour,
        linestyle=line or series.line,
        linewidth=1.5,
        marker=series.marker,
        markersize=5,
        markerfacecolor=face or series.colour,
        label=label or ensemble,
    )


def _draw_points(axes: Axes, ensemble: str, positions: np.ndarray, rows: pd.DataFrame) -> None:
    series = ensemble_series(ensemble)
    axes.errorbar(
        positions,
        100 * rows.value,
        yerr=100 * np.stack([rows.value - rows.low, rows.high - rows.value]),
        color=series.colour,
        marker=series.marker,
        markersize=5.5,
        linestyle="none",
        capsize=2.5,
        linewidth=1.2,
        label=ensemble,
    )


def _draw_published(axes: Axes, ensemble: str, epsilon: float, value: float) -> None:
    """An open star behind our own point, with the ensemble's name."""
    colour = ensemble_series(ensemble).colour
    axes.plot(
        [epsilon],
        [100 * value],
        marker="*",
        markersize=13,
        markerfacecolor="white",
        markeredgecolor=colour,
        markeredgewidth=1.2,
        linestyle="none",
        zorder=1.8,
        label=f"{ensemble}, published",
    )
    side = -1 if epsilon < np.mean(axes.get_xlim()) else 1  # outwards, where no line runs
    axes.annotate(
        ensemble,
        (epsilon, 100 * value),
        xytext=(8 * side, 0),
        textcoords="offset points",
        ha="right" if side < 0 else "left",
        va="center",
        fontsize=SMALL,
        color=colour,
        zorder=1.7,
    )


def _legend(
    figure: Figure, table: pd.DataFrame, *, published: bool, majority: bool, lines: bool = True
) -> None:
    """One legend over the panels, with the number of records as its heading."""
    handles = [ensemble_handle(name, lines=lines) for name in dict.fromkeys(table.ensemble)]
    if published:
        star = Line2D(
            [],
            [],
            color=BLACK,
            label="published",
            marker="*",
            markersize=11,
            markerfacecolor="white",
            linestyle="none",
        )
        handles.append(star)
    if majority:
        handles.append(Line2D([], [], color=BLACK, linestyle=":", label="commonest class"))
    fewest, most = table.records.min(), table.records.max()
    number = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
    places = table.epsilon if lines else ()
    legend_above(
        figure,
        handles=handles,
        title=f"{number} records; {intervals_word(places)}: 95 % intervals",
        ncols=4,
        handlelength=3,
    )
