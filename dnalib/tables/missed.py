"""Records that no member answers right: how many, of which classes, and what they look like."""

from collections.abc import Mapping

import numpy as np
import pandas
from numpy.typing import NDArray

from dnalib import metrics, stages
from dnalib.runs import Run
from dnalib.stages import CLASS_NAMES, ENSEMBLES, MEMBERS, SHORT_CLASS_NAMES
from dnalib.tables import natural


def missed_by(run: Run) -> dict[str, NDArray[np.bool_]]:
    """Which unperturbed test records all members of an ensemble, and all nine models, miss.

    Returns:
        Ensemble, and "all nine", -> (record,) bool, in the order of the stored logits.
    """
    logits, labels = natural(run, MEMBERS)
    hits = metrics.correct_predictions(logits, labels)  # (member, record)
    groups: Mapping[str, tuple[str, ...]] = {**ENSEMBLES, "all nine": MEMBERS}
    return {
        name: ~np.any(hits[[MEMBERS.index(member) for member in members]], axis=0)
        for name, members in groups.items()
    }


def missed_table(run: Run) -> pandas.DataFrame:
    """Number of test records that every member misses, a column a true class."""
    labels = natural(run, ["base"])[1]
    counts = {
        name: [*np.bincount(labels[missed], minlength=len(CLASS_NAMES)), missed.sum()]
        for name, missed in missed_by(run).items()
    }
    table = pandas.DataFrame.from_dict(counts, orient="index", columns=[*CLASS_NAMES, "together"])
    test = [*np.bincount(labels, minlength=len(CLASS_NAMES)), len(labels)]
    return pandas.concat([table, pandas.DataFrame([test], ["test records"], table.columns)])


def missed_examples(run: Run, *, most: int = 4) -> dict[str, NDArray[np.int16]]:
    """Some records that all nine models miss, as the networks see them.

    The first of each class in the order of the test records, then further ones. Where no record is
    missed by all, those that fewest models get right, with a printed sentence that says so.

    Args:
        most: how many at most.

    Returns:
        Title, with the label and what the models answered, -> (time,), raw units at the run's rate.
        Empty, with a printed sentence, where the records are not there.
    """
    logits, labels = natural(run, MEMBERS)
    right = metrics.correct_predictions(logits, labels).sum(axis=0)  # (record,), models
    names = stages.names_of_test_records(run)
    if names is None:
        return {}
    if right.min() > 0:
        print(f"No record is missed by all nine models; only {right.min()} get these right.")
    hardest = np.flatnonzero(right == right.min())
    chosen = [int(index) for index in first_of_each_class(hardest, labels)[:most]]
    signals = stages.named_signals(run, [names[index] for index in chosen])
    answers = logits.argmax(axis=-1)  # (member, record)
    return {
        f"{CLASS_NAMES[labels[index]]} ({names[index]}): {counted(answers[:, index])}": signal
        for index, signal in zip(chosen, signals.values(), strict=True)
    }


def first_of_each_class(
    positions: NDArray[np.integer], labels: NDArray[np.integer]
) -> NDArray[np.integer]:
    """The first position of each class, classes in order, then the others in their own order."""
    _, first = np.unique(labels[positions], return_index=True)
    others = np.delete(np.arange(len(positions)), first)
    return positions[np.concatenate([first, others])]


def counted(answers: NDArray[np.integer]) -> str:
    """How many models gave which answer, the commonest first, classes by their letters."""
    counts = np.bincount(answers, minlength=len(CLASS_NAMES))
    order = np.argsort(-counts, kind="stable")
    given = [f"{counts[label]} × {SHORT_CLASS_NAMES[label]}" for label in order if counts[label]]
    return ", ".join(given)
