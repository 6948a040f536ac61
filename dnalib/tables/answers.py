"""What ensembles answer on one set of records, and how good these answers are, as tables.

A condition is a set of records as the networks saw them: unperturbed, or under one attack. Tables
of several take them as caption -> `Answers`, so that an attack that aims at each ensemble, and
perturbs the records differently for each, is counted like one that aims at a single model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dnalib import intervals, metrics
from dnalib.array_arguments import check_classes, check_dimensions, check_records
from dnalib.stages import ENSEMBLES, MEMBERS
from dnalib.tables.classes import names_of_classes, scored_by_challenge

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]
Booleans = NDArray[np.bool_]

FLOOR = "commonest class"  # in tables: always answering the commonest class of the set
RULES: Mapping[str, Callable[[ArrayLike], Integers]] = {
    "majority vote": metrics.majority_vote,
    "mean softmax": metrics.mean_softmax_prediction,
}


@dataclass(frozen=True)
class Answers:
    """The logits of several ensembles on the same records.

    Attributes:
        logits: ensemble -> (member, record, class).
        labels: (record,) class indices.
        class_names: (class,), what tables call them; None: the book's where there are four, else
            "class 0" and so on.

    Raises:
        ValueError: no ensemble, shapes that do not fit, or other than one name a class.
    """

    logits: Mapping[str, Floats]
    labels: Integers
    class_names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if not self.logits:
            raise ValueError("logits is empty; give at least one ensemble")
        object.__setattr__(self, "labels", np.asarray(self.labels))  # of a tensor as well
        for ensemble, one in self.logits.items():
            check_dimensions(f"logits[{ensemble!r}]", one, 3)
            check_records(f"logits[{ensemble!r}]", one, 1, "labels", self.labels)
            check_classes("labels", self.labels, one.shape[-1])
            if one.shape[-1] != self.classes:
                raise ValueError(
                    f"logits[{ensemble!r}] are of {one.shape[-1]} classes and the first ensemble's "
                    f"of {self.classes}; accepted is one and the same number"
                )
        names_of_classes(self.class_names, classes=self.classes)

    @property
    def classes(self) -> int:
        """How many classes the logits are of."""
        return next(iter(self.logits.values())).shape[-1]

    @property
    def names(self) -> tuple[str, ...]:
        """What tables call the classes, (class,)."""
        return names_of_classes(self.class_names, classes=self.classes)

    def check_ensemble(self, name: str, ensemble: str) -> None:
        """Refuse an ensemble, the argument `name` of a table, that is not here."""
        if ensemble not in self.logits:
            raise ValueError(f"{name} is {ensemble!r}; accepted are {', '.join(self.logits)}")

    def correct(self) -> dict[str, Booleans]:
        """Which records each ensemble's members get right: ensemble -> (member, record)."""
        return {
            ensemble: metrics.correct_predictions(one, self.labels)
            for ensemble, one in self.logits.items()
        }

    def predicted(self, rule: str) -> dict[str, Integers]:
        """What each ensemble answers by one of `RULES`: ensemble -> (record,).

        Raises:
            ValueError: another rule.
        """
        if rule not in RULES:
            raise ValueError(f"rule is {rule!r}; accepted are {', '.join(RULES)}")
        return {ensemble: RULES[rule](one) for ensemble, one in self.logits.items()}

    def indicators(self) -> dict[str, dict[str, Booleans]]:
        """Ensemble -> measure -> (record,): "P(≥1)" up to its members, and each of `RULES`."""
        found = {
            ensemble: {
                f"P(≥{number})": metrics.at_least_each(correct, members=number)
                for number in range(1, len(correct) + 1)
            }
            for ensemble, correct in self.correct().items()
        }
        for rule in RULES:
            for ensemble, predicted in self.predicted(rule).items():
                found[ensemble][rule] = predicted == self.labels
        return found


def answers_of(logits: ArrayLike, labels: ArrayLike) -> Answers:
    """The four ensembles and the control of `metrics.with_constants`, from the nine models.

    Args:
        logits: (member, record, class), members as in `stages.MEMBERS`.
        labels: (record,).

    Raises:
        ValueError: another number of members, or shapes that do not fit.
    """
    logits = np.asarray(logits)
    check_dimensions("logits", logits, 3)
    if len(logits) != len(MEMBERS):
        raise ValueError(f"logits has {len(logits)} members; expected {', '.join(MEMBERS)}")
    ensembles = {
        ensemble: logits[[MEMBERS.index(member) for member in members]]
        for ensemble, members in ENSEMBLES.items()
    }
    control = metrics.with_constants(logits[MEMBERS.index("base")])
    return Answers({**ensembles, metrics.CONTROL: control}, np.asarray(labels))


