"""What pairs share beside what fools them: the numbers are those of the tables behind them."""

import math
import warnings

import pandas
import pytest

from dnalib import tables
from dnalib.stages import ENSEMBLES
from dnalib.tables import knowledge, sharing, transfer


def test_a_pair_has_the_mean_of_both_directions(run):
    table = sharing.pairs_table(run)
    assert len(table) == 3 * len(ENSEMBLES)
    row = table.set_index(["first", "second"]).loc["base", "dec2"]
    shared = tables.r_squared(run, "dec", "adjusted")
    assert row.adjusted == pytest.approx((shared[0, 2] + shared[2, 0]) / 2)
    fooled = transfer.transfer_of(run, attack="sap", epsilon=knowledge.middle(run))
    values = fooled.set_index(["crafted", "evaluated"]).value
    assert row.sap == pytest.approx((values["base", "dec2"] + values["dec2", "base"]) / 2)


def test_pairs_are_shown_by_what_they_share(run):
    shown = sharing.shown(run)
    shares = [float(text.replace("−", "-")) for text in shown["adjusted R²"]]
    assert shares == sorted(shares, reverse=True) and len(shown) == 12
    assert list(shown.columns) == ["adjusted R²", "fooled, PGD", "fooled, SAP"]


def made(*rows):
    names = ["ensemble", "first", "second", "adjusted", "pgd", "sap"]
    return pandas.DataFrame(rows, columns=names)


def test_the_order_is_told_and_where_it_is_turned_round(run, monkeypatch):
    table = made(
        ("cor", "base", "cor1", 0.9, 0.6, 0.1),
        ("cor", "cor1", "cor2", 0.8, 0.5, 0.2),
        ("dec", "base", "dec1", 0.5, 0.3, 0.3),
        ("dec", "dec1", "dec2", 0.2, 0.4, 0.4),
    )
    monkeypatch.setattr(sharing, "pairs_table", lambda run: table)
    assert sharing.told(run).markdown == (
        "In this training, over the 4 pairs, the rank correlation between what they share and how "
        "often what misleads one misleads the other is 0.80 under PGD and −1.00 under SAP; it "
        "would be 1 if sharing alone decided, and 0 if it did not matter. In dec (dec1 and dec2, "
        "adjusted R² 0.200, under PGD 40.0 %), the pair that shares least is the one between which "
        "most attacks travel."
    )
    monkeypatch.setattr(sharing, "pairs_table", lambda run: table[:2])
    assert "shares least" not in sharing.told(run).markdown


def test_without_an_order_there_is_no_correlation(run, monkeypatch):
    table = made(
        ("dec", "base", "dec1", 0.5, 0.0, 0.0),
        ("dec", "base", "dec2", 0.4, 0.0, 0.2),
        ("dec", "dec1", "dec2", 0.3, 0.0, 0.1),
    )
    monkeypatch.setattr(sharing, "pairs_table", lambda run: table)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = sharing.told(run).markdown
    assert "is undefined under PGD and −0.50 under SAP; it would be 1" in text
    assert text.endswith("or are misled as often, which leaves no order.")
    assert "nan" not in text and "travel" not in text  # where none does


def test_only_pairs_that_are_defined_count(run, monkeypatch):
    table = made(
        ("dec", "base", "dec1", 0.5, 0.1, 0.1),
        ("dec", "base", "dec2", math.nan, 0.9, 0.9),
        ("dec", "dec1", "dec2", 0.3, 0.4, 0.4),
    )
    monkeypatch.setattr(sharing, "pairs_table", lambda run: table)
    text = sharing.told(run).markdown
    assert text.startswith(
        "In this training, over the 2 of 3 pairs that have both, the rank correlation"
    )
    assert "is −1.00 under PGD and −1.00 under SAP" in text and "In dec (dec1 and dec2" in text
    monkeypatch.setattr(sharing, "pairs_table", lambda run: table.assign(adjusted=math.nan))
    assert sharing.told(run).markdown.startswith(
        "In this training, over the 0 of 3 pairs that have both, the rank"
    )


def test_pairs_that_are_equal_are_said_to_be(run, monkeypatch):
    table = made(
        ("dec", "base", "dec1", 0.5, 0.4, 0.1),
        ("dec", "base", "dec2", 0.4, 0.2, 0.1),
        ("dec", "dec1", "dec2", 0.3, 0.4, 0.1),
    )
    monkeypatch.setattr(sharing, "pairs_table", lambda run: table)
    assert "the pair that shares least is one of those between" in sharing.told(run).markdown
    alike = table.assign(adjusted=[0.5, 0.3, 0.3])
    monkeypatch.setattr(sharing, "pairs_table", lambda run: alike)
    assert "shares least" not in sharing.told(run).markdown
