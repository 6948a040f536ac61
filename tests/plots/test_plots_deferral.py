"""Curves of deferral show what the table holds, from both sides."""

import numpy as np
import pandas as pd
import pytest

from dnalib import plots
from dnalib.plots.style import ENSEMBLES

RECORDS = 50


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    kept = np.arange(1, RECORDS + 1)
    tables = [
        pd.DataFrame(
            {
                "condition": condition,
                "ensemble": ensemble,
                "coverage": kept / RECORDS,
                "risk": random.random(RECORDS),
                "kept": kept,
            }
        )
        for condition in ("natural", "PGD", "SAP")
        for ensemble in ENSEMBLES
    ]
    return pd.concat(tables, ignore_index=True)


@pytest.mark.parametrize("fewest", [1, 20])
def test_deferral_and_risk_coverage_draw_the_table(drawn, table, fewest):
    deferred = drawn(plots.deferral(table, fewest=fewest))
    covered = drawn(plots.risk_coverage(table, fewest=fewest))
    for figure in (deferred, covered):
        panels = [axes for axes in figure.axes if axes.axison]
        titles = [axes.get_title(loc="left") for axes in panels]
        assert titles == ["a  natural", "b  PGD", "c  SAP"]
        for axes, condition in zip(panels, ("natural", "PGD", "SAP"), strict=True):
            lines = {line.get_label(): line for line in axes.get_lines()}
            assert list(lines) == list(ENSEMBLES)
            for ensemble, line in lines.items():
                rows = table[(table.condition == condition) & (table.ensemble == ensemble)]
                rows = rows[rows.kept >= fewest]
                x, y = 100 * rows.coverage, 100 * rows.risk
                if figure is deferred:
                    x, y = 100 - x, 100 - y
                assert line.get_xdata() == pytest.approx(x.to_numpy())
                assert line.get_ydata() == pytest.approx(y.to_numpy())
                series = ENSEMBLES[ensemble]
                assert (line.get_color(), line.get_marker()) == (series.colour, series.marker)
        names = [text.get_text() for text in figure.legends[0].get_texts()]
        assert names == list(ENSEMBLES)
        for label in (figure.get_supxlabel(), figure.get_supylabel()):
            assert label.endswith("(%)")
    assert "deferred" in deferred.get_supxlabel() and "Accuracy" in deferred.get_supylabel()
    assert "Coverage" in covered.get_supxlabel() and "Risk" in covered.get_supylabel()


def test_marks_of_two_curves_that_agree_stand_apart(drawn, table):
    same = table[table.condition == "PGD"].assign(risk=0.3)
    (axes,) = drawn(plots.deferral(same)).axes
    starts = [line.get_markevery()[0] for line in axes.get_lines()]
    assert len(set(starts)) == len(ENSEMBLES)


def test_a_table_of_nothing_or_of_unknown_ensembles_is_refused(table):
    for draw in (plots.deferral, plots.risk_coverage):
        with pytest.raises(ValueError, match="table is empty"):
            draw(table[:0])
        with pytest.raises(ValueError, match="'bagging' has no style"):
            draw(table.assign(ensemble="bagging"))
