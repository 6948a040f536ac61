"""Tables agree with the artefacts that they are made of."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny import open_tiny

from dnalib import intervals, metrics, stages, tables
from dnalib.runs import ComputingRun
from dnalib.tables import answers, chapters


def test_the_commonest_class_is_counted_without_a_network(
    tiny_run: ComputingRun, tmp_path: Path
) -> None:
    labels = tables.natural(tiny_run, ["base"])[1]
    run = open_tiny(tmp_path)
    assert tables.majority_share(run) == tables.hits_of_commonest(labels).mean()
    assert run.find("survey") and not run.find("base"), "nothing was trained for it"


def test_members_table(tiny_run: ComputingRun) -> None:
    table = tables.members_table(tiny_run, ["base", "dec1"])
    for member in ("base", "dec1"):
        logits, labels = tables.natural(tiny_run, [member])
        assert table["test accuracy (%)"][member] == tables.percent(
            (logits[0].argmax(1) == labels).mean()
        )
        best = tiny_run.obtain(member).results["history"]["test_accuracy"]
        assert table["best epoch (%)"][member] == tables.percent(max(best))


def test_robustness_counts_the_attacked_records_of_each_ensemble(tiny_run: ComputingRun) -> None:
    table = tables.robustness_table(tiny_run)
    epsilon = max(tiny_run.settings.epsilons)
    logits, labels = tables.attacked(tiny_run, attack="sap", padding="mask", epsilon=epsilon)
    for name, members in stages.ENSEMBLES.items():
        places = [stages.MEMBERS.index(member) for member in members]
        hits = (logits[places].argmax(2) == labels).sum(0)  # (record,)
        for number in (1, 2, 3):
            (row,) = tables.selected(
                table,
                attack="sap",
                padding="mask",
                epsilon=epsilon,
                ensemble=name,
                measure=f"P(≥{number})",
            ).itertuples()
            assert row.value == pytest.approx((hits >= number).mean())
            assert row.low <= row.value <= row.high and row.records == len(labels)


def test_attacked_records_are_those_the_base_model_gets_right(tiny_run: ComputingRun) -> None:
    logits, labels = tables.natural(tiny_run, ["base"])
    epsilon = min(tiny_run.settings.epsilons)
    _, attacked = tables.attacked(tiny_run, attack="pgd", padding="strip", epsilon=epsilon)
    right = logits[0].argmax(1) == labels
    np.testing.assert_array_equal(attacked, labels[right])


def test_control_is_the_base_model_and_two_constants(tiny_run: ComputingRun) -> None:
    logits, labels = tables.natural(tiny_run, stages.MEMBERS)
    hits = answers.answers_of(logits, labels).correct()[metrics.CONTROL]
    np.testing.assert_array_equal(hits[0], logits[0].argmax(1) == labels)
    np.testing.assert_array_equal(hits[1], labels == 0)
    np.testing.assert_array_equal(hits[2], labels == 2)


def test_headline_sets_the_papers_numbers_beside_ours(tiny_run: ComputingRun) -> None:
    table = tables.headline(tiny_run)
    assert list(table.index) == [*stages.ENSEMBLES, metrics.CONTROL]
    # The tiny run has no ε = 150 µV, so that no published value belongs beside it.
    assert set(table["paper"]) == {"–"}
    assert tables.paper_points(tiny_run, attack="sap").keys() == {
        ("cor", "P(≥1)", 10.0),
        ("cor", "P(≥2)", 10.0),
    }


def test_voting_and_uncertainty_tables(tiny_run: ComputingRun) -> None:
    condition = {"attack": "pgd", "padding": "strip", "epsilon": 50.0}
    votes = tables.voting_table(tiny_run, **condition)
    logits, labels = tables.attacked(tiny_run, **condition)
    places = [stages.MEMBERS.index(member) for member in stages.ENSEMBLES["fdec"]]
    expected = (metrics.mean_softmax_prediction(logits[places]) == labels).mean()
    attacked = f"the {len(labels)} attacked"
    row = votes.loc["fdec", "mean softmax"]
    assert row["PGD, ε = 50 µV"].split()[0] == tables.percent(expected)
    # On the same records unperturbed, and on all of them.
    natural, every = tables.natural(tiny_run, stages.MEMBERS)
    positions = load_positions(tiny_run)
    right = metrics.mean_softmax_prediction(natural[places]) == every
    assert row[f"natural, {attacked}"].split()[0] == tables.percent(right[positions].mean())
    ends = intervals.share_interval(right)[1:]
    assert row[f"natural, all {len(every)}"] == tables.with_interval(right.mean(), *ends)
    # One network alone is what an ensemble has to be better than; the control is the last.
    alone = (natural[0].argmax(1) == every).mean()
    assert votes.loc[("base", "alone")].iloc[0].split()[0] == tables.percent(alone)
    assert votes.loc[("base", "alone")].iloc[1].split()[0] == "100.0"
    assert list(dict.fromkeys(votes.index.get_level_values(0))) == [
        "base",
        *stages.ENSEMBLES,
        metrics.CONTROL,
    ]
    scores = tables.uncertainty_table(tiny_run, **condition)
    assert list(scores.columns) == ["R_cc", "R_iu", "UA"] and list(scores.index) == list(
        stages.ENSEMBLES
    )


def load_positions(run: ComputingRun) -> np.ndarray:
    """Which test records were attacked."""
    name = stages.attacked_name("strip", min(run.settings.epsilons))
    return load_file(run.obtain(name).path)["positions"]


def test_each_condition_is_counted_with_the_labels_of_its_own_records(
    tiny_run: ComputingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = np.zeros((9, 4, 4))
    logits[..., 0] = 1  # everyone answers class 0
    labels = {10.0: np.array([0, 0, 0, 1]), 50.0: np.array([0, 1, 1, 1, 2])}

    def attacked(run, *, attack, padding, epsilon):
        return logits[:, [0] * len(labels[epsilon])], labels[epsilon]

    monkeypatch.setattr("dnalib.tables.chapters.attacked", attacked)
    table = tables.robustness_table(tiny_run, paddings=["strip"])
    for epsilon, expected in ((10.0, 1 / 2), (50.0, 1 / 3)):
        row = tables.selected(
            table,
            attack="pgd",
            epsilon=epsilon,
            ensemble="cor",
            measure="P(≥1), class-averaged",
        )
        assert row.value.item() == pytest.approx(expected)
        assert row.records.item() == len(labels[epsilon])


def test_features_that_never_change_share_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.full((3, 3), np.nan)
    values[0, 1] = -0.25
    monkeypatch.setattr(chapters, "r_squared", lambda run, ensemble, kind="r_squared": values)
    table = tables.r_squared_table(None, "dec")
    assert table.loc["base", "dec1"].tolist() == ["−0.250", "−0.250"]
    assert table.loc["base", "dec2"].tolist() == ["–", "–"]
