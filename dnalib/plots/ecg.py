"""ECGs on ECG paper, attacks on them, and what the filters leave of a beat.

Signals come in raw units (1 raw unit = 1 µV) at any sampling rate.
"""

from collections.abc import Mapping, Sequence
from string import ascii_letters

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from dnalib.plots.slider import FigureSlider, Picture
from dnalib.plots.squared_paper import (
    draw_paper,
    draw_trace,
    label_times,
    paper_rows,
    set_times,
    stretch,
    voltage_span,
)
from dnalib.plots.style import BLACK, FILTER_COLOURS, GREY, PURPLE, TEXT, dress, new_figure


def ecg_paper(
    signals: Sequence[ArrayLike],
    *,
    rate: float,
    titles: Sequence[str],
    seconds: float = 10.0,
    start: float = 0.0,
) -> Figure:
    """Stretches of ECG on paper, one above the other, 25 mm/s and 10 mm/mV in proportion.

    Each row opens with the calibration pulse (1 mV, 200 ms). A trace beyond ±2 mV is cut there,
    with a note that says so.

    Args:
        signals: (time,) each, raw units (µV), of any length.
        rate: samples a second, Hz.
        titles: one a signal.
        seconds, start: the stretch drawn, s.

    Raises:
        ValueError: titles and signals differ in number, or a signal ends before `start`.

    Source: the usual scale of printed ECGs (Kligfield et al. 2007, AHA/ACC/HRS recommendations).
    """
    if len(signals) != len(titles) or not len(signals):
        raise ValueError(
            f"{len(signals)} signals and {len(titles)} titles; give one title a signal"
        )
    rows = [stretch(signal, rate=rate, seconds=seconds, start=start) for signal in signals]
    spans = [voltage_span(row) for row in rows]
    figure, panels = paper_rows(spans, seconds=seconds)
    for axes, row, span, title in zip(panels, rows, spans, titles, strict=True):
        draw_paper(axes, start=start, seconds=seconds, span=span)
        draw_trace(axes, row, rate=rate, start=start)
        axes.set_title(title, fontsize=TEXT, loc="left", pad=4)
    label_times(panels)
    figure.supylabel("ECG (mV)", fontsize=TEXT)
    return figure


def attacked_ecg(
    signal: ArrayLike,
    perturbations: Mapping[str, ArrayLike],
    *,
    rate: float,
    epsilon: float,
    seconds: float = 3.0,
    start: float = 0.0,
    span: tuple[float, float] | None = None,
    largest: float | None = None,
) -> Figure:
    """The record as it was, then for each attack the attacked ECG and the perturbation alone.

    The ECGs share one paper scale in mV; each perturbation has an axis of its own in µV, with
    ±ε as dashed lines.

    Args:
        signal: (time,), raw units (µV).
        perturbations: attack name -> (time,), raw units, to be added to the signal.
        rate: samples a second, Hz.
        epsilon: the bound of the attacks, raw units.
        seconds, start: the stretch drawn, s.
        span: lowest and highest voltage of the paper, mV; None for what the ECGs need.
        largest: the bound that the perturbations' axes have room for, raw units; None for
            `epsilon`.

    Raises:
        ValueError: a perturbation is not as long as the signal, or the signal ends before `start`.
    """
    rows = _attacked_stretches(signal, perturbations, rate=rate, seconds=seconds, start=start)
    span = voltage_span(np.concatenate(list(rows.values()))) if span is None else span
    largest = epsilon if largest is None else largest
    figure, panels = paper_rows([span, *[span, None] * len(perturbations)], seconds=seconds)
    letters = iter(ascii_letters)
    for axes, (name, row) in zip([panels[0], *panels[1::2]], rows.items(), strict=True):
        draw_paper(axes, start=start, seconds=seconds, span=span)
        draw_trace(axes, row, rate=rate, start=start)
        axes.set_ylabel("ECG (mV)", fontsize=TEXT)
        title = name if name == "Unperturbed" else f"{name}, ε = {epsilon:g} µV"
        axes.set_title(f"{next(letters)}  {title}", fontsize=TEXT, loc="left", weight="bold", pad=4)
    for axes, perturbation in zip(panels[2::2], perturbations.values(), strict=True):
        row = stretch(perturbation, rate=rate, seconds=seconds, start=start)
        _draw_perturbation(axes, row, rate=rate, start=start, epsilon=epsilon, largest=largest)
        set_times(axes, start=start, seconds=seconds)
    label_times(panels)
    figure.align_ylabels(panels)
    return figure


