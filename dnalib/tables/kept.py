"""What ensembles keep of the test records under the attacks that the first page compares.

An ensemble keeps a record that at least one of its members gets right, P(≥1). Each function gives
of each seed: ensemble -> (test record,), NaN where a record does not count.
"""

from collections.abc import Sequence

from dnalib.runs import Run
from dnalib.stages.sweeps import SWEPT_PADDING
from dnalib.tables import knowledge
from dnalib.tables.seeds import (
    Values,
    values_under_attack,
    values_under_knowledge,
    values_under_smooth,
)

MEASURE = "P(≥1)"


def on_the_base_model(runs: Sequence[Run], *, attack: str) -> list[Values]:
    """Under an attack on the base model, "pgd" or "sap", at the largest ε, as the paper's."""
    condition = {"attack": attack, "padding": SWEPT_PADDING, "measure": MEASURE}
    epsilon = max(runs[0].settings.epsilons)
    return [values_under_attack(run, epsilon=epsilon, **condition) for run in runs]


def under_aimed_sap(runs: Sequence[Run]) -> list[Values]:
    """Under SAP on each member and on all together, at the largest ε of these attacks."""
    epsilon = max(knowledge.epsilons(runs[0]))
    found = [values_under_smooth(run, epsilon=epsilon, measure=MEASURE) for run in runs]
    return [one[knowledge.MORE_STEPS] for one in found]


def under_all_attacks(runs: Sequence[Run]) -> list[Values]:
    """Under the strongest of all attacks on each record, at the middle ε."""
    epsilon = knowledge.middle(runs[0])
    found = [values_under_knowledge(run, epsilon=epsilon, measure=MEASURE) for run in runs]
    return [one[knowledge.ALL] for one in found]
