"""Attacks beside random perturbations: what the tables count is what the models answer."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dnalib import attacks, metrics, stages, tables
from dnalib.inference import infer
from dnalib.stages.noise import CONTROLS, noise_name
from dnalib.stages.perturbations import records_at
from dnalib.tables import noise
from dnalib.tables.answers import Answers

pytestmark = pytest.mark.slow
EPSILON = 50.0


@pytest.fixture(scope="module")
def stored(tiny_run):
    return load_file(tiny_run.obtain(noise_name(EPSILON)).path)


def test_the_attacked_records_are_shown_with_noise(tiny_run, stored):
    attacked = load_file(tiny_run.obtain(stages.attacked_name("strip", EPSILON)).path)
    assert torch.equal(stored["positions"], attacked["positions"])
    signals, _ = records_at(tiny_run, stored["positions"])
    everything = torch.arange(len(signals))
    natural = torch.stack(
        [
            load_file(tiny_run.obtain(f"natural-{member}").path)["logits"][stored["positions"]]
            for member in stages.MEMBERS
        ]
    )
    for attack in CONTROLS:
        assert stored[attack].shape == (9, len(signals), 4)
        # Of nine networks that hardly learnt, one may be dead, and which one hangs on rounding.
        assert not torch.equal(stored[attack], natural)
    # Signs are ±ε on the record alone: the largest perturbation that stays within the bound.
    results = tiny_run.obtain(noise_name(EPSILON)).results
    samples = signals.valid(everything).sum(dim=(1, 2)).double()
    assert results["sizes"]["pgd"]["largest"] == EPSILON
    expected = (samples.sqrt() * EPSILON).median().item()
    assert results["sizes"]["pgd"]["median norm"] == pytest.approx(expected)
    assert results["sizes"]["sap"]["median norm"] < expected


def test_the_same_signs_are_drawn_at_every_size(tiny_run):
    ratios = [
        tiny_run.obtain(noise_name(epsilon)).results["sizes"]["sap"]["median signal to noise"]
        for epsilon in (10.0, 50.0)
    ]
    assert ratios[0] - ratios[1] == pytest.approx(20 * np.log10(5), abs=0.02)


def test_no_noise_leaves_every_answer(tiny_run, stored):
    signals, _ = records_at(tiny_run, stored["positions"])
    quiet = attacks.random_signs(
        torch.zeros(len(signals), 1, signals.length),
        epsilon=torch.zeros(len(signals)),
        generator=torch.Generator(),
    )
    network = stages.load_member(tiny_run, "base")
    assert torch.equal(infer(network, signals.plus(quiet)), infer(network, signals))


def test_the_table_counts_what_is_stored(tiny_run, stored):
    table = noise.beside_attacks(tiny_run)
    labels = load_file(tiny_run.obtain("natural-base").path)["labels"][stored["positions"]]
    right = metrics.correct_predictions(stored["pgd"].double().numpy(), labels.numpy())
    row = table.loc[(f"{EPSILON:g} µV", "random signs")]
    assert row["base right"] == tables.percent(right[0].mean())
    places = [stages.MEMBERS.index(name) for name in stages.ENSEMBLES["fdec"]]
    assert row["fdec"] == tables.percent(right[places].any(axis=0).mean())
    shown = tables.selected(
        tables.robustness_table(tiny_run), attack="sap", padding="strip", epsilon=EPSILON
    )
    kept = tables.selected(shown, ensemble="cor", measure="P(≥1)").value.item()
    assert table.loc[(f"{EPSILON:g} µV", "SAP"), "cor"] == tables.percent(kept)
    assert list(table.columns) == ["base right", *stages.ENSEMBLES, "median SNR (dB)"]


def answers_with(base, **others):
    """Ensembles of the base model and another member that are right on these records, (record,)."""
    logits = {
        name: np.stack([base, other])[..., None] * [1.0, -1.0] for name, other in others.items()
    }
    return Answers(logits, np.zeros(len(base), dtype=int))


def test_words_follow_the_intervals(run, monkeypatch):
    hits = np.where(np.arange(100) < 50, 1.0, -1.0)
    none, all_of_them = -np.ones(100), np.ones(100)
    made = {
        True: answers_with(none, cor=none, dec=hits, fcor=all_of_them, fdec=hits),
        # What the base model alone gets right under noise is not what the attack takes of others.
        False: answers_with(all_of_them, cor=hits, dec=hits, fcor=hits, fdec=hits),
    }
    monkeypatch.setattr(noise, "answers", lambda run, *, searched, **_: made[searched])
    decibels = {(True, 50.0): 9.0, (False, 50.0): 6.0, (False, 10.0): 9.5}
    monkeypatch.setattr(
        noise, "strength", lambda run, _, *, epsilon, searched: decibels[searched, epsilon]
    )
    # Beside the noise of the same ε, which is louder, and beside that which is as loud.
    first, second, *_ = noise.told(run).markdown.splitlines()
    assert first == (
        "- PGD at ε = 50 µV (9.0 dB) beside random signs, at ε = 50 µV (6.0 dB): the base model is "
        "right on 0.0 % and on 100.0 % of the records. Of those that another member gets right, "
        "PGD takes more from cor, less from fcor and as much, as far as can be told, from dec and "
        "fdec."
    )
    assert second.startswith(
        "- PGD at ε = 50 µV (9.0 dB) beside random signs, at ε = 10 µV (9.5 dB)"
    )
    decibels[False, 10.0] = 13.0  # both are far from the attack's
    first, second, *_ = noise.told(run).markdown.splitlines()
    assert first.startswith("- PGD at ε = 50 µV (9.0 dB) beside random signs, at ε = 50 µV")
    assert second == (
        "- PGD at ε = 50 µV (9.0 dB): no ε of this run makes noise that is about as strong, to "
        "within 2 dB."
    )
    text = noise.beside_headline(run)
    assert "is a bound of 50 µV?" in text and "right on 100.0 % of the records that it" in text
    assert "smoothed ones, on 100.0 %." in text


def test_the_strength_of_an_attack_is_that_of_its_perturbations(tiny_run):
    crafted = load_file(tiny_run.obtain(stages.perturbation_name("strip", EPSILON)).path)
    signals, _ = records_at(tiny_run, crafted["positions"])
    record = signals.batch(torch.arange(len(signals))).squeeze(1).double()
    for attack in stages.ATTACKS:
        delta = crafted[attack].double()
        ratio = 10 * ((record**2).sum(1) / (delta**2).sum(1)).log10()
        found = noise.strength(tiny_run, attack, epsilon=EPSILON, searched=True)
        assert found == pytest.approx(ratio.median().item(), abs=0.01)
