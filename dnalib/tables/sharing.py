"""What two members share, beside how often what fools one of them fools the other."""

from itertools import combinations

import pandas
from scipy.stats import spearmanr

from dnalib import tables
from dnalib.runs import Run
from dnalib.stages import ATTACKS, ENSEMBLES
from dnalib.tables import Banner, decimals, in_a_sentence, percent
from dnalib.tables.knowledge import middle
from dnalib.tables.transfer import transfer_of


def pairs_table(run: Run) -> pandas.DataFrame:
    """Every pair of members of an ensemble: what they share, and how often attacks travel.

    Returns:
        Columns ensemble, first, second (names of models); adjusted R² of their features, and for
        each of `ATTACKS` the share of records on which a perturbation that was crafted on one at
        the middle ε fools the other; all are means of both directions.
    """
    fooled = {
        attack: transfer_of(run, attack=attack, epsilon=middle(run))
        .set_index(["crafted", "evaluated"])
        .value
        for attack in ATTACKS
    }
    rows = []
    for ensemble, members in ENSEMBLES.items():
        shared = tables.r_squared(run, ensemble, "adjusted")  # (regressor, regressand)
        for x, y in combinations(range(len(members)), 2):
            first, second = members[x], members[y]
            alike = [
                (values[first, second] + values[second, first]) / 2 for values in fooled.values()
            ]
            rows.append((ensemble, first, second, (shared[x, y] + shared[y, x]) / 2, *alike))
    return pandas.DataFrame(rows, columns=["ensemble", "first", "second", "adjusted", *ATTACKS])


def shown(run: Run) -> pandas.DataFrame:
    """The pairs as a chapter shows them, in the order of what they share."""
    table = pairs_table(run).sort_values("adjusted", ascending=False, kind="stable")
    rows = {
        (row.ensemble, f"{row.first}, {row.second}"): {
            "adjusted R²": decimals(row.adjusted),
            **{f"fooled, {attack.upper()}": percent(getattr(row, attack)) for attack in ATTACKS},
        }
        for row in table.itertuples()
    }
    return tables.by_names(rows, ["ensemble", "pair"])


def told(run: Run) -> Banner:
    """How far the order of pairs by what they share is that by how often attacks travel.

    A pair counts where both are defined.
    """
    table = pairs_table(run)
    defined = table.dropna()
    return Banner(" ".join([correlated(defined, of=len(table)), *turned_round(defined)]))


def correlated(table: pandas.DataFrame, *, of: int) -> str:
    """The rank correlation over pairs, under each attack, in a sentence or two.

    Args:
        table: as of `pairs_table`, its pairs that are defined.
        of: how many pairs there are.

    Source: Spearman 1904, "The proof and measurement of association between two things".
    """
    named = {attack: rank_correlation(table.adjusted, table[attack]) for attack in ATTACKS}
    found = [
        f"{'undefined' if value is None else f'{value:.2f}'.replace('-', '−')} "
        f"under {attack.upper()}"
        for attack, value in named.items()
    ]
    pairs = f"{of} pairs" if len(table) == of else f"{len(table)} of {of} pairs that have both"
    text = (
        f"In this training, over the {pairs}, the rank correlation between what they share and how "
        f"often what misleads one misleads the other is {in_a_sentence(found)}; it would be 1 if "
        "sharing alone decided, and 0 if it did not matter."
    )
    if None in named.values():
        text += (
            " It is undefined where all pairs share as much, or are misled as often, which leaves "
            "no order."
        )
    return text


def rank_correlation(first: pandas.Series, second: pandas.Series) -> float | None:
    """Spearman's, of values (pair,); None where either has no two values that differ."""
    if min(first.nunique(), second.nunique()) < 2:
        return None
    return float(spearmanr(first, second).statistic)


def turned_round(table: pandas.DataFrame) -> list[str]:
    """In which ensembles most attacks travel where least is shared, in a sentence, two or none.

    An ensemble counts where one pair alone shares least, and some pair is misled more often than
    another, under PGD. `table` as in `correlated`.
    """
    found: dict[str, list[str]] = {"the one": [], "one of those": []}
    for ensemble, rows in table.groupby("ensemble", sort=False):
        least, most = rows[rows.adjusted == rows.adjusted.min()], rows[rows.pgd == rows.pgd.max()]
        if len(least) > 1 or len(most) == len(rows) or least.index[0] not in most.index:
            continue
        one = least.iloc[0]
        found["the one" if len(most) == 1 else "one of those"].append(
            f"{ensemble} ({one['first']} and {one.second}, adjusted R² {decimals(one.adjusted)}, "
            f"under PGD {percent(one.pgd)} %)"
        )
    return [
        f"In {in_a_sentence(named)}, the pair that shares least is {which} between which most "
        "attacks travel."
        for which, named in found.items()
        if named
    ]
