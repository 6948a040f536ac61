"""Intervals against the binomial distribution and known values; McNemar's test against scipy's."""

import warnings

import numpy as np
import pytest
from scipy import stats

from dnalib import intervals, metrics
from dnalib.intervals import (
    bootstrap_interval,
    crossed_seeds,
    reach_of_both,
    resampled_records,
)
from dnalib.metrics import class_averaged


def test_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(0)
    samples = random.random((300, 400)) < 0.3
    covered = 0
    for seed, sample in enumerate(samples):
        low, high = intervals.bootstrap_interval(sample, resamples=500, seed=seed)
        covered += low <= 0.3 <= high
    assert 0.91 <= covered / 300 <= 0.98  # 95 % nominal; the standard error is 1.3 points


def test_interval_agrees_with_the_binomial_distribution():
    values = np.arange(1000) < 250
    low, high = intervals.bootstrap_interval(values, resamples=5000, seed=4)
    expected = stats.binom(1000, 0.25).ppf([0.025, 0.975]) / 1000
    assert [low, high] == pytest.approx(expected, abs=0.003)
    narrow = intervals.bootstrap_interval(values, confidence=0.5, seed=4)
    assert low < narrow[0] < 0.25 < narrow[1] < high


@pytest.mark.parametrize("values", [np.ones(20), np.zeros(1), np.full(7, 0.1)])
def test_equal_values_give_a_point_without_a_warning(values):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert intervals.bootstrap_interval(values, seed=0) == (values[0], values[0])


@pytest.mark.parametrize("statistic", [np.sum, np.mean, np.std, np.size])
def test_equal_values_give_any_statistic_what_it_is_of_them_all(statistic):
    def applied(drawn, axis):
        return np.apply_along_axis(statistic, axis, drawn)

    assert (
        intervals.resampled_interval(np.ones(10), applied, seed=0) == (statistic(np.ones(10)),) * 2
    )
    with pytest.raises(ValueError, match="confidence is 2"):
        intervals.resampled_interval(np.ones(10), applied, confidence=2, seed=0)
    with pytest.raises(ValueError, match="confidence is 2"):
        intervals.bootstrap_interval(np.ones(10), confidence=2, seed=0)


def test_interval_depends_on_the_seed_alone():
    values = np.random.default_rng(0).standard_normal(50)
    first = intervals.bootstrap_interval(values, seed=1)
    assert intervals.bootstrap_interval(values, seed=1) == first
    assert intervals.bootstrap_interval(values, seed=2) != first


def test_a_paired_difference_uses_the_same_records():
    random = np.random.default_rng(0)
    first = random.random(500) < 0.5
    second = first.copy()
    second[:10] = ~first[:10]
    difference, low, high = intervals.paired_difference(first, second, seed=3)
    assert difference == pytest.approx(first.mean() - second.mean())
    assert low <= difference <= high
    assert high - low < 0.03  # unpaired it would be about 0.12
    shifted = intervals.paired_difference(first + 0.25, first, seed=3)
    assert shifted == pytest.approx((0.25, 0.25, 0.25))


def test_a_paired_interval_is_narrower_where_records_are_hard_for_both():
    random = np.random.default_rng(0)
    difficulty = random.random(400)
    first = difficulty < 0.6 + 0.05 * random.standard_normal(400)
    second = difficulty < 0.5 + 0.05 * random.standard_normal(400)
    _, low, high = intervals.paired_difference(first, second, seed=0)
    ends = [intervals.bootstrap_interval(one, seed=0) for one in (first, second)]
    unpaired = np.hypot(*(b - a for a, b in ends))  # width, if the two were drawn apart
    assert high - low < 0.7 * unpaired and low > 0


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


