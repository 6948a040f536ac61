"""Tables of several ensembles' answers against loops over records and other libraries."""

import warnings

import numpy as np
import pytest
import torch
from made_up_answers import made_up, made_up_ensembles
from scipy import stats

from dnalib import intervals, metrics
from dnalib.stages import ENSEMBLES, MEMBERS, SHORT_CLASS_NAMES
from dnalib.tables.answers import (
    FLOOR,
    Answers,
    accuracy_differences,
    answers_of,
    performance_table,
)

SKILL = {"cor": 0.4, "dec": 0.9}


def of(table, **values):
    """The one row of a table with these values."""
    for column, value in values.items():
        table = table[table[column] == value]
    (row,) = table.itertuples()
    return row


def test_the_nine_models_fall_into_their_ensembles_and_the_control():
    logits, labels = made_up(0, members=9)
    answers = answers_of(logits, labels)
    assert list(answers.logits) == [*ENSEMBLES, metrics.CONTROL]
    for ensemble, members in ENSEMBLES.items():
        for found, member in zip(answers.logits[ensemble], members, strict=True):
            np.testing.assert_array_equal(found, logits[MEMBERS.index(member)])
    control = answers.logits[metrics.CONTROL].argmax(axis=-1)  # (member, record)
    np.testing.assert_array_equal(control[0], logits[0].argmax(axis=-1))
    assert (control[1:] == [[0], [2]]).all(), "always Normal, always Other"


def test_indicators_count_members_and_follow_the_rules():
    answers = made_up_ensembles(1, skill=SKILL)
    for ensemble, measures in answers.indicators().items():
        logits = answers.logits[ensemble]
        assert list(measures) == [
            *(f"P(≥{number})" for number in (1, 2, 3)),
            "majority vote",
            "mean softmax",
        ]
        for place, label in enumerate(answers.labels):
            right = sum(member[place].argmax() == label for member in logits)
            for number in (1, 2, 3):
                assert measures[f"P(≥{number})"][place] == (right >= number)
            mean = sum(np.exp(one[place]) / np.exp(one[place]).sum() for one in logits)
            assert measures["mean softmax"][place] == (mean.argmax() == label)
            if right != 1:  # with one right of three, the vote hangs on the other two
                assert measures["majority vote"][place] == (right >= 2)


def test_performance_is_that_of_the_rule_with_its_floor():
    answers = made_up_ensembles(2, skill=SKILL, records=300)
    table = performance_table({"natural": answers}, rule="majority vote", seed=3)
    assert list(dict.fromkeys(table.ensemble)) == [*SKILL, FLOOR]
    scored = ["accuracy", "class-averaged", "kappa", "challenge F1", *SHORT_CLASS_NAMES]
    assert table.measure.tolist() == 3 * scored
    predicted = metrics.majority_vote(answers.logits["dec"])
    right = predicted == answers.labels
    expected = {
        "accuracy": right.mean(),
        "kappa": metrics.cohens_kappa(predicted, answers.labels),
        "challenge F1": metrics.challenge_f1(predicted, answers.labels),
    }
    within = [right[answers.labels == label].mean() for label in range(4)]
    expected |= dict(zip(SHORT_CLASS_NAMES, within, strict=True))
    expected["class-averaged"] = np.mean(within)
    for measure, value in expected.items():
        row = of(table, ensemble="dec", measure=measure)
        assert row.value == pytest.approx(value) and row.low < row.value < row.high
        if measure in SHORT_CLASS_NAMES:
            label = SHORT_CLASS_NAMES.index(measure)
            assert row.records == (answers.labels == label).sum()
        else:
            assert row.records == 300
    ends = intervals.share_interval(right)[1:]
    row = of(table, ensemble="dec", measure="accuracy")
    assert (row.low, row.high) == pytest.approx(ends)


def test_the_floor_scores_what_a_constant_scores():
    answers = made_up_ensembles(2, skill=SKILL, records=300)
    table = performance_table({"natural": answers}, seed=0)
    floor = table[table.ensemble == FLOOR].set_index("measure")
    assert floor.value["accuracy"] == (answers.labels == 0).mean()
    assert floor.loc["kappa", ["value", "low", "high"]].tolist() == [0, 0, 0]
    assert floor.value["class-averaged"] == 0.25
    assert floor.value[list(SHORT_CLASS_NAMES)].tolist() == [1, 0, 0, 0]


