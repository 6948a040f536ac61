"""Tables of P(≥x) hold the measures and their intervals."""

import warnings

import numpy as np
import pytest
from made_up_answers import made_up

from dnalib import intervals, metrics
from dnalib.tables import robustness


def test_table_holds_the_measures_and_their_intervals():
    logits, labels = made_up(7, records=300)
    correct = metrics.correct_predictions(logits, labels)
    table = robustness.ensemble_table({"cor": correct, "dec": ~correct}, labels)
    assert list(table.columns) == ["ensemble", "measure", "value", "low", "high", "records"]
    tails = ["P(≥1)", "P(≥2)", "P(≥3)"]
    measures = ["average", *tails, *(f"{tail}, class-averaged" for tail in tails)]
    assert table.measure.tolist() == 2 * measures and set(table.records) == {300}
    assert table.ensemble.tolist() == 7 * ["cor"] + 7 * ["dec"]
    rows = table[table.ensemble == "cor"].set_index("measure")
    assert rows.value["average"] == pytest.approx(metrics.average_accuracy(correct))
    for x in (1, 2, 3):
        each = metrics.at_least_each(correct, members=x)
        assert rows.value[f"P(≥{x})"] == pytest.approx(each.mean())
        interval = intervals.share_interval(each)[1:]
        assert rows.loc[f"P(≥{x})", ["low", "high"]].tolist() == pytest.approx(interval)
    average = intervals.share_interval(correct.mean(axis=0))[1:]
    assert rows.loc["average", ["low", "high"]].tolist() == pytest.approx(average)
    for x in (1, 2, 3):
        each = metrics.at_least_each(correct, members=x)
        averaged = rows.loc[f"P(≥{x}), class-averaged"]
        assert averaged.value == pytest.approx(metrics.class_averaged(each, labels))
        assert averaged.low < averaged.value < averaged.high


def test_an_ensemble_may_have_many_members():
    correct = np.ones((70, 8), dtype=bool)
    table = robustness.ensemble_table({"many": correct}, np.arange(8) % 4)
    assert (table.value == 1).all()


def test_table_leaves_out_classes_without_a_record():
    correct = np.array([[True, False, True, True]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = robustness.ensemble_table({"cor": correct}, [0, 0, 2, 2])
    assert table.measure.tolist() == ["average", "P(≥1)", "P(≥1), class-averaged"]
    assert table.value.iloc[-1] == 0.75 and table.notna().all(axis=None)


def test_robustness_table_prepends_the_condition():
    logits, labels = made_up(2)
    correct = metrics.correct_predictions(logits, labels)
    conditions = {
        ("PGD", "strip", 10): {"cor": correct},
        ("SAP", "mask", 150): {"cor": ~correct, "dec": correct},
    }
    table = robustness.robustness_table(conditions, labels)
    assert list(table.columns)[:4] == ["attack", "padding", "epsilon", "ensemble"]
    assert len(table) == 21 and table.epsilon.unique().tolist() == [10.0, 150.0]
    assert table.epsilon.dtype == float
    part = table[(table.attack == "SAP") & (table.ensemble == "cor")]
    alone = robustness.ensemble_table({"cor": ~correct}, labels)
    assert part[alone.columns].reset_index(drop=True).equals(alone)


def test_a_table_of_nothing_or_of_other_records_is_refused():
    with pytest.raises(ValueError, match="no condition"):
        robustness.robustness_table({}, [0])
    with pytest.raises(ValueError, match=r"\(3, 5\).*\(6,\)"):
        robustness.ensemble_table({"a": np.zeros((3, 5), bool)}, np.zeros(6, int))


@pytest.mark.parametrize("classes", [2, 5])
def test_any_number_of_classes_is_averaged(classes):
    logits, labels = made_up(3, records=80, classes=classes)
    correct = metrics.correct_predictions(logits, labels)
    table = robustness.ensemble_table({"own": correct}, labels).set_index("measure")
    each = metrics.at_least_each(correct, members=2)
    expected = metrics.class_averaged(each, labels, classes=classes)
    assert table.value["P(≥2), class-averaged"] == pytest.approx(expected)
    with pytest.raises(ValueError, match="labels holds -1 to .*; class indices are from 0$"):
        robustness.ensemble_table({"own": correct}, labels - 1)


def test_the_control_never_falls_below_what_its_constants_keep() -> None:
    labels = np.repeat([0, 1, 2], [40, 10, 20])  # of three classes two have a constant
    logits = np.random.default_rng(0).normal(size=(70, 4))
    logits[np.arange(70), labels] -= 9  # the base model is never right
    right = metrics.correct_predictions(metrics.with_constants(logits), labels)
    names = {metrics.CONTROL: right, "other": right}
    table = robustness.ensemble_table(names, labels, constants=metrics.CONSTANTS)
    rows = table[table.measure == "P(≥1), class-averaged"].set_index("ensemble")
    assert rows.value.tolist() == pytest.approx([2 / 3] * 2) and rows.low["other"] < 0.65
    assert rows.low[metrics.CONTROL] == pytest.approx(2 / 3)
    assert rows.high[metrics.CONTROL] > 2 / 3
    assert metrics.kept_by_constants(labels) == pytest.approx(2 / 3)
    assert metrics.kept_by_constants([1, 3]) == 0
    assert metrics.kept_by_constants([1, 3], constants=[3]) == 0.5
    plain = robustness.ensemble_table(names, labels)
    ends = plain[plain.measure == "P(≥1), class-averaged"].low
    assert ends.tolist() == [rows.low["other"]] * 2
