"""What more steps take beyond all other attacks, on a run whose logits are drawn at random."""

from itertools import product

import numpy as np
import pytest
from made_up_run import ATTACKED, LONGER
from safetensors.numpy import load_file

from dnalib import metrics, tables
from dnalib.stages import ENSEMBLES
from dnalib.stages.rivals import RIVALS
from dnalib.tables import adaptive, convergence, knowledge, longer, rivalry

NAMES = {
    "end to end/apgd": "APGD of 10 steps, end to end",
    "least misled member/apgd": "APGD of 10 steps, least misled member",
}


def test_each_ensemble_is_attacked_by_itself_and_so_is_the_control(run):
    found = convergence.longer_conditions(run, epsilon=50, ensembles=ENSEMBLES)
    assert list(found) == list(NAMES.values())
    usual = knowledge.conditions(run, epsilon=50)
    for name in LONGER:
        answers = found[NAMES[name]]
        assert list(answers.logits) == [*ENSEMBLES, metrics.CONTROL]
        assert np.array_equal(answers.labels, usual[knowledge.PAPER].labels)
        for ensemble in ENSEMBLES:
            file = load_file(run.obtain(f"longer-{ensemble}-50").path)
            assert np.array_equal(answers.logits[ensemble], file[name].astype(float))
        base = load_file(run.obtain("longer-control-50").path)[name][0].astype(float)
        assert np.array_equal(answers.logits[metrics.CONTROL], metrics.with_constants(base))


def test_a_rival_stands_without_the_control(run):
    found = convergence.longer_conditions(run, epsilon=150, ensembles={"wide": RIVALS["wide"]})
    (answers, _) = found.values()
    assert list(answers.logits) == ["wide"]
    assert answers.logits["wide"].shape == (1, ATTACKED, 4)


@pytest.mark.parametrize("epsilon", [10, 50, 150])
def test_they_are_among_what_an_attacker_has(run, epsilon):
    attacks = knowledge.conditions(run, epsilon=epsilon)
    assert set(NAMES.values()) < set(attacks)
    assert NAMES["end to end/apgd"] in knowledge.known_to(attacks, knowledge="whole ensemble")
    assert NAMES["least misled member/apgd"] in knowledge.known_to(attacks, knowledge="adaptive")


def test_what_they_take_is_counted_record_by_record(run):
    table = longer.more_steps(run, groups=rivalry.groups(run))
    for epsilon, ensemble in product(knowledge.epsilons(run), (*ENSEMBLES, metrics.CONTROL)):
        attacks = knowledge.conditions(run, epsilon=epsilon)
        usual = {name: one for name, one in attacks.items() if name not in NAMES.values()}
        assert len(usual) == len(attacks) - 2
        for ending, some in (("without", usual), ("with", attacks)):
            alive = [one.correct()[ensemble].any(0) for one in some.values()]
            told = [one.predicted("mean softmax")[ensemble] == one.labels for one in some.values()]
            for name, survived in (("P(≥1)", alive), ("mean softmax", told)):
                expected = tables.percent(np.logical_and.reduce(survived).mean())
                cell = table.loc[(f"{epsilon:g} µV", ensemble), f"{name}, {ending}"]
                assert cell.split()[0] == expected
    wide = table.xs("wide", level="ensemble")
    assert (wide["P(≥1), without"] != wide["P(≥1), with"].str.split().str[0]).all()


def test_what_twice_the_steps_take_is_a_share_of_all_attacked(run):
    table = longer.twice_more_steps(run, groups=rivalry.groups(run))
    assert list(table.index) == [*ENSEMBLES, *RIVALS]
    columns = ("P(≥1), 10 steps", "P(≥1), 20 steps", "mean softmax, 10 steps")
    assert tuple(table.columns[:3]) == columns
    left = run.obtain("doubled-dec").results["left"]
    for name, (before, after) in {"P(≥1)": left["least misled member"]}.items():
        row = table.loc["dec"]
        assert row[f"{name}, 10 steps"] == tables.percent(before / ATTACKED)
        assert row[f"{name}, 20 steps"] == tables.percent(after / ATTACKED)
    assert table.loc["dec", "mean softmax, 20 steps"] == tables.percent(
        left["end to end"][1] / ATTACKED
    )


def test_rivals_stand_below_the_ensembles(run):
    table = longer.more_steps(run, groups=rivalry.groups(run))
    names = [*ENSEMBLES, metrics.CONTROL, *RIVALS]
    assert list(table.index) == [
        (f"{epsilon:g} µV", name) for epsilon in knowledge.epsilons(run) for name in names
    ]
    ours = longer.more_steps(run)
    assert table.loc[ours.index].equals(ours)


def test_sap_goes_on_from_what_it_leaves_at_every_aim(tiny_run):
    run = tiny_run
    table = longer.smooth_steps([run])
    steps = run.settings.sap_steps
    assert list(table.columns) == [f"{times * steps} steps" for times in (1, 5, 10)]
    shown = adaptive.smooth(run).loc["50 µV"]
    for ensemble, row in table.iterrows():
        cells = shown.loc[ensemble]
        assert row[f"{steps} steps"] == cells["SAP, every aim"].split()[0]
        assert row[f"{10 * steps} steps"] == cells["SAP, more steps"].split()[0]
    assert longer.smooth_steps([run, run]).equals(table)
