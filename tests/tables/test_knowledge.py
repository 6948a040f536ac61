"""What survives by what the attacker knows, on a run whose logits are drawn at random."""

import numpy as np
import pytest
from made_up_answers import made_up_ensembles
from made_up_run import ATTACKED, stored

from dnalib import metrics, plots, tables
from dnalib.stages import ENSEMBLES, MEMBERS
from dnalib.tables import adaptive, answers, claims, convergence, knowledge, transfer, worst_case
from dnalib.tables.answers import Answers, accuracy_differences

NAMES = [*ENSEMBLES, metrics.CONTROL]


def test_every_stored_condition_is_read_under_a_name_that_all_ensembles_share(run, attacks):
    assert len(attacks) - 2 == len(stored(run, "adaptive-cor-50")) - 1 == 14
    assert list(attacks)[:2] == ["PGD, base model", "SAP, base model"]
    for ensemble, (base, second, third) in ENSEMBLES.items():
        file = stored(run, f"adaptive-{ensemble}-50")
        for name, key in {
            "PGD, base model": f"{base}/pgd",
            "SAP, member 2": f"{second}/sap",
            "PGD, member 3": f"{third}/pgd",
            "SAP, end to end": "end to end/sap",
            "APGD, least misled member": "least misled member/apgd",
        }.items():
            assert np.array_equal(attacks[name].logits[ensemble], file[key].astype(float))
    labels = stored(run, "natural-base")["labels"][stored(run, "adaptive-cor-50")["positions"]]
    assert all(np.array_equal(one.labels, labels) for one in attacks.values())


def test_the_control_is_attacked_as_an_ensemble_and_where_one_member_is_at_its_base_model(
    run, attacks
):
    of_base, own = stored(run, "adaptive-cor-50"), stored(run, "adaptive-control-50")
    for name, one in attacks.items():
        if "steps" in name:
            continue
        attack, target = name.split(", ")
        single = target == knowledge.BASE or target.startswith("member ")
        file, key = (of_base, "base") if single else (own, target)
        base = file[f"{key}/{attack.lower()}"][0]
        control = one.logits[metrics.CONTROL]
        assert np.array_equal(control[0], base.astype(float))
        assert (control[1].argmax(1) == 0).all() and (control[2].argmax(1) == 2).all()
        assert list(one.logits) == NAMES


@pytest.mark.parametrize("epsilon", [10.0, 50.0, 150.0])
def test_under_sap_alone_nothing_but_the_aim_changes(run, epsilon):
    attacks = knowledge.conditions(run, epsilon=epsilon)
    aims = knowledge.smooth_conditions(run, epsilon=epsilon)
    smooth = aims[knowledge.EVERY_AIM]
    assert list(aims[knowledge.BASE]) == [knowledge.PAPER] and len(aims["each member"]) == 3
    assert list(smooth) == [name for name in attacks if name.startswith("SAP")] and len(smooth) == 5
    columns = {
        "SAP, base model": [attacks[knowledge.PAPER]],
        "SAP, every aim": list(smooth.values()),
        "all attacks": list(attacks.values()),
    }
    if epsilon == 150:  # the largest, at which the search goes on
        (longer,) = aims[knowledge.MORE_STEPS].keys() - smooth.keys()
        assert longer == "SAP of 20 steps, least misled member"
        columns["SAP, more steps"] = [*smooth.values(), aims[knowledge.MORE_STEPS][longer]]
        columns["all attacks"].append(aims[knowledge.MORE_STEPS][longer])
    table = adaptive.smooth(run).loc[f"{epsilon:g} µV"]
    assert list(table.columns)[-2:] == ["SAP, more steps", "all attacks"]
    assert (table["SAP, more steps"] == "–").all() == (epsilon < 150)
    for ensemble in NAMES:
        for column, some in columns.items():
            alive = [one.correct()[ensemble].any(axis=0) for one in some]
            expected = tables.percent(np.logical_and.reduce(alive).mean())
            assert table.loc[ensemble, column].split()[0] == expected


def test_the_longest_smooth_search_counts_among_all_attacks(run, monkeypatch):
    (found,) = convergence.longer_smooth_conditions(run, epsilon=150.0).values()
    wrong = (found.labels + 1) % 4
    misled = {name: one + 99 * np.eye(4)[wrong] for name, one in found.logits.items()}
    monkeypatch.setattr(
        knowledge,
        "longer_smooth_conditions",
        lambda run, *, epsilon: {"longest": Answers(misled, found.labels)},
    )
    table = adaptive.smooth(run)
    assert table.loc["150 µV", "all attacks"].str.startswith("0.0 ").all()
    assert not table.loc["50 µV", "all attacks"].str.startswith("0.0 ").all()


