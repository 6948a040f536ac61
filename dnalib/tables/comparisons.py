"""Ensembles beside each other, record by record, and a run beside what the paper published."""

from collections.abc import Mapping

import numpy as np
import pandas
from numpy.typing import ArrayLike, NDArray

from dnalib import intervals, metrics, published
from dnalib.losses import adjusted_for_chance
from dnalib.runs import Run
from dnalib.stages import ENSEMBLES, SHORT_CLASS_NAMES
from dnalib.tables import (
    attacked,
    between,
    by_names,
    decimals,
    in_a_sentence,
    natural,
    percent,
    r_squared,
    uncertainty_scores,
    with_interval,
    with_rows,
)
from dnalib.tables.answers import answers_of
from dnalib.tables.formats import points_between


def record_values(correct: ArrayLike, *, measure: str) -> NDArray[np.float64]:
    """What each record contributes to a measure, whose mean over records is the measure.

    Args:
        correct: (member, record) bool.
        measure: "average", or "at least x" with x from 1 to the number of members.

    Returns:
        (record,), in [0, 1].

    Raises:
        ValueError: another measure.
    """
    correct = np.asarray(correct)
    if measure == "average":
        return correct.mean(axis=0)
    known = [f"P(≥{number})" for number in range(1, len(correct) + 1)]
    if measure not in known:
        raise ValueError(f"measure is {measure!r}; accepted are average, {', '.join(known)}")
    return metrics.at_least_each(correct, members=known.index(measure) + 1).astype(float)


def differences(
    run: Run,
    *,
    attack: str,
    padding: str,
    measure: str = "P(≥1)",
    against: str = "cor",
) -> pandas.DataFrame:
    """Each ensemble less one of them, at each ε, with paired 95 % intervals over records.

    Both are counted on the same records, so that a record which is easy for all of them widens no
    interval. Intervals of the two ensembles alone cannot say this: they overlap long
    after the difference is certain.

    Args:
        attack, padding: as in `tables.attacked`.
        measure: as in `record_values`.
        against: the ensemble that is taken off the others; the control may be one.

    Returns:
        Columns ensemble, against, epsilon (raw units), value, low, high (fractions), records.

    Source: :eq:`eq-difference` of chapter 8.
    """
    rows = []
    for epsilon in run.settings.epsilons:
        logits, labels = attacked(run, attack=attack, padding=padding, epsilon=epsilon)
        correct = answers_of(logits, labels).correct()
        base = record_values(correct[against], measure=measure)  # (record,)
        for ensemble, hits in correct.items():
            if ensemble == against:
                continue
            value, low, high = intervals.paired_difference(
                record_values(hits, measure=measure), base
            )
            rows.append((ensemble, against, epsilon, value, low, high, len(labels)))
    names = ["ensemble", "against", "epsilon", "value", "low", "high", "records"]
    return pandas.DataFrame(rows, columns=names)


def wide_differences(table: pandas.DataFrame) -> pandas.DataFrame:
    """A row a pair, a column an ε: "difference (low to high)" in percentage points."""
    cells = table.assign(
        pair=table.ensemble + " − " + table.against,
        cell=[points_between(row.value, row.low, row.high) for row in table.itertuples()],
    )
    found = cells.pivot(index="pair", columns="epsilon", values="cell")
    found = found.reindex(dict.fromkeys(cells.pair)).rename_axis(columns="ε")
    return found.rename(columns=lambda value: f"{value:g} µV")


def at_the_floor(
    right: Mapping[str, NDArray[np.bool_]], *, constant: NDArray[np.bool_]
) -> dict[str, str]:
    """Those that are right no more often than a constant answer, with their accuracy in %.

    Their paired difference to it has an interval that reaches down to zero.

    Args:
        right: name -> right answers, (record,).
        constant: those of always answering the commonest class, on the same records.
    """
    found = {}
    for name, hits in right.items():
        _, low, _ = intervals.paired_difference(hits, constant)
        if low <= 0:
            found[name] = with_interval(*intervals.share_interval(hits))
    return found


