"""What the luck of training alone does to the measures that a parameter's chapter compares."""

from collections.abc import Mapping, Sequence

from dnalib.intervals import SHARE
from dnalib.runs import RecordedRun, Run
from dnalib.stages import ENSEMBLES
from dnalib.stages.sweeps import SWEPT_PADDING
from dnalib.tables import natural, seeds
from dnalib.tables.sweep_differences import CHANGED
from dnalib.tables.sweeps import NATURAL, SHOWN

FURTHEST = 2.0  # standard deviations of a difference that luck is still good for, of twenty once

Luck = Mapping[tuple[str, str], float]  # (measure, ensemble) -> standard deviation over seeds


def of_training(run: Run) -> Luck:
    """How far one training of a run's own values lies from another, by measure and ensemble.

    The standard deviation over the seeds that were recorded together, of the measures of
    `CHANGED`, as fractions. Empty for a run that stands alone.
    """
    runs = run.with_seeds() if isinstance(run, RecordedRun) else [run]
    if len(runs) == 1:
        return {}
    _, labels = natural(runs[0], ["base"])  # all seeds are tested on one set
    found = {}
    for measure, (attack, shown) in CHANGED.items():
        classes = labels if SHOWN[shown][-1] else None
        values = contributed(runs, attack, shown)
        for ensemble in ENSEMBLES:
            each = [one[ensemble] for one in values]
            spread = seeds.spread(each, bounds=SHARE, classes=classes)
            found[measure, ensemble] = spread.over_seeds
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
