"""The squared paper of ECGs, true to scale, and a trace on it.

Signals come in raw units (1 raw unit = 1 µV) at any sampling rate; what is drawn is in mV.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from numpy.typing import ArrayLike, NDArray

from dnalib.plots.style import BLACK, SMALL, TEXT, VERMILLION, WIDTH, new_figure

MINOR_SECONDS, MINOR_MILLIVOLTS = 0.04, 0.1  # 1 mm of paper at 25 mm/s and 10 mm/mV
MAJOR_SECONDS, MAJOR_MILLIVOLTS = 0.2, 0.5
PAPER_MINOR, PAPER_MAJOR = "#FAE3E3", "#EBB3B3"
LARGEST = 2.0  # mV from the zero line; what goes beyond is cut there and said so
LEAD_IN = 0.48  # s of paper before the trace, for the calibration pulse
MARGINS = 0.75  # inches beside the paper, for labels


def paper_rows(
    spans: Sequence[tuple[float, float] | None], *, seconds: float
) -> tuple[Figure, list[Axes]]:
    """A figure just high enough for rows of paper; None asks for an ordinary row, 1.2 mV high."""
    inches = (WIDTH - MARGINS) / (25 * (seconds + LEAD_IN))  # of one printed millimetre
    heights = [10 * inches * (span[1] - span[0] if span else 1.2) for span in spans]
    above = sum(0.3 if span else 0.12 for span in spans)  # inches; paper has a title over it
    figure = new_figure(sum(heights) + above + 0.45, layout="compressed")
    panels = figure.subplots(len(spans), squeeze=False, height_ratios=heights)[:, 0]
    return figure, list(panels)


def draw_paper(axes: Axes, *, start: float, seconds: float, span: tuple[float, float]) -> None:
    """Small and large squares over a stretch of time in s and a span of voltage in mV."""
    set_times(axes, start=start, seconds=seconds)
    axes.set_ylim(*span)
    axes.set_aspect(10 / 25)  # 10 mm a mV over 25 mm a second: squares stay square
    axes.yaxis.set_major_locator(MultipleLocator(1.0))
    axes.tick_params(labelsize=SMALL, length=3)
    lines = (
        (MINOR_SECONDS, MINOR_MILLIVOLTS, PAPER_MINOR, 0.35),
        (MAJOR_SECONDS, MAJOR_MILLIVOLTS, PAPER_MAJOR, 0.7),
    )
    for across, up, colour, width in lines:
        times = start + across * np.arange(-round(LEAD_IN / across), round(seconds / across) + 1)
        volts = up * np.arange(round(span[0] / up), round(span[1] / up) + 1)
        axes.vlines(times, *span, color=colour, linewidth=width, zorder=0)
        axes.hlines(volts, *axes.get_xlim(), color=colour, linewidth=width, zorder=0)
    for spine in axes.spines.values():
        spine.set_color(PAPER_MAJOR)


def set_times(axes: Axes, *, start: float, seconds: float) -> None:
    """Let a row show a stretch of time in s, one of paper and an ordinary one alike."""
    axes.set_xlim(start - LEAD_IN, start + seconds)
    step = 1.0 if seconds > 2 else MAJOR_SECONDS  # five large squares, or one
    axes.set_xticks(np.arange(start, start + seconds + step / 2, step))


def label_times(panels: Sequence[Axes]) -> None:
    """What the times are, below the last of rows that stand one above the other."""
    for axes in panels[:-1]:
        axes.tick_params(labelbottom=False)
    panels[-1].set_xlabel("Time (s), in the proportions of 25 mm/s and 10 mm/mV", fontsize=TEXT)


def draw_trace(axes: Axes, millivolts: NDArray[np.floating], *, rate: float, start: float) -> None:
    """The calibration pulse, the trace, and a note where it is cut."""
    low, high = axes.get_ylim()
    pulse = start + np.array([-0.40, -0.32, -0.32, -0.12, -0.12, -0.04])  # s: 200 ms at 1 mV
    axes.plot(pulse, [0, 0, 1, 1, 0, 0], color=BLACK, linewidth=0.8, label="calibration")
    time = start + np.arange(len(millivolts)) / rate  # (time,), s
    shown = millivolts.clip(low, high)
    # Unclipped at the frame, so that a cut stretch is seen to run along the edge of the paper.
    axes.plot(time, shown, color=BLACK, linewidth=0.8, label="ECG", clip_on=False, zorder=3)
    if millivolts.min() < low or millivolts.max() > high:
        runs = f"{millivolts.min():.1f} to {millivolts.max():.1f} mV".replace("-", "−")
        note = f"cut at ±{LARGEST:g} mV; it runs {runs}"
        axes.set_title(note, fontsize=SMALL, color=VERMILLION, loc="right", pad=4)


def stretch(
    signal: ArrayLike, *, rate: float, seconds: float, start: float
) -> NDArray[np.floating]:
    """The drawn part of a signal in mV: (time,).

    Args:
        signal: (time,), raw units (µV).
        rate: samples a second, Hz.
        seconds, start: the stretch drawn, s.

    Raises:
        ValueError: another number of axes, a start outside the signal, or a value in the stretch
            that is not finite.
    """
    signal = np.asarray(signal, dtype=float)
    first, last = round(start * rate), round((start + seconds) * rate)
    if signal.ndim != 1 or not 0 <= first < len(signal):
        raise ValueError(
            f"a signal of shape {signal.shape} at {rate:g} Hz has nothing at {start:g} s; "
            "give (time,) and a start inside it"
        )
    drawn = signal[first : last + 1]
    if not np.isfinite(drawn).all():
        raise ValueError(
            f"a signal has {np.sum(~np.isfinite(drawn))} values that are not finite in the "
            "stretch drawn; accepted are finite raw units"
        )
    return drawn / 1000


def voltage_span(millivolts: NDArray[np.floating]) -> tuple[float, float]:
    """Whole large squares around the trace and the calibration pulse, at most ±`LARGEST`."""
    low = np.floor((millivolts.min() - 0.1) / MAJOR_MILLIVOLTS) * MAJOR_MILLIVOLTS
    high = np.ceil((millivolts.max() + 0.1) / MAJOR_MILLIVOLTS) * MAJOR_MILLIVOLTS
    return float(np.clip(low, -LARGEST, -0.5)), float(np.clip(high, 1.5, LARGEST))
