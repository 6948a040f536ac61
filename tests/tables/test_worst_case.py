"""The strongest attack on each record, against every attack by itself."""

from dataclasses import replace

import numpy as np
import pytest
from made_up_answers import made_up_ensembles

from dnalib import intervals, metrics
from dnalib.stages import ENSEMBLES
from dnalib.tables import knowledge
from dnalib.tables.answers import Answers
from dnalib.tables.worst_case import fewest_right, kept_under_all, worst_case_table

SKILL = {"cor": 0.4, "dec": 0.9}


def test_the_worst_case_takes_the_strongest_attack_of_each_record():
    attacks = {name: made_up_ensembles(seed, skill=SKILL) for seed, name in enumerate("abc")}
    table = worst_case_table(attacks)
    assert len(table) == 2 * 5
    for row in table.itertuples():
        each = {
            name: answers.indicators()[row.ensemble][row.measure]
            for name, answers in attacks.items()
        }
        least = [min(one[place] for one in each.values()) for place in range(60)]  # (record,)
        assert row.value == np.mean(least)
        assert (row.low, row.high) == intervals.share_interval(least)[1:]
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
    table = worst_case_table({"first": first, "second": second})
    one, two = table.set_index("measure").loc[["P(≥1)", "P(≥2)"]].itertuples()
    assert one.value == 1 and two.value == 0
    assert one.strongest == "first", "of equals, the first"


def test_what_is_kept_under_all_attacks_is_that_of_the_worst_case_table():
    attacks = {name: made_up_ensembles(seed, skill=SKILL) for seed, name in enumerate("abc")}
    kept = kept_under_all(attacks)
    table = worst_case_table(attacks).set_index(["ensemble", "measure"])
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
    table = worst_case_table({"one": one, "again": one, "other": other})
    assert set(table.ties[table.strongest == "one"]) == {1}
    assert 0 in set(table.ties[table.strongest == "other"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: worst_case_table({}), "conditions is empty"),
        (
            lambda a: worst_case_table(
                {"a": a, "b": made_up_ensembles(0, skill=SKILL, labels_seed=1)}
            ),
            "'a' and 'b' hold different records",
        ),
        (
            lambda a: worst_case_table({"a": a, "b": made_up_ensembles(0, skill={"cor": 1.0})}),
            "'a' and 'b' hold different ensembles",
        ),
    ],
)
def test_conditions_that_cannot_be_joined_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(made_up_ensembles(0, skill=SKILL))


@pytest.mark.parametrize("known", [*knowledge.KNOWLEDGE, knowledge.ALL])
def test_the_worst_case_leaves_as_few_members_right_as_any_attack(attacks, known):
    attacks = knowledge.known_to(attacks, knowledge=known)
    worst = fewest_right(attacks)
    joined = worst_case_table(attacks).set_index(["ensemble", "measure"]).value
    for ensemble in [*ENSEMBLES, metrics.CONTROL]:
        right = np.stack([one.correct()[ensemble].sum(0) for one in attacks.values()])
        assert np.array_equal(worst.correct()[ensemble].sum(0), right.min(0))
        for number in (1, 2, 3):
            value = metrics.at_least(worst.correct()[ensemble], members=number)
            assert value == joined[ensemble, f"P(≥{number})"]
        # What is taken is one attack's answer, of all members together.
        every = np.stack([one.logits[ensemble] for one in attacks.values()])
        same = (every == worst.logits[ensemble]).all(axis=(1, 3))  # (attack, record)
        assert same.any(axis=0).all()


def test_names_of_classes_stay_with_the_strongest_attack(attacks):
    named = {name: replace(one, class_names=list("abcd")) for name, one in attacks.items()}
    assert fewest_right(named).names == ("a", "b", "c", "d")


def test_attacks_on_other_records_or_ensembles_are_not_joined(attacks):
    (first, one), (second, other), *_ = attacks.items()
    reversed_records = Answers(
        {name: x[:, ::-1] for name, x in other.logits.items()}, other.labels[::-1]
    )
    with pytest.raises(ValueError, match="hold different records"):
        fewest_right({first: one, second: reversed_records})
    fewer = Answers({"cor": other.logits["cor"]}, other.labels)
    with pytest.raises(ValueError, match="hold different ensembles"):
        fewest_right({first: one, second: fewer})
    with pytest.raises(ValueError):
        fewest_right({})


def test_of_attacks_that_mislead_as_many_the_surer_one_counts():
    labels = np.array([0, 0])
    weak = np.array([[[1.0, 2, 0, 0], [5, 0, 0, 0]]])  # wrong by little, right
    strong = np.array([[[1.0, 9, 0, 0], [9, 0, 0, 0]]])  # wrong by much, right and surer
    for order in ((weak, strong), (strong, weak)):
        found = fewest_right(
            {str(number): Answers({"x": one}, labels) for number, one in enumerate(order)}
        )
        assert found.logits["x"][0, 0, 1] == 9 and found.logits["x"][0, 1, 0] == 5


def logits_of(*probabilities):
    """Of one record, (member, record, class), from each member's probabilities."""
    return np.log(np.array(probabilities))[:, None]


SURE = logits_of([0.9, 0.05, 0.05], [0.15, 0.8, 0.05], [0.15, 0.05, 0.8])  # the answer holds
TURNED = logits_of([0.9, 0.05, 0.05], [0.225, 0.7, 0.075], [0.225, 0.7, 0.075])
OUTVOTED = logits_of([0.9, 0.05, 0.05], [0.15, 0.45, 0.4], [0.15, 0.45, 0.4])  # the mean is right
TWO_RIGHT = logits_of([0.4, 0.35, 0.25], [0.4, 0.35, 0.25], [0.01, 0.98, 0.01])  # and turned


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize(
    ("attacks", "expected"),
    [((SURE, TURNED), TURNED), ((OUTVOTED, TURNED), TURNED), ((TWO_RIGHT, SURE), SURE)],
    ids=["turned before improbable", "the answer is the mean softmax", "fewest members first"],
)
def test_of_attacks_that_leave_as_many_right_one_that_turns_the_answer_counts(
    attacks, expected, turn
):
    labels = np.zeros(1, dtype=int)
    named = {str(place): Answers({"x": one}, labels) for place, one in enumerate(attacks[::turn])}
    assert np.array_equal(fewest_right(named).logits["x"], expected)


def test_all_conditions_are_of_the_same_records_and_ties_are_exact():
    one = Answers({"x": np.zeros((1, 2, 2))}, np.array([0, 1]))
    other = Answers({"x": np.zeros((1, 2, 2))}, np.array([1, 1]))
    with pytest.raises(ValueError, match="'a' and 'c' hold different records"):
        worst_case_table({"a": one, "b": one, "c": other})
    logits = np.zeros((1, 200, 2))
    logits[..., 0] = 1
    less = logits.copy()
    less[0, 0] = [0, 1]
    labels = np.zeros(200, dtype=int)
    found = worst_case_table(
        {"a": Answers({"x": logits}, labels), "b": Answers({"x": less}, labels)}
    )
    assert set(found.ties) == {0} and set(found.strongest) == {"b"}
