"""Intervals over seeds and records against drawing both again, and Student's distribution."""

import numpy as np
import pytest
from scipy import stats

from dnalib import intervals
from dnalib.intervals import (
    crossed_differences,
    crossed_seeds,
    crossed_shares,
    paired_difference,
    resampled_records,
    share_interval,
)
from dnalib.intervals.crossed import reach_of_both
from dnalib.metrics import class_averaged


@pytest.mark.parametrize("classes", [None, np.arange(300) % 3])
def test_one_seed_has_the_intervals_of_shares(classes):
    random = np.random.default_rng(0)
    first, second = (random.random((2, 300)) < [[0.1], [0.05]]).astype(float)
    first[:40] = second[20:60] = np.nan  # each has its own records
    spread = crossed_shares(first[None], classes=classes)
    own = None if classes is None else classes[40:]
    expected = share_interval(first[40:], classes=own)
    assert (spread.mean, spread.low, spread.high) == pytest.approx(expected)
    both = crossed_differences(first[None], second[None], classes=classes)
    own = None if classes is None else classes[60:]
    expected = paired_difference(first[60:], second[60:], classes=own)
    assert (both.mean, both.low, both.high) == pytest.approx(expected)
    none = crossed_shares(np.zeros((1, 200)))
    assert (none.low, none.high) == share_interval(np.zeros(200))[1:] and none.high > 0.01
    floor = crossed_shares(first[None], classes=classes, least=spread.mean - 0.001)
    assert (floor.low, floor.high) == (spread.mean - 0.001, spread.high)


def test_shares_of_several_seeds_are_those_of_any_numbers_within_their_bounds():
    values = (np.random.default_rng(5).random((3, 60)) < 0.97).astype(float)
    assert crossed_shares(values) == crossed_seeds(values, bounds=(0.0, 1.0))
    assert crossed_shares(values, least=0.95) == crossed_seeds(values, bounds=(0.95, 1.0))


def test_differences_of_several_seeds_are_those_record_by_record():
    random = np.random.default_rng(3)
    first, second = (random.random((2, 4, 100)) < 0.5).astype(float)
    found = crossed_differences(first, second)
    assert found == crossed_seeds(first - second, bounds=(-1.0, 1.0))
    with pytest.raises(ValueError, match="second"):
        crossed_differences(first, second[:3])


def test_one_seed_of_other_numbers_has_that_of_its_deviation():
    values = np.random.default_rng(0).random(400)
    spread = crossed_seeds(values[None])
    _, low, high = share_interval(values)
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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: intervals.crossed_seeds([[0, np.inf], [np.nan, 1]]),
            "values: 1 are infinite; accepted are finite ones, and NaN",
        ),
        (
            lambda: intervals.crossed_seeds(np.ones((2, 5)), confidence=0),
            "confidence is 0",
        ),
        (
            lambda: intervals.crossed_shares([[79, 80], [81, 82]]),
            "bounds are 0 to 1 and the mean is 80.5; accepted",
        ),
        (
            lambda: intervals.crossed_seeds([[0.5, 0.5]], bounds=(1, 0)),
            "bounds are 1 to 0 and the mean is 0.5",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
