"""The table that the README and the first page begin with: the claim, and what becomes of it."""

from collections.abc import Sequence
from statistics import fmean

import numpy as np
import pandas

from dnalib import metrics, published
from dnalib.intervals import Spread, crossed_shares
from dnalib.runs import Run
from dnalib.stages import ENSEMBLES
from dnalib.stages.sweeps import SWEPT_PADDING
from dnalib.tables import knowledge, narrow, natural, percent, with_rows
from dnalib.tables.seeds import (
    Values,
    labels_of,
    values_under_attack,
    values_under_knowledge,
    values_under_smooth,
)


def front_table(runs: Sequence[Run], *, knowing: bool) -> pandas.DataFrame:
    """P(≥1) in %, the mean over the seeds: under the paper's attack, and under stronger ones.

    Args:
        runs: the seeds.
        knowing: whether there are columns for attackers who know the ensemble.

    Returns:
        A row an ensemble: the paper's value under SAP on the base model at the largest ε, ours with
        its interval over seeds and records, and with all classes counted alike; PGD there; SAP on
        the whole ensemble; the strongest of all attacks on each record, at the middle ε; last the
        accuracy of each member on all unperturbed test records.
    """
    epsilon = max(runs[0].settings.epsilons)
    sap, pgd = (on_the_base_model(runs, attack=attack) for attack in ("sap", "pgd"))
    shown = {"PGD": pgd}
    if knowing:
        bounds = max(knowledge.epsilons(runs[0])), knowledge.middle(runs[0])
        smooth, known = (
            [values_under(run, epsilon=bound, measure="P(≥1)") for run in runs]
            for values_under, bound in zip(
                (values_under_smooth, values_under_knowledge), bounds, strict=True
            )
        )
        shown["aimed SAP"] = [one[knowledge.MORE_STEPS] for one in smooth]
        shown["all attacks"] = [one[knowledge.ALL] for one in known]
    rows = {}
    for ensemble in sap[0]:
        ours = kept(sap, ensemble)
        alike = crossed_shares(stacked(sap, ensemble), classes=labels_of(runs))
        rows[ensemble] = {
            "paper": percent(published.SAP.get((ensemble, "P(≥1)", epsilon))),
            "ours (95 % interval)": narrow(ours.mean, ours.low, ours.high),
            "classes alike": percent(alike.mean),
            **{name: percent(kept(values, ensemble).mean) for name, values in shown.items()},
            "accuracy": members_accuracy(runs, ensemble),
        }
    return with_rows(pandas.DataFrame.from_dict(rows, orient="index"), "ensemble")


def on_the_base_model(runs: Sequence[Run], *, attack: str) -> list[Values]:
    """Of each seed, which records an ensemble keeps under an attack at the largest ε."""
    epsilon = max(runs[0].settings.epsilons)
    condition = {"attack": attack, "padding": SWEPT_PADDING, "measure": "P(≥1)"}
    return [values_under_attack(run, epsilon=epsilon, **condition) for run in runs]


def stacked(values: Sequence[Values], ensemble: str) -> np.ndarray:
    """What each seed keeps of each record with one ensemble, (seed, test record)."""
    return np.stack([one[ensemble] for one in values])


def kept(values: Sequence[Values], ensemble: str) -> Spread:
    """The share of records that an ensemble keeps, over the seeds."""
    return crossed_shares(stacked(values, ensemble))


def members_accuracy(runs: Sequence[Run], ensemble: str) -> str:
    """Accuracy of each member on unperturbed test records, the mean over the seeds in whole %."""
    each = [
        f"{100 * fmean(metrics.accuracy(*natural(run, [member]))[0] for run in runs):.0f}"
        for member in ENSEMBLES.get(ensemble, ())
    ]
    return ", ".join(each) or "–"