def test_resampling_records_draws_those_of_the_other_intervals():
    random = np.random.default_rng(0)
    first, second = random.random((2, 80)) < 0.6
    expected = intervals.paired_difference(first, second, seed=4)
    found = intervals.resampled_records(
        lambda drawn: first[drawn].mean(axis=-1) - second[drawn].mean(axis=-1), records=80, seed=4
    )
    assert found == pytest.approx(expected)


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
        (lambda: intervals.bootstrap_interval([], seed=0), "at least one record"),
        (lambda: intervals.bootstrap_interval([0, 1], confidence=95, seed=0), "confidence is 95"),
        (
            lambda: intervals.bootstrap_interval([0, np.nan, 1], seed=0),
            "values: 1 values are NaN; accepted are numbers",
        ),
        (
            lambda: intervals.crossed_seeds([[0, np.inf], [np.nan, 1]]),
            "values: 1 are infinite; accepted are finite ones, and NaN",
        ),
        (
            lambda: intervals.crossed_seeds(np.ones((2, 5)), confidence=0),
            "confidence is 0",
        ),
        (lambda: intervals.paired_difference(np.zeros(5), np.zeros(6), seed=0), r"\(5,\).*\(6,\)"),
        (
            lambda: intervals.resampled_records(lambda drawn: drawn, records=0, seed=0),
            "records is 0; accepted are whole numbers from 1",
        ),
        (
            lambda: intervals.resampled_records(lambda drawn: drawn.mean(), records=9, seed=0),
            r"shape \(\) for two draws of records; accepted is \(2,\): it takes",
        ),
        (
            lambda: intervals.bootstrap_interval([0, 1], resamples=0, seed=0),
            "resamples is 0; accepted are whole numbers from 1",
        ),
        (lambda: intervals.bootstrap_interval([0, np.inf], seed=0), "1 values are infinite"),
        (
            lambda: intervals.crossed_seeds([[79, 80], [81, 82]], bounds=intervals.SHARE),
            "bounds are 0 to 1 and the mean is 80.5; accepted",
        ),
        (
            lambda: intervals.crossed_seeds([[0.5, 0.5]], bounds=(1, 0)),
            "bounds are 1 to 0 and the mean is 0.5",
        ),
        (lambda: intervals.mcnemar([True], [True, False]), r"\(1,\).*\(2,\)"),
        (lambda: intervals.mcnemar([1, 0], [True, False]), "first has dtype int64; it must be"),
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


def test_one_seed_has_the_interval_of_its_records():
    values = np.random.default_rng(0).random(400)
    spread = crossed_seeds(values[None])
    low, high = bootstrap_interval(values, seed=0)
    assert spread.mean == pytest.approx(values.mean())
    assert (spread.low, spread.high) == pytest.approx((low, high), abs=0.004)
    assert np.isnan(spread.over_seeds)
    assert spread.over_records == pytest.approx(values.std() / np.sqrt(400))


def test_the_deviation_over_records_is_that_of_drawing_them_again():
    generator = np.random.default_rng(6)
    classes = np.repeat([0, 2, 3], [200, 80, 40])
    values = generator.random((3, 320)) + classes  # (seed, record)
    values[generator.random((3, 320)) < 0.3] = np.nan  # each seed has its own records
    for of in (None, classes):
        drawn = generator.integers(320, size=(3000, 320))  # (resample, record)
        groups = [np.full(320, True)] if of is None else [classes == one for one in (0, 2, 3)]
        with np.errstate(invalid="ignore"):
            resampled = [
                np.mean([[np.nanmean(values[s, d[g[d]]]) for g in groups] for s in range(3)])
                for d in drawn
            ]
        found = crossed_seeds(values, classes=of)
        assert found.over_records == pytest.approx(np.std(resampled), rel=0.06)
        assert found.mean == pytest.approx(np.mean(resampled), abs=0.01)


def test_seeds_that_agree_leave_the_draw_of_records():
    values = np.random.default_rng(1).random(300)
    one = crossed_seeds(values[None])
    five = crossed_seeds(np.tile(values, (5, 1)))
    assert five.over_seeds == pytest.approx(0, abs=1e-12)
    # Five trainings do not make five test sets.
    assert five.high - five.low == pytest.approx(one.high - one.low)


