"""Several trainings side by side: runs that differ by their seed alone, tested on one set."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import permutations

import numpy as np
import pandas
from numpy.typing import NDArray
from safetensors.numpy import load_file

from dnalib import tables
from dnalib.intervals import Spread, crossed_differences, crossed_shares
from dnalib.runs import Run
from dnalib.stages import ENSEMBLES, MEMBERS, attacked_name
from dnalib.stages.adaptive import epsilons_of_each_seed
from dnalib.stages.sweeps import SWEPT_PADDING
from dnalib.tables import (
    attacked,
    between,
    by_names,
    decimals,
    knowledge,
    narrow,
    natural,
    percent,
    with_rows,
)
from dnalib.tables.answers import RULES, Answers, answers_of
from dnalib.tables.comparisons import record_values
from dnalib.tables.worst_case import fewest_right

Values = Mapping[str, NDArray[np.float64]]  # of a seed: ensemble -> (test record,)
KEPT = "P(≥1)"  # an ensemble keeps a record that at least one of its members gets right
MEASURES = ("average", "P(≥1)", "mean softmax")
GAIN = ("fdec", "cor")  # the paper's claim: the first keeps more than the second
# Compared over seeds: the claim, whether joining both ideas gains over either, and what each gains.
COMPARED = (GAIN, ("fdec", "dec"), ("fdec", "fcor"), ("dec", "cor"), ("fcor", "cor"))


def values_on_natural(run: Run, *, measure: str) -> Values:
    """What each test record contributes to a measure: ensemble -> (test record,)."""
    return contributions(answers_of(*natural(run, MEMBERS)), measure=measure)


def values_under_attack(
    run: Run, *, attack: str, padding: str, epsilon: float, measure: str
) -> Values:
    """The same under an attack; NaN on the test records that were not attacked.

    Which are attacked hangs on the base model, and so on the seed.
    """
    logits, labels = attacked(run, attack=attack, padding=padding, epsilon=epsilon)
    positions = load_file(run.obtain(attacked_name(padding, epsilon)).path)["positions"]
    return at_positions(run, positions, answers_of(logits, labels), measure=measure)


def values_under_knowledge(run: Run, *, epsilon: float, measure: str) -> dict[str, Values]:
    """The same by what the attacker knows, under the strongest attack known on each record.

    Returns:
        Each of `knowledge.KNOWLEDGE`, and `knowledge.ALL` -> ensemble -> (test record,).
    """
    conditions = knowledge.conditions(run, epsilon=epsilon)
    known = {
        name: knowledge.known_to(conditions, knowledge=name)
        for name in (*knowledge.KNOWLEDGE, knowledge.ALL)
    }
    return values_under_strongest(run, known, epsilon=epsilon, measure=measure)


def values_under_smooth(run: Run, *, epsilon: float, measure: str) -> dict[str, Values]:
    """The same by what SAP aims at, under the strongest of those that aim so on each record.

    Returns:
        Each name of `knowledge.smooth_conditions` -> ensemble -> (test record,).
    """
    aims = knowledge.smooth_conditions(run, epsilon=epsilon)
    return values_under_strongest(run, aims, epsilon=epsilon, measure=measure)


def values_under_strongest(
    run: Run, groups: Mapping[str, Mapping[str, Answers]], *, epsilon: float, measure: str
) -> dict[str, Values]:
    """The same under the strongest attack of each group on each record, by the group's name."""
    (ensemble, *_) = ENSEMBLES
    positions = knowledge.stored(run, ensemble, epsilon=epsilon)["positions"]
    return {
        name: at_positions(run, positions, fewest_right(group), measure=measure)
        for name, group in groups.items()
    }


def at_positions(
    run: Run, positions: NDArray[np.generic], answers: Answers, *, measure: str
) -> Values:
    """What each attacked record contributes, at its place among all test records."""
    records = len(natural(run, ["base"])[1])
    found = {}
    for ensemble, values in contributions(answers, measure=measure).items():
        found[ensemble] = np.full(records, np.nan)
        found[ensemble][positions] = values
    return found