def leaving_out(answered: Mapping[str, NDArray[np.integer]]) -> str:
    """Which networks never answer some class, and what that means, in a sentence; empty if none.

    Args:
        answered: name -> the class that each unperturbed record is called, (record,).
    """
    clauses = []
    for name, classes in answered.items():
        missing = [label for number, label in enumerate(SHORT_CLASS_NAMES) if number not in classes]
        if missing:
            clauses.append(f"*{name}* never answers {' or '.join(missing)}")
    if not clauses:
        return ""
    records = len(next(iter(answered.values())))
    return (
        f"{in_a_sentence(clauses)} on {records} unperturbed records: part of what such a network "
        "adds to P(≥1) is what a constant adds."
    )


def r_squared_beside_published(run: Run) -> pandas.DataFrame:
    """R² and adjusted R² of every pair within an ensemble, both directions, and the published ones.

    Published R² is adjusted by the number of training rows and features that it was computed from.

    Source: :eq:`eq-r-squared` and :eq:`eq-adjusted` of chapter 3.
    """
    rows = {}
    for ensemble, members in ENSEMBLES.items():
        plain, adjusted = r_squared(run, ensemble), r_squared(run, ensemble, "adjusted")
        for i, j in ((0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)):
            theirs = published.R_SQUARED[ensemble][i][j]
            without_chance = adjusted_for_chance(
                theirs, records=published.FEATURE_ROWS, columns=published.FEATURES
            )
            rows[ensemble, f"{members[i]} → {members[j]}"] = {
                "R²": decimals(plain[i, j]),
                "adjusted R²": decimals(adjusted[i, j]),
                "published R²": decimals(theirs),
                "published, adjusted": decimals(without_chance),
            }
    return by_names(rows, ["ensemble", "regressor → regressand"])


def answers_beside_published(run: Run, *, padding: str) -> pandas.DataFrame:
    """Accuracy of the mean softmax and UA under PGD in %, ours and the published ones.

    At the run's ε that is nearest to the published one, which the corner names; published values
    stand beside ours only where the two are the same, and are of all test records. Ours are of
    those that were attacked; of all, a share lies between the two ends of the column that says so:
    with the others all wrong, or none certain of a wrong answer, and the reverse. The last column
    is the UA of a doubt that is the same for every record.

    Source: :eq:`eq-uncertainty` of chapter 8.
    """
    epsilon = min(run.settings.epsilons, key=lambda value: abs(value - published.PGD_EPSILON))
    theirs = published.PGD if epsilon == published.PGD_EPSILON else {}
    logits, labels = attacked(run, attack="pgd", padding=padding, epsilon=epsilon)
    scores = uncertainty_scores(run, attack="pgd", padding=padding, epsilon=epsilon)
    predicted = answers_of(logits, labels).predicted("mean softmax")
    everyone = len(natural(run, ["base"])[1])
    rows = {}
    for ensemble in ENSEMBLES:
        hits = predicted[ensemble] == labels  # (record,)
        found = scores.loc[ensemble]
        rows[ensemble] = {
            "accuracy (%)": with_interval(*intervals.share_interval(hits)),
            f"accuracy of all {everyone}": of_all(hits.mean(), len(hits), everyone=everyone),
            "published accuracy": percent(theirs.get((ensemble, "accuracy"))),
            "R_cc": percent(found["R_cc"]),
            "R_iu": percent(found["R_iu"]),
            "UA": with_interval(found["UA"], found["UA, low"], found["UA, high"]),
            f"UA of all {everyone}": of_all(found["UA"], len(hits), everyone=everyone),
            "published UA": percent(theirs.get((ensemble, "UA"))),
            "UA, constant doubt": percent(found["UA, constant doubt"]),
        }
    found = pandas.DataFrame.from_dict(rows, orient="index")
    return with_rows(found, f"PGD, ε = {epsilon:g} µV")


def of_all(share: float, records: int, *, everyone: int) -> str:
    """Between what a share of some records can be of all, in %: none of the others, or each."""
    least = share * records / everyone
    return between(least, least + 1 - records / everyone)


def ensemble_confusions(logits: ArrayLike, labels: ArrayLike) -> dict[str, NDArray[np.integer]]:
    """Confusion matrix of each ensemble's mean softmax: (true class, predicted class) counts.

    Args:
        logits: of all nine models, (member, record, class).
        labels: (record,).
    """
    predicted = answers_of(logits, labels).predicted("mean softmax")
    return {
        ensemble: metrics.confusion_matrix(predicted[ensemble], labels) for ensemble in ENSEMBLES
    }
