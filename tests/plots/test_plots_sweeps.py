"""The sweep's figure draws its table, each measure in a panel."""

import numpy as np
import pandas as pd
import pytest

from dnalib import metrics, plots
from dnalib.tables import sweeps

ENSEMBLES = ["cor", "dec", "fcor", "fdec"]


@pytest.fixture
def table():
    random = np.random.default_rng(0)
    rows = [
        (value, ensemble, measure, mean, mean - 0.05, mean + 0.02, np.nan, 0.01)
        for value in (0.8, 0.05, 0.2)
        for ensemble in [*ENSEMBLES, metrics.CONTROL]
        for measure in sweeps.SHOWN
        for mean in [random.uniform(0.1, 0.9)]
    ]
    rows += [
        (value, ensemble, sweeps.SHARED, random.random(), *[np.nan] * 4)
        for value in (0.8, 0.05, 0.2)
        for ensemble in ENSEMBLES
    ]
    return pd.DataFrame(rows, columns=sweeps.COLUMNS)


def test_each_measure_has_its_panel(drawn, table):
    figure = drawn(plots.sweep(table, parameter="Decorrelation weight λ", chosen=0.2))
    panels = [axes for axes in figure.axes if axes.axison]
    assert len(panels) == len(sweeps.SHOWN) + 1
    for axes, measure in zip(panels, [*sweeps.SHOWN, sweeps.SHARED], strict=True):
        assert [text.get_text() for text in axes.get_xticklabels()] == ["0.05", "0.2", "0.8"]
        shown = ENSEMBLES if measure == sweeps.SHARED else [*ENSEMBLES, metrics.CONTROL]
        for ensemble, bars in zip(shown, axes.containers, strict=True):
            part = table[(table.ensemble == ensemble) & (table.measure == measure)]
            part = part.sort_values("setting")
            points = bars.lines[0]
            scale = 1 if measure == sweeps.SHARED else 100  # R² is no share of records
            assert points.get_ydata() == pytest.approx(scale * part.value.to_numpy())
            assert np.round(points.get_xdata()).tolist() == [0, 1, 2]
            assert bool(bars.lines[2]) == (measure != sweeps.SHARED), "intervals where there are"
        assert any(list(line.get_xdata()) == [1, 1] for line in axes.get_lines()), "the chosen one"
    assert figure.get_supxlabel() == "Decorrelation weight λ"
    with pytest.raises(ValueError, match="table is empty"):
        plots.sweep(table[:0], parameter="λ")