def test_the_longest_smooth_search_is_on_each_ensemble_itself(run):
    (found,) = convergence.longer_smooth_conditions(run, epsilon=150.0).values()
    for ensemble in ENSEMBLES:
        own = stored(run, f"longer-smooth-{ensemble}-150")["least misled member/sap"]
        assert np.array_equal(found.logits[ensemble], own.astype(float))
    control = found.logits[metrics.CONTROL]
    own = stored(run, "longer-smooth-control-150")["least misled member/sap"]
    assert np.array_equal(control[0], own[0].astype(float))
    assert (control[1].argmax(1) == 0).all() and (control[2].argmax(1) == 2).all()


def test_an_attacker_has_the_attacks_of_what_is_known(attacks):
    assert set(knowledge.known_to(attacks, knowledge="base model")) == {
        "PGD, base model",
        "SAP, base model",
    }
    assert len(knowledge.known_to(attacks, knowledge="each member")) == 6
    assert len(knowledge.known_to(attacks, knowledge="whole ensemble")) == 4
    assert len(knowledge.known_to(attacks, knowledge="adaptive")) == 6
    assert knowledge.known_to(attacks, knowledge=knowledge.ALL) == attacks
    with pytest.raises(ValueError, match="knowledge is 'nothing'; accepted are base model, each"):
        knowledge.known_to(attacks, knowledge="nothing")


def test_survival_by_knowledge(run, attacks):
    table = knowledge.knowledge_table(run)
    assert table.epsilon.unique().tolist() == [10, 50, 150]
    assert list(dict.fromkeys(table.knowledge)) == [*knowledge.KNOWLEDGE, knowledge.ALL]
    assert set(table.records) == {ATTACKED}
    assert not table.duplicated(["epsilon", "knowledge", "ensemble", "measure"]).any()
    values = table.set_index(["epsilon", "knowledge", "measure", "ensemble"]).value
    joined = worst_case.worst_case_table(attacks).set_index(["measure", "ensemble"]).value
    for measure in ("P(≥1)", "P(≥2)", "majority vote", "mean softmax"):
        for ensemble in NAMES:
            everything = values[50, knowledge.ALL, measure, ensemble]
            assert everything == joined[measure, ensemble]
            for known in knowledge.KNOWLEDGE:
                assert everything <= values[50, known, measure, ensemble]
    assert (values.xs("average", level="measure") > 0).any()
    strongest = knowledge.strongest_table(run)
    assert len(strongest) == 3 * len(NAMES) and (strongest.value <= strongest.alone).all()


def test_universal_perturbations_by_what_they_were_learnt_on(run):
    found = knowledge.universal_conditions(run, epsilon=10)
    assert list(found) == ["none", "base model", "end to end"]
    file = stored(run, "universal-10")
    rows = [MEMBERS.index(one) for one in ENSEMBLES["fdec"]]
    assert np.array_equal(found["base model"].logits["fdec"], file["base"][rows].astype(float))
    assert np.array_equal(found["end to end"].logits["fdec"], file["fdec"][rows].astype(float))
    natural = stored(run, "natural-fdec2")["logits"][file["positions"]]
    assert np.array_equal(found["none"].logits["fdec"][2], natural.astype(float))
    assert all(list(one.logits) == NAMES for one in found.values())


def test_one_perturbation_is_set_beside_those_made_for_each_record(run):
    known = knowledge.knowledge_table(run)
    text = claims.universal_beside_own(run, known).markdown
    own = known[(known.knowledge == "base model") & (known.measure == "P(≥1)")]
    own = own.set_index(["epsilon", "ensemble"]).value
    said = 0
    for epsilon in (10, 50, 150):
        found = knowledge.universal_conditions(run, epsilon=epsilon)["base model"].correct()
        for ensemble, right in found.items():
            kept = right.any(0).mean()
            words = (
                f"{ensemble} {tables.percent(kept)} % instead of "
                f"{tables.percent(own[epsilon, ensemble])} %"
            )
            assert (words in text) == (kept < own[epsilon, ensemble])
            said += words in text
    assert said
    everything_broken = known.assign(value=0.0)
    assert "Nowhere" in claims.universal_beside_own(run, everything_broken).markdown


