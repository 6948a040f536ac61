"""What the appendices answer in words is what their tables hold."""

import re

import pandas
import pytest
from made_up_run import ATTACKED

from dnalib import metrics, tables
from dnalib.detection import UA_GAIN
from dnalib.stages import ENSEMBLES
from dnalib.stages.rivals import RIVALS
from dnalib.tables import (
    adaptive,
    answers,
    knowledge,
    longer,
    replies,
    rivalry,
)


@pytest.fixture(scope="module")
def shown(run):
    return knowledge.doubt_conditions(run, epsilon=50)


def test_the_strongest_attack_of_each_ensemble_is_named_at_each_epsilon(run, monkeypatch):
    made = pandas.DataFrame(
        [
            (10.0, "cor", "PGD, end to end", 0.75, 0.5),
            (10.0, "dec", "PGD, end to end", 0.5, 0.5),
            (10.0, "fcor", "SAP, member 2", 0.5, 0.375),
            (10.0, metrics.CONTROL, "SAP, base model", 1.0, 0.0),
            (50.0, "cor", "SAP, member 2", 0.5, 0.25),
            (50.0, "dec", "SAP, member 2", 0.25, 0.0),
        ],
        columns=["epsilon", "ensemble", "strongest", "alone", "value"],
    )
    monkeypatch.setattr(knowledge, "strongest_table", lambda run: made)
    assert replies.strongest(run).markdown.splitlines() == [
        "- ε = 10 µV: no single attack breaks more than *PGD, end to end* (cor and dec) and "
        "*SAP, member 2* (fcor). The strongest attack on each record breaks from 0.0 (dec) to "
        "25.0 points more (cor).",
        "- ε = 50 µV: no single attack breaks more than *SAP, member 2* (cor and dec). The "
        "strongest attack on each record breaks 25.0 points more of each.",
    ]


def test_where_nothing_is_taken_it_is_said():
    assert replies.at_most({"a": 0.0, "b": 0.0}, of="P(≥1)") == "nothing of P(≥1)"


def test_what_more_steps_take_is_the_most_of_the_table(run):
    groups = rivalry.groups(run)
    table = longer.without_and_with(run, groups=groups)
    text = replies.converged(run, groups=groups).markdown
    for name in longer.AIMS:
        rows = tables.selected(table, name=name)
        taken = (ATTACKED * (rows.without - rows.value)).round()  # records
        assert taken.max() > 0
        most = rows[taken == taken.max()]  # equals all
        whose = tables.in_a_sentence(
            [f"{row.ensemble}, ε = {row.epsilon:g} µV" for row in most.itertuples()]
        )
        assert f"up to {100 * taken.max() / ATTACKED:.1f} points of {name} ({whose})" in text


def test_what_twice_the_steps_take_is_the_most_of_all_ensembles(run):
    text = replies.still_converged(run, groups=rivalry.groups(run)).markdown
    names = (*ENSEMBLES, *RIVALS)
    for measure, aim in longer.AIMS.items():
        left = {one: run.obtain(f"doubled-{one}").results["left"][aim] for one in names}
        taken = {name: before - after for name, (before, after) in left.items()}  # records
        most = max(taken.values())
        whose = tables.in_a_sentence([name for name, count in taken.items() if count == most])
        assert f"up to {100 * most / ATTACKED:.1f} points of {measure} ({whose})" in text


def test_a_difference_is_told_only_where_its_interval_lies_beside_zero(shown, monkeypatch):
    made = pandas.DataFrame(
        [
            ("natural", "dec", 0.01, 0.2, 0.03),
            ("natural", "fcor", -0.2, -0.01, 0.01),
            ("natural", "fdec", -0.1, 0.1, 0.9),
            ("natural", "wide", 0.0, 0.1, 0.04),
            ("natural", "dverge", 0.001, 0.2, 0.07),
        ],
        columns=["condition", "ensemble", "low", "high", "p_value"],
    )
    monkeypatch.setattr(answers, "accuracy_differences", lambda shown, **options: made)
    assert replies.better(shown, against="cor", rule="majority vote").markdown == (
        "- natural: more often right than cor: dec; less often right than cor: fcor; "
        "not told apart from cor: fdec, wide and dverge."
    )


