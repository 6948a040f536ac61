"""The table that the README and the first page begin with: the claim, and what becomes of it."""

from collections.abc import Sequence
from statistics import fmean

import numpy as np
import pandas

from dnalib import metrics, published
from dnalib.intervals import Spread, crossed_shares
from dnalib.runs import Run
from dnalib.stages import ENSEMBLES
from dnalib.tables import narrow, natural, percent, with_rows
from dnalib.tables.seeds import (
    KEPT,
    Values,
    labels_of,
    on_the_base_model,
    under_aimed_sap,
    under_all_attacks,
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
        shown |= {"aimed SAP": under_aimed_sap(runs), "all attacks": under_all_attacks(runs)}
    rows = {}
    for ensemble in sap[0]:
        ours = share(sap, ensemble)
        alike = crossed_shares(stacked(sap, ensemble), classes=labels_of(runs))
        rows[ensemble] = {
            "paper": percent(published.SAP.get((ensemble, KEPT, epsilon))),
            "ours (95 % interval)": narrow(ours.mean, ours.low, ours.high),
            "classes alike": percent(alike.mean),
            **{name: percent(share(values, ensemble).mean) for name, values in shown.items()},
            "accuracy": members_accuracy(runs, ensemble),
        }
    return with_rows(pandas.DataFrame.from_dict(rows, orient="index"), "ensemble")


def stacked(values: Sequence[Values], ensemble: str) -> np.ndarray:
    """What each seed keeps of each record with one ensemble, (seed, test record)."""
    return np.stack([one[ensemble] for one in values])


def share(values: Sequence[Values], ensemble: str) -> Spread:
    """The share of records that an ensemble keeps, over the seeds."""
    return crossed_shares(stacked(values, ensemble))


def members_accuracy(runs: Sequence[Run], ensemble: str) -> str:
    """Accuracy of each member on unperturbed test records, the mean over the seeds in whole %."""
    each = [
        f"{100 * fmean(metrics.accuracy(*natural(run, [member]))[0] for run in runs):.0f}"
        for member in ENSEMBLES.get(ensemble, ())
    ]
    return ", ".join(each) or "–"
