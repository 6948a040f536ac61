"""Intervals of shares against their definition, and against how often they hold the truth."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate

from dnalib.intervals import paired_difference, share_interval
from dnalib.intervals.shares import correlation
from dnalib.metrics import class_averaged

CLASSES = np.repeat([0, 1, 2, 3], [129, 21, 44, 6])  # as many of each as an attack meets


@pytest.mark.parametrize(("right", "records"), [(1, 2), (2, 6), (6, 200), (100, 200), (199, 200)])
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_a_share_has_the_interval_of_jeffreys(right: int, records: int, confidence: float) -> None:
    def likely(share: float) -> float:  # by the prior 1 / √(share (1 − share))
        return share ** (right - 0.5) * (1 - share) ** (records - right - 0.5)

    share, low, high = share_interval(np.arange(records) < right, confidence=confidence)
    below, within, above = (
        integrate.quad(likely, *ends, limit=200)[0] for ends in ((0, low), (low, high), (high, 1))
    )
    assert within / (below + within + above) == pytest.approx(confidence, abs=1e-4)
    assert below == pytest.approx(above, rel=1e-3)
    assert low <= right / records == share <= high


def test_no_record_of_200_leaves_shares_above_one_in_a_hundred() -> None:
    share, low, high = share_interval(np.zeros(200))
    assert share == low == 0 and high == pytest.approx(0.0125, abs=1e-4)
    assert share_interval(np.ones(200)) == pytest.approx((1, 1 - high, 1))
    assert share_interval(np.zeros(6))[2] == pytest.approx(0.33, abs=0.01)


def test_members_that_agree_less_say_more_of_their_mean() -> None:
    random = np.random.default_rng(0)
    apart = (random.random((3, 400)) < 0.4).mean(axis=0)  # three members that err apart
    together = (random.random(400) < apart.mean()).astype(float)
    widths = [high - low for _, low, high in map(share_interval, (apart, together))]
    assert widths[0] == pytest.approx(2 * 1.96 * apart.std() / 20, rel=0.02)
    assert widths[0] < 0.7 * widths[1]
    # All alike, they say no more than bool do.
    assert share_interval(np.full(9, 1 / 3)) == pytest.approx(share_interval(np.arange(9) < 3))


@pytest.mark.parametrize(
    "truth", [(0.1, 0.05, 0.05, 0.1), (0.9, 0.5, 0.7, 0.3), (0.0, 0.0, 0.0, 0.05)]
)
def test_a_mean_of_classes_is_held_also_where_one_has_six_records(
    truth: tuple[float, ...],
) -> None:
    random = np.random.default_rng(1)
    held = 0
    for _ in range(800):
        right = random.random(200) < np.repeat(truth, [129, 21, 44, 6])
        _, low, high = share_interval(right, classes=CLASSES)
        held += low <= np.mean(truth) <= high
    assert held / 800 > 0.93  # resampling the records reaches 0.77 in the first of these


def drawn(
    random: np.random.Generator, both: float, first: float, second: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Right answers of two ensembles: to so many records by both, and by each alone."""
    place = random.random(200)
    one = place < both + first
    return one, (place < both) | ((place >= both + first) & (place < both + first + second))


@pytest.mark.parametrize(
    "shares", [(0.2, 0.1, 0.05), (0.0, 0.02, 0.01), (0.45, 0.05, 0.05), (0.78, 0.12, 0.02)]
)
@pytest.mark.parametrize("classes", [None, CLASSES])
def test_a_difference_is_held_as_often_as_it_says(
    shares: tuple[float, float, float], classes: NDArray[np.int64] | None
) -> None:
    random = np.random.default_rng(2)
    held = 0
    for _ in range(400):
        difference, low, high = paired_difference(*drawn(random, *shares), classes=classes)
        assert low <= difference <= high
        held += low <= shares[1] - shares[2] <= high
    assert held / 400 > 0.925


def test_a_difference_is_nearly_newcombes() -> None:
    # Newcombe 1998, table II: of 50 pairs 36 both, 12 the first alone, 2 the second alone. There
    # the ends of both shares are Wilson's.
    first = np.repeat([1, 1, 0, 0], [36, 12, 2, 0])
    second = np.repeat([1, 0, 1, 0], [36, 12, 2, 0])
    found = paired_difference(first, second)
    assert found == pytest.approx((0.2, 0.0569, 0.3404), abs=0.006)


def test_records_that_are_hard_for_both_widen_nothing() -> None:
    random = np.random.default_rng(0)
    one, other = drawn(random, 0.5, 0.05, 0.02)
    _, low, high = paired_difference(one, other)
    ends = [share_interval(each) for each in (one, other)]
    assert high - low < 0.6 * np.hypot(*(b - a for _, a, b in ends))


