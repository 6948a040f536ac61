"""What the tables of the appendices answer to the questions that these ask, in words."""

from collections.abc import Iterable, Mapping, Sequence
from math import hypot
from typing import Any

import pandas

from dnalib import metrics
from dnalib.detection import UA_GAIN
from dnalib.runs import Run
from dnalib.stages import ENSEMBLES
from dnalib.stages.ensembles import in_full
from dnalib.tables import (
    Banner,
    adaptive,
    answers,
    claims,
    in_a_sentence,
    knowledge,
    longer,
    selected,
    sweep_differences,
)
from dnalib.tables.answers import Answers
from dnalib.tables.formats import points, points_between
from dnalib.tables.knowledge import Ensembles
from dnalib.tables.luck import Luck


def strongest(run: Run) -> Banner:
    """Which attacks break most of P(≥1) by themselves, and how much more all of them together."""
    table = knowledge.strongest_table(run)
    lines = []
    for epsilon, rows in table[table.ensemble != metrics.CONTROL].groupby("epsilon"):
        alone = in_a_sentence(
            [
                f"*{attack}* ({in_a_sentence(list(found.ensemble))})"
                for attack, found in rows.groupby("strongest", sort=False)
            ]
        )
        more = more_in_points(dict(zip(rows.ensemble, rows.alone - rows.value, strict=True)))
        lines.append(
            f"- ε = {epsilon:g} µV: no single attack breaks more than {alone}. The strongest "
            f"attack on each record breaks {more}."
        )
    return Banner("\n".join(lines))


def more_in_points(shares: Mapping[str, float]) -> str:
    """How much more, the least and the greatest of several shares in points, with whose it is."""
    low, high = points(min(shares.values())), points(max(shares.values()))
    if low == high:
        return f"{low.lstrip('+')} points more of each"
    return (
        f"from {low.lstrip('+')} ({whose(shares, low)}) to {high.lstrip('+')} points more "
        f"({whose(shares, high)})"
    )


def whose(shares: Mapping[str, float], shown: str) -> str:
    """All whose share is shown as one is: no one of equals is told from the others."""
    return in_a_sentence([name for name, share in shares.items() if points(share) == shown])


def converged(run: Run, *, groups: Iterable[Ensembles] = (ENSEMBLES,)) -> Banner:
    """Whether the usual searches had converged: what those with more steps take beyond them."""
    table = longer.without_and_with(run, groups=groups)
    parts = [
        at_most(
            {
                f"{row.ensemble}, ε = {row.epsilon:g} µV": row.without - row.value
                for row in selected(table, name=name).itertuples()
            },
            of=name,
        )
        for name in longer.AIMS
    ]
    return Banner(
        "Beyond all other attacks, those with more steps, which also climb by another rule and "
        f"another loss, take {in_a_sentence(parts)}."
    )


def still_converged(run: Run, *, groups: Iterable[Ensembles] = (ENSEMBLES,)) -> Banner:
    """Whether the searches with more steps had: what twice their steps take of what they left."""
    parts = [
        at_most(
            longer.taken_last_by_twice_the_steps(run, measure=measure, groups=groups), of=measure
        )
        for measure in longer.AIMS
    ]
    return Banner(f"Twice as many steps take {in_a_sentence(parts)}.")


def smooth_converged(runs: Sequence[Run]) -> Banner:
    """Whether SAP on the whole ensembles had, at the largest ε: what its last steps took."""
    taken = longer.taken_last_by_smooth_steps(runs)
    return Banner(f"The last doubling of the steps took {at_most(taken, of='P(≥1)')}.")


def at_most(shares: Mapping[str, float], *, of: str) -> str:
    """The greatest of several shares of a measure in points, with whose it is."""
    most = max(shares.values())
    if most < 0 or points(most) == points(0.0):
        return f"nothing of {of}"
    return f"up to {points(most).lstrip('+')} points of {of} ({whose(shares, points(most))})"


def better(shown: Mapping[str, Answers], *, against: str, rule: str) -> Banner:
    """Which ensembles answer better than one of them, and which worse, for certain.

    That is where the paired 95 % interval has no zero and McNemar's exact test agrees at 5 %.
    """
    table = answers.accuracy_differences(shown, against=against, rule=rule)
    lines = []
    for condition, rows in table.groupby("condition", sort=False):
        kinds = {
            f"more often right than {against}": rows[(rows.low > 0) & (rows.p_value < 0.05)],
            f"less often right than {against}": rows[(rows.high < 0) & (rows.p_value < 0.05)],
            f"not told apart from {against}": rows[
                (rows.low <= 0) & (rows.high >= 0) | rows.low.notna() & (rows.p_value >= 0.05)
            ],
            "without an interval": rows[rows.low.isna()],
        }
        lines.append(f"- {condition}: {named(kinds)}.")
    return Banner("\n".join(lines))


def doubt(table: pandas.DataFrame) -> Banner:
    """Whose doubt tells wrong answers from right ones, and whose is misled, by its intervals.

    Args:
        table: of `adaptive.detected`.
    """
    chosen = selected(table, measure="error detection")
    lines = []
    for condition, rows in chosen.groupby("condition", sort=False):
        kinds = {
            "tells right from wrong": rows[rows.low > 0.5],
            "misled": rows[rows.high < 0.5],
            # As the mutual information of a single network, which is 0: no resample moves it.
            "the same for every record": rows[(rows.low == 0.5) & (rows.high == 0.5)],
            "not told apart from chance": rows[
                (rows.low <= 0.5) & (rows.high >= 0.5) & (rows.low < rows.high)
            ],
            "without an interval": rows[rows.low.isna()],
        }
        lines.append(f"- {condition}: {named(kinds)}.")
    return Banner("\n".join(lines))


