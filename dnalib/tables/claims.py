"""What becomes of the paper's claim, here and under attackers who know more, in words."""

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np
import pandas
from numpy.typing import NDArray

from dnalib import intervals, metrics
from dnalib.runs import Run
from dnalib.stages import ENSEMBLES
from dnalib.tables import (
    Banner,
    by_names,
    in_a_sentence,
    percent,
    robustness_table,
    selected,
    with_interval,
)
from dnalib.tables.answers import Answers
from dnalib.tables.formats import points, points_between
from dnalib.tables.knowledge import ALL, BASE, END_TO_END, PAPER, epsilons, universal_conditions


def findings(runs: Sequence[Run]) -> Banner:
    """What the headline says in words: means over the seeds of a run, the first of them shown."""
    epsilon = max(runs[0].settings.epsilons)
    shares: dict[tuple[str, str], list[float]] = {}
    for run in runs:
        table = robustness_table(run, paddings=["strip"])
        for row in selected(table, attack="sap", epsilon=epsilon).itertuples():
            shares.setdefault((row.measure, row.ensemble), []).append(row.value)
    share = {key: f"{percent(fmean(values))} %" for key, values in shares.items()}
    one, balanced = "P(≥1)", "P(≥1), class-averaged"
    control = metrics.CONTROL
    covered = (
        "The intervals cover the draw of test records, not the luck of training."
        if len(runs) == 1
        else f"All these are means over {len(runs)} seeds, and the intervals cover the draw of "
        "test records and the luck of training."
    )
    alike = [f"{share[balanced, name]} for {name}" for name in reversed(tuple(ENSEMBLES))]
    return Banner(
        f"At least one member of fdec is right for {share[one, 'fdec']} of the records, and at "
        f"least one of the conventional ensemble cor for {share[one, 'cor']}; filters alone (fcor) "
        f"give {share[one, 'fcor']}, and decorrelation alone (dec) gives {share[one, 'dec']}. The "
        "last row is a control: the base model beside two constants that know nothing of hearts, "
        f'"always normal" and "always other". It keeps {share[one, control]}. Counting all classes '
        f"alike, it keeps {share[balanced, control]}, against {in_a_sentence(alike)}. {covered}"
    )


def order(run: Run, *, attack: str) -> Banner:
    """Which ensemble keeps most by P(≥1) under an attack on the base model at the largest ε.

    Args:
        run: whose attacked records are counted, perturbations stripped from the padding.
        attack: "pgd" or "sap".
    """
    epsilon = max(run.settings.epsilons)
    table = robustness_table(run, paddings=["strip"])
    rows = selected(table, attack=attack, epsilon=epsilon, measure="P(≥1)")
    shares = dict(zip(rows.ensemble, rows.value, strict=True))
    control = shares.pop(metrics.CONTROL)
    ranked = sorted(shares, key=lambda name: shares[name], reverse=True)
    above = [name for name in ranked if shares[name] > control]
    kept = in_a_sentence([f"{percent(shares[name])} % for {name}" for name in ranked])
    ahead = f"{in_a_sentence(above)} above it" if above else "none of them above it"
    return Banner(
        f"Under {attack.upper()} at ε = {epsilon:g} µV, P(≥1) is {kept}. For the control it is "
        f"{percent(control)} %, with {ahead}."
    )


def universal_beside_own(run: Run, known: pandas.DataFrame) -> Banner:
    """Where one perturbation for all records leaves less of P(≥1) than one made for each.

    Both are made on the base model alone.

    Args:
        run: with universal perturbations.
        known: `knowledge.knowledge_table` of the run.
    """
    known = selected(known, knowledge=BASE, measure="P(≥1)")
    parts = []
    for epsilon in epsilons(run):
        own = selected(known, epsilon=epsilon).set_index("ensemble").value
        alive = surviving(universal_conditions(run, epsilon=epsilon))[BASE]
        less = [
            f"{ensemble} {percent(hits.mean())} % instead of {percent(own[ensemble])} %"
            for ensemble, hits in alive.items()
            if percent(hits.mean()) != percent(own[ensemble]) and hits.mean() < own[ensemble]
        ]
        if less:
            parts.append(f"at ε = {epsilon:g} µV, {in_a_sentence(less)}")
    if not parts:
        return Banner("Nowhere does it leave less of P(≥1) than those made for each record.")
    return Banner(
        "Learnt on the base model, it leaves less of P(≥1) than the strongest of the perturbations "
        f"made on that model for each record, in these cases: {'; '.join(parts)}."
    )


