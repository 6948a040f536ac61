"""Which perturbations of which ensemble fool which: the rivals beside a run's own ensembles."""

from collections.abc import Sequence

import numpy as np
import pandas
from numpy.typing import NDArray
from safetensors.numpy import load_file

from dnalib import metrics, tables
from dnalib.runs import Run
from dnalib.stages import ATTACKS
from dnalib.stages.rivals import EVERYONE
from dnalib.tables import knowledge, percent, rivalry, transfer


def within(run: Run) -> pandas.DataFrame:
    """How often networks are fooled by what was crafted on themselves, and on others of theirs.

    In %, at the middle ε, of the records that a network gets right unperturbed; means over the
    networks of an ensemble, and over its ordered pairs.
    """
    rows = {}
    for ensemble, names in rivalry.everyone(run).items():
        cells = {}
        for attack in ATTACKS:
            fooled = fooled_within(run, ensemble, names, attack=attack)
            itself = fooled.crafted == fooled.evaluated
            cells[f"{attack.upper()}, itself"] = percent(fooled[itself].value.mean())
            cells[f"{attack.upper()}, another"] = percent(fooled[~itself].value.mean())
        rows[ensemble] = cells
    return tables.with_rows(pandas.DataFrame.from_dict(rows, orient="index"), "ensemble")


def fooled_within(
    run: Run, ensemble: str, names: Sequence[str], *, attack: str
) -> pandas.DataFrame:
    """`transfer.transfer_table` between the networks of an ensemble, at the middle ε."""
    epsilon = knowledge.middle(run)
    positions = knowledge.stored(run, ensemble, epsilon=epsilon)["positions"]
    unperturbed = rivalry.natural_answers(run)
    labels = unperturbed.labels[positions]
    logits = knowledge.attacked_logits(run, ensemble, names, epsilon=epsilon)

    def right(answered: NDArray[np.floating]) -> dict[str, NDArray[np.bool_]]:
        return dict(zip(names, metrics.correct_predictions(answered, labels), strict=True))

    return transfer.transfer_table(
        {
            member: right(logits[f"{attack.upper()}, {target}"])
            for target, member in knowledge.own_targets(names).items()
        },
        natural=right(unperturbed.logits[ensemble][:, positions]),
    )


def between(run: Run, *, attack: str) -> pandas.DataFrame:
    """How often the networks of each ensemble are fooled by what was crafted on those of each.

    At the middle ε, of the records that a network gets right unperturbed; means over the pairs of
    two different networks, which a network that stands alone has not with itself.

    Args:
        run: the run that attacked them.
        attack: "pgd" or "sap".

    Returns:
        For `plots.transfer`: columns crafted and evaluated (ensembles), value, low and high (all
        three the mean, a fraction; NaN without a pair), pairs (their number).
    """
    artefact = run.obtain(EVERYONE)
    file, models = load_file(artefact.path), artefact.results["models"]
    unperturbed = rivalry.natural_answers(run)
    labels = unperturbed.labels[file["positions"]]
    fooled = {}
    for crafted in models:
        right = metrics.correct_predictions(file[f"{crafted}/{attack}"], labels)
        fooled[crafted] = dict(zip(models, ~right, strict=True))
    before: dict[str, NDArray[np.bool_]] = {}
    for ensemble, names in rivalry.everyone(run).items():
        logits = unperturbed.logits[ensemble][:, file["positions"]]
        before |= dict(zip(names, metrics.correct_predictions(logits, labels), strict=True))
    rows = []
    for crafted, sources in rivalry.everyone(run).items():
        for evaluated, names in rivalry.everyone(run).items():
            shares = [
                fooled[source][name][before[name]].mean()
                for source in sources
                for name in names
                if source != name
            ]
            mean = np.mean(shares) if shares else np.nan
            rows.append((crafted, evaluated, mean, mean, mean, len(shares)))
    return pandas.DataFrame(rows, columns=["crafted", "evaluated", "value", "low", "high", "pairs"])
