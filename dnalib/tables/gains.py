"""What remains of a gain in P(≥1) once answers that know nothing are accounted for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dnalib import intervals, metrics
from dnalib.array_arguments import check_classes, check_dimensions, check_records
from dnalib.tables.answers import Answers
from dnalib.tables.classes import names_of_classes, scored_by_challenge

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]
Statistic = Callable[[Integers], Floats]  # positions of records (..., record) -> (...)
Interval = tuple[float, float, float]  # a value and the two ends of its interval


def favourites_table(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    names: Sequence[str],
    class_names: Sequence[str] | None = None,
    seed: int,
) -> pd.DataFrame:
    """How much of each member's accuracy is just its favourite class.

    An attack may drive a member to one answer. Where that is a common class the member is right by
    prior alone: its right answers lie in that class, and its accuracy is near the class's share
    among labels, which a constant would score. Kappa takes out what the frequencies of its answers
    score by themselves; see `metrics.cohens_kappa` for the choice.

    Args:
        logits: (member, record, class), under one attack.
        labels: (record,).
        names: of the members.
        class_names: (class,), as in `Answers`.
        seed: of the 95 % intervals.

    Returns:
        A row a member: favourite (the class it answers most, by its name), answers (that class's
        share among its answers), right (among its right answers; NaN without any), prior (among
        labels), accuracy, class_averaged, kappa, low, high (kappa's interval).

    Raises:
        ValueError: shapes that do not fit, a label that is no class, or another number of names
            than members or classes.
    """
    logits, labels = np.asarray(logits), np.asarray(labels)
    check_dimensions("logits", logits, 3)
    check_records("logits", logits, 1, "labels", labels)
    classes = logits.shape[-1]
    check_classes("labels", labels, classes)
    class_names = names_of_classes(class_names, classes=classes)
    if len(names) != len(logits):
        raise ValueError(f"names has {len(names)} and logits {len(logits)} members; give one each")
    rows = {}
    for name, predicted in zip(names, logits.argmax(axis=-1), strict=True):
        favourite = np.bincount(predicted).argmax()
        right = predicted == labels
        kappa, low, high = intervals.resampled_records(
            _kappa(predicted, labels, classes=classes), records=len(labels), seed=seed
        )
        rows[name] = {
            "favourite": class_names[favourite],
            "answers": (predicted == favourite).mean(),
            "right": (predicted[right] == favourite).mean() if right.any() else np.nan,
            "prior": (labels == favourite).mean(),
            "accuracy": right.mean(),
            "class_averaged": metrics.class_averaged(right, labels, classes=classes),
            "kappa": kappa,
            "low": low,
            "high": high,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("member")


def remaining_gain(
    answers: Answers,
    *,
    first: str = "fdec",
    second: str = "cor",
    control: str = metrics.CONTROL,
    votes: Mapping[str, Mapping[str, NDArray[np.bool_]]] | None = None,
    seed: int,
) -> pd.DataFrame:
    """The gain of one ensemble over another by several measures, beside what constants gain.

    P(≥1) rewards members that differ, whether or not they know. Each other measure takes that away
    in its own manner: classes counted alike, members counted one by one, one answer an ensemble.
    The challenge's F1 is one of them where the classes are the challenge's.
    What the first gains beyond the control is (first − second) − (control − second), which is
    first − control.

    Args:
        answers: under one attack, or those of `worst_case.fewest_right`.
        first, second, control: names of ensembles.
        votes: which records the majority vote and the mean softmax get right, as
            `worst_case.kept_under_all` gives them; None for those of the answers.
        seed: of the 95 % intervals of kappa and F1. Those of differences are paired.

    Returns:
        Columns measure, quantity, value, low, high (fractions), records. Quantities are the three
        ensembles by name, then "first − second", "control − second" and "first − control", in
        their names, one of several words in brackets after the sign.

    Raises:
        ValueError: the answers lack an ensemble.
    """
    for argument, ensemble in {"first": first, "second": second, "control": control}.items():
        answers.check_ensemble(argument, ensemble)
    votes = answers.indicators() if votes is None else votes
    measures = {
        name: _measures(answers, name, votes=votes[name], seed=seed)
        for name in (first, second, control)
    }
    pairs = ((first, second), (control, second), (first, control))
    rows = []
    for measure in measures[first]:
        of = {name: found[measure] for name, found in measures.items()}
        quantities = {name: one.interval() for name, one in of.items()}
        quantities |= {_less(a, b): of[a].less(of[b]) for a, b in pairs}
        for quantity, ends in quantities.items():
            rows.append((measure, quantity, *ends, len(answers.labels)))
    return pd.DataFrame(rows, columns=["measure", "quantity", "value", "low", "high", "records"])


@dataclass(frozen=True)
class Share:
    """A measure that is a share of records.

    Attributes:
        values: (record,), from 0 to 1.
        classes: (record,), to average over; None for all records alike.
    """

    values: NDArray[np.generic]
    classes: Integers | None = None

    def interval(self) -> Interval:
        """Its value and the ends of its interval."""
        return intervals.share_interval(self.values, classes=self.classes)

    def less(self, other: "Share") -> Interval:
        """By how much it exceeds another, on the same records."""
        return intervals.paired_difference(self.values, other.values, classes=self.classes)


@dataclass(frozen=True)
class Score:
    """A measure that is computed from many records at once.

    Attributes:
        statistic: of positions of records.
        records: how many there are.
        seed: of the draws.
    """

    statistic: Statistic
    records: int
    seed: int

    def interval(self) -> Interval:
        """Its value and the ends of its interval."""
        value, low, high = intervals.resampled_records(
            self.statistic, records=self.records, seed=self.seed
        )
        return float(value), float(low), float(high)

    def less(self, other: "Score") -> Interval:
        """By how much it exceeds another, on the same records."""
        statistic, taken = self.statistic, other.statistic
        return replace(self, statistic=lambda drawn: statistic(drawn) - taken(drawn)).interval()


def _measures(
    answers: Answers, ensemble: str, *, votes: Mapping[str, NDArray[np.bool_]], seed: int
) -> dict[str, Any]:
    """The measures of one ensemble: each a `Share` or a `Score`."""
    logits, labels, classes = answers.logits[ensemble], answers.labels, answers.classes
    records = len(labels)
    one = answers.indicators()[ensemble]["P(≥1)"]  # (record,)
    mean = answers.predicted("mean softmax")[ensemble]  # (record,) classes
    members = [_kappa(predicted, labels, classes=classes) for predicted in logits.argmax(axis=-1)]

    def kappas(drawn: Integers) -> Floats:
        return np.mean([kappa(drawn) for kappa in members], axis=0)

    def f1(drawn: Integers) -> Floats:
        return metrics.challenge_f1(mean[drawn], labels[drawn])

    found: dict[str, Any] = {
        "P(≥1)": Share(one),
        "P(≥1), class-averaged": Share(one, labels),
        "average accuracy": Share(answers.correct()[ensemble].mean(axis=0)),
        "average kappa": Score(kappas, records, seed),
        "majority vote": Share(votes["majority vote"]),
        "mean softmax": Share(votes["mean softmax"]),
    }
    if scored_by_challenge(answers.names):
        found["mean softmax, F1"] = Score(f1, records, seed)
    return found


def _less(first: str, second: str) -> str:
    """The name of a difference; that of the control holds a plus sign and is taken off whole."""
    return f"{first} − ({second})" if " " in second else f"{first} − {second}"


def _kappa(predicted: Integers, labels: Integers, *, classes: int) -> Statistic:
    return lambda drawn: metrics.cohens_kappa(predicted[drawn], labels[drawn], classes=classes)
