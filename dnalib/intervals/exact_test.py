"""An exact test of two ensembles on the same records."""

from dataclasses import dataclass

import scipy  # loads scipy.stats where it is used: that takes half a second
from numpy.typing import ArrayLike

from dnalib.array_arguments import as_booleans, check_records


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test: whether two ensembles are right equally often on the same records.

    Attributes:
        first_only: records that the first alone gets right.
        second_only: records that the second alone gets right.
        p_value: probability, if the two were right equally often, that so many records or more
            fall to one side; 1 where they never differ.
    """

    first_only: int
    second_only: int
    p_value: float


def mcnemar(first: ArrayLike, second: ArrayLike) -> McNemar:
    """McNemar's exact test, two-sided.

    Only records on which the two differ say which is better; where neither is, each of these falls
    to either side like a coin.

    Args:
        first: (record,) bool, right answers of one ensemble.
        second: (record,) bool, of the other, on the same records.

    Raises:
        ValueError: shapes differ, or numbers instead of bool.

    Source: McNemar 1947, with the exact binomial distribution; Dietterich 1998, "Approximate
    statistical tests for comparing supervised classification learning algorithms".
    """
    first, second = as_booleans("first", first), as_booleans("second", second)
    check_records("first", first, 0, "second", second)
    one, other = int((first & ~second).sum()), int((second & ~first).sum())
    p_value = scipy.stats.binomtest(one, one + other).pvalue if one + other else 1.0
    return McNemar(one, other, float(p_value))