def test_scores_of_absent_and_of_rare_classes():
    answers = made_up_ensembles(0, skill=SKILL)
    labels = np.where(answers.labels == 3, 0, answers.labels)  # no noise
    labels = np.where(labels == 1, 2, labels)
    labels[7] = 1  # one record of atrial fibrillation: a third of resamples have none
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = performance_table({"rare": Answers(answers.logits, labels)}, seed=0)
    table = table[table.ensemble == "dec"].set_index("measure")
    assert table.index[4:].tolist() == ["N", "A", "O"]
    assert table.records["A"] == 1 and table.value["A"] in (0, 1)
    # One record says little, but not nothing.
    assert table.high["A"] - table.low["A"] == pytest.approx(0.853, abs=0.001)
    others = table.drop(index="challenge F1")
    assert others.notna().all(axis=None) and (others.low < others.high).all()


def test_accuracy_differences_are_paired_and_tested():
    answers = made_up_ensembles(3, skill={"dec": 2.0, "cor": 1.0, "fdec": 0.0}, records=200)
    table = accuracy_differences({"PGD": answers}, against="cor", rule="mean softmax")
    assert table.ensemble.tolist() == ["dec", "fdec"] and set(table.against) == {"cor"}
    right = {
        name: metrics.mean_softmax_prediction(logits) == answers.labels
        for name, logits in answers.logits.items()
    }
    for row in table.itertuples():
        first, second = right[row.ensemble], right["cor"]
        assert (row.accuracy, row.reference) == (first.mean(), second.mean())
        expected = intervals.paired_difference(first, second)
        assert (row.value, row.low, row.high) == expected and row.records == 200
        assert (row.ensemble_only, row.against_only) == (
            np.sum(first > second),
            np.sum(first < second),
        )
        coin = stats.binomtest(row.ensemble_only, row.ensemble_only + row.against_only)
        assert row.p_value == pytest.approx(coin.pvalue)
    assert table.value[0] > 0 > table.value[1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: Answers({}, a.labels), "logits is empty"),
        (lambda a: Answers(a.logits, a.labels[1:]), r"'cor'.*\(3, 60, 4\).*\(59,\)"),
        (lambda a: Answers(a.logits, a.labels + 1), "labels holds 1 to 4"),
        (lambda a: Answers({"cor": a.logits["cor"][0]}, a.labels), r"'cor'.*\(60, 4\)"),
        (lambda a: a.predicted("oracle"), "rule is 'oracle'; accepted are majority vote, mean"),
        (lambda a: answers_of(np.zeros((8, 60, 4)), a.labels), "8 members; expected base, cor1"),
        (lambda a: performance_table({}, seed=0), "conditions is empty"),
        (lambda a: accuracy_differences({}), "conditions is empty"),
        (
            lambda a: accuracy_differences({"PGD": a}, against="fdec"),
            "against is 'fdec'; accepted are cor, dec",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(made_up_ensembles(0, skill=SKILL))


@pytest.mark.parametrize(
    ("classes", "class_names", "shown"),
    [
        (2, None, ["class 0", "class 1"]),
        (5, list("abcde"), list("abcde")),
        (4, list("abcd"), list("abcd")),
        (4, None, ["challenge F1", *SHORT_CLASS_NAMES]),
    ],
)
def test_performance_is_told_of_any_classes_by_their_names(classes, class_names, shown):
    logits, labels = made_up(0, records=80, classes=classes)
    answers = Answers({"own": logits}, labels, class_names=class_names)
    table = performance_table({"natural": answers}, seed=0)
    table = table[table.ensemble == "own"].set_index("measure")
    assert table.index.tolist() == ["accuracy", "class-averaged", "kappa", *shown]
    predicted = answers.predicted("mean softmax")["own"]
    within = metrics.within_classes(predicted == labels, labels, classes=classes)
    assert table.value[shown[-1]] == pytest.approx(within[-1])
    assert table.value["class-averaged"] == pytest.approx(within.mean())


def test_ensembles_of_different_classes_are_not_set_beside_each_other():
    logits = {"one": np.zeros((3, 6, 4)), "other": np.zeros((3, 6, 5))}
    with pytest.raises(ValueError, match="'other'. are of 5 classes and the first ensemble's of 4"):
        Answers(logits, np.zeros(6, dtype=int))
    with pytest.raises(ValueError, match="class_names is .*; accepted are 4 different names"):
        Answers({"one": logits["one"]}, np.zeros(6, dtype=int), class_names=["a"])


def test_labels_may_be_a_tensor():
    answers = made_up_ensembles(0, skill=SKILL)
    of_tensor = Answers(answers.logits, torch.from_numpy(answers.labels))
    assert np.array_equal(of_tensor.labels, answers.labels)
    assert of_tensor.indicators().keys() == answers.indicators().keys()
