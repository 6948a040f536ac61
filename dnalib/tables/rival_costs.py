"""What the trainings of the rivals and of our ensembles cost, beside what they buy."""

from collections.abc import Collection, Mapping

import numpy as np
import pandas
from numpy.typing import NDArray

from dnalib import metrics, tables
from dnalib.runs import Run
from dnalib.stages import ENSEMBLES
from dnalib.stages.costs import COSTS
from dnalib.stages.rivals import rivals_of, trainings_behind
from dnalib.tables import (
    Banner,
    claims,
    knowledge,
    percent,
    rival_floor,
    rivalry,
    selected,
    with_interval,
)
from dnalib.tables.knowledge import ALL
from dnalib.tables.worst_case import kept_under_all

# Measures that the costs are set beside, by their names in `knowledge.knowledge_table`.
BOUGHT: Mapping[str, str] = {
    "P(≥1)": "P(≥1)",
    "mean softmax": "Accuracy of the mean softmax",
}


def costs(run: Run) -> pandas.DataFrame:
    """What the trainings behind each ensemble cost together, networks that it starts from as well.

    Returns:
        Indexed by ensemble, the control among them: seconds, and times (of what cor costs).
        Seconds are those of all threads on CPUs, and by the clock on a GPU; `cost_unit` names them.
    """
    results = run.obtain(COSTS).results
    counted = "processor_seconds" if results["device"] == "cpu" else "seconds"
    of_training = {
        name: cost["steps"] * cost[counted] for name, cost in results["trainings"].items()
    }
    behind = {
        **ENSEMBLES,
        metrics.CONTROL: ("base",),
        **{rival: trainings_behind(rival) for rival in rivals_of(run.settings)},
    }
    seconds = {
        ensemble: sum(of_training[name] for name in names) for ensemble, names in behind.items()
    }
    table = pandas.DataFrame({"seconds": seconds})
    return table.assign(times=table.seconds / table.seconds["cor"])


def cost_unit(run: Run) -> str:
    """What the seconds of `costs` are."""
    device = run.obtain(COSTS).results["device"]
    return "CPU-seconds" if device == "cpu" else "GPU-seconds"


def cost_table(run: Run, known: pandas.DataFrame) -> pandas.DataFrame:
    """`costs` as the chapter shows them, beside what they buy at the middle ε, in %.

    P(≥1) and the accuracy of the mean softmax, each record under the strongest of all attacks;
    `known` as in `bought_at`.
    """
    bought = bought_at(run, known, epsilon=knowledge.middle(run))
    rows = {}
    for ensemble, cost in costs(run).iterrows():
        found = selected(bought, ensemble=ensemble).set_index("name")
        rows[ensemble] = {
            cost_unit(run): f"{cost.seconds:,.0f}",
            "times cor": f"{cost.times:.2f}",
            **{name: with_interval(row.value, row.low, row.high) for name, row in found.iterrows()},
        }
    return tables.with_rows(pandas.DataFrame.from_dict(rows, orient="index"), "ensemble")


def bought_at(run: Run, known: pandas.DataFrame, *, epsilon: float) -> pandas.DataFrame:
    """What each ensemble keeps under the strongest of all attacks per record, beside its cost.

    Args:
        run: whose trainings cost something.
        known: of `rivalry.knowledge_table`.
        epsilon: one of its ε, raw units.

    Returns:
        Columns ensemble, name (of `BOUGHT`), times (its cost, of what cor costs), value, low, high
        (fractions), records.
    """
    table = selected(known, epsilon=epsilon, knowledge=ALL)
    chosen = table[table.measure.isin(list(BOUGHT))]
    found = chosen.assign(
        name=chosen.measure.map(BOUGHT), times=chosen.ensemble.map(costs(run).times)
    )
    return found[["ensemble", "name", "times", "value", "low", "high", "records"]]


