"""A run's artefacts as the tables and series that the chapters show."""

from collections.abc import Iterable, Mapping
from itertools import product

import numpy as np
import pandas
from numpy.typing import NDArray
from safetensors.numpy import load_file

from dnalib import intervals, losses, metrics, published
from dnalib.detection import SCORES
from dnalib.runs import Run
from dnalib.stages import ATTACKS, ENSEMBLES, MEMBERS, PADDINGS, attacked_name
from dnalib.stages.members import r_squared_name
from dnalib.tables import deferral, robustness
from dnalib.tables.answers import RULES, answers_of
from dnalib.tables.formats import (
    between,
    by_names,
    decimals,
    percent,
    selected,
    with_interval,
    with_rows,
)

UNDER_PGD = "ours, PGD"  # column of the headline
INTERVAL_SEED = 0  # of the bootstrap; intervals are then the same in every chapter


def history(run: Run, member: str) -> pandas.DataFrame:
    """A member's training, a row an epoch, columns as `training.train` returns them."""
    return pandas.DataFrame(run.obtain(member).results["history"]).astype(float)


def histories(run: Run, members: Iterable[str]) -> dict[str, pandas.DataFrame]:
    """The trainings of several members."""
    return {member: history(run, member) for member in members}


def natural(run: Run, members: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Logits on unperturbed test records (member, record, class) and labels (record,)."""
    files = [load_file(run.obtain(f"natural-{member}").path) for member in members]
    logits = np.stack([file["logits"].astype(np.float64) for file in files])
    return logits, files[0]["labels"].astype(np.int64)


def attacked(
    run: Run, *, attack: str, padding: str, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """Logits of all nine models under attack (member, record, class) and labels (record,).

    Records are the test records that the base model gets right unperturbed.
    """
    file = load_file(run.obtain(attacked_name(padding, epsilon)).path)
    labels = natural(run, ["base"])[1][file["positions"]]
    return file[attack].astype(np.float64), labels


def majority_share(run: Run) -> float:
    """Share of the commonest class among the test records: what one constant answer scores.

    Counted from the survey: a run that computes trains no network for it.
    """
    counts = run.obtain("survey").results["test"]  # of each class
    return max(counts) / sum(counts)


def chance_loss(run: Run) -> float:
    """The decorrelation loss that features would have which share nothing, in nats."""
    settings = run.settings
    return losses.chance_loss(
        records=settings.auxiliary_batch_size, columns=settings.projected_dimension
    )


def attacked_majority_share(run: Run) -> float:
    """The same among the attacked records, of which more are of that class."""
    epsilon = run.settings.epsilons[0]
    _, labels = attacked(run, attack=ATTACKS[0], padding=PADDINGS[0], epsilon=epsilon)
    return float(hits_of_commonest(labels).mean())


def hits_of_commonest(labels: np.ndarray) -> NDArray[np.bool_]:
    """Where always answering the commonest of the labels (record,) is right: (record,)."""
    return labels == np.bincount(labels).argmax()


def members_table(run: Run, members: Iterable[str]) -> pandas.DataFrame:
    """Test accuracy of single models in %, with its 95 % interval over records.

    "Best epoch" chooses on the test records, as the authors' code does, and is too good by that.
    """
    rows = []
    for member in members:
        logits, labels = natural(run, [member])
        hits = metrics.correct_predictions(logits, labels)[0]
        value, low, high = intervals.share_interval(hits)
        curve = history(run, member)
        rows.append(
            {
                "model": member,
                "test accuracy (%)": percent(value),
                "95 % interval": between(low, high),
                "best epoch (%)": percent(curve.test_accuracy.max()),
                "epochs": len(curve),
                "minutes": f"{curve.seconds.sum() / 60:.1f}",
            }
        )
    return with_rows(pandas.DataFrame(rows).set_index("model"), "model")


def natural_table(run: Run) -> pandas.DataFrame:
    """Average accuracy and P(≥x) of the ensembles on unperturbed test records."""
    logits, labels = natural(run, MEMBERS)
    return robustness.ensemble_table(
        answers_of(logits, labels).correct(), labels, constants=metrics.CONSTANTS
    )


def robustness_table(run: Run, *, paddings: Iterable[str] = PADDINGS) -> pandas.DataFrame:
    """Average accuracy and P(≥x) of the ensembles under each attack, padding and ε.

    Each on the records of its own artefact: on another machine the base model may get another
    record right, of two answers that are nearly alike.
    """
    tables = []
    for padding, attack, epsilon in product(paddings, ATTACKS, run.settings.epsilons):
        logits, labels = attacked(run, attack=attack, padding=padding, epsilon=epsilon)
        condition = {(attack, padding, epsilon): answers_of(logits, labels).correct()}
        tables.append(robustness.robustness_table(condition, labels, constants=metrics.CONSTANTS))
    return pandas.concat(tables, ignore_index=True)


def voting_table(run: Run, *, attack: str, padding: str, epsilon: float) -> pandas.DataFrame:
    """Accuracy in % of the majority vote and of the mean softmax: what a user would get.

    The base model alone stands above the ensembles, the control below them. Columns: on all natural
    test records; on those that the base model gets right, which are attacked, natural and under the
    attack.
    """
    logits, labels = natural(run, MEMBERS)
    positions = load_file(run.obtain(attacked_name(padding, epsilon)).path)["positions"]
    under_attack = attacked(run, attack=attack, padding=padding, epsilon=epsilon)
    sets = {
        f"natural, all {len(labels)}": (logits, labels),
        f"natural, the {len(positions)} attacked": (logits[:, positions], labels[positions]),
        f"{attack.upper()}, ε = {epsilon:g} µV": under_attack,
    }
    shown: dict[tuple[str, str], dict[str, str]] = {}
    for column, found in sets.items():
        for row, right in right_by_rule(*found).items():
            shown.setdefault(row, {})[column] = with_interval(*intervals.share_interval(right))
    return by_names(shown, ["ensemble", "rule"])


def right_by_rule(
    logits: NDArray[np.floating], labels: NDArray[np.integer]
) -> dict[tuple[str, str], NDArray[np.bool_]]:
    """Which records are answered right: (ensemble, rule) -> (record,), the base model's first.

    Args:
        logits: of all nine models, (member, record, class).
        labels: (record,).
    """
    alone = metrics.correct_predictions(logits, labels)[MEMBERS.index("base")]
    answers = answers_of(logits, labels)
    return {("base", "alone"): alone} | {
        (ensemble, rule): answers.predicted(rule)[ensemble] == answers.labels
        for ensemble in answers.logits
        for rule in RULES
    }


def uncertainty_table(run: Run, *, attack: str, padding: str, epsilon: float) -> pandas.DataFrame:
    """R_cc, R_iu and UA in % under one attack, thresholds scaled on the natural test records."""
    scores = uncertainty_scores(run, attack=attack, padding=padding, epsilon=epsilon)
    return with_rows(scores[list(SCORES)].map(percent), "ensemble")


def uncertainty_scores(run: Run, *, attack: str, padding: str, epsilon: float) -> pandas.DataFrame:
    """The same as fractions, with the other columns of `deferral.scores_table`: a row an ensemble.

    Source: the journal version's section on uncertainty.
    """
    logits, labels = attacked(run, attack=attack, padding=padding, epsilon=epsilon)
    scores = deferral.scores_table(
        {attack: answers_of(logits, labels)},
        natural=answers_of(*natural(run, MEMBERS)),
        uncertainty="mutual information",
        seed=INTERVAL_SEED,
    )
    return selected(scores, scaling="natural set").set_index("ensemble").loc[list(ENSEMBLES)]


def r_squared(run: Run, ensemble: str, kind: str = "r_squared") -> np.ndarray:
    """R² (or "adjusted") between the members of an ensemble, (regressor, regressand).

    NaN where it is undefined: features that never change have no variance to explain.
    """
    return np.array(run.obtain(r_squared_name(ensemble)).results[kind], dtype=float)


def r_squared_table(run: Run, ensemble: str) -> pandas.DataFrame:
    """R² and adjusted R² of one ensemble, both directions, a row a pair."""
    plain, adjusted = r_squared(run, ensemble), r_squared(run, ensemble, "adjusted")
    members = ENSEMBLES[ensemble]
    rows = [
        {
            "regressor": x,
            "regressand": y,
            "R²": decimals(plain[i, j]),
            "adjusted R²": decimals(adjusted[i, j]),
        }
        for i, x in enumerate(members)
        for j, y in enumerate(members)
        if i != j
    ]
    return pandas.DataFrame(rows).set_index(["regressor", "regressand"])


def headline(run: Run) -> pandas.DataFrame:
    """P(≥1) in % at the largest ε, under SAP: the paper's, ours, our interval; and under PGD."""
    epsilon = max(run.settings.epsilons)
    both = selected(robustness_table(run, paddings=["strip"]), epsilon=epsilon, measure="P(≥1)")
    table = selected(both, attack="sap")
    pgd = selected(both, attack="pgd").set_index("ensemble").value
    rows = [
        {
            "ensemble": row.ensemble,
            "paper": percent(published.SAP.get((row.ensemble, "P(≥1)", epsilon))),
            "ours": percent(row.value),
            "95 % interval": between(row.low, row.high),
            UNDER_PGD: percent(pgd[row.ensemble]),
            "records": row.records,
        }
        for row in table.itertuples()
    ]
    return with_rows(pandas.DataFrame(rows).set_index("ensemble"), "ensemble")


def paper_points(run: Run, *, attack: str) -> Mapping[tuple[str, str, float], float] | None:
    """The published points of a figure, where this run has the same ε; None if there are none."""
    points = published.SAP if attack == "sap" else {}
    return {key: value for key, value in points.items() if key[2] in run.settings.epsilons} or None
