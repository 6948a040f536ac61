"""What a parameter changes: measures of the ensembles at each of its values, and by their size."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas
from numpy.typing import NDArray
from safetensors.numpy import load_file

from dnalib import metrics
from dnalib.comparisons import record_values
from dnalib.intervals import crossed_seeds
from dnalib.runs import Artefact, Run
from dnalib.stages.ensembles import ENSEMBLES, members_of
from dnalib.stages.sweeps import SIZES, SWEPT, sweep_name, variants_of
from dnalib.tables import INTERVAL_SEED, with_interval

NATURAL, ATTACKED = "natural", "attacked"
# What is compared: records, the measure on them, and whether the classes count alike.
SHOWN = {
    "average accuracy, natural": (NATURAL, "average", False),
    "P(≥1), natural": (NATURAL, "at least 1", False),
    "average accuracy, attacked": (ATTACKED, "average", False),
    "P(≥1), attacked": (ATTACKED, "at least 1", False),
    "P(≥1), class average, attacked": (ATTACKED, "at least 1", True),
}
SHARED = "adjusted R²"  # mean over ordered pairs of members; no share of records
COLUMNS = ["value", "ensemble", "measure", "mean", "low", "high", "over_seeds", "over_records"]
SIZE = "members"  # the value's name in the table of sizes


def sweep_table(run: Run, parameter: str, *, attack: str = "sap") -> pandas.DataFrame:
    """Every measure of every ensemble at each value of a parameter.

    Args:
        run: that has the sweep.
        parameter: one of `stages.sweeps.SWEPT`.
        attack: "pgd" or "sap", on the base model at the largest ε.

    Returns:
        Columns value, ensemble, measure, mean, low, high (over seeds and records), over_seeds and
        over_records (standard deviations), fractions; of adjusted R² there is the mean alone, and
        the standard deviation over seeds. The control of two constants is among the ensembles,
        without R².
    """
    rows = []
    for value in getattr(run.settings, SWEPT[parameter]):
        variants = [one for one in variants_of(run.settings, parameter) if one[parameter] == value]
        artefacts = [run.obtain(sweep_name(one)) for one in variants]
        for ensemble, members in {**ENSEMBLES, metrics.CONTROL: None}.items():
            values = [values_of(artefact, members, attack=attack) for artefact in artefacts]
            rows += rows_of(value, ensemble, values)
            if members:
                pairs = [artefact.results["adjusted"][ensemble] for artefact in artefacts]
                rows.append(shared_row(value, ensemble, [mean_of_pairs(one) for one in pairs]))
    return pandas.DataFrame(rows, columns=COLUMNS)


def sizes_table(run: Run, *, attack: str = "sap") -> pandas.DataFrame:
    """The same for ensembles of two networks to as many as the run has, value being their number.

    An ensemble of fewer is the first ones of the largest: further members change none before them.
    """
    artefact = run.obtain(SIZES)
    rows = []
    for count in range(2, run.settings.most_members + 1):
        for ensemble in ENSEMBLES:
            rows += rows_of(
                count, ensemble, [values_of(artefact, members_of(ensemble, count), attack=attack)]
            )
            pairs = np.array(artefact.results["adjusted"][ensemble], dtype=float)[:count, :count]
            rows.append(shared_row(count, ensemble, [mean_of_pairs(pairs)]))
        rows += rows_of(count, metrics.CONTROL, [values_of(artefact, None, attack=attack)])
    return pandas.DataFrame(rows, columns=COLUMNS)


def values_of(
    artefact: Artefact, members: Sequence[str] | None, *, attack: str
) -> dict[str, NDArray[np.float64]]:
    """What each test record contributes to each measure of an ensemble; NaN where not attacked.

    Args:
        artefact: of a variant or of the sizes.
        members: names of the ensemble's; None for the control of `metrics.with_constants`.
        attack: "pgd" or "sap".
    """
    stored, models = load_file(artefact.path), artefact.results["models"]
    chosen = [models.index(name) for name in members or ("base",)]
    labels, positions = stored["labels"].astype(np.int64), stored["positions"]
    found = {}
    for name, (records, measure, balanced) in SHOWN.items():
        logits = stored[attack if records == ATTACKED else records][chosen].astype(
            np.float64
        )  # (member, record, class)
        if members is None:
            logits = metrics.with_constants(logits[0])
        answered = labels if records == NATURAL else labels[positions]
        values = record_values(metrics.correct_predictions(logits, answered), measure=measure)
        if balanced:
            values *= class_weights(answered)
        found[name] = np.full(len(labels), np.nan)
        found[name][slice(None) if records == NATURAL else positions] = values
    return found


def class_weights(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights of records with which a mean over them is the average over classes: (record,).

    The classes' numbers of records are taken as given, in intervals as well.
    """
    classes, numbers = np.unique(labels, return_counts=True)
    return (len(labels) / (len(classes) * numbers))[np.searchsorted(classes, labels)]


def rows_of(
    value: float,
    ensemble: str,
    values: Sequence[Mapping[str, NDArray[np.float64]]],
) -> list[tuple]:
    """The rows of one ensemble at one value; `values` has an entry a seed."""
    rows: list[tuple] = []
    for measure in SHOWN:
        together = np.stack([one[measure] for one in values])  # (seed, test record)
        spread = crossed_seeds(together, seed=INTERVAL_SEED)
        ends = (spread.low, spread.high, spread.over_seeds, spread.over_records)
        rows.append((value, ensemble, measure, spread.mean, *ends))
    return rows


def shared_row(value: float, ensemble: str, shared: Sequence[float]) -> tuple:
    """The row of what an ensemble's members share; `shared` has an entry a seed."""
    deviation = float(np.std(shared, ddof=1)) if len(shared) > 1 else float("nan")
    mean, nothing = float(np.mean(shared)), float("nan")
    return (value, ensemble, SHARED, mean, nothing, nothing, deviation, nothing)


def mean_of_pairs(matrix: Sequence[Sequence[float | None]] | NDArray) -> float:
    """Mean over the ordered pairs of different members; NaN where one is undefined."""
    values = np.array(matrix, dtype=float)
    return float(values[~np.eye(len(values), dtype=bool)].mean())


def wide(table: pandas.DataFrame, *, measure: str) -> pandas.DataFrame:
    """A row an ensemble, a column a value: "mean (low–high)" in %, adjusted R² as it is."""
    chosen = table[table.measure == measure]
    cells = chosen.assign(
        cell=[
            f"{row.mean:.3f}" if measure == SHARED else with_interval(row.mean, row.low, row.high)
            for row in chosen.itertuples()
        ]
    )
    found = cells.pivot(index="ensemble", columns="value", values="cell")
    return found.reindex(list(dict.fromkeys(chosen.ensemble))).rename_axis(columns=None, index=None)