def in_words(run: Run, known: pandas.DataFrame) -> Banner:
    """Which ensemble keeps most at each ε, by each measure of `BOUGHT`, and at what cost.

    The control has no part in it, but is named beside it; nor have ensembles whose training failed.
    `known` as in `bought_at`.
    """
    without = {*rival_floor.failed(run), metrics.CONTROL}
    if without >= set(rivalry.everyone(run)):
        return Banner(
            "No ensemble learnt more than a constant answer: there is nothing to compare."
        )
    lines = []
    for epsilon in knowledge.epsilons(run):
        bought, kept = bought_at(run, known, epsilon=epsilon), kept_at(run, epsilon=epsilon)
        for measure, name in BOUGHT.items():
            rows = selected(bought, name=name).set_index("ensemble")
            lines.append(
                f"- **{name}**, ε = {epsilon:g} µV, under the strongest of all attacks on each "
                f"record: {most_kept(rows, kept[measure], without=without)}; the control keeps "
                f"{percent(rows.value[metrics.CONTROL])} %."
            )
    return Banner("\n".join(lines))


def beside_rivals(run: Run) -> str:
    """Which ensemble keeps most of P(≥1) at the middle ε, rivals included, in a sentence."""
    without = {*rival_floor.failed(run), metrics.CONTROL}
    if without >= set(rivalry.everyone(run)):
        return ""
    epsilon = knowledge.middle(run)
    known = rivalry.knowledge_table(run, at=[epsilon])
    measure = "P(≥1)"
    rows = selected(bought_at(run, known, epsilon=epsilon), name=BOUGHT[measure])
    by_ensemble = rows.set_index("ensemble")
    settings = run.settings
    kept = most_kept(by_ensemble, kept_at(run, epsilon=epsilon)[measure], without=without)
    best, following = foremost(by_ensemble, without=without)
    remarks = [
        f"{words} "
        for rival, words in rival_floor.rivals_leaving_out(run).items()
        if rival in (*best, *following)
    ]
    return (
        f"Of all methods of [appendix A2](A2_rivals), attacked likewise at ε = {epsilon:g} µV, "
        f"{kept}. {''.join(remarks)}The control of two constants keeps "
        f"{percent(by_ensemble.value[metrics.CONTROL])} %. Adversarial training takes "
        f"{settings.adversarial_steps} gradient steps at ε = {settings.adversarial_epsilon:g} µV "
        "here; more of them cost more."
    )


def kept_at(run: Run, *, epsilon: float) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Which records stay right under all attacks at an ε: measure -> ensemble -> (record,).

    Measures are those of `BOUGHT`.
    """
    found: dict[str, dict[str, NDArray[np.bool_]]] = {}
    for group in rivalry.groups(run):
        attacks = knowledge.conditions(run, epsilon=epsilon, ensembles=group)
        found |= kept_under_all(attacks)
    return {
        measure: {ensemble: kept[measure] for ensemble, kept in found.items()} for measure in BOUGHT
    }


def most_kept(
    rows: pandas.DataFrame, kept: Mapping[str, NDArray[np.bool_]], *, without: Collection[str]
) -> str:
    """Which ensembles keep most, which come next by how much, and what fdec keeps, in words.

    Args:
        rows: of `bought_at`, of one measure, by ensemble.
        kept: which records each ensemble keeps by that measure, (record,).
        without: ensembles that have no part in it.
    """
    best, following = foremost(rows, without=without)
    if not best:
        return "no ensemble keeps any"
    times = tables.in_a_sentence([f"{one:.1f}" for one in rows.times[best]])
    after = ""
    if following:
        behind = claims.paired(kept[best[0]], kept[following[0]])
        after = (
            f", followed by {rivalry.listed(following)} with {share(rows, following[0])}, "
            f"a difference of {behind} points"
        )
    return (
        f"most is kept by {rivalry.listed(best)}, {share(rows, best[0])}, for {times} times what "
        f"cor costs to train{after}; fdec keeps {share(rows, 'fdec')} for "
        f"{rows.times['fdec']:.1f} times cor's cost"
    )


def foremost(rows: pandas.DataFrame, *, without: Collection[str]) -> tuple[list[str], list[str]]:
    """The ensembles that keep most, all that keep as much, and those that come next.

    None where none keeps any, and none next where fdec is, whose share is said anyway. Arguments as
    of `most_kept`.
    """
    shares = rows.value.drop(list(without))
    shares = shares[shares > 0]
    best = list(shares.index[shares == shares.max()])
    others = shares.drop(best)
    following = list(others.index[others == others.max()])
    return best, [] if "fdec" in following else following


def share(rows: pandas.DataFrame, ensemble: str) -> str:
    """What an ensemble keeps, in % with its interval; `rows` as of `most_kept`."""
    return f"{with_interval(*rows.loc[ensemble, ['value', 'low', 'high']])} %"
