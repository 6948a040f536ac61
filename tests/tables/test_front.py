"""The table that the book begins with holds what the chapters show elsewhere."""

import numpy as np
import pytest

from dnalib import metrics, tables
from dnalib.stages import ENSEMBLES
from dnalib.tables import front, knowledge, seeds

OURS = "ours (95 % interval)"
KNOWING = ["aimed SAP", "all attacks"]


def numbers(table, column):
    return [float(cell) for cell in table[column]]


def test_one_seed_shows_what_its_chapters_show(tiny_run):
    table = front.front_table([tiny_run], knowing=True)
    expected = tables.headline(tiny_run)
    assert list(table.index) == list(expected.index) == [*ENSEMBLES, metrics.CONTROL]
    assert list(table["paper"]) == list(expected["paper"])
    assert list(table[OURS].str.split().str[0]) == list(expected["ours"])
    assert list(table["PGD"]) == list(expected[tables.UNDER_PGD])
    rows = tables.selected(
        tables.robustness_table(tiny_run, paddings=["strip"]),
        attack="sap",
        epsilon=50.0,
        measure="P(≥1), class-averaged",
    )
    assert numbers(table, "classes alike") == pytest.approx(100 * rows.value.values, abs=0.051)
    known = tables.selected(
        knowledge.knowledge_table(tiny_run),
        epsilon=50.0,
        knowledge=knowledge.ALL,
        measure="P(≥1)",
    )
    assert numbers(table, KNOWING[1]) == pytest.approx(100 * known.value.values, abs=0.051)
    smooth = seeds.values_under_smooth(tiny_run, epsilon=50.0, measure="P(≥1)")
    shares = [100 * np.nanmean(one) for one in smooth[knowledge.MORE_STEPS].values()]
    assert numbers(table, KNOWING[0]) == pytest.approx(shares, abs=0.051)
    accuracy = tables.members_table(tiny_run, ENSEMBLES["fdec"])["test accuracy (%)"]
    each = [float(one) for one in table.loc["fdec", "accuracy"].split(", ")]
    assert each == pytest.approx(accuracy.astype(float), abs=0.551)
    assert table.loc[metrics.CONTROL, "accuracy"] == "–"


def test_a_run_without_such_attacks_has_no_column_for_them(tiny_run):
    table = front.front_table([tiny_run], knowing=False)
    assert not set(KNOWING) & set(table.columns)
    assert table.equals(front.front_table([tiny_run], knowing=True).drop(columns=KNOWING))


def test_of_two_seeds_the_mean_is_shown_beside_the_interval(tiny_run):
    alone = front.front_table([tiny_run], knowing=False)
    twice = front.front_table([tiny_run, tiny_run], knowing=False)
    for column in ("classes alike", "PGD"):
        assert list(alone[column]) == list(twice[column])
    assert list(alone[OURS].str.split().str[0]) == list(twice[OURS].str.split().str[0])
    assert twice[OURS].str.fullmatch(r".+ \(.+–.+\)").all()
