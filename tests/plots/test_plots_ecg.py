"""ECG paper true to scale, and signals drawn as they are."""

import numpy as np
import pytest

from dnalib import plots


def sine(rate, seconds=12, amplitude=800):
    return amplitude * np.sin(2 * np.pi * np.arange(round(seconds * rate)) / rate)


def line(axes, label):
    return next(one for one in axes.get_lines() if one.get_label() == label)


@pytest.mark.parametrize("rate", [100, 300])
@pytest.mark.parametrize("seconds", [2.5, 10.0])
def test_paper_is_25_mm_a_second_and_10_mm_a_millivolt(drawn, rate, seconds):
    signals = [sine(rate), 3 * sine(rate), -sine(rate)]
    figure = drawn(plots.ecg_paper(signals, rate=rate, titles=["a", "b", "c"], seconds=seconds))
    scales = []
    for axes in figure.axes:
        origin, second, millivolt = axes.transData.transform([(0, 0), (1, 0), (0, 1)])
        assert (second - origin)[0] / (millivolt - origin)[1] == pytest.approx(25 / 10, rel=1e-6)
        scales.append((second - origin)[0])
    assert scales == pytest.approx([scales[0]] * 3)  # one scale for all rows
    assert "(s)" in figure.axes[-1].get_xlabel() and figure.get_supylabel() == "ECG (mV)"


def test_grid_has_small_and_large_squares(drawn):
    axes = drawn(plots.ecg_paper([sine(300)], rate=300, titles=["one"])).axes[0]
    across, up, wide, high = [np.array(c.get_segments()) for c in axes.collections]
    for segments, axis, step in ((across, 0, 0.04), (wide, 0, 0.2), (up, 1, 0.1), (high, 1, 0.5)):
        places = segments[:, 0, axis]
        assert np.diff(places) == pytest.approx(step)
        assert np.abs(places).min() == pytest.approx(0, abs=1e-9)  # one line at 0


def test_paper_shows_the_stretch_asked_for_and_the_calibration_pulse(drawn):
    signal = sine(300)
    figure = drawn(plots.ecg_paper([signal], rate=300, titles=["x"], seconds=4, start=2))
    trace, pulse = line(figure.axes[0], "ECG"), line(figure.axes[0], "calibration")
    assert trace.get_xdata()[[0, -1]] == pytest.approx([2, 6])
    assert trace.get_ydata() == pytest.approx(signal[600:1801] / 1000)
    top = pulse.get_xdata()[np.asarray(pulse.get_ydata()) == 1]
    assert np.ptp(top) == pytest.approx(0.2) and pulse.get_xdata().max() < 2


def test_a_large_trace_is_cut_and_says_so(drawn):
    signals = [sine(300, amplitude=9000), sine(300)]
    large, small = drawn(plots.ecg_paper(signals, rate=300, titles=["a", "b"])).axes
    assert np.ptp(line(large, "ECG").get_ydata()) == 4 and large.get_ylim() == (-2, 2)
    assert "it runs −9.0 to 9.0 mV" in large.get_title(loc="right")
    assert small.get_title(loc="right") == ""


def test_attacked_ecg_draws_sum_and_perturbation(drawn):
    signal = sine(100)
    random = np.random.default_rng(0)
    added = {"PGD": random.uniform(-50, 50, 1200), "SAP": random.uniform(-50, 50, 1200)}
    figure = drawn(plots.attacked_ecg(signal, added, rate=100, epsilon=50, seconds=3, start=1))
    assert len(figure.axes) == 5
    assert line(figure.axes[0], "ECG").get_ydata() == pytest.approx(signal[100:401] / 1000)
    for place, (name, values) in enumerate(added.items()):
        ecg, alone = figure.axes[1 + 2 * place], figure.axes[2 + 2 * place]
        assert name in ecg.get_title(loc="left") and "50 µV" in ecg.get_title(loc="left")
        expected = (signal + values)[100:401] / 1000
        assert line(ecg, "ECG").get_ydata() == pytest.approx(expected)
        assert line(alone, "perturbation").get_ydata() == pytest.approx(values[100:401])
        assert "(mV)" in ecg.get_ylabel() and "(µV)" in alone.get_ylabel()
        assert alone.get_xlim() == ecg.get_xlim()
    left = [axes.get_window_extent().x0 for axes in figure.axes]
    assert left == pytest.approx([left[0]] * 5, abs=1)  # the times line up


def test_filtered_beat_draws_the_three_signals(drawn):
    signal = sine(300, seconds=1)
    figure = drawn(plots.filtered_beat(signal, 0.7 * signal, 0.3 * signal, rate=300))
    for axes, share in zip(figure.axes, (1, 0.7, 0.3), strict=True):
        assert axes.get_lines()[0].get_ydata() == pytest.approx(share * signal / 1000)
        assert axes.get_ylabel() == "Voltage (mV)"
    assert figure.axes[-1].get_xlabel() == "Time (s)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.ecg_paper([np.zeros(9)], rate=1, titles=[]), "1 signals and 0 titles"),
        (lambda: plots.ecg_paper([np.zeros(9)], rate=1, titles=["a"], start=20), "nothing at 20 s"),
        (
            lambda: plots.attacked_ecg(np.zeros(9), {"PGD": np.zeros(8)}, rate=1, epsilon=1),
            r"\(8,\).*\(9,\)",
        ),
        (lambda: plots.filtered_beat(np.zeros(9), np.zeros(9), np.zeros(8), rate=1), "second"),
        (
            lambda: plots.ecg_paper([np.array([0.0, np.nan])], rate=1, titles=["one"]),
            "1 values that are not finite",
        ),
        (
            lambda: plots.attacked_ecg_slider(np.zeros(9), {}, rate=1, shown=1.0),
            "no epsilon; at least one",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_figure_may_show_more_attacks_than_the_alphabet_once_had() -> None:
    added = {f"attack {number}": np.zeros(40) for number in range(13)}
    figure = plots.attacked_ecg(np.zeros(40), added, rate=10, epsilon=1.0)
    assert len(figure.axes) == 1 + 2 * 13
