"""What the appendices answer in words is what their tables hold."""

import re

import pandas
import pytest
from made_up_run import ATTACKED, MadeUpRun

from dnalib import adaptive, answers, deferral, knowledge, metrics, replies, rivalry, tables
from dnalib.stages import ENSEMBLES
from dnalib.stages.rivals import RIVALS


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return MadeUpRun(tmp_path_factory.mktemp("made up"))


@pytest.fixture(scope="module")
def shown(run):
    return knowledge.doubt_conditions(run, epsilon=50)


def test_the_strongest_attack_of_each_ensemble_is_named_at_each_epsilon(run):
    table = knowledge.strongest_table(run)
    lines = replies.strongest(run).markdown.splitlines()
    for epsilon, line in zip(knowledge.epsilons(run), lines, strict=True):
        assert line.startswith(f"- ε = {epsilon:g} µV: ") and metrics.CONTROL not in line
        rows = tables.selected(table, epsilon=epsilon).set_index("ensemble").loc[list(ENSEMBLES)]
        named = dict(re.findall(r"\*(.+?)\* of ([^*.]+)", line))
        for ensemble, attack in rows.strongest.items():
            assert ensemble in re.findall(r"\w+", named[attack])
        taken = rows.alone - rows.value
        for name in (taken.idxmin(), taken.idxmax()):
            assert f"({name})" in line
        assert f" to {100 * taken.max():.1f} ({taken.idxmax()})." in line


def test_what_is_the_same_of_each_is_said_once():
    assert replies.more_in_points({"a": 0.1, "b": 0.1}) == "10.0 points more of each"
    assert replies.at_most({"a": 0.0, "b": 0.0}, of="P(≥1)") == "nothing of P(≥1)"


def test_what_more_steps_take_is_the_most_of_the_table(run):
    groups = rivalry.groups(run)
    table = adaptive.without_and_with(run, groups=groups)
    text = replies.converged(run, groups=groups).markdown
    for name in adaptive.LEFT.values():
        rows = tables.selected(table, name=name)
        taken = rows.without - rows.value
        row = rows.loc[taken.idxmax()]
        expected = f"up to {100 * taken.max():.1f} points of {name} ({row.ensemble}, ε = "
        assert taken.max() > 0 and f"{expected}{row.epsilon:g} µV)" in text


def test_what_twice_the_steps_take_is_the_most_of_all_ensembles(run):
    text = replies.still_converged(run, groups=rivalry.groups(run)).markdown
    taken = {}
    for name in (*ENSEMBLES, *RIVALS):
        before, after = run.obtain(f"doubled-{name}").results["left"]["end to end"]
        taken[name] = (before - after) / ATTACKED
    most = max(taken, key=taken.__getitem__)
    assert f"up to {100 * taken[most]:.1f} points of mean softmax ({most})" in text


def test_a_difference_is_told_only_where_its_interval_lies_beside_zero(shown, monkeypatch):
    made = pandas.DataFrame(
        [("natural", "dec", 0.01, 0.2), ("natural", "fcor", -0.2, -0.01), ("natural", "b", 0.0, 1)],
        columns=["condition", "ensemble", "low", "high"],
    )
    monkeypatch.setattr(answers, "accuracy_differences", lambda shown, **options: made)
    assert replies.better(shown, against="cor", rule="majority vote").markdown == (
        "- natural: more often right than cor: dec; less often right than cor: fcor; "
        "not told from it: b."
    )


def test_every_ensemble_is_compared_with_the_one_that_is_named(shown):
    text = replies.better(shown, against="fdec", rule="mean softmax").markdown
    for line, condition in zip(text.splitlines(), shown, strict=True):
        assert line.startswith(f"- {condition}: ")
        for name in ("cor", "dec", "fcor", metrics.CONTROL):
            assert name in line.split(": ", 1)[1]


def test_doubt_is_judged_by_its_interval_beside_one_half(shown, monkeypatch):
    none = float("nan")
    made = pandas.DataFrame(
        {
            "condition": "natural",
            "ensemble": ["cor", "dec", "fcor", "fdec"],
            "uncertainty": "predictive entropy",
            "measure": "error detection",
            "low": [0.6, 0.2, 0.4, none],
            "high": [0.8, 0.4, 0.6, none],
        }
    )
    monkeypatch.setattr(deferral, "detection_table", lambda shown, **options: made)
    assert replies.doubt(shown, uncertainty="predictive entropy").markdown == (
        "- natural: tells right from wrong: cor; misled: dec; not told from chance: fcor; "
        "without an interval: fdec."
    )


def test_the_gain_is_that_of_the_tables(run):
    found = knowledge.summary(run, epsilon=50)
    attacks = knowledge.conditions(run, epsilon=50)
    paper, worst = found[knowledge.PAPER], found[knowledge.ALL]
    first, second = replies.gain(paper, worst, attacks=attacks).markdown.split("; in the worst")
    for text, table in (
        (first, adaptive.gain(paper)),
        (second, adaptive.gain(worst, attacks=attacks)),
    ):
        row = table.loc["P(≥1)"]
        assert f"less cor is {row['fdec − cor']} points" in text
        assert f"less the control {row[f'fdec − ({metrics.CONTROL})']}" in text
    assert first != second
