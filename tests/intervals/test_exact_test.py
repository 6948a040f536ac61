"""McNemar's test by hand and against scipy's binomial test."""

import numpy as np
import pytest
from scipy import stats

from dnalib import intervals


def test_mcnemar_by_hand():
    first = np.array([True] * 6 + [False] * 4)
    second = np.array([True] * 1 + [False] * 5 + [True] * 1 + [False] * 3)
    found = intervals.mcnemar(first, second)
    assert (found.first_only, found.second_only) == (5, 1)
    assert found.p_value == pytest.approx(2 * (1 + 6) / 2**6)  # 0 or 1 head in 6, both tails
    assert intervals.mcnemar(second, first).p_value == found.p_value
    assert intervals.mcnemar(first, first) == intervals.McNemar(0, 0, 1.0)


@pytest.mark.parametrize("seed", range(3))
def test_mcnemar_is_a_binomial_test_of_the_records_that_differ(seed):
    random = np.random.default_rng(seed)
    first, second = random.random((2, 90)) < [[0.7], [0.55]]
    one, other = np.sum(first > second), np.sum(second > first)
    expected = stats.binomtest(int(one), int(one + other), 0.5).pvalue
    assert intervals.mcnemar(first, second).p_value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: intervals.mcnemar([True], [True, False]), r"\(1,\).*\(2,\)"),
        (lambda: intervals.mcnemar([1, 0], [True, False]), "first has dtype int64; it must be"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
