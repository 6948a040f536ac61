"""What a run says in short is decided by the interval of the seeds."""

import numpy as np

from dnalib import metrics, tables
from dnalib.stages import ENSEMBLES
from dnalib.tables import knowledge, longer, seeds, verdicts


def kept(*shares, records=200):
    """Of each seed, which of the records an ensemble keeps: its share of them, the same first."""
    return [(np.arange(records) < share * records).astype(float) for share in shares]


def told(first, second):
    """The verdict on two ensembles of which each seed keeps such shares."""
    values = [
        {"one": one, "other": other} for one, other in zip(kept(*first), kept(*second), strict=True)
    ]
    return verdicts.told_apart(values, "one", "other")


def test_a_difference_beyond_chance_is_told_either_way():
    high, low = (0.8, 0.85, 0.9), (0.3, 0.25, 0.2)
    assert told(high, low).startswith("one keeps more than other, +60.0 (")
    assert told(low, high).startswith("one keeps less than other, −60.0 (")


def test_seeds_that_disagree_tell_nothing():
    # On average 13 points apart, more than the draw of records alone would explain.
    assert told((0.9, 0.5, 0.6), (0.4, 0.6, 0.6)).startswith("one cannot be told apart from other,")
    assert told((0.9,), (0.4,)).startswith("one keeps more than other")
    assert told((0.5, 0.5), (0.5, 0.5)) == (
        "one cannot be told apart from other, +0.0 (0.0 to 0.0)"
    )


def test_lines_compare_what_they_name(tiny_run):
    lines = verdicts.under_the_papers_attack([tiny_run]).markdown.splitlines()
    claim, both, measure, alike = lines
    values = seeds.values_under_attack(
        tiny_run, attack="sap", padding="strip", epsilon=50.0, measure="P(≥1)"
    )
    assert "SAP on the base model at ε = 50 µV" in claim
    for line, pairs in (
        (claim, [("fdec", "cor")]),
        (both, [("fdec", "dec"), ("fdec", "fcor")]),
        (measure, [(metrics.CONTROL, "fdec")]),
    ):
        for first, second in pairs:
            difference = 100 * np.nanmean(values[first] - values[second])
            assert f"{second}, {difference:+.1f}".replace("-", "−") in line
    _, labels = tables.natural(tiny_run, ["base"])
    difference = values["fdec"] - values["cor"]
    of_each = [
        np.nanmean(difference[labels == one]) for one in np.unique(labels[np.isfinite(difference)])
    ]
    difference = f"{100 * np.nanmean(of_each):+.1f}".replace("-", "−")
    assert f"cor, {difference} (" in alike and alike.count(";") == 3


def test_at_a_glance_it_is_said_without_numbers(monkeypatch):
    low, high = kept(0.2, 0.25, 0.3), kept(0.8, 0.85, 0.9)
    alike = [dict.fromkeys(("cor", *verdicts.OTHERS), hits) for hits in low]
    gained = [of | {"fcor": more} for of, more in zip(alike, high, strict=True)]
    paper = [
        of | {"fdec": more, metrics.CONTROL: more} for of, more in zip(alike, high, strict=True)
    ]
    found = {"aimed": alike, "strongest": alike}
    monkeypatch.setattr(verdicts.seeds, "labels_of", lambda runs: np.arange(200) % 4)
    monkeypatch.setattr(verdicts.seeds, "on_the_base_model", lambda runs, attack: paper)
    monkeypatch.setattr(verdicts.seeds, "under_aimed_sap", lambda runs: found["aimed"])
    monkeypatch.setattr(verdicts.seeds, "under_all_attacks", lambda runs: found["strongest"])
    claim = (
        "Under the paper's attack, SAP on the base model, fdec keeps more than cor, and base + "
        "constants cannot be told apart from fdec."
    )
    nothing = "none of dec, fcor and fdec can be told apart from cor."
    assert verdicts.at_a_glance([], knowing=False).markdown == claim
    assert verdicts.at_a_glance([], knowing=True).markdown == (
        f"{claim} Under attacks aimed at the whole ensemble, smooth or not, {nothing}"
    )
    found["aimed"] = gained
    assert verdicts.at_a_glance([], knowing=True).markdown == (
        f"{claim} Under SAP aimed at the whole ensemble, dec cannot be told apart from cor, fcor "
        "keeps more than cor and fdec cannot be told apart from cor. Under the strongest of all "
        f"attacks on each record, {nothing}"
    )


def test_classes_count_alike_where_they_are_given():
    classes = np.repeat([0, 1], [150, 50])
    values = [{"one": (classes == 0).astype(float), "other": (classes == 1).astype(float)}] * 3
    plain = verdicts.told_apart(values, "one", "other")
    alike = verdicts.told_apart(values, "one", "other", classes=classes)
    assert plain.startswith("one keeps more than other, +50.0 (")
    assert alike.startswith("one cannot be told apart from other, +0.0 (")
    assert verdicts.compared_twice(values, "one", "other", classes=classes) == (
        "one keeps more than other (with all classes alike, one cannot be told apart from other)"
    )


def beside(*, cor=(0.1, 0.1, 0.1), taken=0.0, rare=100):
    """What is said of three ensembles that all keep 30 to 34 % beside cor; the last are rare."""
    kept_by_each = {"cor": kept(*cor)} | {name: kept(0.3, 0.32, 0.34) for name in verdicts.OTHERS}
    values = [{name: of[seed] for name, of in kept_by_each.items()} for seed in range(3)]
    classes = np.repeat([0, 1], [200 - rare, rare])
    return verdicts.beside_cor(
        values,
        taken={"cor": 0.0, "dec": taken} | dict.fromkeys(("fcor", "fdec"), 0.0),
        classes=classes,
    )