def labels_of(runs: Sequence[Run]) -> NDArray[np.integer]:
    """The class of each test record, (test record,): all seeds are tested on one set."""
    _, labels = natural(runs[0], ["base"])
    return labels


def contributions(answers: Answers, *, measure: str) -> Values:
    """What each record contributes to a measure: ensemble -> (record,).

    Args:
        answers: to the records.
        measure: one of `answers.RULES`, or as `comparisons.record_values` takes it.
    """
    if measure in RULES:
        predicted = answers.predicted(measure)
        return {name: (one == answers.labels).astype(float) for name, one in predicted.items()}
    return {name: record_values(one, measure=measure) for name, one in answers.correct().items()}


def on_the_base_model(runs: Sequence[Run], *, attack: str) -> list[Values]:
    """What each seed keeps under "pgd" or "sap" on the base model, at the largest ε."""
    condition = {"attack": attack, "padding": SWEPT_PADDING, "measure": KEPT}
    epsilon = max(runs[0].settings.epsilons)
    return [values_under_attack(run, epsilon=epsilon, **condition) for run in runs]


def under_aimed_sap(runs: Sequence[Run]) -> list[Values]:
    """The same under SAP on each member and on all together, at the largest ε of these attacks."""
    epsilon = max(knowledge.epsilons(runs[0]))
    found = [values_under_smooth(run, epsilon=epsilon, measure=KEPT) for run in runs]
    return [one[knowledge.MORE_STEPS] for one in found]


def under_all_attacks(runs: Sequence[Run]) -> list[Values]:
    """The same under the strongest of all attacks on each record, at the middle ε."""
    epsilon = knowledge.middle(runs[0])
    found = [values_under_knowledge(run, epsilon=epsilon, measure=KEPT) for run in runs]
    return [one[knowledge.ALL] for one in found]


def headline(runs: Sequence[Run]) -> pandas.DataFrame:
    """`tables.headline` of the first seed; of several their mean, with each seed's own share.

    The interval of several is over seeds and records.
    """
    table = tables.headline(runs[0])
    if len(runs) == 1:
        return table
    values, under_pgd = (on_the_base_model(runs, attack=attack) for attack in ("sap", "pgd"))
    rows = {}
    for ensemble, published in table["paper"].items():
        each = [one[ensemble] for one in values]  # (test record,) a seed
        found = crossed_shares(np.stack(each))
        rows[ensemble] = {
            "paper": published,
            "ours": percent(found.mean),
            "95 % interval": between(found.low, found.high),
            "each seed": ", ".join(percent(np.nanmean(one)) for one in each),
            tables.UNDER_PGD: percent(np.mean([np.nanmean(one[ensemble]) for one in under_pgd])),
            "records": ", ".join(f"{np.isfinite(one).sum()}" for one in each),
        }
    return with_rows(pandas.DataFrame.from_dict(rows, orient="index"), "ensemble")


def natural_spread_table(runs: Sequence[Run]) -> pandas.DataFrame:
    """Each ensemble's measures over the seeds in %, on unperturbed records.

    Columns: the mean over seeds with its interval over seeds and records, and the standard
    deviations over seeds and over records, in points.

    Source: :eq:`eq-over-seeds` of chapter 8.
    """
    return described(runs, values_on_natural)


def spread_table(
    runs: Sequence[Run], *, attack: str, padding: str, epsilon: float
) -> pandas.DataFrame:
    """The same under an attack, on the records that the base model of each seed gets right."""
    return described(
        runs, partial(values_under_attack, attack=attack, padding=padding, epsilon=epsilon)
    )


def knowledge_over_seeds(runs: Sequence[Run]) -> pandas.DataFrame:
    """P(≥1) over the seeds in % at the middle ε, a column each attacker's knowledge."""
    return over_seeds(runs, values_under_knowledge, epsilons=[knowledge.middle(runs[0])])