def test_seeds_that_differ_have_the_interval_of_student() -> None:
    levels = np.array([0.2, 0.4, 0.6, 0.8])
    values = np.tile(levels[:, None], (1, 200))  # every record alike
    spread = crossed_seeds(values)
    assert spread.mean == pytest.approx(0.5)
    assert spread.over_seeds == pytest.approx(levels.std(ddof=1))
    assert spread.over_records == pytest.approx(0, abs=1e-12)
    expected = stats.ttest_1samp(levels, 0).confidence_interval(0.95)
    assert (spread.low, spread.high) == pytest.approx(tuple(expected))
    cut = crossed_seeds(values, bounds=(0.1, 0.9))
    assert (cut.low, cut.high) == (0.1, 0.9)
    random = np.random.default_rng(0).random((1, 200))  # one seed has the interval of its records
    free = crossed_seeds(random)
    ends = (free.low + 0.01, free.high - 0.01)
    one = crossed_seeds(random, bounds=ends)
    assert (one.low, one.high) == ends


@pytest.mark.parametrize("seeds", [2, 3, 4, 9])
@pytest.mark.parametrize("over_records", [0.0, 0.01, 0.1, 1.0])
def test_no_source_of_chance_makes_the_interval_narrower(seeds: int, over_records: float) -> None:
    both = reach_of_both(0.1, over_records, seeds=seeds, confidence=0.95)
    of_seeds = stats.t.ppf(0.975, seeds - 1) * 0.1 / np.sqrt(seeds)
    of_records = stats.norm.ppf(0.975) * over_records
    assert both >= max(of_seeds, of_records)
    assert both == pytest.approx(np.sqrt(of_seeds**2 + of_records**2))
    assert reach_of_both(np.nan, over_records, seeds=1, confidence=0.95) == of_records


@pytest.mark.parametrize("seeds", [2, 3, 4])
@pytest.mark.parametrize("of_training", [0.02, 0.05, 0.2])
def test_the_interval_of_few_seeds_covers_both_sources(seeds: int, of_training: float) -> None:
    generator = np.random.default_rng(2)
    hits = 0
    for _ in range(500):
        truth = 0.6
        records = generator.normal(0, 0.4, size=100)
        training = generator.normal(0, of_training, size=(seeds, 1))
        values = truth + training + records + generator.normal(0, 0.1, size=(seeds, 100))
        spread = crossed_seeds(values)
        hits += spread.low <= truth <= spread.high
    # Degrees of freedom that grow with the records' share reach 0.87 for two seeds.
    assert hits / 500 > 0.925


def test_classes_are_averaged_as_elsewhere():
    generator = np.random.default_rng(4)
    classes = np.repeat([0, 2, 3], [300, 80, 20])
    hits = generator.random(400) < np.repeat([0.9, 0.5, 0.9], [300, 80, 20])
    spread = crossed_seeds(hits[None], classes=classes)
    value, low, high = resampled_records(
        lambda drawn: class_averaged(hits[drawn].astype(float), classes[drawn]),
        records=400,
        seed=0,
    )
    assert spread.mean == pytest.approx(float(value))
    assert (spread.low, spread.high) == pytest.approx((float(low), float(high)), abs=0.015)
    # A weight on each record instead would count how many of a class were drawn as well.
    weights = 400 / (3 * np.bincount(classes)[classes])
    weighted = crossed_seeds((hits * weights)[None])
    assert weighted.high - weighted.low > 1.1 * (spread.high - spread.low)
    with pytest.raises(ValueError, match="classes has shape"):
        crossed_seeds(hits[None], classes=classes[1:])


def test_a_seed_without_a_class_averages_over_those_it_has():
    classes = np.array([0, 0, 1, 1])
    values = np.array([[1.0, 0.0, np.nan, np.nan], [1.0, 0.0, 1.0, 1.0]])
    spread = crossed_seeds(values, classes=classes)
    assert spread.mean == pytest.approx((0.5 + 0.75) / 2)
    assert spread.over_records == pytest.approx(np.sqrt(2) * (0.25 + 0.125) / 2)


def test_each_seed_counts_alike_though_its_records_differ_in_number():
    values = np.full((2, 10), np.nan)
    values[0, :2] = 1.0
    values[1, :8] = 0.0
    spread = crossed_seeds(values)
    assert spread.mean == 0.5
    with pytest.raises(ValueError, match="each seed needs at least one record"):
        crossed_seeds(np.full((2, 4), np.nan))
    with pytest.raises(ValueError, match="values"):
        crossed_seeds(np.zeros(4))
