"""Measures of the ensembles at each value of a parameter, and by their size."""

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
import pandas
from numpy.typing import NDArray
from safetensors.numpy import load_file

from dnalib import metrics, tables
from dnalib.intervals import crossed_shares
from dnalib.runs import Artefact, Run
from dnalib.stages.ensembles import ENSEMBLES, in_full, members_of
from dnalib.stages.sweeps import seeds_of, sizes_name, sweep_name, variants_of
from dnalib.tables import Banner, in_a_sentence, percent
from dnalib.tables.comparisons import at_the_floor, leaving_out, record_values

NATURAL, ATTACKED = "natural", "attacked"
# What is measured: records, the measure on them, and whether the classes count alike.
SHOWN = {
    "average accuracy, natural": (NATURAL, "average", False),
    "P(≥1), natural": (NATURAL, "P(≥1)", False),
    "average accuracy, attacked": (ATTACKED, "average", False),
    "P(≥1), attacked": (ATTACKED, "P(≥1)", False),
    "P(≥1), class-averaged, attacked": (ATTACKED, "P(≥1)", True),
}
SIZE = "most_members"  # as a parameter: how many networks an ensemble has, up to the setting
SHARED = "adjusted R²"  # mean over ordered pairs of members; no share of records
COLUMNS = ["setting", "ensemble", "measure", "value", "low", "high", "over_seeds", "over_records"]
Row = tuple[float, str, str, float, float, float, float, float]  # the columns, in their order


def sweep_table(run: Run, parameter: str, *, attack: str = "sap") -> pandas.DataFrame:
    """Every measure of every ensemble at each value of a parameter.

    Args:
        run: that has the sweep.
        parameter: one of `runs.values.SWEPT`, or `SIZE`.
        attack: "pgd" or "sap", on the base model at the largest ε.

    Returns:
        Columns setting (a value of the parameter), ensemble, measure, value, low, high (over seeds
        and records), over_seeds and over_records (standard deviations), fractions; of adjusted R²
        there is the mean alone, and the standard deviation over seeds. The control of two constants
        is among the ensembles, without R².
    """
    rows = []
    for value, artefacts in swept_artefacts(run, parameter).items():
        rows += rows_at(value, ensembles_at(parameter, value), artefacts, attack=attack)
    return pandas.DataFrame(rows, columns=COLUMNS)


def swept_artefacts(run: Run, parameter: str) -> dict[float, list[Artefact]]:
    """What is stored at each value of a parameter, an artefact a seed.

    Ensembles of every size are found in the same ones.
    """
    settings = run.settings
    if parameter == SIZE:
        artefacts = [run.obtain(sizes_name(settings, seed)) for seed in seeds_of(settings)]
        return {count: artefacts for count in range(2, settings.most_members + 1)}
    found: dict[float, list[Artefact]] = {}
    for variant in variants_of(settings, parameter):
        found.setdefault(variant[parameter], []).append(run.obtain(sweep_name(variant)))
    return found


def ensembles_at(parameter: str, value: float) -> Mapping[str, Sequence[str]]:
    """The ensembles by their members.

    Those of fewer networks are the first ones of the largest: a further member changes none before
    it.
    """
    if parameter == SIZE:
        return {ensemble: members_of(ensemble, int(value)) for ensemble in ENSEMBLES}
    return ENSEMBLES


def failed(run: Run, parameter: str) -> Banner:
    """Which networks learnt no more than a constant scores, at each value of a parameter, in words.

    Those that are right, unperturbed, no more often than always answering the commonest class, by
    their paired difference to it; and which others leave a class out.
    """
    lines, others = [], []
    for value, artefacts in swept_artefacts(run, parameter).items():
        members = dict.fromkeys(chain(*ensembles_at(parameter, value).values()))
        for seed, artefact in zip(seeds_of(run.settings), artefacts, strict=True):
            labels = load_file(artefact.path)["labels"]
            (each,) = natural_logits([artefact], list(members)).argmax(-1)  # (member, record)
            answered = dict(zip(members, each, strict=True))
            right = {name: one == labels for name, one in answered.items()}
            constant = tables.hits_of_commonest(labels)
            lost = at_the_floor(right, constant=constant)
            which = in_full(value) + f", seed {seed}" * (len(artefacts) > 1)
            if lost:
                shares = in_a_sentence([f"*{name}* {share} %" for name, share in lost.items()])
                floor = percent(constant.mean())
                these = "These trainings count" if len(lost) > 1 else "This training counts"
                lines.append(
                    f"- {which}: {shares}, no better than always answering the commonest "
                    f"class, which is right on {floor} %. {these} as failed, and what an ensemble "
                    f"of {'them' if len(lost) > 1 else 'it'} keeps does not count as robustness."
                )
            words = leaving_out({name: one for name, one in answered.items() if name not in lost})
            others += [f"- {which}: {words}"] if words else []
    if not lines:
        lines.append("Every network does better than one constant answer.\n")
    return Banner("\n".join([*lines, *others]))