def test_doubt_is_judged_on_all_natural_records_and_under_three_attacks(run):
    found = knowledge.doubt_conditions(run, epsilon=50)
    assert [len(one.labels) for one in found.values()] == [60, ATTACKED, ATTACKED, ATTACKED]
    assert list(found) == ["natural", *knowledge.DOUBT]


def test_the_figure_draws_a_panel_a_bound_and_a_point_a_kind_of_knowledge(run):
    table = knowledge.knowledge_table(run)
    figure = plots.knowledge(table, measure="P(≥1)", name="P(≥1)")
    panels = figure.axes
    assert [axes.get_title(loc="left") for axes in panels] == [
        "a  ε = 10 µV",
        "b  ε = 50 µV",
        "c  ε = 150 µV",
    ]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == NAMES
    drawn = {bars.get_label(): bars.lines[0] for bars in panels[1].containers}
    assert list(drawn) == [*knowledge.KNOWLEDGE, knowledge.ALL]
    assert len({(line.get_marker(), line.get_color()) for line in drawn.values()}) == 5
    for known, line in drawn.items():
        rows = tables.selected(table, epsilon=50, knowledge=known, measure="P(≥1)")
        assert np.allclose(line.get_xdata(), 100 * rows.value)
    with pytest.raises(ValueError, match="table has 0 kinds of knowledge for 'x'"):
        plots.knowledge(table, measure="x", name="x")


def test_tables_show_what_was_counted(run, attacks):
    table = knowledge.knowledge_table(run)
    shown = adaptive.survival(table, measure="P(≥1)")
    rows = tables.selected(
        table, epsilon=50, knowledge="adaptive", ensemble="fdec", measure="P(≥1)"
    )
    assert shown.loc[("50 µV", "fdec"), "adaptive"].startswith(tables.percent(rows.value.iloc[0]))
    survives = claims.what_survives(
        {epsilon: knowledge.summary(run, epsilon=epsilon) for epsilon in knowledge.epsilons(run)}
    )
    assert survives.index.tolist() == [(f"{e} µV", one) for e in (10, 50, 150) for one in NAMES]
    everything = survives.loc[("50 µV", "dec"), knowledge.ALL]
    assert shown.loc[("50 µV", "dec"), knowledge.ALL].split()[0] == everything.split()[0]
    assert survives.loc[("10 µV", "cor"), "minus cor"] == "–"
    paper = attacks[knowledge.PAPER].correct()["dec"].any(axis=0).mean()
    assert survives.loc[("50 µV", "dec"), knowledge.PAPER] == tables.percent(paper)
    assert survives.loc[("10 µV", metrics.CONTROL), "minus control"] == "+0.0"
    of_control = survives.loc[("50 µV", metrics.CONTROL), knowledge.ALL].split()[0]
    gap = float(everything.split()[0]) - float(of_control)
    shown_gap = survives.loc[("50 µV", "dec"), "minus control"].replace("−", "-")
    assert float(shown_gap) == pytest.approx(gap, abs=0.1)
    told = attacks["PGD, end to end"]
    hits = told.predicted("mean softmax")["cor"] == told.labels
    cell = survives.loc[("50 µV", "cor"), "mean softmax, end to end"]
    assert cell == tables.percent(hits.mean())
    alone = adaptive.strongest(run).loc[("50 µV", "fdec")]
    assert alone["strongest attack"] in attacks
    assert alone["strongest per record"] == survives.loc[("50 µV", "fdec"), knowledge.ALL]
    assert shown.index.tolist() == survives.index.tolist()
    assert list(shown.columns) == [*knowledge.KNOWLEDGE, knowledge.ALL]


