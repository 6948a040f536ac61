"""What a parameter changes: ensembles at its values, compared with each other and the control."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas
from numpy.typing import NDArray
from safetensors.numpy import load_file

from dnalib.intervals import crossed_differences
from dnalib.runs import Artefact, Run
from dnalib.stages.ensembles import ENSEMBLES, in_full
from dnalib.tables.formats import points_between
from dnalib.tables.sweeps import (
    ATTACKED,
    SHOWN,
    SIZE,
    ensembles_at,
    natural_logits,
    swept_artefacts,
    values_of,
)

# What is compared between values: the attack, none of which touches the first, and what is shown.
CHANGED = {
    "average accuracy": ("sap", "average accuracy, natural"),
    "P(≥1) under SAP": ("sap", "P(≥1), attacked"),
    "P(≥1) under SAP, class-averaged": ("sap", "P(≥1), class-averaged, attacked"),
    "P(≥1) under PGD": ("pgd", "P(≥1), attacked"),
    "P(≥1) under PGD, class-averaged": ("pgd", "P(≥1), class-averaged, attacked"),
}
DIFFERENCES = ["measure", "value", "low", "high"]  # columns


def changes_table(run: Run, parameter: str) -> pandas.DataFrame:
    """What another value of a parameter changes in the ensembles that it is trained into.

    Each value is compared with the run's own, or the first one where that is not among them; each
    number of networks with one network fewer. Intervals are of differences on the same records and
    seeds.

    Args:
        run, parameter: as in `sweeps.sweep_table`.

    Returns:
        Columns setting, against (values of the parameter), ensemble, measure (of `CHANGED`), value,
        low, high (differences of fractions), seeds (trainings at a value). An ensemble whose
        members are the same at both values is left out.
    """
    artefacts = swept_artefacts(run, parameter)
    rows = []
    for setting, against in pairs_of(list(artefacts), chosen=chosen_value(run, parameter)):
        labels = load_file(artefacts[setting][0].path)["labels"]
        for ensemble in ENSEMBLES:
            both = [
                (artefacts[value], ensembles_at(parameter, value)[ensemble])
                for value in (setting, against)
            ]
            before, after = (natural_logits(*side) for side in both)
            if np.array_equal(before, after):
                continue
            found = differences(*(changed_values(*side) for side in both), labels=labels)
            seeds = len(artefacts[setting])
            rows += [(setting, against, ensemble, *row, seeds) for row in found]
    names = ["setting", "against", "ensemble", *DIFFERENCES, "seeds"]
    return pandas.DataFrame(rows, columns=names)


def control_table(run: Run, parameter: str) -> pandas.DataFrame:
    """What each ensemble keeps more than the control, at each value of a parameter.

    Intervals are of differences on the same records and seeds.

    Args:
        run, parameter: as in `sweeps.sweep_table`.

    Returns:
        Columns setting (of the parameter), ensemble, measure (of `CHANGED`), value, low, high
        (differences of fractions).
    """
    rows = []
    for setting, artefacts in swept_artefacts(run, parameter).items():
        labels = load_file(artefacts[0].path)["labels"]
        control = changed_values(artefacts, None)
        for ensemble, members in ensembles_at(parameter, setting).items():
            found = differences(changed_values(artefacts, members), control, labels=labels)
            rows += [(setting, ensemble, *row) for row in found]
    return pandas.DataFrame(rows, columns=["setting", "ensemble", *DIFFERENCES])


def differences(
    one: Mapping[str, NDArray[np.float64]],
    other: Mapping[str, NDArray[np.float64]],
    *,
    labels: NDArray[np.integer],
) -> list[tuple[str, float, float, float]]:
    """By how much one side exceeds the other: a row a measure, with its interval.

    Args:
        one, other: from `changed_values`.
        labels: of the test records.
    """
    rows = []
    for measure, (_, shown) in CHANGED.items():
        spread = crossed_differences(
            one[measure], other[measure], classes=labels if SHOWN[shown][-1] else None
        )
        rows.append((measure, spread.mean, spread.low, spread.high))
    return rows


def changed_values(
    artefacts: Sequence[Artefact], members: Sequence[str] | None
) -> dict[str, NDArray[np.float64]]:
    """What each test record contributes to each measure of `CHANGED`: (seed, test record).

    Args:
        artefacts: one a seed.
        members: as in `sweeps.values_of`.
    """
    by_attack = {
        attack: [values_of(artefact, members, attack=attack) for artefact in artefacts]
        for attack in dict.fromkeys(attack for attack, _ in CHANGED.values())
    }
    return {
        measure: np.stack([values[shown] for values in by_attack[attack]])
        for measure, (attack, shown) in CHANGED.items()
    }


def is_attacked(measure: str) -> bool:
    """Whether a measure of `CHANGED` is that of attacked records."""
    _, shown = CHANGED[measure]
    return SHOWN[shown][0] == ATTACKED


def chosen_value(run: Run, parameter: str) -> float | None:
    """The run's own value of a parameter; None of the number of networks."""
    return None if parameter == SIZE else getattr(run.settings, parameter)


def pairs_of(values: Sequence[float], *, chosen: float | None) -> list[tuple[float, float]]:
    """Which values are compared, each with which.

    Args:
        values: in their order.
        chosen: what the others are compared with, or the first of them if it is none of them; if it
            is None, each is compared with the one before.
    """
    if chosen is None:
        return [(value, before) for before, value in pairwise(values)]
    against = chosen if chosen in values else values[0]
    return [(value, against) for value in values if value != against]


def wide_changes(table: pandas.DataFrame) -> pandas.DataFrame:
    """A row a measure and an ensemble, a column a pair of values: points, with their intervals."""
    cells = table.assign(
        pair=[f"{in_full(row.setting)} − {in_full(row.against)}" for row in table.itertuples()],
        cell=[points_between(row.value, row.low, row.high) for row in table.itertuples()],
    )
    found = cells.pivot(index=["measure", "ensemble"], columns="pair", values="cell")
    rows = sorted(
        found.index, key=lambda row: (list(CHANGED).index(row[0]), list(ENSEMBLES).index(row[1]))
    )
    return found.loc[rows, list(dict.fromkeys(cells.pair))].rename_axis(columns=None)