@pytest.mark.parametrize(("value", "records"), [(1 / 3, 200), (2 / 3, 200), (0.1, 853)])
def test_values_that_are_all_alike_say_as_much_as_bool_do(value: float, records: int) -> None:
    share, low, high = share_interval(np.full(records, value))
    assert share == pytest.approx(value)
    expected = share_interval(np.arange(records) < round(value * records))
    assert (low, high) == pytest.approx(expected[1:], abs=0.002)


@pytest.mark.parametrize("share", [0.02, 1e-4, 0.9999])
def test_an_interval_holds_its_share_also_among_few(share: float) -> None:
    found, low, high = share_interval(np.full(1, share), confidence=0.5)
    assert low <= found <= high


def test_how_far_two_go_together_is_corrected_for_continuity() -> None:
    def answers(*numbers: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        first = np.repeat([1.0, 1, 0, 0], numbers)
        return first, np.repeat([1.0, 0, 1, 0], numbers)

    expected = (30 * 7 - 10 * 3 - 25) / np.sqrt(40 * 10 * 33 * 17)  # Newcombe 1998, of 50
    assert correlation(*answers(30, 10, 3, 7)) == pytest.approx(expected)
    assert correlation(*answers(3, 3, 2, 3)) == 0  # below the correction
    apart = correlation(*answers(3, 10, 7, 3))
    assert apart == pytest.approx((3 * 3 - 10 * 7) / np.sqrt(13 * 10 * 10 * 13))  # left alone


@pytest.mark.parametrize("confidence", [0.5, 0.9])
def test_of_two_that_have_nothing_in_common_the_distances_are_joined(confidence: float) -> None:
    first = np.repeat([True, False], [60, 40])
    second = np.tile(np.repeat([True, False], [2, 3]), 20)
    difference, low, high = paired_difference(first, second, confidence=confidence)
    (one, low_one, high_one), (other, low_other, high_other) = (
        share_interval(each, confidence=confidence) for each in (first, second)
    )
    assert difference - low == pytest.approx(np.hypot(one - low_one, high_other - other))
    assert high - difference == pytest.approx(np.hypot(high_one - one, other - low_other))


def test_the_distances_of_classes_are_joined() -> None:
    values = np.array([1, 1, 0, 1, 0, 0, 0, 1, 1, 1.0])
    classes = np.repeat([0, 1], [4, 6])
    parts = [share_interval(values[classes == one]) for one in (0, 1)]
    share, low, high = share_interval(values, classes=classes)
    assert share - low == pytest.approx(np.hypot(*(a - b for a, b, _ in parts)) / 2)
    assert high - share == pytest.approx(np.hypot(*(b - a for a, _, b in parts)) / 2)


def test_two_that_never_differed_may_yet() -> None:
    for share in (0.0, 0.5, 1.0):
        right = np.arange(200) < 200 * share
        difference, low, high = paired_difference(right, right)
        assert difference == 0 and -0.03 < low < -0.005 < 0.005 < high < 0.03


def test_means_of_classes_are_those_of_the_metrics() -> None:
    random = np.random.default_rng(3)
    first, second = random.random((2, 200)) < np.array([[0.6], [0.4]])
    found, low, high = paired_difference(first, second, classes=CLASSES)
    means = [class_averaged(one, CLASSES) for one in (first, second)]
    assert found == pytest.approx(means[0] - means[1]) and low < found < high
    share, low, high = share_interval(first, classes=CLASSES)
    assert share == pytest.approx(means[0]) and low < share < high


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: share_interval([]), "at least one record"),
        (lambda: share_interval([[0, 1]]), r"values has shape \(1, 2\)"),
        (lambda: share_interval([0, np.nan]), "values: 1 values are NaN"),
        (lambda: share_interval([0, 1.5]), "values holds 0 to 1.5; accepted are numbers from 0"),
        (lambda: share_interval([-1, 1]), "values holds -1 to 1; accepted"),
        (lambda: share_interval([0, 1], confidence=95), "confidence is 95"),
        (lambda: share_interval([0, 1], confidence="0.95"), "confidence is '0.95'"),
        (lambda: share_interval([0, 1], classes=[0]), "classes"),
        (lambda: share_interval([0, 1], classes=[0, np.nan]), "classes: 1 values are NaN"),
        (lambda: paired_difference(np.zeros(5), np.zeros(6)), r"\(5,\).*\(6,\)"),
        (lambda: paired_difference([0, 1], [0, 1], classes=[0]), "^first"),
        (lambda: paired_difference([0, 1], [0, 2]), "second holds 0 to 2; accepted"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()
