"""The figure of gains draws the differences of the table, and only those."""

import numpy as np
import pandas as pd
import pytest

from dnalib import metrics, plots
from dnalib.tables import gains
from dnalib.tables.answers import answers_of

MEASURES = 7


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 1200)
    logits = random.normal(size=(9, 1200, 4)) + np.eye(4)[labels]
    return gains.remaining_gain(answers_of(logits, labels), seed=0)


def test_remaining_gain_draws_the_differences(drawn, table):
    figure = drawn(plots.remaining_gain(table))
    (axes,) = figure.axes
    names = ["fdec − cor", f"{metrics.CONTROL} − cor", f"fdec − ({metrics.CONTROL})"]
    assert [bars.get_label() for bars in axes.containers] == names
    looks, heights = set(), []
    for name, bars in zip(names, axes.containers, strict=True):
        rows = table[table.quantity == name]
        points, _, (lines,) = bars.lines
        assert points.get_xdata() == pytest.approx(100 * rows.value.to_numpy())
        ends = np.array(lines.get_segments())[:, :, 0]  # (measure, low and high)
        assert ends == pytest.approx(100 * rows[["low", "high"]].to_numpy())
        looks.add((points.get_marker(), points.get_color()))
        heights.append(np.asarray(points.get_ydata(), dtype=float))
    assert len(looks) == 3, "told apart by marker as well as by colour"
    assert np.round(heights).tolist() == [list(range(MEASURES))] * 3, "each beside its measure"
    assert len(np.unique(heights)) == 3 * MEASURES, "none behind another"
    ticks = [text.get_text() for text in axes.get_yticklabels()]
    assert ticks == list(dict.fromkeys(table.measure))
    assert axes.yaxis_inverted() and "(points)" in axes.get_xlabel()
    assert any(np.all(np.asarray(line.get_xdata()) == 0) for line in axes.get_lines())
    assert figure.legends[0].get_title().get_text() == "1,200 records; bars: paired 95 % intervals"


def test_the_legend_stays_inside_the_figure(drawn, table):
    figure = drawn(plots.remaining_gain(table))
    frame, box = figure.get_window_extent(), figure.legends[0].get_window_extent()
    assert frame.x0 <= box.x0 and box.x1 <= frame.x1


def test_a_table_without_differences_or_with_too_many_is_refused(table):
    with pytest.raises(ValueError, match="table has 0 differences a measure; from 1 to 3"):
        plots.remaining_gain(table[table.quantity == "cor"])
    more = [table, table.assign(quantity=table.quantity + "′")]
    with pytest.raises(ValueError, match="table has 6 differences"):
        plots.remaining_gain(pd.concat(more))
