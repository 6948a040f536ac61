"""The share of records that a perturbation of another model turns, by hand."""

import numpy as np
import pytest
from made_up_run import stored

from dnalib import intervals
from dnalib.stages import MEMBERS
from dnalib.tables.transfer import transfer_of, transfer_table

NATURAL = {"a": [True, True, True, True, False], "b": [True, False, True, False, False]}
ATTACKED = {
    "a": {"a": [False, False, False, True, False], "b": [True, True, False, False, False]},
    "b": {"a": [True, True, True, True, True], "b": [False, False, False, False, True]},
}


def test_a_matrix_by_hand():
    table = transfer_table(ATTACKED, natural=NATURAL)
    assert list(table.columns) == ["crafted", "evaluated", "value", "low", "high", "records"]
    rows = table.set_index(["crafted", "evaluated"])
    assert rows.index.tolist() == [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]
    assert rows.value.tolist() == [3 / 4, 1 / 2, 0, 1], "of those right unperturbed"
    assert rows.records.tolist() == [4, 2, 4, 2]
    ends = rows.loc[("b", "a"), ["low", "high"]].tolist()
    assert ends == list(intervals.share_interval(np.zeros(4))[1:]) and ends[1] > 0.4


@pytest.mark.parametrize("seed", range(2))
def test_records_wrong_unperturbed_change_nothing(seed):
    random = np.random.default_rng(seed)
    before, after = random.random((2, 80)) < 0.6
    table = transfer_table({"a": {"b": after}}, natural={"b": before})
    (row,) = table.itertuples()
    fooled = [not late for early, late in zip(before, after, strict=True) if early]
    assert row.value == np.mean(fooled) and row.records == len(fooled)
    assert (row.low, row.high) == intervals.share_interval(fooled)[1:]
    other = np.where(before, after, ~after)
    assert transfer_table({"a": {"b": other}}, natural={"b": before}).equals(table)


def test_a_model_that_is_never_right_has_no_share():
    table = transfer_table({"a": {"a": [False, True]}}, natural={"a": [False, False]})
    assert table[["value", "low", "high"]].isna().all(axis=None) and table.records[0] == 0


@pytest.mark.parametrize(
    ("attacked", "message"),
    [
        ({"a": {"c": [True] * 5}}, "natural lacks 'c'; it has a, b"),
        ({"a": {"b": [True] * 4}}, r"attacked\['a'\]\['b'\].*\(4,\) and natural\['b'\].*\(5,\)"),
        ({"a": {"b": [1, 0, 1, 1, 1]}}, r"attacked\['a'\]\['b'\] has dtype int64"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(attacked, message):
    with pytest.raises(ValueError, match=message):
        transfer_table(attacked, natural=NATURAL)


def test_transfer_counts_records_that_a_model_gets_right_unperturbed(run):
    table = transfer_of(run, attack="sap", epsilon=50, band="h2")
    assert len(table) == 81
    file = stored(run, "transfer-50")
    positions, model = file["positions"], MEMBERS.index("fcor1")
    labels = stored(run, "natural-base")["labels"][positions]
    right = stored(run, "natural-fcor1")["logits"][positions].argmax(1) == labels
    fooled = file["dec1/sap/h2"][model].argmax(1) != labels
    row = table[(table.crafted == "dec1") & (table.evaluated == "fcor1")].iloc[0]
    assert row.records == right.sum() and row.value == fooled[right].mean()
    whole = transfer_of(run, attack="sap", epsilon=50)
    assert not np.array_equal(whole.value, table.value)