def check_conditions(conditions: Mapping[str, Answers]) -> None:
    """Refuse a table of nothing."""
    if not conditions:
        raise ValueError("conditions is empty; give the answers under at least one")


def performance_table(
    conditions: Mapping[str, Answers], *, rule: str = "mean softmax", seed: int
) -> pd.DataFrame:
    """How good each ensemble's answers are by several scores, natural and attacked.

    Args:
        conditions: caption -> answers.
        rule: one of `RULES`.
        seed: of the 95 % intervals of kappa and F1.

    Returns:
        Columns condition, ensemble, measure, value, low, high (fractions), records. Measures are
        accuracy, its class average, Cohen's kappa, the challenge's F1 (of its own classes alone),
        and the accuracy within each class that has a record under the class's name; records are
        those counted. `FLOOR` stands among the ensembles. Kappa and F1 are resampled, and their
        ends NaN where that can leave them undefined; shares have those of
        `intervals.share_interval`.

    Raises:
        ValueError: no condition, or an unknown rule.
    """
    check_conditions(conditions)
    rows = []
    for condition, answers in conditions.items():
        commonest = np.bincount(answers.labels).argmax()
        floor = {FLOOR: np.full_like(answers.labels, commonest)}
        for ensemble, predicted in {**answers.predicted(rule), **floor}.items():
            scores = _scores_with_intervals(
                predicted, answers.labels, names=answers.names, seed=seed
            )
            rows += [{"condition": condition, "ensemble": ensemble, **row} for row in scores]
    return pd.DataFrame(rows)


def accuracy_differences(
    conditions: Mapping[str, Answers],
    *,
    against: str = "cor",
    rule: str = "majority vote",
) -> pd.DataFrame:
    """Whether ensembles answer better than one of them, by a paired interval and McNemar's test.

    The test is exact and two-sided. Its p-values are not corrected for their number: of twenty
    comparisons without any difference, one is expected below 0.05.

    Args:
        conditions: caption -> answers, each with `against` among its ensembles.
        against: the ensemble that is taken off the others.
        rule: one of `RULES`.

    Returns:
        Columns condition, ensemble, against, accuracy, reference (the accuracy of `against`),
        value, low, high (their difference, fractions), ensemble_only, against_only (records that
        only one of them gets right), p_value, records.

    Raises:
        ValueError: no condition, one that lacks `against`, or an unknown rule.
    """
    check_conditions(conditions)
    rows = []
    for condition, answers in conditions.items():
        answers.check_ensemble("against", against)
        predicted = answers.predicted(rule)
        right = {ensemble: one == answers.labels for ensemble, one in predicted.items()}
        for ensemble, one in right.items():
            if ensemble == against:
                continue
            value, low, high = intervals.paired_difference(one, right[against])
            test = intervals.mcnemar(one, right[against])
            rows.append(
                {
                    "condition": condition,
                    "ensemble": ensemble,
                    "against": against,
                    "accuracy": one.mean(),
                    "reference": right[against].mean(),
                    "value": value,
                    "low": low,
                    "high": high,
                    "ensemble_only": test.first_only,
                    "against_only": test.second_only,
                    "p_value": test.p_value,
                    "records": len(one),
                }
            )
    return pd.DataFrame(rows)


def _scores_with_intervals(
    predicted: Integers, labels: Integers, *, names: Sequence[str], seed: int
) -> list[dict[str, object]]:
    """The rows of one ensemble; `names` are those of the classes."""
    right, classes, everyone = predicted == labels, len(names), len(labels)
    rows: list[tuple[str, float, float, float, int]] = [
        ("accuracy", *intervals.share_interval(right), everyone),
        ("class-averaged", *intervals.share_interval(right, classes=labels), everyone),
    ]

    def resampled(score: Callable[..., Floats], **options: int) -> tuple[float, float, float]:
        value, low, high = intervals.resampled_records(
            lambda drawn: score(predicted[drawn], labels[drawn], **options),
            records=everyone,
            seed=seed,
        )
        return float(value), float(low), float(high)

    rows.append(("kappa", *resampled(metrics.cohens_kappa, classes=classes), everyone))
    if scored_by_challenge(names):
        rows.append(("challenge F1", *resampled(metrics.challenge_f1), everyone))
    for label in np.unique(labels):
        own = right[labels == label]
        rows.append((names[label], *intervals.share_interval(own), len(own)))
    return [
        dict(zip(("measure", "value", "low", "high", "records"), row, strict=True)) for row in rows
    ]
