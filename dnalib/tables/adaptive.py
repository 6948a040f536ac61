"""The tables of the chapter on attacks that know the defence, as it shows them, in per cent."""

from collections.abc import Mapping

import pandas

from dnalib.detection import SCORES
from dnalib.runs import Run
from dnalib.stages import ATTACKS, ENSEMBLES, MEMBERS
from dnalib.stages.transfer import BANDS
from dnalib.tables import (
    INTERVAL_SEED,
    answers,
    by_names,
    deferral,
    gains,
    knowledge,
    narrow,
    percent,
    selected,
    wide,
    with_interval,
    with_rows,
)
from dnalib.tables.answers import Answers
from dnalib.tables.formats import points_between
from dnalib.tables.knowledge import (
    Ensembles,
    conditions,
    epsilons,
    middle,
    strongest_table,
    universal_conditions,
)
from dnalib.tables.robustness import ensemble_table
from dnalib.tables.transfer import transfer_of
from dnalib.tables.worst_case import fewest_right, kept_under_all


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


def joined(parts: Mapping[str, pandas.DataFrame], *, names: list[str]) -> pandas.DataFrame:
    """Tables with the same columns below each other, their names before their rows."""
    return pandas.concat(parts, names=names).rename_axis(columns=None)


def strongest(run: Run) -> pandas.DataFrame:
    """The single attack that breaks most of P(≥1), and the strongest of all for each record."""
    rows = {
        (f"{row.epsilon:g} µV", row.ensemble): {
            "strongest attack": row.strongest + (f" (+{row.ties} equal)" if row.ties else ""),
            "left under it": percent(row.alone),
            "strongest per record": with_interval(row.value, row.low, row.high),
        }
        for row in strongest_table(run).itertuples()
    }
    return by_names(rows, ["ε", "ensemble"])


def smooth(run: Run) -> pandas.DataFrame:
    """P(≥1) in % under SAP alone, by what it aims at, and under all attacks.

    Each record under the strongest of those that a column names; a dash where there are none.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for epsilon in epsilons(run):
        smooth = knowledge.smooth_conditions(run, epsilon=epsilon)
        shown = {f"SAP, {aim}": some for aim, some in smooth.items()}
        longest = smooth.get(knowledge.MORE_STEPS, {})
        shown["all attacks"] = conditions(run, epsilon=epsilon) | longest
        for column, some in shown.items():
            worst = fewest_right(some)
            table = ensemble_table(worst.correct(), worst.labels)
            for row in selected(table, measure="P(≥1)").itertuples():
                rows.setdefault((f"{epsilon:g} µV", row.ensemble), {})[column] = narrow(
                    row.value, row.low, row.high
                )
    found = by_names(rows, ["ε", "ensemble"]).fillna("–")
    return found[[*found.columns.drop("all attacks"), "all attacks"]]


def universal(run: Run, *, measure: str = "P(≥1)") -> pandas.DataFrame:
    """What survives one perturbation for all records, by what it was learnt on."""
    parts = {}
    for epsilon in epsilons(run):
        tables = [
            ensemble_table(found.correct(), found.labels).assign(learnt=name)
            for name, found in universal_conditions(run, epsilon=epsilon).items()
        ]
        chosen = selected(pandas.concat(tables), measure=measure)
        parts[f"{epsilon:g} µV"] = wide(chosen, columns="learnt")
    return joined(parts, names=["ε", "ensemble"])


def performance(shown: Mapping[str, Answers]) -> pandas.DataFrame:
    """Scores of the mean softmax in %, a part a set of records, beside the majority's floor.

    Ends of intervals are whole numbers, as in `survival`. The last row of each part counts the
    records that a score is of.
    """
    found = answers.performance_table(shown, seed=INTERVAL_SEED)
    parts = {}
    for condition, part in found.groupby("condition", sort=False):
        table = wide(part, columns="measure", cell=narrow)
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
    table = answers.accuracy_differences(shown, against=against, rule=rule)
    rows = {
        (row.condition, f"{row.ensemble} − {against}"): {
            "difference (points)": points_between(row.value, row.low, row.high),
            "only first right": row.ensemble_only,
            "only second right": row.against_only,
            "p": "< 0.001" if row.p_value < 0.001 else f"{row.p_value:.2g}",
        }
        for row in table.itertuples()
    }
    return by_names(rows, ["records", "pair"])


def scored(shown: Mapping[str, Answers], *, uncertainty: str) -> pandas.DataFrame:
    """`deferral.scores_table`; answers under "natural" set the first scale."""
    return deferral.scores_table(
        shown, natural=shown["natural"], uncertainty=uncertainty, seed=INTERVAL_SEED
    )


def doubt(table: pandas.DataFrame) -> pandas.DataFrame:
    """R_cc, R_iu and UA in %, under both scalings, with ends in whole numbers.

    Args:
        table: of `scored`.
    """
    cells = {
        score: [
            narrow(*ends)
            for ends in zip(
                table[score], table[f"{score}, low"], table[f"{score}, high"], strict=True
            )
        ]
        for score in SCORES
    }
    scores = table.assign(**cells)
    shown = scores.pivot(index=["condition", "ensemble"], columns="scaling", values=list(SCORES))
    order = table[["condition", "ensemble"]].drop_duplicates().itertuples(index=False, name=None)
    return shown.reindex(pandas.MultiIndex.from_tuples(list(order), names=["records", "ensemble"]))


def detected(shown: Mapping[str, Answers], *, uncertainty: str) -> pandas.DataFrame:
    """`deferral.detection_table` with the intervals of every chapter."""
    return deferral.detection_table(shown, uncertainty=uncertainty, seed=INTERVAL_SEED)


def detection(table: pandas.DataFrame, *, measure: str) -> pandas.DataFrame:
    """Error detection, or the area under the risk–coverage curve, in %: a column a condition.

    Args:
        table: of `detected`.
        measure: of `detection.DETECTED`.
    """
    return wide(selected(table, measure=measure), columns="condition")


def favourites(found: Answers, *, ensembles: Ensembles = ENSEMBLES) -> pandas.DataFrame:
    """How much of each member's accuracy is its favourite class, in %, under one attack."""
    parts = {}
    for ensemble, members in ensembles.items():
        table = gains.favourites_table(
            found.logits[ensemble], found.labels, names=members, seed=INTERVAL_SEED
        )
        shares = ["answers", "right", "prior", "accuracy", "class_averaged"]
        shown = table[["favourite"]].join(table[shares].map(percent))
        shown["kappa"] = [narrow(row.kappa, row.low, row.high) for row in table.itertuples()]
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
    votes = None if attacks is None else kept_under_all(attacks)
    return gains.remaining_gain(found, votes=votes, seed=INTERVAL_SEED)


def gain(found: Answers, *, attacks: Mapping[str, Answers] | None = None) -> pandas.DataFrame:
    """What of fdec's gain over cor remains beyond that of constants, in percentage points.

    Arguments as in `gains_of`.
    """
    table = gains_of(found, attacks=attacks)
    chosen = table[table.quantity.str.contains(" − ")]
    rows: dict[str, dict[str, str]] = {name: {} for name in chosen.measure}
    for row in chosen.itertuples():
        rows[row.measure][row.quantity] = points_between(row.value, row.low, row.high)
    return with_rows(pandas.DataFrame.from_dict(rows, orient="index"), "measure")
