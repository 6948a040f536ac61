"""What a parameter changes: measures of the ensembles at each of its values, and by their size."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas
from numpy.typing import NDArray
from safetensors.numpy import load_file

from dnalib import metrics, tables
from dnalib.intervals import crossed_seeds
from dnalib.runs import Artefact, Run
from dnalib.runs.values import SWEPT
from dnalib.stages.ensembles import ENSEMBLES, members_of
from dnalib.stages.sweeps import seeds_of, sizes_name, sweep_name, variants_of
from dnalib.tables import INTERVAL_SEED
from dnalib.tables.comparisons import record_values

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
COLUMNS = ["setting", "ensemble", "measure", "value", "low", "high", "over_seeds", "over_records"]


def sweep_table(run: Run, parameter: str, *, attack: str = "sap") -> pandas.DataFrame:
    """Every measure of every ensemble at each value of a parameter.

    Args:
        run: that has the sweep.
        parameter: one of `runs.values.SWEPT`.
        attack: "pgd" or "sap", on the base model at the largest ε.

    Returns:
        Columns setting (a value of the parameter), ensemble, measure, value, low, high (over seeds
        and records), over_seeds and over_records (standard deviations), fractions; of adjusted R²
        there is the mean alone, and the standard deviation over seeds. The control of two constants
        is among the ensembles, without R².
    """
    rows = []
    for value in getattr(run.settings, SWEPT[parameter]):
        variants = [one for one in variants_of(run.settings, parameter) if one[parameter] == value]
        artefacts = [run.obtain(sweep_name(one)) for one in variants]
        rows += rows_at(value, ENSEMBLES, artefacts, attack=attack)
    return pandas.DataFrame(rows, columns=COLUMNS)


def sizes_table(run: Run, *, attack: str = "sap") -> pandas.DataFrame:
    """The same for ensembles of two networks to as many as the run has, setting being their number.

    An ensemble of fewer is the first ones of the largest: further members change none before them.
    """
    settings = run.settings
    artefacts = [run.obtain(sizes_name(settings, seed)) for seed in seeds_of(settings)]
    rows = []
    for count in range(2, settings.most_members + 1):
        ensembles = {ensemble: members_of(ensemble, count) for ensemble in ENSEMBLES}
        rows += rows_at(count, ensembles, artefacts, attack=attack)
    return pandas.DataFrame(rows, columns=COLUMNS)


def rows_at(
    setting: float,
    ensembles: Mapping[str, Sequence[str]],
    artefacts: Sequence[Artefact],
    *,
    attack: str,
) -> list[tuple]:
    """The rows of all ensembles, given by their members, and the control; an artefact a seed."""
    rows: list[tuple] = []
    for ensemble, members in ensembles.items():
        rows += measured(setting, ensemble, members, artefacts, attack=attack)
        rows.append(shared_row(setting, ensemble, len(members), artefacts))
    return rows + measured(setting, metrics.CONTROL, None, artefacts, attack=attack)


def measured(
    setting: float,
    ensemble: str,
    members: Sequence[str] | None,
    artefacts: Sequence[Artefact],
    *,
    attack: str,
) -> list[tuple]:
    """The rows of one ensemble, a measure each; `members` as in `values_of`."""
    labels = load_file(artefacts[0].path)["labels"]  # all seeds are tested on one set
    values = [values_of(artefact, members, attack=attack) for artefact in artefacts]
    rows: list[tuple] = []
    for measure, (_, _, balanced) in SHOWN.items():
        spread = crossed_seeds(
            np.stack([one[measure] for one in values]),  # (seed, test record)
            classes=labels if balanced else None,
            seed=INTERVAL_SEED,
        )
        ends = (spread.low, spread.high, spread.over_seeds, spread.over_records)
        rows.append((setting, ensemble, measure, spread.mean, *ends))
    return rows


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
    for name, (records, measure, _) in SHOWN.items():
        answers = stored[attack if records == ATTACKED else records]
        logits = answers[chosen].astype(np.float64)  # (member, record, class)
        if members is None:
            logits = metrics.with_constants(logits[0])
        answered = labels if records == NATURAL else labels[positions]
        values = record_values(metrics.correct_predictions(logits, answered), measure=measure)
        found[name] = np.full(len(labels), np.nan)
        found[name][slice(None) if records == NATURAL else positions] = values
    return found


def shared_row(setting: float, ensemble: str, count: int, artefacts: Sequence[Artefact]) -> tuple:
    """The row of what an ensemble's first members share: adjusted R², mean over ordered pairs."""
    means = []
    for artefact in artefacts:
        matrix = np.array(artefact.results["adjusted"][ensemble], dtype=float)[:count, :count]
        means.append(matrix[~np.eye(count, dtype=bool)].mean())
    deviation = float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")
    nothing = float("nan")
    return (setting, ensemble, SHARED, float(np.mean(means)), nothing, nothing, deviation, nothing)


def shared(table: pandas.DataFrame) -> pandas.DataFrame:
    """Mean adjusted R² within each ensemble: a row an ensemble, a column a value."""
    chosen = tables.selected(table, measure=SHARED)
    found = chosen.pivot(index="ensemble", columns="setting", values="value")
    ordered = found.reindex(dict.fromkeys(chosen.ensemble)).map(tables.decimals)
    return tables.with_rows(ordered, "ensemble")
