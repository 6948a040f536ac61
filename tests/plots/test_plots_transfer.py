"""The matrix of transfer: each pair of models in its cell, in the order of the table."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from dnalib import plots
from dnalib.plots.transfer import CELL
from dnalib.stages import MEMBERS

COLUMNS = ["crafted", "evaluated", "value", "low", "high", "records"]


@pytest.fixture
def table():
    rows = [
        ("b", "b", 0.9, 0.84, 0.961, 50),
        ("b", "a", 0.25, 0.2, 0.3, 40),
        ("a", "b", 1.0, 1.0, 1.0, 50),
        ("a", "a", np.nan, np.nan, np.nan, 0),
        ("c", "b", 0.056, 0.0, 0.12, 50),  # c was not shown to a
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_transfer_draws_the_table(drawn, table):
    figure = drawn(plots.transfer(table))
    axes, bar = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["b", "a", "c"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["b", "a"]
    shares = np.ma.filled(np.ma.asarray(axes.images[0].get_array(), dtype=float), np.nan)
    assert shares == pytest.approx(np.array([[90, 25], [100, np.nan], [5.6, np.nan]]), nan_ok=True)
    assert axes.images[0].get_clim() == (0, 100)
    texts = {text.get_position(): text for text in axes.texts}
    expected = {(0, 0): "90\n84–96", (1, 0): "25\n20–30", (0, 1): "100", (1, 1): "–"}
    expected |= {(0, 2): "6\n0–12", (1, 2): ""}
    assert {place: text.get_text() for place, text in texts.items()} == expected
    assert to_rgb(texts[0, 0].get_color()) == (1, 1, 1), "white on the dark"
    assert to_rgb(texts[1, 0].get_color()) == to_rgb(texts[1, 1].get_color()) == (0, 0, 0)
    assert "(%)" in bar.get_ylabel()
    assert "crafted on" in axes.get_ylabel() and "shown to" in axes.get_xlabel()


def test_texts_of_all_nine_models_stay_in_their_cells(drawn):
    rows = [(one, other, 0.885, 0.805, 0.955, 99) for one in MEMBERS for other in MEMBERS]
    figure = drawn(plots.transfer(pd.DataFrame(rows, columns=COLUMNS)))
    axes = figure.axes[0]
    size = axes.get_window_extent()
    assert size.height / 9 > 0.8 * CELL * figure.dpi
    for text in axes.texts:
        box = text.get_window_extent()
        assert box.width < size.width / 9 and box.height < size.height / 9


def test_a_table_of_nothing_or_of_two_attacks_is_refused(table):
    with pytest.raises(ValueError, match="table is empty"):
        plots.transfer(table[:0])
    with pytest.raises(ValueError, match="two rows for one pair"):
        plots.transfer(pd.concat([table, table]))
