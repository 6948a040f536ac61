"""The tables of the chapter on attacks that know the defence, as it shows them, in per cent."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import pandas

from dnalib.runs import Run
from dnalib.stages import ATTACKS, ENSEMBLES, MEMBERS
from dnalib.stages.adaptive import adaptive_name
from dnalib.stages.longer import doubled_name
from dnalib.stages.transfer import BANDS
from dnalib.tables import (
    INTERVAL_SEED,
    answers,
    by_names,
    deferral,
    gains,
    percent,
    selected,
    wide,
    with_interval,
    with_rows,
)
from dnalib.tables.answers import Answers
from dnalib.tables.comparisons import points_between
from dnalib.tables.convergence import longer_conditions
from dnalib.tables.knowledge import (
    Ensembles,
    attack_names,
    conditions,
    epsilons,
    middle,
    strongest_table,
    transfer_of,
    universal_conditions,
)
from dnalib.tables.robustness import ensemble_table
from dnalib.uncertainty import SCORES

# Measures whose searches have more steps, by their names in `answers.worst_case_table`.
LEFT: Mapping[str, str] = {"at least 1": "P(≥1)", "mean softmax": "mean softmax"}
AIMS: Mapping[str, str] = {"P(≥1)": "least misled member", "mean softmax": "end to end"}


def sizes(run: Run, *, ensemble: str) -> pandas.DataFrame:
    """How large the perturbations of each attack on an ensemble are, at the middle ε.

    Attacks go by their names in `knowledge`.
    """
    (found,) = sizes_of(run, {ensemble: ENSEMBLES[ensemble]}).values()
    rows = {
        name: {
            "largest ‖δ‖∞ (µV)": f"{size['largest']:.1f}",
            "median ‖δ‖∞ (µV)": f"{size['median largest']:.1f}",
            "median ‖δ‖₂ (µV)": f"{size['median norm']:.0f}",
            "median SNR (dB)": decibels(size["median signal to noise"]),
        }
        for name, size in found.items()
    }
    return with_rows(pandas.DataFrame.from_dict(rows, orient="index"), "attack")


def signal_to_noise(run: Run, *, ensembles: Ensembles = ENSEMBLES) -> pandas.DataFrame:
    """How faint the attacks on each ensemble are at the middle ε: median ratio to the record in dB.

    A row an aim and attack, as `knowledge` names them; a dash where an ensemble has no such member.
    """
    columns = {
        ensemble: {name: decibels(size["median signal to noise"]) for name, size in sizes.items()}
        for ensemble, sizes in sizes_of(run, ensembles).items()
    }
    return with_rows(pandas.DataFrame(columns).fillna("–"), "attack")


def norms(run: Run, *, ensembles: Ensembles = ENSEMBLES) -> pandas.DataFrame:
    """How large the attacks on each ensemble are at the middle ε: median ‖δ‖∞ and ‖δ‖₂ in µV.

    Rows as those of `signal_to_noise`.
    """
    columns = {
        ensemble: {
            name: f"{size['median largest']:.1f}, {size['median norm']:.0f}"
            for name, size in sizes.items()
        }
        for ensemble, sizes in sizes_of(run, ensembles).items()
    }
    return with_rows(pandas.DataFrame(columns).fillna("–"), "attack")


def sizes_of(run: Run, ensembles: Ensembles) -> dict[str, dict[str, Any]]:
    """Ensemble -> name of an attack on it -> how large it is, at the middle ε."""
    found = {}
    for ensemble, members in ensembles.items():
        stored = run.obtain(adaptive_name(ensemble, middle(run))).results["sizes"]
        names = attack_names(members).items()
        found[ensemble] = {name: stored[key] for name, key in names if key in stored}
    return found


def decibels(value: float | None) -> str:
    """A ratio with one decimal; a dash where nothing is perturbed."""
    return "–" if value is None else f"{value:.1f}".replace("-", "−")


def transfer_within(run: Run) -> pandas.DataFrame:
    """How often an ensemble's members are fooled by each other's perturbations, at the middle ε.

    Means over the pairs of models that a column names.
    """
    rows = {}
    for attack in ATTACKS:
        table = transfer_of(run, attack=attack, epsilon=middle(run))
        fooled = table.set_index(["crafted", "evaluated"]).value
        for ensemble, (base, second, third) in ENSEMBLES.items():
            pairs = {
                "on itself": [(one, one) for one in (base, second, third)],
                "base → others": [(base, second), (base, third)],
                "others → base": [(second, base), (third, base)],
                "between the others": [(second, third), (third, second)],
            }
            rows[ensemble, attack.upper()] = {
                name: percent(fooled.loc[found].mean()) for name, found in pairs.items()
            }
    return by_names(rows, ["ensemble", "attack"])


def bands(run: Run, *, attack: str) -> pandas.DataFrame:
    """What is left of a perturbation's effect in each filter's bands, at the middle ε.

    A row a model that it was crafted on: the share fooled of that model itself and the mean of the
    others, by the whole perturbation and by what each filter passes of it.
    """
    rows: dict[str, dict[str, str]] = {model: {} for model in MEMBERS}
    for name, band in {"whole": None, **{band: band for band in BANDS}}.items():
        table = transfer_of(run, attack=attack, epsilon=middle(run), band=band)
        for model in MEMBERS:
            own = table[table.crafted == model]
            itself = own.evaluated == model
            rows[model][f"itself, {name}"] = percent(own[itself].value.mean())
            rows[model][f"others, {name}"] = percent(own[~itself].value.mean())
    return with_rows(pandas.DataFrame.from_dict(rows, orient="index"), "crafted on")


def survival(table: pandas.DataFrame, *, measure: str) -> pandas.DataFrame:
    """A measure of `knowledge.knowledge_table` in %: rows ε and ensemble, columns knowledge.

    Ends of intervals are whole numbers here, so that the columns fit beside each other.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for row in selected(table, measure=measure).itertuples():
        cell = narrow(row.value, row.low, row.high)
        rows.setdefault((f"{row.epsilon:g} µV", row.ensemble), {})[row.knowledge] = cell
    return by_names(rows, ["ε", "ensemble"])


