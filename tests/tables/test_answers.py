"""Tables of several ensembles' answers against loops over records and other libraries."""

import warnings

import numpy as np
import pytest
from made_up_answers import made_up, made_up_ensembles
from scipy import stats

from dnalib import intervals, metrics
from dnalib.stages import ENSEMBLES, MEMBERS, SHORT_CLASS_NAMES
from dnalib.tables.answers import (
    FLOOR,
    Answers,
    accuracy_differences,
    answers_of,
    kept_under_all,
    performance_table,
    worst_case_table,
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
            *(f"at least {number}" for number in (1, 2, 3)),
            "majority vote",
            "mean softmax",
        ]
        for place, label in enumerate(answers.labels):
            right = sum(member[place].argmax() == label for member in logits)
            for number in (1, 2, 3):
                assert measures[f"at least {number}"][place] == (right >= number)
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
    ends = intervals.bootstrap_interval(right, seed=3)
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
    assert np.isnan(table.low["A"]) and np.isnan(table.high["A"])
    others = table.drop(index=["A", "challenge F1"])
    assert others.notna().all(axis=None) and (others.low < others.high).all()


def test_accuracy_differences_are_paired_and_tested():
    answers = made_up_ensembles(3, skill={"dec": 2.0, "cor": 1.0, "fdec": 0.0}, records=200)
    table = accuracy_differences({"PGD": answers}, against="cor", rule="mean softmax", seed=1)
    assert table.ensemble.tolist() == ["dec", "fdec"] and set(table.against) == {"cor"}
    right = {
        name: metrics.mean_softmax_prediction(logits) == answers.labels
        for name, logits in answers.logits.items()
    }
    for row in table.itertuples():
        first, second = right[row.ensemble], right["cor"]
        assert (row.accuracy, row.reference) == (first.mean(), second.mean())
        expected = intervals.paired_difference(first, second, seed=1)
        assert (row.value, row.low, row.high) == expected and row.records == 200
        assert (row.ensemble_only, row.against_only) == (
            np.sum(first > second),
            np.sum(first < second),
        )
        coin = stats.binomtest(row.ensemble_only, row.ensemble_only + row.against_only)
        assert row.p_value == pytest.approx(coin.pvalue)
    assert table.value[0] > 0 > table.value[1]


def test_the_worst_case_takes_the_strongest_attack_of_each_record():
    attacks = {name: made_up_ensembles(seed, skill=SKILL) for seed, name in enumerate("abc")}
    table = worst_case_table(attacks, seed=2)
    assert len(table) == 2 * 5
    for row in table.itertuples():
        each = {
            name: answers.indicators()[row.ensemble][row.measure]
            for name, answers in attacks.items()
        }
        least = [min(one[place] for one in each.values()) for place in range(60)]  # (record,)
        assert row.value == np.mean(least)
        assert (row.low, row.high) == intervals.bootstrap_interval(least, seed=2)
        weakest = min(one.mean() for one in each.values())
        assert row.alone == weakest == each[row.strongest].mean() and row.records == 60
        assert row.value <= row.alone
    assert (table.value < table.alone).any(), "the attacks turn different records"


def test_the_worst_case_counts_each_attack_before_it_joins_them():
    # Two attacks, each of which leaves one member right: an attacker has to choose one of them.
    labels = np.zeros(4, dtype=int)
    answered = np.array([[0, 1], [1, 0]])  # (attack, member)
    first, second = (
        Answers({"pair": np.eye(4)[np.repeat(one[:, None], 4, axis=1)]}, labels) for one in answered
    )
    table = worst_case_table({"first": first, "second": second}, seed=0)
    assert of(table, measure="at least 1").value == 1
    assert of(table, measure="at least 2").value == 0
    assert of(table, measure="at least 1").strongest == "first", "of equals, the first"


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
        (lambda a: accuracy_differences({}, seed=0), "conditions is empty"),
        (lambda a: worst_case_table({}, seed=0), "conditions is empty"),
        (
            lambda a: accuracy_differences({"PGD": a}, against="fdec", seed=0),
            "against is 'fdec'; accepted are cor, dec",
        ),
        (
            lambda a: worst_case_table(
                {"a": a, "b": made_up_ensembles(0, skill=SKILL, labels_seed=1)}, seed=0
            ),
            "'a' and 'b' hold different records",
        ),
        (
            lambda a: worst_case_table(
                {"a": a, "b": made_up_ensembles(0, skill={"cor": 1.0})}, seed=0
            ),
            "'a' and 'b' hold different ensembles",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(made_up_ensembles(0, skill=SKILL))


def test_what_is_kept_under_all_attacks_is_that_of_the_worst_case_table():
    attacks = {name: made_up_ensembles(seed, skill=SKILL) for seed, name in enumerate("abc")}
    kept = kept_under_all(attacks)
    table = worst_case_table(attacks, seed=0).set_index(["ensemble", "measure"])
    assert list(table.index) == [(name, one) for name, measures in kept.items() for one in measures]
    assert set(kept) == set(SKILL)
    for ensemble, measures in kept.items():
        for measure, hits in measures.items():
            every = [answers.indicators()[ensemble][measure] for answers in attacks.values()]
            assert np.array_equal(hits, np.all(every, axis=0))
            assert hits.mean() == table.value[ensemble, measure]
    with pytest.raises(ValueError, match="conditions is empty"):
        kept_under_all({})


def test_attacks_that_do_as_much_are_counted():
    one, other = (made_up_ensembles(seed, skill=SKILL) for seed in (0, 1))
    table = worst_case_table({"one": one, "again": one, "other": other}, seed=0)
    assert set(table.ties[table.strongest == "one"]) == {1}
    assert 0 in set(table.ties[table.strongest == "other"])


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
