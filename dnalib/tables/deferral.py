"""Tables of doubt: is an answer less certain where it is wrong, and what does deferring gain?

An ensemble answers by its mean softmax here, since its doubt is that of the mean softmax as well.
Conditions are caption -> `Answers`, as in `dnalib.tables.answers`.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dnalib import metrics
from dnalib.detection import (
    SCORES,
    UA_GAIN,
    constant_doubt,
    detection_intervals,
    selective_risk,
    uncertainty_score_intervals,
)
from dnalib.tables.answers import Answers, check_conditions
from dnalib.uncertainty import mutual_information, predictive_entropy

Floats = NDArray[np.floating]
Booleans = NDArray[np.bool_]

UNCERTAINTIES: Mapping[str, Callable[[ArrayLike], Floats]] = {
    "mutual information": mutual_information,
    "predictive entropy": predictive_entropy,
}
SCALINGS = ("natural set", "each set")


def scores_table(
    conditions: Mapping[str, Answers], *, natural: Answers, uncertainty: str, seed: int
) -> pd.DataFrame:
    """R_cc, R_iu and UA under both scalings, and the UA of a doubt that says nothing.

    Args:
        conditions: caption -> answers.
        natural: answers of the same ensembles on unperturbed records, which set the first scale.
        uncertainty: one of `UNCERTAINTIES`.
        seed: of the 95 % intervals.

    Returns:
        Columns condition, ensemble, scaling (of `SCALINGS`), R_cc, R_iu, UA (fractions), the ends
        of their intervals ("R_cc, low" and so on), "UA, constant doubt" and by how much UA exceeds
        it, `detection.UA_GAIN` with its ends, records. Scores are NaN
        where the reference does not vary: it gives no scale. A doubt that is the same for every
        record calls all certain or all uncertain; the larger of the two UAs is given.

    Raises:
        ValueError: no condition, one with an ensemble that `natural` lacks, or another uncertainty.

    Source: :eq:`eq-uncertainty` of chapter 8.
    """
    check_conditions(conditions)
    references = doubts(natural, uncertainty=uncertainty)
    rows = []
    for condition, answers in conditions.items():
        for ensemble, (doubt, correct) in doubts(answers, uncertainty=uncertainty).items():
            natural.check_ensemble(f"an ensemble of {condition!r}", ensemble)
            scales = dict(zip(SCALINGS, (references[ensemble][0], doubt), strict=True))
            for scaling, reference in scales.items():
                rows.append(
                    {
                        "condition": condition,
                        "ensemble": ensemble,
                        "scaling": scaling,
                        **_scores(doubt, correct, reference=reference, seed=seed),
                        "UA, constant doubt": float(constant_doubt(correct)),
                        "records": len(correct),
                    }
                )
    return pd.DataFrame(rows)


def detection_table(
    conditions: Mapping[str, Answers], *, uncertainty: str, seed: int
) -> pd.DataFrame:
    """What needs no threshold: error detection and the area under the risk–coverage curve.

    An ensemble that errs seldom has a small area whatever its doubt is worth. Two more measures
    say where it stands: "wrong answers" is the area where doubt says nothing, "least area" that of
    a doubt which puts every wrong answer last.

    Args:
        conditions: caption -> answers.
        uncertainty: one of `UNCERTAINTIES`.
        seed: of the 95 % intervals.

    Returns:
        Columns condition, ensemble, measure (of `detection.DETECTED`), value, low, high, records.
        Error detection is NaN where no answer, or every answer, is wrong, and its interval where
        resampling can leave none.

    Raises:
        ValueError: no condition, or another uncertainty.
    """
    check_conditions(conditions)
    rows = []
    for condition, answers in conditions.items():
        for ensemble, (doubt, correct) in doubts(answers, uncertainty=uncertainty).items():
            found = detection_intervals(doubt, correct, seed=seed)
            rows += [
                (condition, ensemble, measure, *ends, len(correct))
                for measure, ends in found.items()
            ]
    names = ["condition", "ensemble", "measure", "value", "low", "high", "records"]
    return pd.DataFrame(rows, columns=names)


def risk_coverage_table(
    conditions: Mapping[str, Answers], *, uncertainty: str = "mutual information"
) -> pd.DataFrame:
    """The risk–coverage curve of each ensemble, for `plots.deferral` and `plots.risk_coverage`.

    Args:
        conditions: caption -> answers.
        uncertainty: one of `UNCERTAINTIES`.

    Returns:
        Columns condition, ensemble, coverage (share of records kept, the most certain first), risk
        (share of wrong answers among them), kept (their number); a row a record.

    Raises:
        ValueError: no condition, or an unknown uncertainty.
    """
    check_conditions(conditions)
    tables = []
    for condition, answers in conditions.items():
        for ensemble, (doubt, correct) in doubts(answers, uncertainty=uncertainty).items():
            kept = np.arange(1, len(correct) + 1)
            columns = {
                "condition": condition,
                "ensemble": ensemble,
                "coverage": kept / len(correct),
                "risk": selective_risk(doubt, correct),
                "kept": kept,
            }
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def doubts(answers: Answers, *, uncertainty: str) -> dict[str, tuple[Floats, Booleans]]:
    """Each ensemble's uncertainty and whether it is right: ensemble -> two arrays (record,).

    Raises:
        ValueError: the uncertainty is not one of `UNCERTAINTIES`.
    """
    if uncertainty not in UNCERTAINTIES:
        raise ValueError(f"uncertainty is {uncertainty!r}; accepted are {', '.join(UNCERTAINTIES)}")
    predicted = answers.predicted("mean softmax")
    return {
        ensemble: (
            UNCERTAINTIES[uncertainty](metrics.softmax(logits)),
            predicted[ensemble] == answers.labels,
        )
        for ensemble, logits in answers.logits.items()
    }


def _scores(doubt: Floats, correct: Booleans, *, reference: Floats, seed: int) -> dict[str, float]:
    """Scores with the ends of their intervals, or NaN where the reference gives no scale."""
    found = dict.fromkeys((*SCORES, UA_GAIN), (float("nan"),) * 3)
    if np.ptp(reference) > 0:
        found = uncertainty_score_intervals(doubt, correct, reference=reference, seed=seed)
    return {
        f"{score}{end}": one
        for score, numbers in found.items()
        for end, one in zip(("", ", low", ", high"), numbers, strict=True)
    }
