"""What the luck of training alone does to the measures that a parameter's chapter compares."""

from collections.abc import Mapping, Sequence

import numpy as np
import scipy  # loads scipy.stats where it is used: that takes half a second

from dnalib.intervals import crossed_shares
from dnalib.runs import RecordedRun, Run
from dnalib.stages import ENSEMBLES
from dnalib.stages.sweeps import SWEPT_PADDING
from dnalib.tables import natural, seeds
from dnalib.tables.sweep_differences import CHANGED
from dnalib.tables.sweeps import NATURAL, SHOWN

CONFIDENCE = 0.95  # as of all intervals

Luck = Mapping[tuple[str, str], float]  # (measure, ensemble) -> what luck is good for


def of_training(run: Run) -> Luck:
    """How far one training of a run's own values may lie from another, by measure and ensemble.

    The 95 % reach of the difference of two of them, as a fraction, of the measures of `CHANGED`: √2
    times the standard deviation over the seeds that were recorded together, times the quantile of
    Student's distribution, for few seeds do not tell it well. Empty for a run that stands alone.
    """
    runs = run.with_seeds() if isinstance(run, RecordedRun) else [run]
    if len(runs) == 1:
        return {}
    quantile = float(scipy.stats.t.ppf((1 + CONFIDENCE) / 2, len(runs) - 1))
    _, labels = natural(runs[0], ["base"])  # all seeds are tested on one set
    found = {}
    for measure, (attack, shown) in CHANGED.items():
        classes = labels if SHOWN[shown][-1] else None
        values = contributed(runs, attack, shown)
        for ensemble in ENSEMBLES:
            each = np.stack([one[ensemble] for one in values])  # (seed, test record)
            spread = crossed_shares(each, classes=classes)
            found[measure, ensemble] = quantile * 2**0.5 * spread.over_seeds
    return found


def contributed(runs: Sequence[Run], attack: str, shown: str) -> list[seeds.Values]:
    """What each test record contributes to a measure of `SHOWN`, of each run."""
    records, measure, _ = SHOWN[shown]
    if records == NATURAL:
        return [seeds.values_on_natural(run, measure=measure) for run in runs]
    epsilon = max(runs[0].settings.epsilons)
    return [
        seeds.values_under_attack(
            run, attack=attack, padding=SWEPT_PADDING, epsilon=epsilon, measure=measure
        )
        for run in runs
    ]
