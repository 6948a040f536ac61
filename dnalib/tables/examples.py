"""The few attacked records that a run keeps for its figures, and what becomes of them."""

from dataclasses import dataclass

import numpy as np
import pandas
from numpy.typing import NDArray
from safetensors.numpy import load_file

from dnalib import metrics
from dnalib.runs import Run
from dnalib.stages import ATTACKS, CLASS_NAMES, MEMBERS, attacked_name
from dnalib.tables import natural, percent, with_rows


@dataclass(frozen=True)
class AttackedExample:
    """Recorded perturbations of one test record.

    Attributes:
        record: its name.
        perturbations: ε in raw units -> attack ("PGD", "SAP") -> (time,), raw units, at the run's
            rate and length.
    """

    record: str
    perturbations: dict[float, dict[str, np.ndarray]]


def attacked_example(run: Run, *, number: int = 0) -> AttackedExample:
    """One of the few attacked records that a run keeps for its figures, at each ε.

    Args:
        run: with at least one attacked record.
        number: which of them, from 0; the last, where there are fewer.
    """
    artefact = run.obtain("examples")
    number = min(number, len(artefact.results["records"]) - 1)
    stored = load_file(artefact.path)  # attack -> (epsilon, record, time)
    return AttackedExample(
        record=artefact.results["records"][number],
        perturbations={
            epsilon: {name.upper(): stored[name][row, number] for name in ATTACKS}
            for row, epsilon in enumerate(artefact.results["epsilons"])
        },
    )


def example_answers(run: Run, *, number: int = 0) -> pandas.DataFrame:
    """What the base model answers to the record of `attacked_example`, and how surely, in %.

    A row an ε, the first unperturbed; a column an attack. The record's label is the first answer,
    since only records that the base model gets right are attacked.
    """
    artefact = run.obtain("examples")
    number = min(number, len(artefact.results["records"]) - 1)
    base = MEMBERS.index("base")
    rows: dict[str, dict[str, str]] = {}
    for epsilon in artefact.results["epsilons"]:
        stored = load_file(run.obtain(attacked_name("strip", epsilon)).path)
        if not rows:
            first = natural(run, MEMBERS)[0][base, stored["positions"][number]]  # (class,)
            rows["0 µV"] = dict.fromkeys([name.upper() for name in ATTACKS], answer_of(first))
        rows[f"{epsilon:g} µV"] = {
            name.upper(): answer_of(stored[name][base, number].astype(float)) for name in ATTACKS
        }
    return with_rows(pandas.DataFrame.from_dict(rows, orient="index"), "ε")


def answer_of(logits: NDArray[np.floating]) -> str:
    """The class that one network answers, with its probability, from its logits (class,)."""
    probabilities = metrics.softmax(logits)
    return f"{CLASS_NAMES[probabilities.argmax()]}, {percent(probabilities.max())} %"
