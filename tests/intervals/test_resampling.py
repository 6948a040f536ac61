"""Bootstrap intervals against the binomial distribution and known values."""

import warnings

import numpy as np
import pytest
from scipy import stats

from dnalib import intervals, metrics
from dnalib.intervals.resampling import resampled_interval


def interval_of_mean(values, **options):
    """The ends of the resampled interval of a mean over records."""
    _, low, high = intervals.resampled_records(
        lambda drawn: values[drawn].mean(axis=-1), records=len(values), **options
    )
    return float(low), float(high)


def test_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(0)
    samples = random.random((300, 400)) < 0.3
    covered = 0
    for seed, sample in enumerate(samples):
        low, high = interval_of_mean(sample, resamples=500, seed=seed)
        covered += low <= 0.3 <= high
    assert 0.91 <= covered / 300 <= 0.98  # 95 % nominal; the standard error is 1.3 points


def test_interval_agrees_with_the_binomial_distribution():
    values = np.arange(1000) < 250
    low, high = interval_of_mean(values, resamples=5000, seed=4)
    expected = stats.binom(1000, 0.25).ppf([0.025, 0.975]) / 1000
    assert [low, high] == pytest.approx(expected, abs=0.003)
    narrow = interval_of_mean(values, confidence=0.5, seed=4)
    assert low < narrow[0] < 0.25 < narrow[1] < high


@pytest.mark.parametrize("statistic", [np.sum, np.mean, np.std, np.size])
def test_equal_values_give_any_statistic_what_it_is_of_them_all(statistic):
    def applied(drawn, axis):
        return np.apply_along_axis(statistic, axis, drawn)

    assert resampled_interval(np.ones(10), applied, seed=0) == (statistic(np.ones(10)),) * 2
    with pytest.raises(ValueError, match="confidence is 2"):
        resampled_interval(np.ones(10), applied, confidence=2, seed=0)


def test_interval_depends_on_the_seed_alone():
    values = np.random.default_rng(0).standard_normal(50)
    first = interval_of_mean(values, seed=1)
    assert interval_of_mean(values, seed=1) == first
    assert interval_of_mean(values, seed=2) != first


def test_several_numbers_at_once_are_those_of_one_by_one():
    random = np.random.default_rng(1)
    values = random.random(70)
    one = {"mean": np.mean, "spread": np.std, "greatest": np.max}
    found = intervals.resampled_records(
        lambda drawn: np.stack([each(values[drawn], axis=-1) for each in one.values()]),
        records=70,
        seed=2,
    )
    for place, each in enumerate(one.values()):
        alone = intervals.resampled_records(
            lambda drawn, each=each: each(values[drawn], axis=-1), records=70, seed=2
        )
        assert [part[place] for part in found] == pytest.approx(alone)


def test_a_number_that_a_resample_leaves_undefined_has_no_interval_and_harms_no_other():
    rare = np.arange(50) == 7  # a third of resamples have none

    def numbers(drawn):
        count = rare[drawn].sum(axis=-1)
        shares = np.divide(count, count, out=np.full(np.shape(count), np.nan), where=count > 0)
        return np.stack([shares, count])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, low, high = intervals.resampled_records(numbers, records=50, seed=0)
    assert value.tolist() == [1, 1]
    assert np.isnan([low[0], high[0]]).all() and low[1] == 0 and high[1] >= 2


def test_the_interval_of_an_f1_holds_it():
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 300)
    predicted = np.where(random.random(300) < 0.7, labels, random.integers(0, 4, 300))
    value, low, high = intervals.resampled_records(
        lambda drawn: metrics.challenge_f1(predicted[drawn], labels[drawn]), records=300, seed=0
    )
    assert value == metrics.challenge_f1(predicted, labels) and low < value < high < low + 0.2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: intervals.resampled_records(lambda drawn: drawn, records=0, seed=0),
            "records is 0; accepted are whole numbers from 1",
        ),
        (
            lambda: intervals.resampled_records(lambda drawn: drawn.mean(), records=9, seed=0),
            r"shape \(\) for two draws of records; accepted is \(2,\): it takes",
        ),
        (
            lambda: interval_of_mean(np.arange(2), resamples=0, seed=0),
            "resamples is 0; accepted are whole numbers from 1",
        ),
        (lambda: interval_of_mean(np.arange(2), confidence=95, seed=0), "confidence is 95"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_number_that_some_resample_leaves_undefined_has_no_interval_and_no_warning() -> None:
    rare = np.arange(40) == 0  # (record,): a third of all resamples miss the only one

    def within(drawn: np.ndarray) -> np.ndarray:
        number = rare[drawn].sum(axis=-1)
        return np.where(number > 0, 1.0, np.nan)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, low, high = intervals.resampled_records(within, records=40, seed=0)
    assert value == 1 and np.isnan(low) and np.isnan(high)
