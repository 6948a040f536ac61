"""What two members share, beside how often what fools one of them fools the other."""

from itertools import combinations

import pandas
from scipy.stats import spearmanr

from dnalib import tables
from dnalib.runs import Run
from dnalib.stages import ATTACKS, ENSEMBLES
from dnalib.tables import Banner, decimals, in_a_sentence, percent
from dnalib.tables.knowledge import middle, transfer_of


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

    Source: Spearman 1904, "The proof and measurement of association between two things".
    """
    table = pairs_table(run)
    found = [
        f"{spearmanr(table.adjusted, table[attack]).statistic:.2f} under {attack.upper()}".replace(
            "-", "−"
        )
        for attack in ATTACKS
    ]
    against = [
        f"{ensemble} ({one.first} and {one.second}, adjusted R² {decimals(one.adjusted)}, under "
        f"PGD {percent(one.pgd)} %)"
        for ensemble, rows in table.groupby("ensemble", sort=False)
        if (one := rows.loc[rows.adjusted.idxmin()]).pgd == rows.pgd.max()
    ]
    text = (
        f"Over the {len(table)} pairs, the rank correlation between what they share and how often "
        f"what misleads one misleads the other is {in_a_sentence(found)}; it would be 1 if sharing "
        "alone decided, and 0 if it did not matter."
    )
    if against:
        text += (
            f" In {in_a_sentence(against)}, the pair that shares least is the one between which "
            "most attacks travel."
        )
    return Banner(text)