def narrow(value: float, low: float, high: float) -> str:
    """A share in % with the ends of its interval in whole numbers, where there are any."""
    if low != low:
        return percent(value)
    return f"{percent(value)} ({100 * low:.0f}–{100 * high:.0f})"


def joined(parts: Mapping[str, pandas.DataFrame], *, names: list[str]) -> pandas.DataFrame:
    """Tables with the same columns below each other, their names before their rows."""
    return pandas.concat(parts, names=names).rename_axis(columns=None)


def strongest(run: Run) -> pandas.DataFrame:
    """The single attack that breaks most of P(≥1), and the strongest of all for each record."""
    rows = {
        (f"{row.epsilon:g} µV", row.ensemble): {
            "strongest attack": row.strongest
            + (f" ({row.ties} more as strong)" if row.ties else ""),
            "under it": percent(row.alone),
            "strongest per record": with_interval(row.value, row.low, row.high),
        }
        for row in strongest_table(run).itertuples()
    }
    return by_names(rows, ["ε", "ensemble"])


def more_steps(run: Run, *, groups: Iterable[Ensembles] = (ENSEMBLES,)) -> pandas.DataFrame:
    """What attacks with more steps take beyond all others, in %.

    Args:
        run: the run that attacked them.
        groups: of ensembles, each as `knowledge.conditions` takes them.

    Returns:
        A row an ensemble and ε; of P(≥1) and of the mean softmax what is left under the strongest
        attack per record, without those attacks and with them.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for row in without_and_with(run, groups=groups).itertuples():
        rows.setdefault((f"{row.epsilon:g} µV", row.ensemble), {}).update(
            {
                f"{row.name}, without": percent(row.without),
                f"{row.name}, with": with_interval(row.value, row.low, row.high),
            }
        )
    return by_names(rows, ["ε", "ensemble"])


def without_and_with(run: Run, *, groups: Iterable[Ensembles] = (ENSEMBLES,)) -> pandas.DataFrame:
    """`more_steps` in numbers: columns epsilon, ensemble, name, without, value, low, high.

    Names are of the measures; epsilon is in raw units, the others are fractions of the records.
    """
    rows = []
    for epsilon, ensembles in product(epsilons(run), list(groups)):
        every = conditions(run, epsilon=epsilon, ensembles=ensembles)
        longer = longer_conditions(run, epsilon=epsilon, ensembles=ensembles)
        usual = {name: found for name, found in every.items() if name not in longer}
        without, joint = (
            answers.worst_case_table(some, seed=INTERVAL_SEED).set_index(["ensemble", "measure"])
            for some in (usual, every)
        )
        for ensemble, (measure, name) in product(joint.index.unique("ensemble"), LEFT.items()):
            row, before = joint.loc[ensemble, measure], without.value[ensemble, measure]
            rows.append((epsilon, ensemble, name, before, row.value, row.low, row.high))
    names = ["epsilon", "ensemble", "name", "without", "value", "low", "high"]
    return pandas.DataFrame(rows, columns=names)


def twice_more_steps(run: Run, *, groups: Iterable[Ensembles] = (ENSEMBLES,)) -> pandas.DataFrame:
    """What twice those steps take of the records that they left, at the middle ε, in %.

    Arguments as in `more_steps`. A row an ensemble: P(≥1) under the search for the least misled
    member, and the mean softmax under the one end to end, each after the steps and after both.
    """
    rows = {
        ensemble: {
            f"{measure}, {steps} steps": percent(share)
            for measure, shares in left.items()
            for steps, share in shares
        }
        for ensemble, left in left_by_twice_the_steps(run, groups=groups).items()
    }
    return with_rows(pandas.DataFrame.from_dict(rows, orient="index"), "ensemble")


def left_by_twice_the_steps(
    run: Run, *, groups: Iterable[Ensembles] = (ENSEMBLES,)
) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Ensemble -> measure -> steps and the share of records that they leave; twice as many last."""
    found = {}
    for ensemble in (name for ensembles in groups for name in ensembles):
        results = run.obtain(doubled_name(ensemble)).results
        found[ensemble] = {
            measure: [
                (steps, left / max(1, results["attacked"]))
                for steps, left in zip(results["steps"], results["left"][aim], strict=True)
            ]
            for measure, aim in AIMS.items()
        }
    return found