def beside_constant_doubt(table: pandas.DataFrame) -> Banner:
    """Whose doubt earns a higher UA than one that is the same for every record, and whose a lower.

    That is, on which side of zero the interval of the difference lies, with the natural set's
    scale; the differences, in points, stand in brackets.

    Args:
        table: of `adaptive.scored`.
    """
    lines = []
    for condition, rows in selected(table, scaling="natural set").groupby("condition", sort=False):
        low, high = rows[f"{UA_GAIN}, low"], rows[f"{UA_GAIN}, high"]
        shown = [points_between(*ends) for ends in zip(rows[UA_GAIN], low, high, strict=True)]
        rows = rows.assign(ensemble=rows.ensemble + " " + pandas.Series(shown, rows.index))
        kinds = {
            "above": rows[low > 0],
            "below": rows[high < 0],
            "not told apart": rows[(low <= 0) & (high >= 0)],
            "without a scale": rows[rows.UA.isna()],
        }
        lines.append(f"- {condition}: {named(kinds)}.")
    return Banner("\n".join(lines))


def named(kinds: Mapping[str, pandas.DataFrame]) -> str:
    """The ensembles of each kind, kinds without one left out."""
    return "; ".join(
        f"{kind}: {in_a_sentence(list(rows.ensemble))}" for kind, rows in kinds.items() if len(rows)
    )


def gain(paper: Answers, worst: Answers) -> Banner:
    """What fdec gains by P(≥1) over cor and over the control, in two cases, in points.

    Args:
        paper: answers under the paper's attack.
        worst: those of `worst_case.fewest_right` under all attacks.
    """
    cases = {"Under the paper's attack": paper, "in the worst case": worst}
    alive = claims.surviving(cases)
    parts = []
    for case, found in cases.items():
        row = adaptive.gain(found).loc["P(≥1)"]
        parts.append(
            f"{case}, by P(≥1), {claims.compared(alive[case])}, and fdec less the control is "
            f"{row[f'fdec − ({metrics.CONTROL})']} points"
        )
    return Banner(f"{'; '.join(parts)}.")


def changed(table: pandas.DataFrame, *, luck: Luck | None = None) -> Banner:
    """What another value of a parameter raises, lowers, or leaves as it cannot be told.

    Args:
        table: from `sweep_differences.changes_table`.
        luck: from `luck.of_training`. Where a value has a single training, a change that does not
            reach beyond that and the draw of the records together is one that another seed may
            make. None: nothing is known of it.
    """
    lines = [] if len(table) else ["Nothing was compared: there is one value, or all are the same."]
    for (setting, against), rows in table.groupby(["setting", "against"], sort=False):
        parts = [
            f"{measure} {moved(found, luck=luck or {})}"
            for measure, found in rows.groupby("measure", sort=False)
        ]
        lines.append(f"- {in_full(setting)} instead of {in_full(against)}: {'; '.join(parts)}.")
    return Banner("\n".join(lines))


def above_control(table: pandas.DataFrame) -> Banner:
    """Which ensembles keep more than the control, and which less, at which values, for certain.

    By each measure of those under attack, by its paired interval.

    Args:
        table: from `sweep_differences.control_table`.
    """
    lines = []
    for measure, rows in table.groupby("measure", sort=False):
        if sweep_differences.is_attacked(measure):
            more = at_values(rows[rows.low > 0], in_points=True)
            less = at_values(rows[rows.high < 0], in_points=False)
            lines.append(f"- {measure}: more is kept by {more}; less by {less}.")
    return Banner("\n".join(lines))


def at_values(rows: pandas.DataFrame, *, in_points: bool) -> str:
    """Which ensembles these are, each with the parameter's values, and by how many points."""
    found = []
    for ensemble, at in rows.groupby("ensemble", sort=False):
        values = [
            in_full(row.setting) + f" ({points(row.value)})" * in_points for row in at.itertuples()
        ]
        found.append(f"{ensemble} at {in_a_sentence(values)}")
    return ", ".join(found) if found else "none"


def is_lucky(row: Any, *, luck: Luck) -> bool:
    """Whether the draw of the records and another seed together may make a change, of a row."""
    if row.seeds > 1:  # its interval holds the luck of training
        return False
    of_records = row.value - row.low if row.value > 0 else row.high - row.value
    return abs(row.value) <= hypot(luck.get((row.measure, row.ensemble), 0.0), of_records)


def moved(rows: pandas.DataFrame, *, luck: Luck) -> str:
    """Whose measure rises, falls, or does neither for certain, by its intervals and by luck."""
    open_to_chance = (rows.low <= 0) & (rows.high >= 0)
    lucky = pandas.Series([is_lucky(row, luck=luck) for row in rows.itertuples()], rows.index)
    kinds = {
        "rises": rows[(rows.low > 0) & ~lucky],
        "falls": rows[(rows.high < 0) & ~lucky],
        "changes by no more than another seed may": rows[lucky & ~open_to_chance],
        "shows no certain change": rows[open_to_chance],
    }
    return in_a_sentence(
        [
            f"{kind} ({in_a_sentence(list(found.ensemble))})"
            for kind, found in kinds.items()
            if len(found)
        ]
    )
