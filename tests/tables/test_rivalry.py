"""The rivals beside the paper's ensembles, on a run whose logits are drawn at random."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from made_up_run import ATTACKED, RECORDS, MadeUpRun
from safetensors.numpy import load_file

from dnalib import metrics, plots, tables
from dnalib.stages import ENSEMBLES, MEMBERS
from dnalib.stages.rivals import DVERGE_START, RIVALS
from dnalib.tables import adaptive, claims, knowledge, rivalry
from dnalib.tables.answers import Answers

EVERYONE = [*ENSEMBLES, metrics.CONTROL, *RIVALS]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return MadeUpRun(tmp_path_factory.mktemp("made up"))


@pytest.fixture(scope="module")
def known(run):
    return rivalry.knowledge_table(run)


@pytest.fixture
def fewer(run, monkeypatch):
    """The same run without most of the rivals."""
    monkeypatch.setattr(
        run, "settings", dataclasses.replace(run.settings, rivals=("wide", "parallel"))
    )
    return run


def stored(run, name):
    return load_file(run.obtain(name).path)


def test_which_rivals_a_run_has_is_said(run):
    assert rivalry.names(run) == list(RIVALS)
    expected = "*adversarial*, *adversarial dec*, *parallel*, *dverge* and *wide*"
    assert rivalry.banner(run).markdown == f"> Rivals in this run: {expected}."


def test_what_a_run_lacks_is_said_and_not_shown(fewer):
    text = rivalry.banner(fewer).markdown
    assert "Rivals in this run: *parallel* and *wide*." in text
    assert "not shown below: *adversarial*, *adversarial dec* and *dverge*." in text
    expected = [*ENSEMBLES, metrics.CONTROL, "parallel", "wide"]
    assert list(rivalry.natural_answers(fewer).logits) == expected
    assert rivalry.costs(fewer).index.tolist() == expected
    assert list(rivalry.histories(fewer)) == ["parallel", "wide"]


def test_rivals_are_attacked_as_themselves_and_with_what_was_crafted_on_the_base_model(run):
    attacks = knowledge.conditions(run, epsilon=10, ensembles={"dverge": RIVALS["dverge"]})
    file = stored(run, "adaptive-dverge-10")
    assert len(attacks) - 2 == len(file) - 1 == 16, "and two with more steps"
    for name, key in {
        "SAP, base model": "base/sap",
        "PGD, member 1": "dverge1/pgd",
        "SAP, member 3": "dverge3/sap",
        "APGD, confidently wrong": "confidently wrong/apgd",
    }.items():
        assert list(attacks[name].logits) == ["dverge"], "the control has no part in it"
        assert np.array_equal(attacks[name].logits["dverge"], file[key].astype(float))
    each = knowledge.known_to(attacks, knowledge="each member")
    assert {name.split(", ")[1] for name in each} == {"member 1", "member 2", "member 3"}
    assert len(each) == 6
    alone = knowledge.conditions(run, epsilon=10, ensembles={"wide": RIVALS["wide"]})
    assert len(alone) == 14 and "PGD, member 2" not in alone
    assert alone["PGD, member 1"].logits["wide"].shape == (1, ATTACKED, 4)


def test_an_ensemble_that_answers_no_better_than_a_constant_is_named(run, monkeypatch):
    found = rivalry.natural_answers(run)
    floor = 100 * tables.majority_share(run)
    right = np.eye(4)[found.labels][None] * 9  # (1, record, class)
    for logits, named in ((right, []), (0 * right, ["parallel"])):
        made = {"dverge": right, metrics.CONTROL: 0 * right, "parallel": logits}
        answers = Answers(made, found.labels)
        monkeypatch.setattr(rivalry, "natural_answers", lambda run, answers=answers: answers)
        assert list(rivalry.failed(run)) == named
        text = rivalry.near_the_floor(run).markdown
        assert [line.split("*")[1] for line in text.splitlines() if line[:3] == "- *"] == named
        assert (f"the commonest class is right on {floor:.1f} %" in text) == bool(named)


def test_a_network_that_answers_no_better_than_a_constant_is_named(run, monkeypatch):
    labels = rivalry.natural_answers(run).labels
    right = np.eye(4)[labels] * 9  # (record, class)
    monkeypatch.setattr(rivalry, "failed", lambda run: {"parallel": "30.0"})
    for members, named in (([right, right, right], []), ([right, 0 * right, right], ["dverge2"])):
        logits = {"dverge": np.stack(members), "adversarial": np.stack([right] * 3)}
        logits |= {"parallel": 0 * logits["dverge"], "wide": 0 * right[None]}
        logits["adversarial dec"] = logits["adversarial"]
        monkeypatch.setattr(
            rivalry, "natural_logits", lambda run, rival, logits=logits: logits[rival]
        )
        lines = rivalry.near_the_floor(run).markdown.splitlines()
        lines = [line for line in lines if "do no better" in line]
        assert [line.split("*")[1] for line in lines] == named
        assert all("Of dverge's 3 networks" in line for line in lines)


def test_a_network_that_never_answers_some_class_is_named(run, known, monkeypatch):
    labels = rivalry.natural_answers(run).labels
    logits = {rival: np.stack([np.eye(4)[labels]] * len(names)) for rival, names in RIVALS.items()}
    logits["dverge"][2][labels == 3, 0] = 2
    monkeypatch.setattr(rivalry, "natural_logits", lambda run, rival: logits[rival])
    monkeypatch.setattr(rivalry, "failed", lambda run: {})
    (*_, line) = rivalry.near_the_floor(run).markdown.splitlines()
    said = f"Of the networks of dverge, *dverge3* never answers ~ on {len(labels)} unperturbed"
    assert said in line
    bought = rivalry.bought_at(run, known, epsilon=50)
    for best in ("dverge", "adversarial"):
        value = bought.ensemble.map({best: 0.9, "wide": 0.3}).fillna(0.1)
        monkeypatch.setattr(
            rivalry,
            "bought_at",
            lambda run, known, *, epsilon, value=value: bought.assign(value=value),
        )
        assert (said in rivalry.beside_rivals(run)) == (best == "dverge")


def test_chance_explains_what_a_fit_on_so_many_columns_leaves_it(run):
    settings = run.settings
    rows, kept = settings.auxiliary_batch_size, settings.projected_dimension
    projected = np.log((rows - 1) / (rows - 1 - kept))
    assert rivalry.chance_losses(run) == pytest.approx(
        {
            "adversarial-dec1": projected,
            "adversarial-dec2": projected,
            "parallel": np.log((rows - 1) / (rows - 1 - 64)),
        }
    )


def test_the_settings_that_the_rivals_follow(run):
    shown = rivalry.recipe(run).value
    epsilon = f"{run.settings.adversarial_epsilon:g}"
    assert shown["ε of attacks in training and of distillation (µV)"] == epsilon
    assert shown["gradient steps of these"] == str(run.settings.adversarial_steps)
    assert (
        shown["weight of the loss between networks of parallel"]
        == f"{run.settings.parallel_weight:g}"
    )
    for place, name in enumerate(("adversarial1, dverge, wide", "the others")):
        setting = ("batch_size", "auxiliary_batch_size")[place]
        assert shown[f"records per step: {name}"] == str(getattr(run.settings, setting))
    from dnalib.stages import rivals

    first = [one for one in rivals.TRAININGS if rivals.batch_setting(one) == "batch_size"]
    assert sorted(first) == ["adversarial1", "dverge", "wide"]


def test_everyone_answers_the_same_records(run):
    unperturbed = rivalry.natural_answers(run)
    assert list(unperturbed.logits) == EVERYONE and len(unperturbed.labels) == RECORDS
    expected = stored(run, "natural-adversarial-dec")["logits"].astype(float)
    assert np.array_equal(unperturbed.logits["adversarial dec"], expected)
    names = (knowledge.PAPER, knowledge.END_TO_END)
    shown = rivalry.conditions(run, epsilon=10, attacks=names)
    assert list(shown) == ["natural", *names]
    for one in names:
        assert list(shown[one].logits) == EVERYONE and len(shown[one].labels) == ATTACKED
    of_wide = stored(run, "adaptive-wide-10")["end to end/pgd"].astype(float)
    assert np.array_equal(shown[knowledge.END_TO_END].logits["wide"], of_wide)
    ours = knowledge.conditions(run, epsilon=10)[knowledge.PAPER].logits["fdec"]
    assert np.array_equal(shown[knowledge.PAPER].logits["fdec"], ours)


def test_survival_counts_each_ensemble_under_its_own_attacks(run, known):
    ours = knowledge.knowledge_table(run)
    columns = ["epsilon", "knowledge", "ensemble", "measure"]
    both = known.merge(ours, on=[*columns, "value", "low", "high", "records"])
    assert len(both) == len(ours), "our ensembles are counted as in appendix A1"
    assert list(dict.fromkeys(known.ensemble)) == EVERYONE
    values = known.set_index(columns).value
    for rival, networks in RIVALS.items():
        attacks = knowledge.conditions(run, epsilon=150, ensembles={rival: networks})
        survived = np.all([one.correct()[rival].any(0) for one in attacks.values()], axis=0)
        assert values[150, knowledge.ALL, rival, "at least 1"] == survived.mean()
    assert (150, knowledge.ALL, "wide", "at least 2") not in values.index
    shown = adaptive.survival(known, measure="at least 1")
    assert shown.index.tolist() == [(f"{e} µV", one) for e in (10, 50, 150) for one in EVERYONE]
    figure = plots.knowledge(known, measure="at least 1", name="P(≥1)")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == EVERYONE


def test_what_survives_joins_all_ensembles(run, known):
    found = rivalry.summaries(run)
    assert list(found) == [10, 50, 150]
    shown = claims.what_survives(found)
    assert shown.index.tolist() == [(f"{e} µV", one) for e in (10, 50, 150) for one in EVERYONE]
    cell = shown.loc[("50 µV", "parallel"), knowledge.ALL]
    row = tables.selected(
        known, epsilon=50, knowledge=knowledge.ALL, ensemble="parallel", measure="at least 1"
    ).iloc[0]
    assert cell == tables.with_interval(row.value, row.low, row.high)


def test_who_keeps_most_is_said_in_a_sentence_for_the_first_page(run, known, monkeypatch):
    monkeypatch.setattr(rivalry, "failed", lambda run: {"wide": ""})
    bought = rivalry.bought_at(run, known, epsilon=50)
    value = bought.ensemble.map({"wide": 0.9, "adversarial": 0.5, "fdec": 0.2}).fillna(0.1)
    value[bought.name != "P(≥1)"] = 0.0
    monkeypatch.setattr(
        rivalry, "bought_at", lambda run, known, *, epsilon: bought.assign(value=value)
    )
    text = rivalry.beside_rivals(run)
    assert "at ε = 50 µV, most is kept by *adversarial*, 50.0 (" in text
    assert "fdec keeps 20.0 (" in text
    monkeypatch.setattr(rivalry, "failed", lambda run: dict.fromkeys(EVERYONE, ""))
    assert rivalry.beside_rivals(run) == ""


def test_networks_are_listed_with_their_size_and_accuracy(run):
    shown = rivalry.networks(run)
    pairs = [(rival, name) for rival, names in RIVALS.items() for name in names]
    assert shown.index.tolist() == pairs
    hits = stored(run, "natural-dverge")["logits"][1].argmax(1) == run.labels
    row = shown.loc[("dverge", "dverge2")]
    assert row["test accuracy (%)"].startswith(f"{tables.percent(hits.mean())} (")
    assert row["parameters"] == "1,001"


def test_shared_features_are_means_over_ordered_pairs(run):
    shown = rivalry.shared_features(run)
    assert shown.index.tolist() == [*ENSEMBLES, *(rival for rival in RIVALS if rival != "wide")]
    matrix = tables.r_squared(run, "adversarial dec")
    off = [matrix[i, j] for i in range(3) for j in range(3) if i != j]
    row = shown.loc["adversarial dec"]
    assert row["mean R²"] == f"{np.mean(off):.3f}" and row["largest R²"] == f"{max(off):.3f}"
    assert row["mean adjusted R²"] == f"{np.mean(off) - 0.1:.3f}"


def test_an_ensemble_costs_all_trainings_behind_it(run, monkeypatch):
    costs = run.costs()["trainings"]

    def seconds(*names, counted="processor_seconds"):
        return pytest.approx(sum(costs[name]["steps"] * costs[name][counted] for name in names))

    found = rivalry.costs(run)
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
    assert rivalry.cost_unit(run) == "CPU-seconds"
    monkeypatch.setattr(MadeUpRun, "costs", lambda self: {"device": "cuda", "trainings": costs})
    assert rivalry.cost_unit(run) == "GPU-seconds"
    assert rivalry.costs(run).seconds["cor"] == seconds(*ENSEMBLES["cor"], counted="seconds")
    assert set(costs) > {*MEMBERS}


@pytest.mark.slow
def test_costs_stand_beside_what_they_buy(run, known):
    bought = rivalry.bought_at(run, known, epsilon=50)
    assert len(bought) == 2 * len(EVERYONE)
    row = tables.selected(bought, ensemble="dverge", name="P(≥1)").iloc[0]
    expected = tables.selected(
        known, epsilon=50, knowledge=knowledge.ALL, ensemble="dverge", measure="at least 1"
    ).iloc[0]
    assert (row.value, row.low, row.high) == (expected.value, expected.low, expected.high)
    assert row.times == rivalry.costs(run).times["dverge"]
    shown = rivalry.cost_table(run, known)
    assert shown.index.tolist() == EVERYONE
    assert shown.loc["dverge", "P(≥1)"] == tables.with_interval(row.value, row.low, row.high)
    assert shown.loc["cor", "times cor"] == "1.00"
    assert shown.loc["cor", "CPU-seconds"] == f"{rivalry.costs(run).seconds['cor']:,.0f}"


@pytest.mark.slow
def test_who_keeps_most_is_said_with_the_tables_numbers(run, known, monkeypatch):
    bought = rivalry.bought_at(run, known, epsilon=50)
    assert "nothing to compare" in rivalry.in_words(run, known).markdown, (
        "all answers are drawn at random"
    )
    trained = bought[(bought.name == "P(≥1)") & (bought.ensemble != metrics.CONTROL)]
    lost = trained.ensemble[trained.value.idxmax()]
    monkeypatch.setattr(rivalry, "failed", lambda run: {lost: "30.0"})
    lines = rivalry.in_words(run, known).markdown.splitlines()
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
    assert rivalry.most_kept(rows, without={"lost"}) == (
        "most is kept by *one* and *other*, 20.0 (10.0–30.0) %, for 1.5 and 2.0 times what cor "
        "costs to train; fdec keeps 10.0 (10.0–30.0) % for 3.0 times cor's cost"
    )
    rows.loc["fdec", "value"] = 0.05
    rows.loc["next"] = {"value": 0.15, "times": 1.0, **numbers}
    assert ", followed by *next* with 15.0 (10.0–30.0) %; fdec keeps 5.0" in rivalry.most_kept(
        rows, without={"lost"}
    )


def test_the_figure_of_costs_draws_the_table(run, known):
    bought = rivalry.bought_at(run, known, epsilon=50)
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