def universal(run: Run, *, measure: str = "at least 1") -> pandas.DataFrame:
    """What survives one perturbation for all records, by what it was learnt on."""
    parts = {}
    for epsilon in epsilons(run):
        tables = [
            ensemble_table(found.correct(), found.labels, seed=INTERVAL_SEED).assign(learnt=name)
            for name, found in universal_conditions(run, epsilon=epsilon).items()
        ]
        chosen = selected(pandas.concat(tables), measure=measure)
        parts[f"{epsilon:g} µV"] = wide(chosen, columns="learnt")
    return joined(parts, names=["ε", "ensemble"])


def performance(shown: Mapping[str, Answers]) -> pandas.DataFrame:
    """Scores of the mean softmax in %, a part a set of records, beside the majority's floor.

    The last row of each part counts the records that a score is of.
    """
    found = answers.performance_table(shown, seed=INTERVAL_SEED)
    parts = {}
    for condition, part in found.groupby("condition", sort=False):
        table = wide(part, columns="measure")
        plain = part.assign(value=part.value.map(percent)).pivot(
            index="ensemble", columns="measure", values="value"
        )
        for measure in table.columns.difference(["accuracy", "challenge F1"]):
            table[measure] = plain[measure]  # no room for every interval
        counted = part.drop_duplicates("measure").set_index("measure").records
        table.loc["number of records"] = counted.map(str)
        parts[condition] = table
    return joined(parts, names=["records", "ensemble"]).fillna("–")


