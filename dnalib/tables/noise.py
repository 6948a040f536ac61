"""Attacks beside random perturbations of the same size: what the search adds to the size."""

from collections.abc import Mapping

import numpy as np
import pandas
from numpy.typing import NDArray
from safetensors.numpy import load_file

from dnalib import intervals
from dnalib.runs import Run
from dnalib.stages import ENSEMBLES
from dnalib.stages.ensembles import in_full
from dnalib.stages.noise import CONTROLS, noise_name
from dnalib.stages.sizes import ATTACK_SIZES
from dnalib.tables import Banner, attacked, by_names, in_a_sentence, percent
from dnalib.tables.answers import Answers, answers_of
from dnalib.tables.sizes import decibels

# How each attack's control is called; those of `stages.noise.CONTROLS`.
NAMES: Mapping[str, str] = {"pgd": "random signs", "sap": "random signs, smoothed"}
BASE = "base right"
MORE, LESS, AS_MUCH = "more", "less", "as much, as far as can be told,"
ALIKE = 2.0  # dB: an attack and its control that lie no further apart are about as strong
Booleans = NDArray[np.bool_]


def answers(run: Run, *, attack: str, epsilon: float, searched: bool) -> Answers:
    """What the ensembles answer on the attacked records.

    Args:
        attack: "pgd" or "sap".
        searched: under the attack; else under the random perturbation that is its control.
    """
    logits, labels = attacked(run, attack=attack, padding="strip", epsilon=epsilon)
    if not searched:
        stored = load_file(run.obtain(noise_name(epsilon)).path)
        logits = stored[attack].astype(np.float64)  # (member, record, class)
    return answers_of(logits, labels)


def kept(given: Answers, *, without_base: bool = False) -> dict[str, Booleans]:
    """Which records are answered right: by the base model, by one member at least of an ensemble.

    Args:
        given: of the ensembles, whose first member is the base model.
        without_base: by one of the others at least, which nobody attacked.

    Returns:
        `BASE` and each ensemble -> (record,).
    """
    correct = given.correct()
    others = {name: correct[name][1 if without_base else 0 :].any(axis=0) for name in ENSEMBLES}
    return {BASE: correct[next(iter(ENSEMBLES))][0]} | others


def strength(run: Run, attack: str, *, epsilon: float, searched: bool) -> float | None:
    """The median ratio of record to perturbation in dB; arguments as in `kept`."""
    if searched:
        sizes = run.obtain(ATTACK_SIZES).results["sizes"][in_full(epsilon)]
    else:
        sizes = run.obtain(noise_name(epsilon)).results["sizes"]
    return sizes[attack]["median signal to noise"]


def as_strong(run: Run, attack: str, *, epsilon: float) -> float | None:
    """The ε at which an attack's control is about as strong, of those of the run.

    A control fills the bound at every sample, and an attack need not: at the same ε the control is
    mostly the stronger of the two.

    Returns:
        The one at which both are nearest; None if none is within `ALIKE`.
    """
    own = strength(run, attack, epsilon=epsilon, searched=True)
    apart = {}  # ε -> decibels between the attack and its control
    for one in run.settings.epsilons:
        ratio = strength(run, attack, epsilon=one, searched=False)
        if own is not None and ratio is not None:  # neither where nothing is perturbed
            apart[one] = abs(ratio - own)
    nearest = min(apart, key=lambda one: apart[one], default=None)
    return None if nearest is None or apart[nearest] > ALIKE else nearest


def beside_attacks(run: Run) -> pandas.DataFrame:
    """Records that are answered right, in %, under each attack and under its control, at each ε.

    Columns: of the base model alone; P(≥1) of each ensemble; and the median ratio of record to
    perturbation in dB.
    """
    rows = {}
    for epsilon in run.settings.epsilons:
        for attack in CONTROLS:
            for searched in (False, True):
                found = kept(answers(run, attack=attack, epsilon=epsilon, searched=searched))
                shown = {name: percent(hits.mean()) for name, hits in found.items()}
                ratio = strength(run, attack, epsilon=epsilon, searched=searched)
                shown["median SNR (dB)"] = decibels(ratio)
                name = attack.upper() if searched else NAMES[attack]
                rows[f"{epsilon:g} µV", name] = shown
    return by_names(rows, ["ε", "perturbation"])


def told(run: Run) -> Banner:
    """Whether the attacks take more than their controls at the largest ε, in words.

    Each beside its control at the same ε, and beside the control that is about as strong, or with
    the word that the run has none.
    """
    epsilon = max(run.settings.epsilons)
    lines = []
    for attack in NAMES:
        alike = as_strong(run, attack, epsilon=epsilon)
        for one in dict.fromkeys((epsilon, epsilon if alike is None else alike)):
            lines.append(compared(run, attack, epsilon=epsilon, of_control=one))
        if alike is None:
            lines.append(none_as_strong(run, attack, epsilon=epsilon))
    return Banner("\n".join(lines))


def none_as_strong(run: Run, attack: str, *, epsilon: float) -> str:
    """That a run has no noise as strong as an attack at some ε, an item of a list."""
    own = decibels(strength(run, attack, epsilon=epsilon, searched=True))
    return (
        f"- {attack.upper()} at ε = {epsilon:g} µV ({own} dB): no ε of this run makes noise that "
        f"is about as strong, to within {ALIKE:g} dB."
    )


def compared(run: Run, attack: str, *, epsilon: float, of_control: float) -> str:
    """From which ensembles an attack takes more than a control of some ε, an item of a list.

    By paired 95 % intervals over the records, of those that a member beside the base model gets
    right, under the control less under the attack.
    """
    found, control = (
        kept(answers(run, attack=attack, epsilon=one, searched=searched), without_base=True)
        for one, searched in ((epsilon, True), (of_control, False))
    )
    kinds: dict[str, list[str]] = {MORE: [], LESS: [], AS_MUCH: []}
    for ensemble in ENSEMBLES:
        _, low, high = intervals.paired_difference(control[ensemble], found[ensemble])
        kinds[MORE if low > 0 else LESS if high < 0 else AS_MUCH].append(ensemble)
    takes = in_a_sentence([f"{kind} from {in_a_sentence(of)}" for kind, of in kinds.items() if of])
    own, other = (
        decibels(strength(run, attack, epsilon=one, searched=searched))
        for one, searched in ((epsilon, True), (of_control, False))
    )
    return (
        f"- {attack.upper()} at ε = {epsilon:g} µV ({own} dB) beside {NAMES[attack]}, at "
        f"ε = {of_control:g} µV ({other} dB): the base model is right on "
        f"{percent(found[BASE].mean())} % and on {percent(control[BASE].mean())} % of the records. "
        f"Of those that another member gets right, {attack.upper()} takes {takes}."
    )


def beside_headline(run: Run) -> str:
    """What random perturbations of the headline's size leave of the base model."""
    epsilon = max(run.settings.epsilons)
    signs, smoothed = (
        percent(kept(answers(run, attack=attack, epsilon=epsilon, searched=False))[BASE].mean())
        for attack in ("pgd", "sap")
    )
    return (
        f"How large is a bound of {epsilon:g} µV? Random signs of that size, which nobody searched "
        f"for, leave the base model right on {signs} % of the records that it gets right "
        f"unperturbed; smoothed ones, on {smoothed} %. [Chapter 7](07_attacks) sets noise beside "
        "the attacks."
    )
