"""How far trainings lie apart is the deviation over the seeds that were recorded together."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from dnalib import metrics, stages
from dnalib.runs import Run
from dnalib.stages import ENSEMBLES, attacked_name
from dnalib.tables import luck, seeds
from dnalib.tables.answers import answers_of
from dnalib.tables.sweep_differences import CHANGED


@pytest.fixture(scope="module")
def recorded() -> Run:
    return stages.open_run({"profile": "recorded/small"})


@pytest.fixture(scope="module")
def found(recorded: Run) -> luck.Luck:
    return luck.of_training(recorded)


def test_it_is_that_of_the_table_over_seeds(recorded: Run, found: luck.Luck) -> None:
    assert set(found) == {(measure, name) for measure in CHANGED for name in ENSEMBLES}
    runs = recorded.with_seeds()
    assert len(runs) == 4
    times = 3.182446 * 2**0.5  # Student's quantile of three degrees of freedom
    natural = seeds.natural_spread_table(runs)["SD over seeds"]
    epsilon = max(recorded.settings.epsilons)
    under = {
        attack: seeds.spread_table(runs, attack=attack, padding="strip", epsilon=epsilon)
        for attack in stages.ATTACKS
    }
    for name in ENSEMBLES:
        shown = f"{100 * found['average accuracy', name] / times:.1f}"
        assert shown == natural["average", name]
        for attack, table in under.items():
            shown = f"{100 * found[f'P(≥1) under {attack.upper()}', name] / times:.1f}"
            assert shown == table["SD over seeds"]["P(≥1)", name]


def test_with_all_classes_alike_it_is_of_the_class_average(recorded: Run, found: luck.Luck) -> None:
    name = attacked_name("strip", max(recorded.settings.epsilons))
    values = []
    for run in recorded.with_seeds():
        file = load_file(run.obtain(name).path)
        labels = load_file(run.obtain("natural-base").path)["labels"][file["positions"]]
        right = answers_of(file["sap"].astype(float), labels).correct()["fdec"].any(axis=0)
        values.append(metrics.class_averaged(right, labels))
    expected = 3.182446 * 2**0.5 * np.std(values, ddof=1)
    assert found["P(≥1) under SAP, class-averaged", "fdec"] == pytest.approx(expected, rel=1e-6)


def test_a_run_that_stands_alone_tells_nothing(tiny_run: Run) -> None:
    assert luck.of_training(tiny_run) == {}
