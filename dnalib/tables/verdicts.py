"""What the seeds of a run say in short: which ensemble keeps more, where that can be told.

An ensemble keeps a record that at least one of its members gets right, P(≥1).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dnalib import metrics
from dnalib.intervals import Spread
from dnalib.runs import Run
from dnalib.tables import Banner, in_a_sentence, knowledge, longer, percent, seeds
from dnalib.tables.formats import points_between
from dnalib.tables.replies import at_most
from dnalib.tables.seeds import Values

OTHERS = ("dec", "fcor", "fdec")  # than cor
NOTHING = f"none of {in_a_sentence(OTHERS)} can be told apart from cor"


def at_a_glance(runs: Sequence[Run], *, knowing: bool) -> Banner:
    """What becomes of the claim, without numbers, decided by the intervals alone.

    Args:
        runs: the seeds.
        knowing: whether to say what attackers leave who know the ensemble.
    """
    values = seeds.on_the_base_model(runs, attack="sap")
    classes = seeds.labels_of(runs)
    pairs = [("fdec", "cor"), (metrics.CONTROL, "fdec")]
    found = [compared_twice(values, *pair, classes=classes) for pair in pairs]
    text = f"Under the paper's attack, SAP on the base model, {', and '.join(found)}."
    if not knowing:
        return Banner(text)
    aimed, strongest = (
        which_beside_cor(some)
        for some in (seeds.under_aimed_sap(runs), seeds.under_all_attacks(runs))
    )
    if aimed == strongest:
        return Banner(f"{text} Under attacks aimed at the whole ensemble, smooth or not, {aimed}.")
    return Banner(
        f"{text} Under SAP aimed at the whole ensemble, {aimed}. Under the strongest of all "
        f"attacks on each record, {strongest}."
    )


def compared_twice(
    values: Sequence[Values], first: str, second: str, *, classes: NDArray[np.integer]
) -> str:
    """Which of two ensembles keeps more, and whether that changes with all classes alike.

    Arguments as in `told_apart`.
    """
    pair = (first, second)
    plain = compared(seeds.gain_of(values, pair=pair), *pair)
    alike = compared(seeds.gain_of(values, pair=pair, classes=classes), *pair)
    return plain if alike == plain else f"{plain} (with all classes alike, {alike})"


def which_beside_cor(values: Sequence[Values]) -> str:
    """Which of the three ensembles keep more than cor, or less, without numbers."""
    gains = {name: seeds.gain_of(values, pair=(name, "cor")) for name in OTHERS}
    if not any(map(excludes_zero, gains.values())):
        return NOTHING
    return in_a_sentence([compared(gain, name, "cor") for name, gain in gains.items()])


def under_the_papers_attack(runs: Sequence[Run]) -> Banner:
    """Whether the claim holds under the attack that it is made of, and what it is worth: a list.

    Under SAP on the base model, at the largest ε: fdec beside cor, beside either idea alone, and
    the control beside fdec; and all of these with every class counted alike.
    """
    epsilon = max(runs[0].settings.epsilons)
    values = seeds.on_the_base_model(runs, attack="sap")
    labels = seeds.labels_of(runs)
    control = metrics.CONTROL
    pairs = [("fdec", "cor"), ("fdec", "dec"), ("fdec", "fcor"), (control, "fdec")]
    alike = "; ".join(told_apart(values, *pair, classes=labels) for pair in pairs)
    lines = [
        f"- **The paper's claim**, under SAP on the base model at ε = {epsilon:g} µV: "
        f"{told_apart(values, 'fdec', 'cor')}.",
        f"- **Both ideas or one**, under the same attack: {told_apart(values, 'fdec', 'dec')}; "
        f"{told_apart(values, 'fdec', 'fcor')}.",
        f"- **The measure itself**, under the same attack: {told_apart(values, control, 'fdec')}.",
        "- **With all classes alike**, so that answering the common ones gains no more than "
        f"answering the rare: {alike}.",
    ]
    return Banner("\n".join(lines))


def under_the_attack_aimed_at_the_ensemble(runs: Sequence[Run]) -> Banner:
    """What is left of the claim if its own attack aims at the whole ensemble: a list of one.

    SAP at the largest ε on each member and on the ensemble as a whole, and longer searches where a
    record is left.
    """
    epsilon = max(knowledge.epsilons(runs[0]))
    values = seeds.under_aimed_sap(runs)
    records = dict.fromkeys(str(np.isfinite(one["cor"]).sum()) for one in values)
    taken = longer.taken_last_by_smooth_steps(runs)
    return Banner(
        f"- **Smooth attacks aimed at the ensemble**, SAP at ε = {epsilon:g} µV on each member "
        "and on all together, with longer searches by another rule and loss where a member is "
        f"still right, on {in_a_sentence(list(records))} records a seed: {levels(values)}; "
        f"{beside_cor(values, taken=taken, classes=seeds.labels_of(runs))}. What is kept is an "
        f"upper limit: the last doubling of the steps took {at_most(taken, of='P(≥1)')}."
    )


def under_all_attacks(runs: Sequence[Run]) -> Banner:
    """Whether anything is gained against an attacker who knows the ensemble: a list of one.

    At the middle ε, each record under the strongest of all attacks on it: the three ensembles
    beside cor.
    """
    epsilon = knowledge.middle(runs[0])
    values = seeds.under_all_attacks(runs)
    taken = longer.taken_last_by_twice_the_steps(runs[0], measure=seeds.KEPT)
    return Banner(
        f"- **An attacker who knows the ensemble**, at ε = {epsilon:g} µV, with the strongest of "
        f"all attacks on each record, most of which need not be smooth: {levels(values)}; "
        f"{beside_cor(values, taken=taken, classes=seeds.labels_of(runs))}. What is kept is an "
        "upper limit: of what the longest of these attacks leaves by itself, twice its steps took "
        f"{at_most(taken, of='P(≥1)')}, with seed {runs[0].settings.seed}."
    )


def beside_cor(
    values: Sequence[Values], *, taken: Mapping[str, float], classes: NDArray[np.integer]
) -> str:
    """Whether each of the three ensembles keeps more than cor, in a sentence or two.

    Args:
        values, classes: as in `told_apart`.
        taken: what the last steps of the search took of each ensemble, a share of records. Where
            they took more of a lead than its interval leaves, the sentence says so.
    """
    gains = {name: seeds.gain_of(values, pair=(name, "cor")) for name in OTHERS}
    alike = {name: seeds.gain_of(values, pair=(name, "cor"), classes=classes) for name in OTHERS}
    undone = [name for name in OTHERS if 0 < gains[name].low < taken[name] - taken["cor"]]
    less = "".join(
        f"; the lead of {name} is, at its lower end, less than more steps still took of it"
        for name in undone
    )
    plain = each_beside_cor(gains) + less
    if not any(excludes_zero(gain) for gain in (*gains.values(), *alike.values())):
        return f"{plain}; nor can they with all classes alike: {differences(alike)}"
    return f"{plain}. With all classes alike, {each_beside_cor(alike)}"


def each_beside_cor(gains: Mapping[str, Spread]) -> str:
    """Which ensembles keep more than cor, of the differences that are there already."""
    if not any(map(excludes_zero, gains.values())):
        return f"{NOTHING}: {differences(gains)}"
    return "; ".join(told(gain, name, "cor") for name, gain in gains.items())


def differences(gains: Mapping[str, Spread]) -> str:
    """What each ensemble keeps more than another, in points, one after the other."""
    return ", ".join(
        f"{name} {points_between(gain.mean, gain.low, gain.high)}" for name, gain in gains.items()
    )


def levels(values: Sequence[Values]) -> str:
    """What the four ensembles and the control keep, the means over the seeds in %."""
    shares = {name: np.mean([np.nanmean(one[name]) for one in values]) for name in values[0]}
    control = percent(shares.pop(metrics.CONTROL))
    least, most = (percent(end(list(shares.values()))) for end in (min, max))
    return f"the four ensembles keep {least} to {most} %, and {metrics.CONTROL} keeps {control} %"


def told_apart(
    values: Sequence[Values], first: str, second: str, *, classes: NDArray[np.integer] | None = None
) -> str:
    """Which of two ensembles keeps more, if the interval of their difference excludes zero.

    Args:
        values: of each seed, ensemble -> (test record,), NaN where a record does not count.
        first, second: the ensembles; the difference is of the first less the second, in points.
        classes: (test record,), to count all classes alike; None to count all records alike.
    """
    return told(seeds.gain_of(values, pair=(first, second), classes=classes), first, second)


def told(gain: Spread, first: str, second: str) -> str:
    """What `told_apart` says, of a difference that is there already."""
    difference = points_between(gain.mean, gain.low, gain.high)
    return f"{compared(gain, first, second)}, {difference}"


def compared(gain: Spread, first: str, second: str) -> str:
    """The same without the difference."""
    if not excludes_zero(gain):
        return f"{first} cannot be told apart from {second}"
    return f"{first} keeps {'more' if gain.low > 0 else 'less'} than {second}"


def excludes_zero(gain: Spread) -> bool:
    """Whether the interval of a difference lies on one side of zero."""
    return gain.low > 0 or gain.high < 0