def test_what_becomes_of_the_claim_is_said_with_the_tables_numbers(run):
    summaries = {one: knowledge.summary(run, epsilon=one) for one in knowledge.epsilons(run)}
    lines = claims.in_words(summaries).markdown.splitlines()
    assert [line[: line.index(" µV")] for line in lines] == [
        "- **ε = 10",
        "- **ε = 50",
        "- **ε = 150",
    ]
    survives = claims.what_survives(summaries)
    fdec, cor = (survives.loc[("50 µV", one)] for one in ("fdec", "cor"))
    for cell in (fdec[knowledge.PAPER], cor[knowledge.PAPER]):
        assert f" {cell.split()[0]} %" in lines[1]
    assert fdec[knowledge.ALL] == cor[knowledge.ALL] == "0.0 (0.0–6.0)"
    text = "record, neither fdec nor cor keeps any of 40 records, which is compatible with a true "
    assert f"{text}share of up to 6.0 %" in lines[1]
    for one in ("dec", "fcor"):
        row = survives.loc["50 µV", one]
        kept = row[knowledge.ALL].split()[0]
        text = f"{one} keeps {kept} %, a difference from cor of {row['minus cor']} points"
        assert (text if float(kept) else f"{one} keeps none") in lines[1]
    control = survives.loc["50 µV", metrics.CONTROL]
    kept = [row["class-averaged"] for row in (fdec, cor, control)]
    text = "fdec keeps {} %, cor {} % and the control {} % under the strongest.".format(*kept)
    assert text in lines[1]
    told = {one: survives.loc["50 µV", one]["mean softmax, end to end"] for one in ENSEMBLES}
    by = [f"{name} {share} %" for name, share in told.items()]
    assert lines[1].endswith(f"share of the records: {', '.join(by[:3])} and {by[3]}.")


def test_survivors_are_compared_where_there_are_any():
    fdec, cor = np.arange(40) < 10, np.arange(40) < 4
    text = claims.compared({"fdec": fdec, "cor": cor})
    assert text == (
        f"fdec keeps 25.0 % and cor 10.0 %, a difference of {claims.paired(fdec, cor)} points"
    )
    assert "cor 0.0 %" in claims.compared({"fdec": fdec, "cor": cor & False})


def test_tables_of_transfer(run):
    within = adaptive.transfer_within(run)
    fooled = transfer.transfer_of(run, attack="pgd", epsilon=50)
    value = fooled.set_index(["crafted", "evaluated"]).value
    expected = (value["base", "dec1"] + value["base", "dec2"]) / 2
    assert within.loc[("dec", "PGD"), "base → others"] == tables.percent(expected)
    shown = adaptive.bands(run, attack="pgd")
    assert shown.loc["cor2", "itself, whole"] == tables.percent(value["cor2", "cor2"])
    others = [value["cor2", one] for one in MEMBERS if one != "cor2"]
    assert shown.loc["cor2", "others, whole"] == tables.percent(np.mean(others))


def test_differences_say_how_sure_they_are():
    shown = {"PGD": made_up_ensembles(0, skill={"cor": 0.0, "dec": 3.0, "fdec": 0.2}, records=200)}
    p_values = accuracy_differences(shown, rule="mean softmax").p_value
    assert p_values[0] < 1e-9 and p_values[1] > 0.01
    table = adaptive.differences(shown, rule="mean softmax")
    assert table.loc[("PGD", "dec − cor"), "p"] == "< 0.001"
    assert table.loc[("PGD", "fdec − cor"), "p"] == f"{p_values[1]:.2g}"


def test_tables_of_answers_and_doubt_have_a_row_for_everything(run, attacks):
    shown = knowledge.doubt_conditions(run, epsilon=50)
    performance = adaptive.performance(shown)
    assert len(performance) == 4 * (len(NAMES) + 2)
    labels = shown["natural"].labels
    counted = performance.loc["natural", "number of records"]
    assert counted["accuracy"] == str(len(labels)) and counted["A"] == str((labels == 1).sum())
    assert ("natural", answers.FLOOR) in performance.index
    assert " (" in performance.loc[("natural", "cor"), "accuracy"]
    attacked = knowledge.doubt_conditions(run, epsilon=50, attacks=(knowledge.PAPER,))
    assert len(adaptive.differences(attacked, rule="majority vote")) == 2 * (len(NAMES) - 1)
    scored = adaptive.scored(shown, uncertainty="predictive entropy")
    doubt = adaptive.doubt(scored)
    assert len(doubt) == 4 * len(NAMES) and doubt.shape[1] == 6
    assert doubt.index[0] == ("natural", "cor")
    for place, one in (
        scored[scored.scaling == "each set"].set_index(["condition", "ensemble"]).iterrows()
    ):
        assert doubt.loc[place, ("UA", "each set")].split()[0] == tables.percent(one.UA)
    detected = adaptive.detected(shown, uncertainty="mutual information")
    detection = adaptive.detection(detected, measure="error detection")
    assert list(detection.columns) == ["natural", *knowledge.DOUBT]
    assert len(adaptive.favourites(attacks[knowledge.PAPER])) == 12
    gain = adaptive.gain(attacks[knowledge.PAPER])
    assert gain.shape == (7, 3) and "points" not in gain.columns
    assert len(adaptive.universal(run)) == 3 * len(NAMES)