def smooth_over_seeds(runs: Sequence[Run]) -> pandas.DataFrame:
    """P(≥1) over the seeds in % at `epsilons_of_each_seed`, a column each aim of SAP."""
    bounds = epsilons_of_each_seed(runs[0].settings)
    found = over_seeds(runs, values_under_smooth, epsilons=bounds)
    return found.rename(columns=lambda aim: f"SAP, {aim}")


def over_seeds(
    runs: Sequence[Run],
    values_under: Callable[..., Mapping[str, Values]],
    *,
    epsilons: Sequence[float],
) -> pandas.DataFrame:
    """P(≥1) over the seeds in %: rows ε and ensemble, and of each ε last those of `COMPARED`.

    Args:
        runs: the seeds.
        values_under: gives the values of a run by groups of attacks, as `values_under_knowledge`.
        epsilons: of the attacks, raw units.

    Returns:
        A column a group: the mean over seeds with the ends of its interval over seeds and records,
        in whole numbers, so that the columns fit; a dash where a group has no such ε.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for epsilon in epsilons:
        values = [values_under(run, epsilon=epsilon, measure="P(≥1)") for run in runs]
        for group in values[0]:
            for ensemble, one in spreads([found[group] for found in values]).items():
                cell = narrow(one.mean, one.low, one.high)
                rows.setdefault((f"{epsilon:g} µV", ensemble), {})[group] = cell
    return by_names(rows, ["ε", "ensemble"]).fillna("–")


def r_squared_table(runs: Sequence[Run]) -> pandas.DataFrame:
    """R² within each ensemble over the seeds: mean, standard deviation, and each seed's own.

    Rows are ensembles and ordered pairs of their members; the deviation of one seed is a dash.
    """
    rows = {}
    for ensemble, members in ENSEMBLES.items():
        each = np.stack([tables.r_squared(run, ensemble) for run in runs])  # (seed, X, Y)
        for x, y in permutations(range(len(members)), 2):
            values = each[:, x, y]
            rows[ensemble, f"{members[x]} → {members[y]}"] = {
                "mean R²": decimals(values.mean()),
                "SD over seeds": decimals(values.std(ddof=1)) if len(runs) > 1 else "–",
                "each seed": ", ".join(decimals(value) for value in values),
            }
    return by_names(rows, ["ensemble", "regressor → regressand"])


def spreads(values: Sequence[Values]) -> dict[str, Spread]:
    """The spread of each ensemble over seeds and records, and last those of `COMPARED`.

    Args:
        values: of each seed, ensemble -> (test record,), NaN where a record does not count.
    """
    found = {name: crossed_shares(np.stack([one[name] for one in values])) for name in values[0]}
    return found | {" − ".join(pair): gain_of(values, pair=pair) for pair in COMPARED}


def gain_of(
    values: Sequence[Values],
    *,
    pair: tuple[str, str] = GAIN,
    classes: NDArray[np.integer] | None = None,
) -> Spread:
    """The spread of what the first of a pair keeps more than the second, record by record.

    `values` as in `spreads`, `classes` as in `crossed_differences`.
    """
    sides = (np.stack([one[name] for one in values]) for name in pair)  # (seed, test record)
    return crossed_differences(*sides, classes=classes)


def described(runs: Sequence[Run], values_of: Callable[..., Values]) -> pandas.DataFrame:
    """Spreads of all `MEASURES` in percent and points, a row a measure and an ensemble.

    `values_of` gives those of a run by `measure`, as `values_on_natural` does.
    """
    rows = {
        (measure, ensemble): {
            "mean": percent(one.mean),
            "95 % interval": between(one.low, one.high),
            "SD over seeds": percent(one.over_seeds),
            "SD over records": percent(one.over_records),
        }
        for measure in MEASURES
        for ensemble, one in spreads([values_of(run, measure=measure) for run in runs]).items()
    }
    return by_names(rows, ["measure", "ensemble"])