def attacked_ecg_slider(
    signal: ArrayLike,
    perturbations: Mapping[float, Mapping[str, ArrayLike]],
    *,
    rate: float,
    shown: float,
    seconds: float = 3.0,
    start: float = 0.0,
) -> FigureSlider:
    """`attacked_ecg` at ε = 0 and at each ε of several, all on one scale, and a slider over ε.

    Args:
        signal: (time,), raw units (µV).
        perturbations: ε -> attack name -> (time,), raw units.
        rate: samples a second, Hz.
        shown: the ε nearest to this one is shown first.
        seconds, start: the stretch drawn, s.

    Raises:
        ValueError: as `attacked_ecg`; no ε.
    """
    if not perturbations:
        raise ValueError("perturbations hold no epsilon; at least one is needed")
    epsilons = sorted(perturbations)
    rows = [
        row
        for added in perturbations.values()
        for row in _attacked_stretches(
            signal, added, rate=rate, seconds=seconds, start=start
        ).values()
    ]
    span, largest = voltage_span(np.concatenate(rows)), epsilons[-1]
    nothing = {name: np.zeros(np.shape(signal)) for name in perturbations[epsilons[0]]}
    pictures = [
        Picture(
            attacked_ecg(
                signal,
                added,
                rate=rate,
                epsilon=epsilon,
                seconds=seconds,
                start=start,
                span=span,
                largest=largest,
            ),
            value=f"ε = {epsilon:g} µV",
            description=f"ECG on paper, unperturbed and under {' and '.join(added)} at "
            f"ε = {epsilon:g} µV, each attack with its perturbation below.",
        )
        for epsilon, added in [(0.0, nothing), *sorted(perturbations.items())]
    ]
    nearest = int(np.argmin(np.abs(np.array(epsilons) - shown)))
    return FigureSlider("Bound of the attack, ε", pictures, shown=1 + nearest)


def filtered_beat(
    signal: ArrayLike, first: ArrayLike, second: ArrayLike, *, rate: float, start: float = 0.0
) -> Figure:
    """One stretch of ECG and what the two complementary filters leave of it.

    Args:
        signal: (time,), raw units (µV), the stretch to draw.
        first, second: (time,), the same stretch after h₁ and after h₂; they add up to `signal`.
        rate: samples a second, Hz.
        start: time of the first sample, s.

    Raises:
        ValueError: the three lengths differ.
    """
    signal = np.asarray(signal, dtype=float)
    _check_length("first", first, signal)
    _check_length("second", second, signal)
    figure = new_figure(4.2)
    panels = figure.subplots(3, sharex=True, sharey=True)
    time = start + np.arange(len(signal)) / rate  # (time,), s
    rows = (
        (signal, BLACK, "the ECG"),
        (first, FILTER_COLOURS[0], "what h₁ leaves"),
        (second, FILTER_COLOURS[1], "what h₂ leaves"),
    )
    for axes, letter, (values, colour, name) in zip(panels, "abc", rows, strict=True):
        axes.plot(time, np.asarray(values, dtype=float) / 1000, color=colour, linewidth=1.2)
        axes.set_title(f"{letter}  {name}", fontsize=TEXT, loc="left", weight="bold")
        dress(axes, y="Voltage (mV)", grid="both")
    panels[-1].set_xlabel("Time (s)", fontsize=TEXT)
    panels[-1].set_xlim(time[0], time[-1])
    return figure


def _attacked_stretches(
    signal: ArrayLike,
    perturbations: Mapping[str, ArrayLike],
    *,
    rate: float,
    seconds: float,
    start: float,
) -> dict[str, NDArray[np.floating]]:
    """The drawn part of the record and of each attacked one, in mV: (time,) each."""
    signal = np.asarray(signal, dtype=float)
    for name, perturbation in perturbations.items():
        _check_length(f"perturbations[{name!r}]", perturbation, signal)
    ecgs = {"Unperturbed": signal}
    ecgs |= {name: signal + np.asarray(value) for name, value in perturbations.items()}
    return {
        name: stretch(value, rate=rate, seconds=seconds, start=start)
        for name, value in ecgs.items()
    }


def _check_length(name: str, values: ArrayLike, signal: NDArray[np.floating]) -> None:
    if np.shape(values) != signal.shape or signal.ndim != 1:
        raise ValueError(
            f"{name} has shape {np.shape(values)} and signal has shape {signal.shape}; "
            "both must be (time,) of one length"
        )


def _draw_perturbation(
    axes: Axes,
    millivolts: NDArray[np.floating],
    *,
    rate: float,
    start: float,
    epsilon: float,
    largest: float,
) -> None:
    time = start + np.arange(len(millivolts)) / rate  # (time,), s
    axes.axhline(epsilon, color=GREY, linewidth=0.8, linestyle="--")
    axes.axhline(-epsilon, color=GREY, linewidth=0.8, linestyle="--")
    axes.plot(time, millivolts * 1000, color=PURPLE, linewidth=0.6, label="perturbation")
    axes.set_ylim(-1.25 * largest, 1.25 * largest)
    axes.set_yticks([-largest, 0, largest])
    dress(axes, y="Added (µV)", grid="none")