def natural_logits(artefacts: Sequence[Artefact], members: Sequence[str]) -> NDArray[np.floating]:
    """What an ensemble's members answer unperturbed: (seed, member, test record, class)."""
    return np.stack(
        [
            load_file(artefact.path)["natural"][places_of(members, artefact)]
            for artefact in artefacts
        ]
    )


def rows_at(
    setting: float,
    ensembles: Mapping[str, Sequence[str]],
    artefacts: Sequence[Artefact],
    *,
    attack: str,
) -> list[Row]:
    """The rows of all ensembles, given by their members, and the control; an artefact a seed."""
    rows: list[Row] = []
    for ensemble, members in ensembles.items():
        rows += measured(setting, ensemble, members, artefacts, attack=attack)
        rows.append(shared_row(setting, ensemble, len(members), artefacts))
    return rows + measured(setting, metrics.CONTROL, None, artefacts, attack=attack)


def measured(
    setting: float,
    ensemble: str,
    members: Sequence[str] | None,
    artefacts: Sequence[Artefact],
    *,
    attack: str,
) -> list[Row]:
    """The rows of one ensemble, a measure each; `members` as in `values_of`."""
    labels = load_file(artefacts[0].path)["labels"]  # all seeds are tested on one set
    values = [values_of(artefact, members, attack=attack) for artefact in artefacts]
    rows: list[Row] = []
    for measure, (_, counted, balanced) in SHOWN.items():
        each = np.stack([one[measure] for one in values])  # (seed, test record)
        least = 0.0
        if members is None and balanced and counted == "P(≥1)":
            least = min(metrics.kept_by_constants(labels[~np.isnan(one)]) for one in each)
        spread = crossed_shares(each, classes=labels if balanced else None, least=least)
        ends = (spread.low, spread.high, spread.over_seeds, spread.over_records)
        rows.append((setting, ensemble, measure, spread.mean, *ends))
    return rows


def values_of(
    artefact: Artefact, members: Sequence[str] | None, *, attack: str
) -> dict[str, NDArray[np.float64]]:
    """What each test record contributes to each measure of an ensemble; NaN where not attacked.

    Args:
        artefact: of a variant or of the sizes.
        members: names of the ensemble's; None for the control of `metrics.with_constants`.
        attack: "pgd" or "sap".
    """
    stored, chosen = load_file(artefact.path), places_of(members or ("base",), artefact)
    labels, positions = stored["labels"].astype(np.int64), stored["positions"]
    found = {}
    for name, (records, measure, _) in SHOWN.items():
        answers = stored[attack if records == ATTACKED else records]
        logits: NDArray[np.floating] = answers[chosen].astype(np.float64)  # (member, record, class)
        if members is None:
            logits = metrics.with_constants(logits[0])
        answered = labels if records == NATURAL else labels[positions]
        values = record_values(metrics.correct_predictions(logits, answered), measure=measure)
        found[name] = np.full(len(labels), np.nan)
        found[name][slice(None) if records == NATURAL else positions] = values
    return found


def places_of(members: Sequence[str], artefact: Artefact) -> list[int]:
    """Where the answers of members stand in an artefact's tensors."""
    return [artefact.results["models"].index(name) for name in members]


def shared_row(setting: float, ensemble: str, count: int, artefacts: Sequence[Artefact]) -> Row:
    """The row of what an ensemble's first members share: adjusted R², mean over ordered pairs."""
    means = []
    for artefact in artefacts:
        matrix = np.array(artefact.results["adjusted"][ensemble], dtype=float)[:count, :count]
        means.append(matrix[~np.eye(count, dtype=bool)].mean())
    deviation = float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")
    nothing = float("nan")
    return (setting, ensemble, SHARED, float(np.mean(means)), nothing, nothing, deviation, nothing)


def shared(table: pandas.DataFrame) -> pandas.DataFrame:
    """Mean adjusted R² within each ensemble: a row an ensemble, a column a value."""
    chosen = tables.selected(table, measure=SHARED)
    found = chosen.pivot(index="ensemble", columns="setting", values="value")
    ordered = found.reindex(dict.fromkeys(chosen.ensemble)).map(tables.decimals)
    return tables.with_rows(ordered, "ensemble")
