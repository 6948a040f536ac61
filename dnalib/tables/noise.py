"""Attacks beside random perturbations of the same size: what the search adds to the size."""

from collections.abc import Mapping

import numpy as np
import pandas
from numpy.typing import NDArray
from safetensors.numpy import load_file

from dnalib import intervals, metrics
from dnalib.runs import Run
from dnalib.stages import ENSEMBLES
from dnalib.stages.noise import CONTROLS, noise_name
from dnalib.tables import INTERVAL_SEED, Banner, attacked, by_names, in_a_sentence, percent
from dnalib.tables.answers import answers_of
from dnalib.tables.claims import surviving
from dnalib.tables.sizes import decibels

# How each attack's control is called; those of `stages.noise.CONTROLS`.
NAMES: Mapping[str, str] = {"pgd": "random signs", "sap": "random signs, smoothed"}
BASE = "base right"
MORE, LESS, AS_MUCH = "more", "less", "as much, as far as can be told,"


def kept(run: Run, *, attack: str, epsilon: float, searched: bool) -> dict[str, NDArray[np.bool_]]:
    """Which attacked records are still answered right: by the base model, by one of an ensemble.

    Args:
        attack: "pgd" or "sap".
        searched: under the attack; else under the random perturbation that is its control.

    Returns:
        `BASE` and each ensemble -> (record,).
    """
    logits, labels = attacked(run, attack=attack, padding="strip", epsilon=epsilon)
    if not searched:
        stored = load_file(run.obtain(noise_name(epsilon)).path)
        logits = stored[attack].astype(np.float64)  # (member, record, class)
    alive = surviving({attack: answers_of(logits, labels)})[attack]
    alone = {BASE: metrics.correct_predictions(logits, labels)[0]}
    return alone | {name: alive[name] for name in ENSEMBLES}


def beside_attacks(run: Run) -> pandas.DataFrame:
    """Records that are answered right, in %, under each attack and under its control, at each ε.

    Columns: of the base model alone; P(≥1) of each ensemble; and, of the random perturbations, the
    median signal-to-noise ratio in dB, on which perturbations of signs within ε agree.
    """
    rows = {}
    for epsilon in run.settings.epsilons:
        sizes = run.obtain(noise_name(epsilon)).results["sizes"]
        for attack in CONTROLS:
            for searched in (False, True):
                found = kept(run, attack=attack, epsilon=epsilon, searched=searched)
                shown = {name: percent(hits.mean()) for name, hits in found.items()}
                ratio = sizes[attack]["median signal to noise"]
                shown["median SNR (dB)"] = "" if searched else decibels(ratio)
                name = attack.upper() if searched else NAMES[attack]
                rows[f"{epsilon:g} µV", name] = shown
    return by_names(rows, ["ε", "perturbation"])


def told(run: Run) -> Banner:
    """Whether the attacks take more than their controls at the largest ε, in words.

    By paired 95 % intervals over the records, of P(≥1) under the control less that under the
    attack.
    """
    epsilon = max(run.settings.epsilons)
    lines = []
    for attack, name in NAMES.items():
        found, control = (
            kept(run, attack=attack, epsilon=epsilon, searched=searched)
            for searched in (True, False)
        )
        kinds: dict[str, list[str]] = {MORE: [], LESS: [], AS_MUCH: []}
        for ensemble in ENSEMBLES:
            _, low, high = intervals.paired_difference(
                control[ensemble], found[ensemble], seed=INTERVAL_SEED
            )
            kinds[MORE if low > 0 else LESS if high < 0 else AS_MUCH].append(ensemble)
        takes = in_a_sentence(
            [f"{kind} from {in_a_sentence(of)}" for kind, of in kinds.items() if of]
        )
        lines.append(
            f"- ε = {epsilon:g} µV: under {name}, the base model is right on "
            f"{percent(control[BASE].mean())} % of the records; under {attack.upper()}, on "
            f"{percent(found[BASE].mean())} %. Compared with that noise, and by P(≥1), "
            f"{attack.upper()} takes {takes}."
        )
    return Banner("\n".join(lines))


def beside_headline(run: Run) -> str:
    """What random perturbations of the headline's size leave, in words."""
    epsilon = max(run.settings.epsilons)
    ratio = run.obtain(noise_name(epsilon)).results["sizes"]["pgd"]["median signal to noise"]
    left = {}
    for attack in NAMES:
        found = kept(run, attack=attack, epsilon=epsilon, searched=False)
        left[attack] = [f"{percent(found[name].mean())} %" for name in (BASE, "fdec", "cor")]
    base, fdec, cor = left["pgd"]
    return (
        f"As noise, a change of ±{epsilon:g} µV leaves half of the records with a signal-to-noise "
        f"ratio below {decibels(ratio)} dB. Random signs of that size, which nobody searched for, "
        f"leave the base model right on {base} of these records, at least one member of fdec on "
        f"{fdec}, and at least one of cor on {cor}. Smoothed, they leave the three right on "
        f"{in_a_sentence(left['sap'])}. PGD is to be read against the plain signs, SAP against the "
        "smoothed ones."
    )
