"""Does a perturbation that was crafted on one model fool another?"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from safetensors.numpy import load_file

from dnalib import metrics
from dnalib.array_arguments import as_booleans, check_records
from dnalib.intervals import share_interval
from dnalib.runs import Run
from dnalib.stages import MEMBERS
from dnalib.stages.transfer import transfer_name
from dnalib.tables import natural


def transfer_table(
    attacked: Mapping[str, Mapping[str, ArrayLike]],
    *,
    natural: Mapping[str, ArrayLike],
) -> pd.DataFrame:
    """How often each model is fooled by perturbations crafted on each model.

    A model is fooled by a record that it answers right unperturbed and wrong perturbed; only
    records that it answers right unperturbed are counted, so that a model which errs anyway does
    not seem easy to fool.

    Args:
        attacked: model the perturbation was crafted on -> model it was shown to -> (record,) bool,
            right answers.
        natural: model -> (record,) bool, right answers to the same records unperturbed.

    Returns:
        Columns crafted, evaluated, value (share fooled), low, high, records (counted ones). Value
        and interval are NaN where a model answers no record right unperturbed.

    Raises:
        ValueError: `natural` lacks a model, or shapes differ.
    """
    rows = []
    for crafted, by_model in attacked.items():
        for evaluated, right in by_model.items():
            if evaluated not in natural:
                raise ValueError(f"natural lacks {evaluated!r}; it has {', '.join(natural)}")
            right = as_booleans(f"attacked[{crafted!r}][{evaluated!r}]", right)
            before = as_booleans(f"natural[{evaluated!r}]", natural[evaluated])
            check_records(
                f"attacked[{crafted!r}][{evaluated!r}]", right, 0, f"natural[{evaluated!r}]", before
            )
            fooled = ~right[before]  # (counted record,)
            value, low, high = np.nan, np.nan, np.nan
            if len(fooled):
                value, low, high = share_interval(fooled)
            rows.append((crafted, evaluated, value, low, high, len(fooled)))
    names = ["crafted", "evaluated", "value", "low", "high", "records"]
    return pd.DataFrame(rows, columns=names)


def transfer_of(run: Run, *, attack: str, epsilon: float, band: str | None = None) -> pd.DataFrame:
    """How often each model is fooled by what was crafted on each, as `transfer_table`.

    Args:
        attack: "pgd" or "sap".
        epsilon: raw units.
        band: "h1" or "h2" for what that filter passes of the perturbation; None for all of it.
    """
    file = load_file(run.obtain(transfer_name(epsilon)).path)
    ending = "" if band is None else f"/{band}"
    logits, labels = natural(run, MEMBERS)
    logits, labels = logits[:, file["positions"]], labels[file["positions"]]
    before = dict(zip(MEMBERS, metrics.correct_predictions(logits, labels), strict=True))
    attacked = {
        model: dict(
            zip(
                MEMBERS,
                metrics.correct_predictions(file[f"{model}/{attack}{ending}"], labels),
                strict=True,
            )
        )
        for model in MEMBERS
    }
    return transfer_table(attacked, natural=before)
