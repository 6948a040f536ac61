"""Several trainings side by side: runs that differ by their seed alone, tested on one set."""

from collections.abc import Sequence

import numpy as np
import pandas
from numpy.typing import NDArray
from safetensors.numpy import load_file

from dnalib.answers import answers_of
from dnalib.comparisons import record_values
from dnalib.intervals import Spread, crossed_seeds
from dnalib.runs import Run
from dnalib.stages import MEMBERS, attacked_name
from dnalib.tables import INTERVAL_SEED, attacked, between, natural, percent

MEASURES = ("average", "at least 1")


def values_on_natural(run: Run, *, measure: str) -> dict[str, NDArray[np.float64]]:
    """What each test record contributes to a measure: ensemble -> (test record,)."""
    correct = answers_of(*natural(run, MEMBERS)).correct()
    return {ensemble: record_values(hits, measure=measure) for ensemble, hits in correct.items()}


def values_under_attack(
    run: Run, *, attack: str, padding: str, epsilon: float, measure: str
) -> dict[str, NDArray[np.float64]]:
    """The same under an attack; NaN on the test records that were not attacked.

    Which are attacked hangs on the base model, and so on the seed.
    """
    logits, labels = attacked(run, attack=attack, padding=padding, epsilon=epsilon)
    positions = load_file(run.obtain(attacked_name(padding, epsilon)).path)["positions"]
    records = len(natural(run, ["base"])[1])
    found = {}
    for ensemble, hits in answers_of(logits, labels).correct().items():
        found[ensemble] = np.full(records, np.nan)
        found[ensemble][positions] = record_values(hits, measure=measure)
    return found


def spread_table(
    runs: Sequence[Run], *, attack: str, padding: str, epsilon: float
) -> pandas.DataFrame:
    """Each ensemble's measures over the seeds in %, unperturbed and under an attack.

    Columns: the mean over seeds with its interval over seeds and records, and the standard
    deviations over seeds and over records, in points.

    Source: :eq:`eq-over-seeds` of chapter 8.
    """
    condition = {"attack": attack, "padding": padding, "epsilon": epsilon}
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    for records in ("natural", f"{attack.upper()}, ε = {epsilon:g} µV"):
        for measure in MEASURES:
            values = [
                values_on_natural(run, measure=measure)
                if records == "natural"
                else values_under_attack(run, measure=measure, **condition)
                for run in runs
            ]
            for ensemble in values[0]:
                together = np.stack([one[ensemble] for one in values])  # (seed, test record)
                spread = crossed_seeds(together, seed=INTERVAL_SEED)
                rows[records, measure, ensemble] = described(spread)
    table = pandas.DataFrame.from_dict(rows, orient="index")
    table.index = pandas.MultiIndex.from_tuples(rows, names=["records", "measure", "ensemble"])
    return table


def described(spread: Spread) -> dict[str, str]:
    """A spread in words: percent and points."""
    return {
        "mean": percent(spread.mean),
        "95 % interval": between(spread.low, spread.high),
        "SD over seeds": percent(spread.over_seeds),
        "SD over records": percent(spread.over_records),
    }
