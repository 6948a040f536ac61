"""What the rivals cost and buy, on a run whose logits are drawn at random."""

import numpy as np
import pandas as pd
import pytest
from made_up_run import MadeUpRun

from dnalib import metrics, plots, tables
from dnalib.stages import ENSEMBLES, MEMBERS
from dnalib.stages.rivals import DVERGE_START, RIVALS
from dnalib.tables import claims, knowledge, rival_costs, rival_floor, rivalry

EVERYONE = [*ENSEMBLES, metrics.CONTROL, *RIVALS]


def test_who_keeps_most_is_said_in_a_sentence_for_the_first_page(run, known, monkeypatch):
    monkeypatch.setattr(rival_floor, "failed", lambda run: {"wide": ""})
    bought = rival_costs.bought_at(run, known, epsilon=50)
    value = bought.ensemble.map({"wide": 0.9, "adversarial": 0.5, "fdec": 0.2}).fillna(0.1)
    value[bought.name != "P(≥1)"] = 0.0
    monkeypatch.setattr(
        rival_costs, "bought_at", lambda run, known, *, epsilon: bought.assign(value=value)
    )
    text = rival_costs.beside_rivals(run)
    assert "at ε = 50 µV, most is kept by *adversarial*, 50.0 (" in text
    assert "fdec keeps 20.0 (" in text
    monkeypatch.setattr(rival_floor, "failed", lambda run: dict.fromkeys(EVERYONE, ""))
    assert rival_costs.beside_rivals(run) == ""


def test_an_ensemble_costs_all_trainings_behind_it(run, monkeypatch):
    costs = run.costs()["trainings"]

    def seconds(*names, counted="processor_seconds"):
        return pytest.approx(sum(costs[name]["steps"] * costs[name][counted] for name in names))

    found = rival_costs.costs(run)
    assert found.index.tolist() == EVERYONE
    assert found.seconds["fdec"] == seconds(*ENSEMBLES["fdec"])
    assert found.seconds[metrics.CONTROL] == seconds("base")
    assert found.seconds["adversarial dec"] == seconds(*RIVALS["adversarial dec"])
    assert found.seconds["parallel"] == seconds("parallel")
    assert found.seconds["dverge"] == seconds(*DVERGE_START, "dverge")
    assert (
        found.times["cor"] == 1
        and found.times["wide"] == found.seconds["wide"] / (found.seconds["cor"])
    )
    assert rival_costs.cost_unit(run) == "CPU-seconds"
    monkeypatch.setattr(MadeUpRun, "costs", lambda self: {"device": "cuda", "trainings": costs})
    assert rival_costs.cost_unit(run) == "GPU-seconds"
    assert rival_costs.costs(run).seconds["cor"] == seconds(*ENSEMBLES["cor"], counted="seconds")
    assert set(costs) > {*MEMBERS}


@pytest.mark.slow
def test_costs_stand_beside_what_they_buy(run, known):
    bought = rival_costs.bought_at(run, known, epsilon=50)
    assert len(bought) == 2 * len(EVERYONE)
    row = tables.selected(bought, ensemble="dverge", name="P(≥1)").iloc[0]
    expected = tables.selected(
        known, epsilon=50, knowledge=knowledge.ALL, ensemble="dverge", measure="P(≥1)"
    ).iloc[0]
    assert (row.value, row.low, row.high) == (expected.value, expected.low, expected.high)
    assert row.times == rival_costs.costs(run).times["dverge"]
    shown = rival_costs.cost_table(run, known)
    assert shown.index.tolist() == EVERYONE
    assert shown.loc["dverge", "P(≥1)"] == tables.with_interval(row.value, row.low, row.high)
    assert shown.loc["cor", "times cor"] == "1.00"
    assert shown.loc["cor", "CPU-seconds"] == f"{rival_costs.costs(run).seconds['cor']:,.0f}"


@pytest.mark.slow
def test_who_keeps_most_is_said_with_the_tables_numbers(run, known, monkeypatch):
    bought = rival_costs.bought_at(run, known, epsilon=50)
    assert "nothing to compare" in rival_costs.in_words(run, known).markdown, (
        "all answers are drawn at random"
    )
    trained = bought[(bought.name == "P(≥1)") & (bought.ensemble != metrics.CONTROL)]
    lost = trained.ensemble[trained.value.idxmax()]
    monkeypatch.setattr(rival_floor, "failed", lambda run: {lost: "30.0"})
    lines = rival_costs.in_words(run, known).markdown.splitlines()
    assert len(lines) == 6, "two measures at three ε"
    assert f"by *{lost}*" not in lines[2], "an ensemble whose training failed has no part in it"
    for line, (name, rows) in zip(lines[2:4], bought.groupby("name", sort=False), strict=True):
        assert line.startswith(f"- **{name}**, ε = 50 µV")
        trained = rows[~rows.ensemble.isin([metrics.CONTROL, lost])]
        best = trained.loc[trained.value.idxmax()]
        if best.value == 0:
            assert "each record: no ensemble keeps any; the control" in line
            continue
        assert f"by *{best.ensemble}*, {tables.percent(best.value)} (" in line
        assert f"for {best.times:.1f} times" in line
        fdec = rows[rows.ensemble == "fdec"].iloc[0]
        assert f"fdec keeps {tables.percent(fdec.value)} (" in line
        control = rows[rows.ensemble == metrics.CONTROL].iloc[0]
        assert line.endswith(f"control keeps {tables.percent(control.value)} %.")


