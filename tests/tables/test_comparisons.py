"""Ensembles beside each other on the same records, and beside what was published."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas
import pytest

from dnalib import intervals, losses, metrics, published, stages, tables
from dnalib.runs import ComputingRun
from dnalib.tables import comparisons, robustness
from dnalib.tables.answers import answers_of

CONDITION = {"attack": "sap", "padding": "strip"}


@pytest.mark.parametrize("measure", ["average", "P(≥1)", "P(≥3)"])
def test_what_records_contribute_adds_up_to_the_measure(measure: str) -> None:
    correct = np.random.default_rng(0).random((3, 50)) < 0.6
    table = robustness.ensemble_table({"cor": correct}, np.zeros(50, dtype=int))
    (expected,) = table[table.measure == measure].value
    assert comparisons.record_values(correct, measure=measure).mean() == pytest.approx(expected)


def test_unknown_measure_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'P\(≥4\)'.*average, P\(≥1\), P\(≥2\)"):
        comparisons.record_values(np.ones((3, 5), dtype=bool), measure="P(≥4)")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    """Made-up answers in place of the tiny run's, whose networks hardly differ."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 120)
    skill = np.linspace(0.2, 2, 9)[:, None, None]  # (member, 1, 1)
    logits = random.normal(size=(9, 120, 4)) + skill * np.eye(4)[labels]
    monkeypatch.setattr(comparisons, "attacked", lambda run, **condition: (logits, labels))
    return logits, labels


@pytest.mark.parametrize("measure", ["P(≥1)", "P(≥2)", "average"])
def test_differences_are_paired_and_taken_off_the_reference(
    tiny_run: ComputingRun, answers: tuple[np.ndarray, np.ndarray], measure: str
) -> None:
    found = comparisons.differences(tiny_run, **CONDITION, measure=measure, against="dec")
    others = [name for name in (*stages.ENSEMBLES, metrics.CONTROL) if name != "dec"]
    assert list(dict.fromkeys(found.ensemble)) == others and set(found.against) == {"dec"}
    assert set(found.epsilon) == set(tiny_run.settings.epsilons)
    values = {
        name: comparisons.record_values(correct, measure=measure)
        for name, correct in answers_of(*answers).correct().items()
    }
    assert values["fdec"].mean() > values["dec"].mean() > values["cor"].mean()
    for row in found.itertuples():
        expected = intervals.paired_difference(values[row.ensemble], values["dec"])
        assert (row.value, row.low, row.high) == expected and row.records == 120


def test_wide_differences_are_in_points_with_a_sign(tiny_run: ComputingRun) -> None:
    table = comparisons.differences(tiny_run, **CONDITION).assign(value=-0.125, low=-0.2, high=0.1)
    wide = comparisons.wide_differences(table)
    assert wide.loc["dec − cor", "10 µV"] == "−12.5 (−20.0 to 10.0)"
    assert list(wide.columns) == ["10 µV", "50 µV"]


def test_at_the_floor_is_who_cannot_be_told_from_the_constant_on_the_same_records() -> None:
    constant = np.arange(40) < 20
    other = np.roll(constant, 5)
    other[[0, 26]] = True  # six records more than the constant, and four fewer
    right = {
        "above, by chance": other,
        "always more": constant | (np.arange(40) >= 35),
        "below": constant & (np.arange(40) < 10),
    }
    found = comparisons.at_the_floor(right, constant=constant)
    assert list(found) == ["above, by chance", "below"]
    assert other.mean() > constant.mean() and found["above, by chance"].startswith("55.0 (")
    ends = intervals.share_interval(right["below"])[1:]
    assert found["below"] == tables.with_interval(0.25, *ends)
    # By intervals that are not paired, this one could not be told from the constant either.
    low, _ = intervals.share_interval(right["always more"])[1:]
    assert low < intervals.share_interval(constant)[2]


def test_r_squared_stands_beside_the_published(tiny_run: ComputingRun) -> None:
    table = comparisons.r_squared_beside_published(tiny_run)
    assert len(table) == 24
    row = table.loc[("dec", "dec1 → base")]
    assert row["R²"] == f"{tables.r_squared(tiny_run, 'dec')[1, 0]:.3f}"
    assert row["published R²"] == "0.617" and row["published, adjusted"] == "0.615"
    assert losses.adjusted_for_chance(0.6173, records=9589, columns=64) == pytest.approx(
        1 - (1 - 0.6173) * 9588 / 9524
    )


