"""What the seeds of a run say in short: which ensemble keeps more, where that can be told.

An ensemble keeps a record that at least one of its members gets right, P(≥1).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dnalib import metrics
from dnalib.intervals import Spread
from dnalib.runs import Run
from dnalib.stages.sweeps import SWEPT_PADDING
from dnalib.tables import Banner, in_a_sentence, knowledge, longer, natural, percent, seeds
from dnalib.tables.formats import points, points_between
from dnalib.tables.seeds import Values


def under_the_papers_attack(runs: Sequence[Run]) -> Banner:
    """Whether the claim holds under the attack that it is made of, and what it is worth: a list.

    Under SAP on the base model, at the largest ε: fdec beside cor, beside either idea alone, and
    the control beside fdec; and all of these with every class counted alike.
    """
    epsilon = max(runs[0].settings.epsilons)
    values = [
        seeds.values_under_attack(
            run, attack="sap", padding=SWEPT_PADDING, epsilon=epsilon, measure="P(≥1)"
        )
        for run in runs
    ]
    labels = labels_of(runs)
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
    values = [
        seeds.values_under_smooth(run, epsilon=epsilon, measure="P(≥1)")[knowledge.MORE_STEPS]
        for run in runs
    ]
    records = dict.fromkeys(str(np.isfinite(one["cor"]).sum()) for one in values)
    taken = longer.taken_last_by_smooth_steps(runs)
    return Banner(
        f"- **Smooth attacks aimed at the ensemble**: SAP at ε = {epsilon:g} µV on each member "
        "and on the ensemble as a whole and, on the records of which a member is then still right, "
        "longer searches by another rule and loss, on "
        f"{in_a_sentence(list(records))} records a seed: {levels(values)}; "
        f"{beside_cor(values, taken=taken, classes=labels_of(runs))}. "
        f"What is kept is an upper limit: the last doubling of the steps took {of_each(taken)}."
    )


def under_all_attacks(runs: Sequence[Run]) -> Banner:
    """Whether anything is gained against an attacker who knows the ensemble: a list of one.

    At the middle ε, each record under the strongest of all attacks on it: the three ensembles
    beside cor.
    """
    epsilon = knowledge.middle(runs[0])
    values = [
        seeds.values_under_knowledge(run, epsilon=epsilon, measure="P(≥1)")[knowledge.ALL]
        for run in runs
    ]
    taken = longer.taken_last_by_twice_the_steps(runs[0], measure="P(≥1)")
    return Banner(
        f"- **An attacker who knows the ensemble**, at ε = {epsilon:g} µV, with the strongest of "
        f"all attacks on each record, most of which need not be smooth: {levels(values)}; "
        f"{beside_cor(values, taken=taken, classes=labels_of(runs))}. What is kept "
        "is an upper limit: of what the longest of these attacks leaves by itself, twice its steps "
        f"took {of_each(taken)} (seed {runs[0].settings.seed})."
    )


def labels_of(runs: Sequence[Run]) -> NDArray[np.integer]:
    """The class of each test record, (test record,): all seeds are tested on one set."""
    _, labels = natural(runs[0], ["base"])
    return labels


def beside_cor(
    values: Sequence[Values], *, taken: Mapping[str, float], classes: NDArray[np.integer]
) -> str:
    """Whether each of the three ensembles keeps more than cor, in a sentence or two.

    Args:
        values, classes: as in `told_apart`.
        taken: what the last steps of the search took of each ensemble, a share of records. Where
            they took more of a lead than its interval leaves, the sentence says so.
    """
    parts, alike = [], {}
    for name in ("fdec", "dec", "fcor"):
        gain = seeds.gain_of(values, pair=(name, "cor"))
        undone = 0 < gain.low < taken[name] - taken["cor"]
        less = ", less at its lower end than more steps still took of it" if undone else ""
        parts.append(told(gain, name, "cor") + less)
        alike[name] = seeds.gain_of(values, pair=(name, "cor"), classes=classes)
    apart = "; ".join(told(balanced, name, "cor") for name, balanced in alike.items())
    if all(balanced.low <= 0 <= balanced.high for balanced in alike.values()):
        differences = [
            f"{name} {points_between(balanced.mean, balanced.low, balanced.high)}"
            for name, balanced in alike.items()
        ]
        apart = f"none of the three can be told apart from cor: {'; '.join(differences)}"
    return f"{'; '.join(parts)}. With all classes alike, {apart}"


def levels(values: Sequence[Values]) -> str:
    """What each ensemble keeps, the mean over the seeds in %, in a sentence."""
    parts = []
    for name in values[0]:
        kept = np.mean([np.nanmean(one[name]) for one in values])
        parts.append(f"{name} keeps {percent(kept)} %")
    return in_a_sentence(parts)


def of_each(shares: Mapping[str, float]) -> str:
    """What was taken from each ensemble, shares of records, in a sentence."""
    (first, share), *others = shares.items()
    parts = [f"{points(share).lstrip('+')} points from {first}"]
    parts += [f"{points(one).lstrip('+')} from {name}" for name, one in others]
    return in_a_sentence(parts)


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
    if gain.low > 0:
        return f"{first} keeps more than {second}, {difference}"
    if gain.high < 0:
        return f"{first} keeps less than {second}, {difference}"
    return f"{first} cannot be told apart from {second}, {difference}"
