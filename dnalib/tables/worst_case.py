"""What survives the strongest of several attacks, chosen anew for each record.

Attacks are caption -> `Answers`, as conditions are in `dnalib.tables.answers`.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dnalib import intervals, metrics
from dnalib.tables.answers import RULES, Answers, check_conditions

Booleans = NDArray[np.bool_]


def worst_case_table(conditions: Mapping[str, Answers]) -> pd.DataFrame:
    """What survives the strongest of several attacks, chosen anew for each record.

    Args:
        conditions: caption of the attack -> answers, all on the same records in the same order and
            of the same ensembles.

    Returns:
        Columns ensemble, measure (of `Answers.indicators`), value, low, high (fractions),
        strongest (the attack that does most by itself, the first of equals), ties (how many
        others do as much), alone (the value under each of these), records.

    Raises:
        ValueError: no condition, or conditions whose labels, ensembles or members differ.
    """
    survived = _indicators_of_each(conditions)
    rows = []
    for ensemble, measures in _kept_under_each(survived).items():
        for measure, worst in measures.items():
            one = {condition: found[ensemble][measure] for condition, found in survived.items()}
            value, low, high = intervals.share_interval(worst)
            alone = {condition: indicator.mean() for condition, indicator in one.items()}
            strongest = min(alone, key=alone.__getitem__)
            least = alone[strongest]
            ties = sum(value == least for value in alone.values()) - 1
            found = (value, low, high, strongest, ties, least, len(worst))
            rows.append((ensemble, measure, *found))
    names = ["ensemble", "measure", "value", "low", "high"]
    names += ["strongest", "ties", "alone", "records"]
    return pd.DataFrame(rows, columns=names)


def kept_under_all(conditions: Mapping[str, Answers]) -> dict[str, dict[str, Booleans]]:
    """Which records stay right under every attack: ensemble -> measure -> (record,).

    Measures are those of `Answers.indicators`, each under the attack that is strongest by it.

    Args:
        conditions: caption of the attack -> answers, as `worst_case_table` takes them.

    Raises:
        ValueError: as in `worst_case_table`.
    """
    return _kept_under_each(_indicators_of_each(conditions))


def fewest_right(conditions: Mapping[str, Answers]) -> Answers:
    """Answers under the attack that leaves the fewest members right, chosen anew for each record.

    Of attacks that leave as many, those go first that turn the mean softmax, then the one that
    leaves the true class the smallest mean probability. So the average and P(≥x) are those of the
    strongest attack per record for every x at once. A vote can fail under another attack than this
    one: `worst_case_table` joins the votes themselves.

    Args:
        conditions: caption of the attack -> answers of the same ensembles to the same records.

    Raises:
        ValueError: there is none, or records or ensembles differ.
    """
    check_alike(conditions)
    (first, *_) = conditions.values()
    labels = first.labels
    records = np.arange(len(labels))
    chosen = {}
    for ensemble in first.logits:
        logits = np.stack([answers.logits[ensemble] for answers in conditions.values()])
        right = (logits.argmax(axis=-1) == labels).sum(axis=1)  # (attack, record)
        of_true = metrics.softmax(logits).mean(axis=1)[:, records, labels]  # (attack, record)
        told = np.stack(
            [RULES["mean softmax"](one) == labels for one in logits]
        )  # (attack, record)
        strongest = np.lexsort((of_true, told, right), axis=0)[0]  # (record,)
        chosen[ensemble] = logits[strongest, :, records].swapaxes(0, 1)
    return replace(first, logits=chosen)


def _kept_under_each(
    survived: Mapping[str, Mapping[str, Mapping[str, Booleans]]],
) -> dict[str, dict[str, Booleans]]:
    """`_indicators_of_each` -> ensemble -> measure -> (record,), right under every condition."""
    return {
        ensemble: {
            measure: metrics.worst_case([found[ensemble][measure] for found in survived.values()])
            for measure in measures
        }
        for ensemble, measures in next(iter(survived.values())).items()
    }


def _indicators_of_each(
    conditions: Mapping[str, Answers],
) -> dict[str, dict[str, dict[str, Booleans]]]:
    """Condition -> `Answers.indicators`, of conditions that can be joined record by record."""
    check_alike(conditions)
    return {condition: answers.indicators() for condition, answers in conditions.items()}


def check_alike(conditions: Mapping[str, Answers]) -> None:
    """Refuse no condition, and those whose labels or ensembles are not those of the first."""
    check_conditions(conditions)
    first, *others = conditions
    members = {
        condition: {ensemble: len(logits) for ensemble, logits in answers.logits.items()}
        for condition, answers in conditions.items()
    }
    for other in others:
        if not np.array_equal(conditions[first].labels, conditions[other].labels):
            raise ValueError(f"conditions {first!r} and {other!r} hold different records")
        if members[first] != members[other]:
            raise ValueError(f"conditions {first!r} and {other!r} hold different ensembles")