def differences(
    shown: Mapping[str, Answers], *, against: str = "cor", rule: str
) -> pandas.DataFrame:
    """Whether ensembles answer better than one of them: difference, and McNemar's exact test."""
    table = answers.accuracy_differences(shown, against=against, rule=rule, seed=INTERVAL_SEED)
    rows = {
        (row.condition, f"{row.ensemble} − {against}"): {
            "difference (points)": points_between(row.value, row.low, row.high),
            "first alone right": row.ensemble_only,
            "second alone right": row.against_only,
            "p": f"{row.p_value:.2g}",
        }
        for row in table.itertuples()
    }
    return by_names(rows, ["records", "pair"])


def doubt(shown: Mapping[str, Answers], *, uncertainty: str) -> pandas.DataFrame:
    """R_cc, R_iu and UA in % by one uncertainty, under both scalings, with ends in whole numbers.

    Args:
        shown: condition -> answers; those under "natural" set the first scale.
        uncertainty: one of `deferral.UNCERTAINTIES`.
    """
    found = deferral.scores_table(shown, natural=shown["natural"], seed=INTERVAL_SEED)
    chosen = selected(found, uncertainty=uncertainty)
    cells = {
        score: [
            narrow(*ends)
            for ends in zip(
                chosen[score], chosen[f"{score}, low"], chosen[f"{score}, high"], strict=True
            )
        ]
        for score in SCORES
    }
    scores = chosen.assign(**cells)
    table = scores.pivot(index=["condition", "ensemble"], columns="scaling", values=list(SCORES))
    order = chosen[["condition", "ensemble"]].drop_duplicates().itertuples(index=False, name=None)
    return table.reindex(pandas.MultiIndex.from_tuples(list(order), names=["records", "ensemble"]))


def detection(shown: Mapping[str, Answers], *, measure: str, uncertainty: str) -> pandas.DataFrame:
    """Error detection, or the area under the risk–coverage curve, in %: a column a condition."""
    found = deferral.detection_table(shown, uncertainty=uncertainty, seed=INTERVAL_SEED)
    return wide(selected(found, measure=measure), columns="condition")


def favourites(found: Answers, *, ensembles: Ensembles = ENSEMBLES) -> pandas.DataFrame:
    """How much of each member's accuracy is its favourite class, in %, under one attack."""
    parts = {}
    for ensemble, members in ensembles.items():
        table = gains.favourites_table(
            found.logits[ensemble], found.labels, names=members, seed=INTERVAL_SEED
        )
        shares = ["answers", "right", "prior", "accuracy", "class_averaged"]
        shown = table[["favourite"]].join(table[shares].map(percent))
        shown["kappa"] = [with_interval(row.kappa, row.low, row.high) for row in table.itertuples()]
        parts[ensemble] = shown
    return joined(parts, names=["ensemble", "member"]).rename(
        columns={
            "answers": "of its answers",
            "right": "of its right ones",
            "prior": "of the labels",
            "class_averaged": "class-averaged",
        }
    )


def gains_of(found: Answers, *, attacks: Mapping[str, Answers] | None = None) -> pandas.DataFrame:
    """`gains.remaining_gain` of fdec over cor, with the intervals of every chapter.

    Args:
        found: under one attack, or under the strongest of several per record.
        attacks: those several; a vote then counts where it is right under each of them.
    """
    votes = None if attacks is None else answers.votes_under_all(attacks)
    return gains.remaining_gain(found, votes=votes, seed=INTERVAL_SEED)


def gain(found: Answers, *, attacks: Mapping[str, Answers] | None = None) -> pandas.DataFrame:
    """What of fdec's gain over cor remains beyond that of constants, in percentage points.

    Arguments as in `gains_of`.
    """
    table = gains_of(found, attacks=attacks)
    chosen = table[table.quantity.str.contains(" − ")]
    rows = {name: {} for name in chosen.measure}
    for row in chosen.itertuples():
        rows[row.measure][row.quantity] = points_between(row.value, row.low, row.high)
    return with_rows(pandas.DataFrame.from_dict(rows, orient="index"), "measure")