def test_a_lead_that_more_steps_may_undo_is_said_to_be_one():
    flagged = "the lead of dec is, at its lower end, less than more steps still took of it"
    assert flagged not in beside(taken=0.05)
    found = beside(taken=0.2)
    assert found.count("lower end") == found.count(flagged) == 1
    assert "lower end" not in beside(cor=(0.5, 0.5, 0.5), taken=0.9), "no lead, nothing to undo"


def test_with_all_classes_alike_each_difference_is_said():
    plain, alike = beside().split(". With all classes alike, ")
    assert plain.count("keeps more than cor") == alike.count("keeps more than cor") == 3
    # The records that make the difference are half of a class that now counts for little.
    values = [
        {"cor": hits, **dict.fromkeys(verdicts.OTHERS, other)}
        for hits, other in zip(kept(0.1, 0.1), kept(0.2, 0.2), strict=True)
    ]
    classes = np.repeat([0, 1, 2, 3], [194, 2, 2, 2])
    told = verdicts.beside_cor(values, taken=dict.fromkeys(values[0], 0.0), classes=classes)
    assert told.count("cor, +10.0") == 3 and "alike, dec keeps more than cor, +2.6" in told


def test_what_cannot_be_told_apart_is_said_once():
    same = [dict.fromkeys(("cor", *verdicts.OTHERS), hits) for hits in kept(0.3, 0.2)]
    nothing = dict.fromkeys(same[0], 0.0)
    equal = "dec +0.0 (0.0 to 0.0), fcor +0.0 (0.0 to 0.0), fdec +0.0 (0.0 to 0.0)"
    told = verdicts.beside_cor(same, taken=nothing, classes=np.zeros(200, dtype=int))
    assert told == (
        f"none of dec, fcor and fdec can be told apart from cor: {equal}; nor can they with all "
        f"classes alike: {equal}"
    )
    # What is told apart only with all classes alike: half a rare class against as many of another.
    classes = np.repeat([0, 1], [180, 20])
    rare, common = classes == 1, np.arange(200) < 20
    values = [{"cor": common * 1.0} | dict.fromkeys(verdicts.OTHERS, rare * 1.0)] * 2
    told = verdicts.beside_cor(values, taken=nothing, classes=classes)
    assert told.startswith("none of dec, fcor and fdec can be told apart from cor: dec +0.0 (")
    assert "). With all classes alike, dec keeps more than cor, +" in told


def test_the_papers_attack_is_aimed_at_the_ensemble_with_nothing_else_changed(tiny_run):
    epsilon = max(knowledge.epsilons(tiny_run))
    line = verdicts.under_the_attack_aimed_at_the_ensemble([tiny_run]).markdown
    attacks = knowledge.smooth_conditions(tiny_run, epsilon=epsilon)[knowledge.MORE_STEPS]
    smooth = list(attacks.values())
    assert len(smooth) == 6  # three members, two aims at them all, and one that goes on
    alive = {
        name: np.logical_and.reduce([one.correct()[name].any(axis=0) for one in smooth])
        for name in ("cor", "fdec", "dec", "fcor")
    }
    assert f"SAP at ε = {epsilon:g} µV" in line and f"on {len(alive['cor'])} records a seed" in line
    steps = longer.smooth_steps([tiny_run])
    *_, before, after = (steps[column].astype(float) for column in steps)
    most = max(before - after)
    took = line.partition("the last doubling of the steps took ")[2]
    assert took.startswith(f"up to {most:.1f} points" if most > 0.05 else "nothing")
    shares = [100 * alive[name].mean() for name in ENSEMBLES]
    assert f"ensembles keep {min(shares):.1f} to {max(shares):.1f} %" in line
    for name in verdicts.OTHERS:
        difference = 100 * (alive[name].mean() - alive["cor"].mean())
        assert any(form in line for form in said(name, difference))


def said(name, difference):
    """How a difference from cor, in points, is said where nothing is told apart, and otherwise."""
    number = f"{difference:+.1f} (".replace("-", "−")
    return (
        f"{name} {number}",
        f"{name} cannot be told apart from cor, {number}",
        *(f"{name} keeps {which} than cor, {number}" for which in ("more", "less")),
    )


def test_the_attacker_who_knows_has_all_attacks(tiny_run):
    epsilon = knowledge.middle(tiny_run)
    line = verdicts.under_all_attacks([tiny_run]).markdown
    assert f"at ε = {epsilon:g} µV" in line
    left = longer.left_by_twice_the_steps(tiny_run)
    took = {name: left[name]["P(≥1)"][0][1] - left[name]["P(≥1)"][1][1] for name in ENSEMBLES}
    most = 100 * max(took.values())
    taken = line.partition("by itself, twice its steps took ")[2]
    assert taken.startswith(f"up to {most:.1f} points" if most > 0.05 else "nothing")
    found = seeds.values_under_knowledge(tiny_run, epsilon=epsilon, measure="P(≥1)")
    values = found[knowledge.ALL]
    shares = [100 * np.nanmean(values[name]) for name in ENSEMBLES]
    assert f"ensembles keep {min(shares):.1f} to {max(shares):.1f} %" in line
    control = 100 * np.nanmean(values[metrics.CONTROL])
    assert f"{metrics.CONTROL} keeps {control:.1f} %" in line
    for name in verdicts.OTHERS:
        difference = 100 * np.nanmean(values[name] - values["cor"])
        assert any(form in line for form in said(name, difference))
