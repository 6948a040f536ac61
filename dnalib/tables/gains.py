"""What remains of a gain in P(≥1) once answers that know nothing are accounted for."""

from collections.abc import Callable, Mapping, Sequence

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
        seed: of the 95 % intervals, which are paired for differences.

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
    statistics = {
        name: _statistics(answers, name, votes=votes[name]) for name in (first, second, control)
    }
    pairs = ((first, second), (control, second), (first, control))
    rows = []
    for measure in statistics[first]:
        of = {name: found[measure] for name, found in statistics.items()}
        quantities = of | {_less(a, b): _difference(of[a], of[b]) for a, b in pairs}
        for quantity, statistic in quantities.items():
            value, low, high = intervals.resampled_records(
                statistic, records=len(answers.labels), seed=seed
            )
            rows.append((measure, quantity, value, low, high, len(answers.labels)))
    return pd.DataFrame(rows, columns=["measure", "quantity", "value", "low", "high", "records"])


def _statistics(
    answers: Answers, ensemble: str, *, votes: Mapping[str, NDArray[np.bool_]]
) -> dict[str, Statistic]:
    """The measures of one ensemble."""
    logits, labels, classes = answers.logits[ensemble], answers.labels, answers.classes
    one = answers.indicators()[ensemble]["at least 1"]  # (record,)
    average = answers.correct()[ensemble].mean(axis=0)  # (record,)
    mean = answers.predicted("mean softmax")[ensemble]  # (record,) classes
    members = [_kappa(predicted, labels, classes=classes) for predicted in logits.argmax(axis=-1)]
    found: dict[str, Statistic] = {
        "P(≥1)": lambda drawn: one[drawn].mean(axis=-1),
        "P(≥1), class-averaged": lambda drawn: metrics.class_averaged(
            one[drawn], labels[drawn], classes=classes
        ),
        "average accuracy": lambda drawn: average[drawn].mean(axis=-1),
        "average kappa": lambda drawn: np.mean([kappa(drawn) for kappa in members], axis=0),
        "majority vote": lambda drawn: votes["majority vote"][drawn].mean(axis=-1),
        "mean softmax": lambda drawn: votes["mean softmax"][drawn].mean(axis=-1),
    }
    if scored_by_challenge(answers.names):
        found["mean softmax, F1"] = lambda drawn: metrics.challenge_f1(mean[drawn], labels[drawn])
    return found


def _less(first: str, second: str) -> str:
    """The name of a difference; that of the control holds a plus sign and is taken off whole."""
    return f"{first} − ({second})" if " " in second else f"{first} − {second}"


def _kappa(predicted: Integers, labels: Integers, *, classes: int) -> Statistic:
    return lambda drawn: metrics.cohens_kappa(predicted[drawn], labels[drawn], classes=classes)


def _difference(first: Statistic, second: Statistic) -> Statistic:
    """First less second on the same records."""
    return lambda drawn: first(drawn) - second(drawn)
