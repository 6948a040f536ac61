"""The rivals beside the paper's ensembles, on a run whose logits are drawn at random."""

import dataclasses

import numpy as np
import pytest
from made_up_run import ATTACKED, RECORDS, stored

from dnalib import metrics, plots, tables
from dnalib.stages import ENSEMBLES
from dnalib.stages.rivals import RIVALS
from dnalib.tables import adaptive, claims, knowledge, rival_costs, rivalry

EVERYONE = [*ENSEMBLES, metrics.CONTROL, *RIVALS]


@pytest.fixture
def fewer(run, monkeypatch):
    """The same run without most of the rivals."""
    monkeypatch.setattr(
        run, "settings", dataclasses.replace(run.settings, rivals=("wide", "parallel"))
    )
    return run


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
    assert rival_costs.costs(fewer).index.tolist() == expected
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
        assert values[150, knowledge.ALL, rival, "P(≥1)"] == survived.mean()
    assert (150, knowledge.ALL, "wide", "P(≥2)") not in values.index
    shown = adaptive.survival(known, measure="P(≥1)")
    assert shown.index.tolist() == [(f"{e} µV", one) for e in (10, 50, 150) for one in EVERYONE]
    figure = plots.knowledge(known, measure="P(≥1)", name="P(≥1)")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == EVERYONE


def test_what_survives_joins_all_ensembles(run, known):
    found = rivalry.summaries(run)
    assert list(found) == [10, 50, 150]
    shown = claims.what_survives(found)
    assert shown.index.tolist() == [(f"{e} µV", one) for e in (10, 50, 150) for one in EVERYONE]
    cell = shown.loc[("50 µV", "parallel"), knowledge.ALL]
    row = tables.selected(
        known, epsilon=50, knowledge=knowledge.ALL, ensemble="parallel", measure="P(≥1)"
    ).iloc[0]
    assert cell == tables.with_interval(row.value, row.low, row.high)


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
