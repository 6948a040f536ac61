"""What the seeds of a run say in short: which ensemble keeps more, where that can be told.

An ensemble keeps a record that at least one of its members gets right, P(≥1).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dnalib import metrics
from dnalib.runs import Run
from dnalib.stages.sweeps import SWEPT_PADDING
from dnalib.tables import Banner, knowledge, seeds
from dnalib.tables.comparisons import points_between

Values = Sequence[Mapping[str, NDArray[np.float64]]]


def under_the_papers_attack(runs: Sequence[Run]) -> Banner:
    """Whether the claim holds under the attack that it is made of, and what it is worth: a list.

    Under SAP on the base model, at the largest ε: fdec beside cor, beside either idea alone, and
    the control beside fdec.
    """
    epsilon = max(runs[0].settings.epsilons)
    values = [
        seeds.values_under_attack(
            run, attack="sap", padding=SWEPT_PADDING, epsilon=epsilon, measure="at least 1"
        )
        for run in runs
    ]
    lines = [
        f"- **The paper's claim**, under SAP on the base model at ε = {epsilon:g} µV: "
        f"{told_apart(values, 'fdec', 'cor')}.",
        f"- **Both ideas or one**, under the same attack: {told_apart(values, 'fdec', 'dec')}; "
        f"{told_apart(values, 'fdec', 'fcor')}.",
        "- **The measure itself**, under the same attack: "
        f"{told_apart(values, metrics.CONTROL, 'fdec')}. The former is a control: its two "
        "constants know nothing of hearts.",
    ]
    return Banner("\n".join(lines))


def under_all_attacks(runs: Sequence[Run]) -> Banner:
    """Whether anything is gained against an attacker who knows the ensemble: a list of one.

    At the middle ε, each record under the strongest of all attacks on it: the three ensembles
    beside cor.
    """
    epsilon = knowledge.middle(runs[0])
    values = [
        seeds.values_under_knowledge(run, epsilon=epsilon, measure="at least 1")[knowledge.ALL]
        for run in runs
    ]
    told = "; ".join(told_apart(values, name, "cor") for name in ("fdec", "dec", "fcor"))
    return Banner(
        f"- **An attacker who knows the ensemble**, at ε = {epsilon:g} µV, with the strongest of "
        f"all attacks on each record: {told}."
    )


def told_apart(values: Values, first: str, second: str) -> str:
    """Which of two ensembles keeps more, if the interval of their difference excludes zero.

    Args:
        values: of each seed, ensemble -> (test record,), NaN where a record does not count.
        first, second: the ensembles; the difference is of the first less the second, in points.
    """
    gain = seeds.gain_of(values, pair=(first, second))
    difference = points_between(gain.mean, gain.low, gain.high)
    if gain.low > 0:
        return f"{first} keeps more than {second}, {difference}"
    if gain.high < 0:
        return f"{first} keeps less than {second}, {difference}"
    return f"{first} cannot be told apart from {second}, {difference}"