def what_survives(summaries: Mapping[float, Mapping[str, Answers]]) -> pandas.DataFrame:
    """The paper's measure under its attack and under all of them, beside what it is compared with.

    P(≥1) in % under SAP on the base model and under the strongest attack per record; of the latter
    the class average, and the differences to cor, with its interval, and to the control, in points;
    last the accuracy of the mean softmax under PGD on the whole ensemble.

    Args:
        summaries: ε in raw units -> `knowledge.summary`, with cor and the control among its
            ensembles.
    """
    rows = {}
    for epsilon, found in summaries.items():
        alive = surviving(found)
        worst, labels = alive[ALL], found[ALL].labels
        told = found[END_TO_END].predicted("mean softmax")
        for ensemble, survived in worst.items():
            rows[f"{epsilon:g} µV", ensemble] = {
                PAPER: percent(alive[PAPER][ensemble].mean()),
                ALL: share(survived),
                "class-averaged": percent(metrics.class_averaged(survived, labels)),
                "minus cor": paired(survived, worst["cor"]),
                "minus control": points(survived.mean() - worst[metrics.CONTROL].mean()),
                "mean softmax, end to end": percent((told[ensemble] == labels).mean()),
            }
    return by_names(rows, ["ε", "ensemble"])


def in_words(summaries: Mapping[float, Mapping[str, Answers]]) -> Banner:
    """What becomes of the paper's claim, fdec above cor by P(≥1), in words for each ε.

    Arguments as in `what_survives`; all four ensembles must be there.
    """
    parts = []
    for epsilon, found in summaries.items():
        alive, labels = surviving(found), found[ALL].labels
        control = percent(alive[ALL][metrics.CONTROL].mean())
        told = found[END_TO_END].predicted("mean softmax")
        right = [f"{one} {percent((told[one] == labels).mean())} %" for one in ENSEMBLES]
        parts.append(
            f"- **ε = {epsilon:g} µV.** Under the paper's attack, by P(≥1), "
            f"{compared(alive[PAPER])}. Under the strongest of all attacks on each record, "
            f"{compared(alive[ALL])}; "
            f"{beside_cor(alive[ALL], names=('dec', 'fcor'))}; and the control of two constants "
            f"keeps {control} %. Averaged over the classes, {balanced(alive[PAPER], labels)} under "
            f"the paper's attack, and {balanced(alive[ALL], labels)} under the strongest. The "
            f"mean softmax, under PGD end to end, is right on this share of the records: "
            f"{in_a_sentence(right)}."
        )
    return Banner("\n".join(parts))


def beside_cor(hits: Mapping[str, NDArray[np.bool_]], *, names: Sequence[str]) -> str:
    """What other ensembles keep, in %, each with its difference to cor in points."""
    cor = hits["cor"]
    parts = []
    for name in names:
        kept = f"{name} keeps {percent(hits[name].mean())} %"
        differs = f", a difference from cor of {paired(hits[name], cor)} points"
        parts.append(kept + differs if hits[name].any() or cor.any() else f"{name} keeps none")
    return ", and ".join(parts)


def balanced(hits: Mapping[str, NDArray[np.bool_]], labels: NDArray[np.integer]) -> str:
    """What fdec, cor and the control keep if every class counts alike, in %."""
    fdec, cor, control = (
        percent(metrics.class_averaged(hits[name], labels))
        for name in ("fdec", "cor", metrics.CONTROL)
    )
    return f"fdec keeps {fdec} %, cor {cor} % and the control {control} %"


def compared(hits: Mapping[str, NDArray[np.bool_]]) -> str:
    """What fdec and cor keep, in %, and their difference in points."""
    fdec, cor = hits["fdec"], hits["cor"]
    if not (fdec.any() or cor.any()):
        _, _, most = intervals.share_interval(cor)
        return (
            f"neither fdec nor cor keeps any of {len(cor)} records, which is compatible "
            f"with a true share of up to {percent(most)} %"
        )
    return (
        f"fdec keeps {percent(fdec.mean())} % and cor {percent(cor.mean())} %, a difference of "
        f"{paired(fdec, cor)} points"
    )


def surviving(
    conditions: Mapping[str, Answers],
) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Condition -> ensemble -> which records at least one member gets right, (record,)."""
    return {
        name: {
            ensemble: metrics.at_least_each(right, members=1)
            for ensemble, right in answers.correct().items()
        }
        for name, answers in conditions.items()
    }


def share(hits: NDArray[np.bool_]) -> str:
    """A share of records in %, with its interval."""
    return with_interval(*intervals.share_interval(hits))


def paired(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> str:
    """A difference on the same records in points, with its interval; a dash with itself."""
    if first is second:
        return "–"
    return points_between(*intervals.paired_difference(first, second))