def test_every_ensemble_is_compared_with_the_one_that_is_named(shown):
    text = replies.better(shown, against="fdec", rule="mean softmax").markdown
    for line, condition in zip(text.splitlines(), shown, strict=True):
        assert line.startswith(f"- {condition}: ")
        for name in ("cor", "dec", "fcor", metrics.CONTROL):
            assert re.search(rf"(?<!\w){re.escape(name)}(?!\w)", line.split(": ", 1)[1])


def test_doubt_is_judged_by_its_interval_beside_one_half():
    none = float("nan")
    made = pandas.DataFrame(
        {
            "condition": "natural",
            "ensemble": ["cor", "dec", "fcor", "fdec", "wide", "dverge"],
            "measure": "error detection",
            "low": [0.6, 0.2, 0.4, none, 0.5, 1.0],
            "high": [0.8, 0.4, 0.6, none, 0.5, 1.0],
        }
    )
    assert replies.doubt(made).markdown == (
        "- natural: tells right from wrong: cor and dverge; misled: dec; the same for every "
        "record: wide; not told apart from chance: fcor; without an interval: fdec."
    )


def test_scores_are_read_beside_those_of_a_constant_doubt():
    none = float("nan")
    made = pandas.DataFrame(
        {
            "condition": "natural",
            "ensemble": ["cor", "dec", "fcor", "wide", "cor"],
            "scaling": [*["natural set"] * 4, "each set"],
            "UA": [0.7, 0.4, 0.5, none, 0.1],
            f"{UA_GAIN}": [0.1, -0.1, -0.05, none, -0.5],
            f"{UA_GAIN}, low": [0.05, -0.2, -0.15, none, -0.6],
            f"{UA_GAIN}, high": [0.2, -0.05, 0.02, none, -0.4],
        }
    )
    assert replies.beside_constant_doubt(made).markdown == (
        "- natural: above: cor +10.0 (5.0 to 20.0); below: dec −10.0 (−20.0 to −5.0); not told "
        "apart: fcor −5.0 (−15.0 to 2.0); without a scale: wide –."
    )


def test_the_gain_is_that_of_the_tables(run):
    found = knowledge.summary(run, epsilon=50)
    both = found[knowledge.PAPER], found[knowledge.ALL]
    first, second = replies.gain(*both).markdown.split("; in the worst")
    gained = adaptive.gain(both[0]).loc["P(≥1)"]
    assert f"a difference of {gained['fdec − cor']} points" in first
    # Nothing survives there, of which an interval of no width would say that it is certain.
    assert "neither fdec nor cor keeps any of 40 records" in second
    for text, answers_under in zip((first, second), both, strict=True):
        beyond = adaptive.gain(answers_under).loc["P(≥1)", f"fdec − ({metrics.CONTROL})"]
        assert f"less the control is {beyond} points" in text


@pytest.mark.parametrize(
    ("shares", "text"),
    [
        ({"cor": 0.0003, "dec": 0.0}, "nothing of P(≥1)"),
        ({"cor": -0.2}, "nothing of P(≥1)"),
        ({"cor": 0.01, "dec": 0.02}, "up to 2.0 points of P(≥1) (dec)"),
        # 0.205 - 0.19 and 0.14 - 0.125 differ in their last bit alone.
        ({"dec": 0.205 - 0.19, "fcor": 0.14 - 0.125}, "up to 1.5 points of P(≥1) (dec and fcor)"),
    ],
)
def test_what_rounds_to_nothing_is_nothing(shares, text):
    assert replies.at_most(shares, of="P(≥1)") == text


