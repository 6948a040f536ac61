"""The attacked records that figures show are the stored ones, with the stored answers."""

import numpy as np
from safetensors.numpy import load_file

from dnalib import stages, tables
from dnalib.metrics import softmax
from dnalib.runs import ComputingRun
from dnalib.tables import examples


def test_example_holds_the_stored_perturbations_at_each_epsilon(tiny_run: ComputingRun) -> None:
    kept = len(tiny_run.obtain("examples").results["records"])
    last = examples.attacked_example(tiny_run, number=kept - 1)
    assert examples.attacked_example(tiny_run, number=kept + 3).record == last.record
    example = examples.attacked_example(tiny_run, number=1)
    position = tiny_run.dataset.split.test[positions_of(tiny_run)[1]]
    assert example.record == tiny_run.dataset.records.names[position]
    assert list(example.perturbations) == list(tiny_run.settings.epsilons)
    for epsilon, perturbations in example.perturbations.items():
        stored = load_file(tiny_run.obtain(stages.perturbation_name("strip", epsilon)).path)
        assert set(perturbations) == {"PGD", "SAP"}
        for name, delta in perturbations.items():
            np.testing.assert_array_equal(delta, stored[name.lower()][1])
            assert 0 < abs(delta).max() <= epsilon


def test_answers_to_an_example_are_the_base_models(tiny_run: ComputingRun) -> None:
    table = examples.example_answers(tiny_run, number=1)
    position = positions_of(tiny_run)[1]
    logits, labels = tables.natural(tiny_run, ["base"])
    first = logits[0, position]
    assert labels[position] == first.argmax()  # else it would not have been attacked
    expected = f"{stages.CLASS_NAMES[labels[position]]}, {tables.percent(softmax(first).max())} %"
    assert table.loc["0 µV"].to_dict() == {"PGD": expected, "SAP": expected}
    assert list(table.index) == ["0 µV"] + [f"{one:g} µV" for one in tiny_run.settings.epsilons]
    for attack in stages.ATTACKS:
        for epsilon in tiny_run.settings.epsilons:
            logits, _ = tables.attacked(tiny_run, attack=attack, padding="strip", epsilon=epsilon)
            answer = stages.CLASS_NAMES[logits[0, 1].argmax()]
            shown = table.loc[f"{epsilon:g} µV", attack.upper()]
            assert shown == f"{answer}, {tables.percent(softmax(logits[0, 1]).max())} %"


def positions_of(run: ComputingRun) -> np.ndarray:
    """Which test records were attacked."""
    name = stages.attacked_name("strip", min(run.settings.epsilons))
    return load_file(run.obtain(name).path)["positions"]
