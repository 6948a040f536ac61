"""What attacks with more steps take beyond all others, as the appendices show it."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

import numpy as np
import pandas

from dnalib.runs import Run
from dnalib.stages import ENSEMBLES
from dnalib.stages.longer import doubled_name
from dnalib.stages.longer_smooth import longer_smooth_name
from dnalib.tables import by_names, percent, with_interval, with_rows, worst_case
from dnalib.tables.convergence import longer_conditions
from dnalib.tables.knowledge import Ensembles, conditions, epsilons

# What the searches that have more steps aim at, by the measure of `worst_case.worst_case_table`.
AIMS: Mapping[str, str] = {"P(≥1)": "least misled member", "mean softmax": "end to end"}


def more_steps(run: Run, *, groups: Iterable[Ensembles] = (ENSEMBLES,)) -> pandas.DataFrame:
    """What attacks with more steps take beyond all others, in %.

    Args:
        run: the run that attacked them.
        groups: of ensembles, each as `knowledge.conditions` takes them.

    Returns:
        A row an ensemble and ε; of P(≥1) and of the mean softmax what is left under the strongest
        attack per record, without those attacks and with them.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for row in without_and_with(run, groups=groups).itertuples():
        rows.setdefault((f"{row.epsilon:g} µV", row.ensemble), {}).update(
            {
                f"{row.name}, without": percent(row.without),
                f"{row.name}, with": with_interval(row.value, row.low, row.high),
            }
        )
    return by_names(rows, ["ε", "ensemble"])


def without_and_with(run: Run, *, groups: Iterable[Ensembles] = (ENSEMBLES,)) -> pandas.DataFrame:
    """`more_steps` in numbers: columns epsilon, ensemble, name, without, value, low, high.

    Names are of the measures; epsilon is in raw units, the others are fractions of the records.
    """
    rows = []
    for epsilon, ensembles in product(epsilons(run), list(groups)):
        every = conditions(run, epsilon=epsilon, ensembles=ensembles)
        longer = longer_conditions(run, epsilon=epsilon, ensembles=ensembles)
        usual = {name: found for name, found in every.items() if name not in longer}
        without, joint = (
            worst_case.worst_case_table(some).set_index(["ensemble", "measure"])
            for some in (usual, every)
        )
        for ensemble, measure in product(joint.index.unique("ensemble"), AIMS):
            row, before = joint.loc[ensemble, measure], without.value[ensemble, measure]
            rows.append((epsilon, ensemble, measure, before, row.value, row.low, row.high))
    names = ["epsilon", "ensemble", "name", "without", "value", "low", "high"]
    return pandas.DataFrame(rows, columns=names)


def twice_more_steps(run: Run, *, groups: Iterable[Ensembles] = (ENSEMBLES,)) -> pandas.DataFrame:
    """What twice those steps take of the records that they left, at the middle ε, in %.

    Arguments as in `more_steps`. A row an ensemble: P(≥1) under the search for the least misled
    member, and the mean softmax under the one end to end, each after the steps and after both.
    """
    rows = {
        ensemble: {
            f"{measure}, {steps} steps": percent(share)
            for measure, shares in left.items()
            for steps, share in shares
        }
        for ensemble, left in left_by_twice_the_steps(run, groups=groups).items()
    }
    return with_rows(pandas.DataFrame.from_dict(rows, orient="index"), "ensemble")


def smooth_steps(runs: Sequence[Run]) -> pandas.DataFrame:
    """`left_by_smooth_steps` in %: a row an ensemble, a column a number of steps."""
    rows = {
        ensemble: {f"{steps} steps": percent(share) for steps, share in found.items()}
        for ensemble, found in left_by_smooth_steps(runs).items()
    }
    return with_rows(pandas.DataFrame.from_dict(rows, orient="index"), "ensemble")


def left_by_smooth_steps(runs: Sequence[Run]) -> dict[str, dict[int, float]]:
    """What SAP on the whole ensemble leaves of P(≥1) as it goes on, at the largest ε.

    Returns:
        Ensemble -> steps -> share of records, the mean over the seeds; the first is what SAP at
        every aim leaves.
    """
    found = {}
    for ensemble in ENSEMBLES:
        name = longer_smooth_name(ensemble, max(epsilons(runs[0])))
        each = [run.obtain(name).results for run in runs]
        left = np.mean([np.array(one["left"]) / max(1, one["attacked"]) for one in each], axis=0)
        found[ensemble] = dict(zip(each[0]["steps"], left.tolist(), strict=True))
    return found


def taken_last(left: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """What the last steps of a search took of each ensemble, of what each number of steps left."""
    return {ensemble: shares[-2] - shares[-1] for ensemble, shares in left.items()}


def taken_last_by_smooth_steps(runs: Sequence[Run]) -> dict[str, float]:
    """What the last doubling of SAP's steps took of P(≥1), at the largest ε."""
    found = left_by_smooth_steps(runs)
    return taken_last({ensemble: list(shares.values()) for ensemble, shares in found.items()})


def taken_last_by_twice_the_steps(
    run: Run, *, measure: str, groups: Iterable[Ensembles] = (ENSEMBLES,)
) -> dict[str, float]:
    """What twice the steps of the longest attacks took at the middle ε, by one of `AIMS`."""
    found = left_by_twice_the_steps(run, groups=groups)
    return taken_last(
        {ensemble: [share for _, share in left[measure]] for ensemble, left in found.items()}
    )


def left_by_twice_the_steps(
    run: Run, *, groups: Iterable[Ensembles] = (ENSEMBLES,)
) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Ensemble -> measure -> steps and the share of records that they leave; twice as many last."""
    found = {}
    for ensemble in (name for ensembles in groups for name in ensembles):
        results = run.obtain(doubled_name(ensemble)).results
        found[ensemble] = {
            measure: [
                (steps, left / max(1, results["attacked"]))
                for steps, left in zip(results["steps"], results["left"][aim], strict=True)
            ]
            for measure, aim in AIMS.items()
        }
    return found