def test_what_keeps_more_than_the_control_is_told_by_its_intervals():
    made = pandas.DataFrame(
        [
            (2, "fcor", "average accuracy", 0.3, 0.2, 0.4),
            (2, "fcor", "P(≥1) under SAP", 0.05, 0.01, 0.09),
            (10, "fcor", "P(≥1) under SAP", 0.1, 0.05, 0.15),
            (10, "dec", "P(≥1) under SAP", 0.04, -0.01, 0.09),
            (10, "fdec", "P(≥1) under SAP", -0.2, -0.3, -0.1),
            (10, "fcor", "P(≥1) under PGD", 0.0, -0.1, 0.1),
        ],
        columns=["setting", "ensemble", "measure", "value", "low", "high"],
    )
    assert replies.above_control(made).markdown.splitlines() == [
        "- P(≥1) under SAP: more is kept by fcor at 2 (+5.0) and 10 (+10.0); less by fdec at 10.",
        "- P(≥1) under PGD: more is kept by none; less by none.",
    ]


def test_what_another_value_changes_is_told_by_its_intervals():
    made = pandas.DataFrame(
        [
            (0.8, 0.2, "dec", "average accuracy", -0.1, -0.2, -0.05, 1),
            (0.8, 0.2, "fdec", "average accuracy", 0.0, -0.1, 0.1, 1),
            (0.8, 0.2, "dec", "P(≥1) under PGD", 0.3, 0.2, 0.4, 1),
            (0.8, 0.2, "fdec", "P(≥1) under PGD", 0.1, 0.05, 0.2, 1),
            (1.0, 0.2, "dec", "average accuracy", 0.0, 0.0, 0.0, 1),
        ],
        columns=["setting", "against", "ensemble", "measure", "value", "low", "high", "seeds"],
    )
    assert replies.changed(made).markdown.splitlines() == [
        "- 0.8 instead of 0.2: average accuracy falls (dec) and shows no certain change "
        "(fdec); P(≥1) under PGD rises (dec and fdec).",
        "- 1 instead of 0.2: average accuracy shows no certain change (dec).",
    ]
    luck = {("average accuracy", "dec"): 0.08, ("P(≥1) under PGD", "dec"): 0.28}
    luck |= {("average accuracy", "fdec"): 0.34, ("P(≥1) under PGD", "fdec"): 0.28}
    first, second = replies.changed(made, luck=luck).markdown.splitlines()
    assert first == (
        "- 0.8 instead of 0.2: average accuracy falls (dec) and shows no certain change (fdec); "
        "P(≥1) under PGD rises (dec) and changes by no more than another seed may (fdec)."
    )
    assert second == "- 1 instead of 0.2: average accuracy shows no certain change (dec)."
    several = replies.changed(made.assign(seeds=2), luck=luck)  # its interval holds the luck
    assert several == replies.changed(made)


def test_luck_and_records_are_joined_in_either_direction():
    made = pandas.DataFrame(
        [
            (1, 2, "up", "m", 0.25, 0.10, 0.40, 1),  # 0.15 by the records, 0.2 by luck: 0.25
            (1, 2, "down", "m", -0.25, -0.40, -0.10, 1),
            (1, 2, "further", "m", 0.26, 0.11, 0.41, 1),
            (1, 2, "far", "m", -0.26, -0.41, -0.11, 1),
        ],
        columns=["setting", "against", "ensemble", "measure", "value", "low", "high", "seeds"],
    )
    luck = {("m", name): 0.2 for name in ("up", "down", "further", "far")}
    assert replies.changed(made, luck=luck).markdown == (
        "- 1 instead of 2: m rises (further), falls (far) and changes by no more than another seed "
        "may (up and down)."
    )


def test_a_constant_doubt_is_compared_by_the_interval_alone():
    none = {"UA": 0.5, "scaling": ["natural set", "each set"] * 2, "condition": "n"}
    made = pandas.DataFrame(
        {
            **none,
            "ensemble": ["a", "a", "b", "b"],
            UA_GAIN: [0.1, 0.9, -0.1, 0.9],
            f"{UA_GAIN}, low": [-0.1, 0.8, -0.3, 0.8],
            f"{UA_GAIN}, high": [0.3, 1.0, 0.1, 1.0],
        }
    )
    assert replies.beside_constant_doubt(made).markdown == (
        "- n: not told apart: a +10.0 (−10.0 to 30.0) and b −10.0 (−30.0 to 10.0)."
    )