def test_all_that_keep_as_much_are_named():
    numbers = {"low": 0.1, "high": 0.3, "records": 10}
    rows = pd.DataFrame(
        [
            {"ensemble": "fdec", "value": 0.1, "times": 3.0, **numbers},
            {"ensemble": "one", "value": 0.2, "times": 1.5, **numbers},
            {"ensemble": "other", "value": 0.2, "times": 2.0, **numbers},
            {"ensemble": "lost", "value": 0.9, "times": 1.0, **numbers},
        ]
    ).set_index("ensemble")
    kept = {"one": np.arange(10) < 2, "next": np.arange(10) < 1}
    assert rival_costs.most_kept(rows, kept, without={"lost"}) == (
        "most is kept by *one* and *other*, 20.0 (10.0–30.0) %, for 1.5 and 2.0 times what cor "
        "costs to train; fdec keeps 10.0 (10.0–30.0) % for 3.0 times cor's cost"
    )
    rows.loc["fdec", "value"] = 0.05
    rows.loc["next"] = {"value": 0.15, "times": 1.0, **numbers}
    apart = claims.paired(kept["one"], kept["next"])
    assert apart.startswith("+10.0 (")
    assert (
        f", followed by *next* with 15.0 (10.0–30.0) %, a difference of {apart} points; fdec "
        "keeps 5.0" in rival_costs.most_kept(rows, kept, without={"lost"})
    )


def test_the_records_that_are_kept_are_those_of_the_table(run, known):
    kept = rival_costs.kept_at(run, epsilon=50)
    assert list(kept) == list(rival_costs.BOUGHT)
    for measure, name in rival_costs.BOUGHT.items():
        rows = tables.selected(rival_costs.bought_at(run, known, epsilon=50), name=name)
        shares = {ensemble: hits.mean() for ensemble, hits in kept[measure].items()}
        assert shares == dict(zip(rows.ensemble, rows.value, strict=True))


def test_the_figure_of_costs_draws_the_table(run, known):
    bought = rival_costs.bought_at(run, known, epsilon=50)
    figure = plots.costs(bought)
    figure.draw_without_rendering()
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "a  P(≥1)",
        "b  Accuracy of the mean softmax",
    ]
    for axes, name in zip(figure.axes, dict.fromkeys(bought.name), strict=True):
        assert axes.get_xscale() == "log"
        rows = tables.selected(bought, name=name)
        drawn = [
            (bars.lines[0].get_xdata()[0], bars.lines[0].get_ydata()[0]) for bars in axes.containers
        ]
        assert drawn == list(zip(rows.times, 100 * rows.value, strict=True))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == EVERYONE
    for wrong in (bought[:0], bought.assign(times=0.0)):
        with pytest.raises(ValueError, match="table needs a row"):
            plots.costs(wrong)


def test_a_network_that_leaves_a_class_out_is_named_where_its_rival_is(run, known, monkeypatch):
    labels = rivalry.natural_answers(run).labels
    logits = {rival: np.stack([np.eye(4)[labels]] * len(names)) for rival, names in RIVALS.items()}
    logits["dverge"][2][labels == 3, 0] = 2
    monkeypatch.setattr(rivalry, "natural_logits", lambda run, rival: logits[rival])
    monkeypatch.setattr(rival_floor, "failed", lambda run: {})
    said = f"Of the networks of dverge, *dverge3* never answers ~ on {len(labels)} unperturbed"
    bought = rival_costs.bought_at(run, known, epsilon=50)
    for best in ("dverge", "adversarial"):
        value = bought.ensemble.map({best: 0.9, "wide": 0.3}).fillna(0.1)
        monkeypatch.setattr(
            rival_costs,
            "bought_at",
            lambda run, known, *, epsilon, value=value: bought.assign(value=value),
        )
        assert (said in rival_costs.beside_rivals(run)) == (best == "dverge")