def test_answers_stand_beside_the_published(tiny_run: ComputingRun) -> None:
    table = comparisons.answers_beside_published(tiny_run, padding="strip")
    condition = {"attack": "pgd", "padding": "strip", "epsilon": published.PGD_EPSILON}
    votes = tables.voting_table(tiny_run, **condition)
    for name in stages.ENSEMBLES:
        assert table["accuracy (%)"][name] == votes.loc[name, "mean softmax"]["PGD, ε = 50 µV"]
    scores = tables.uncertainty_scores(tiny_run, **condition)
    shown = tables.uncertainty_table(tiny_run, **condition)
    for name in stages.ENSEMBLES:
        assert table.loc[name, ["R_cc", "R_iu"]].tolist() == shown.loc[name].tolist()[:2]
        ends = scores.loc[name, ["UA", "UA, low", "UA, high"]]
        assert table["UA"][name] == tables.with_interval(*ends)
        assert table["UA"][name].split()[0] == shown["UA"][name]
    hits = [votes.loc[name, "mean softmax"]["PGD, ε = 50 µV"] for name in stages.ENSEMBLES]
    # Always certain, it is right with the answer; always uncertain, where the answer is wrong.
    for shown, hit in zip(table["UA, constant doubt"], hits, strict=True):
        accuracy = float(hit.split()[0])
        assert float(shown) == pytest.approx(max(accuracy, 100 - accuracy), abs=0.11)
    assert table["published UA"].to_dict() == {
        "cor": "30.3",
        "dec": "–",
        "fcor": "–",
        "fdec": "48.0",
    }
    assert table.columns.name == "PGD, ε = 50 µV"


def test_published_answers_stand_beside_no_other_epsilon(
    tiny_run: ComputingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(tiny_run.settings, epsilons=(10.0,))
    monkeypatch.setattr(tiny_run, "settings", settings)
    table = comparisons.answers_beside_published(tiny_run, padding="strip")
    assert set(table["published UA"]) == set(table["published accuracy"]) == {"–"}
    assert table.columns.name == "PGD, ε = 10 µV"


def test_a_share_of_all_lies_between_none_and_each_of_the_others(
    answers: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparisons, "natural", lambda run, members: (None, np.zeros(200)))
    columns = ["R_cc", "R_iu", "UA", "UA, low", "UA, high", "UA, constant doubt"]
    scores = pandas.DataFrame(0.25, index=list(stages.ENSEMBLES), columns=columns)
    monkeypatch.setattr(comparisons, "uncertainty_scores", lambda run, **condition: scores)
    run = SimpleNamespace(settings=SimpleNamespace(epsilons=(published.PGD_EPSILON,)))
    table = comparisons.answers_beside_published(run, padding="strip")
    predicted = answers_of(*answers).predicted("mean softmax")
    for name in stages.ENSEMBLES:
        right = (predicted[name] == answers[1]).sum()  # of the 120 that were attacked
        ends = right / 200, (right + 80) / 200
        assert table["accuracy of all 200"][name] == tables.between(*ends)
        assert table["UA of all 200"][name] == tables.between(30 / 200, 110 / 200)


def test_confusions_are_of_each_ensembles_mean_softmax() -> None:
    logits = np.random.default_rng(0).normal(size=(9, 40, 4))
    labels = np.arange(40) % 4
    found = comparisons.ensemble_confusions(logits, labels)
    places = [stages.MEMBERS.index(member) for member in stages.ENSEMBLES["fdec"]]
    expected = metrics.mean_softmax_prediction(logits[places])
    assert list(found) == list(stages.ENSEMBLES)
    assert found["fdec"].sum() == 40
    assert np.trace(found["fdec"]) == (expected == labels).sum()


def test_each_class_that_a_network_leaves_out_is_named() -> None:
    found = comparisons.leaving_out({"a": np.array([1, 2]), "b": np.array([0, 1, 2, 3])})
    assert found.startswith("*a* never answers N or ~ on 2 unperturbed records")
    assert comparisons.leaving_out({"b": np.array([0, 1, 2, 3])}) == ""
