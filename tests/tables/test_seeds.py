"""Several seeds: both sources of chance are told apart, and the records are those of one set."""

import numpy as np
import pytest
from scipy import stats
from tiny import EPSILONS, open_tiny

from dnalib import tables
from dnalib.intervals import (
    bootstrap_interval,
    crossed_seeds,
    reach_of_student,
    resampled_records,
)
from dnalib.metrics import class_averaged
from dnalib.tables import knowledge, seeds
from dnalib.tables.answers import answers_of

CONDITION = {"attack": "sap", "padding": "strip", "epsilon": max(EPSILONS)}


def test_one_seed_has_the_interval_of_its_records():
    values = np.random.default_rng(0).random(400)
    spread = crossed_seeds(values[None], seed=0)
    low, high = bootstrap_interval(values, seed=0)
    assert spread.mean == pytest.approx(values.mean())
    assert (spread.low, spread.high) == pytest.approx((low, high), abs=0.004)
    assert np.isnan(spread.over_seeds)
    assert spread.over_records == pytest.approx(values.std() / np.sqrt(400), rel=0.1)


def test_seeds_that_agree_leave_the_draw_of_records():
    values = np.random.default_rng(1).random(300)
    one = crossed_seeds(values[None], seed=0)
    five = crossed_seeds(np.tile(values, (5, 1)), seed=0)
    assert five.over_seeds == pytest.approx(0, abs=1e-12)
    # Five trainings do not make five test sets.
    assert five.high - five.low == pytest.approx(one.high - one.low, rel=0.1)


def test_seeds_that_differ_have_the_interval_of_student() -> None:
    levels = np.array([0.2, 0.4, 0.6, 0.8])
    values = np.tile(levels[:, None], (1, 200))  # every record alike
    spread = crossed_seeds(values, seed=0)
    assert spread.mean == pytest.approx(0.5)
    assert spread.over_seeds == pytest.approx(levels.std(ddof=1))
    assert spread.over_records == pytest.approx(0, abs=1e-12)
    expected = stats.ttest_1samp(levels, 0).confidence_interval(0.95)
    assert (spread.low, spread.high) == pytest.approx(tuple(expected))
    cut = crossed_seeds(values, bounds=(0.1, 0.9), seed=0)
    assert (cut.low, cut.high) == (0.1, 0.9)


def test_both_sources_have_the_degrees_of_freedom_of_welch() -> None:
    levels = np.array([0.2, 0.3, 0.7])
    many = np.random.default_rng(5).normal(0, 1, size=200_000)
    expected = stats.ttest_ind(levels, 100 * many, equal_var=False).confidence_interval(0.9)
    reach = reach_of_student(levels.std(ddof=1), 100 * stats.sem(many), seeds=3, confidence=0.9)
    assert reach == pytest.approx((expected.high - expected.low) / 2, rel=1e-4)


def test_the_interval_of_three_seeds_covers_both_sources() -> None:
    generator = np.random.default_rng(2)
    hits = 0
    for trial in range(200):
        truth = 0.6
        records = generator.normal(0, 0.2, size=100)
        training = generator.normal(0, 0.05, size=3)
        values = truth + training[:, None] + records + generator.normal(0, 0.1, size=(3, 100))
        spread = crossed_seeds(values, resamples=200, seed=trial)
        hits += spread.low <= truth <= spread.high
    # Drawing seeds with repetition instead of asking Student reaches 0.86 here.
    assert hits / 200 > 0.91


def test_classes_are_averaged_as_elsewhere():
    generator = np.random.default_rng(4)
    classes = np.repeat([0, 2, 3], [300, 80, 20])
    hits = generator.random(400) < np.repeat([0.9, 0.5, 0.9], [300, 80, 20])
    spread = crossed_seeds(hits[None], classes=classes, seed=0)
    value, low, high = resampled_records(
        lambda drawn: class_averaged(hits[drawn].astype(float), classes[drawn]),
        records=400,
        seed=0,
    )
    assert spread.mean == pytest.approx(float(value))
    assert (spread.low, spread.high) == pytest.approx((float(low), float(high)), abs=0.015)
    # A weight on each record instead would count how many of a class were drawn as well.
    weights = 400 / (3 * np.bincount(classes)[classes])
    weighted = crossed_seeds((hits * weights)[None], seed=0)
    assert weighted.high - weighted.low > 1.1 * (spread.high - spread.low)
    with pytest.raises(ValueError, match="classes has shape"):
        crossed_seeds(hits[None], classes=classes[1:], seed=0)


def test_each_seed_counts_alike_though_its_records_differ_in_number():
    values = np.full((2, 10), np.nan)
    values[0, :2] = 1.0
    values[1, :8] = 0.0
    spread = crossed_seeds(values, seed=0)
    assert spread.mean == 0.5
    with pytest.raises(ValueError, match="each seed needs at least one record"):
        crossed_seeds(np.full((2, 4), np.nan), seed=0)
    with pytest.raises(ValueError, match="values"):
        crossed_seeds(np.zeros(4), seed=0)


def test_attacked_records_are_found_in_the_test_set(tiny_run):
    attacked = seeds.values_under_attack(tiny_run, measure="at least 1", **CONDITION)
    natural = seeds.values_on_natural(tiny_run, measure="average")
    assert list(attacked) == list(natural)
    for ensemble, values in attacked.items():
        assert values.shape == natural[ensemble].shape
        # The base model gets right what is attacked, and is a member of every ensemble.
        assert (natural[ensemble][np.isfinite(values)] > 0).all()
        assert 0 < np.isfinite(values).sum() < len(values)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The tiny run with another seed, and less training: another network."""
    folder = tmp_path_factory.mktemp("other")
    return open_tiny(folder, seed=1, epsilons=(50.0,), adaptive_epsilons=(50.0,), epochs=1)


@pytest.mark.slow
def test_the_table_has_both_deviations(tiny_run, other):
    table = seeds.spread_table([tiny_run, other], **CONDITION)
    assert list(table.columns) == ["mean", "95 % interval", "SD over seeds", "SD over records"]
    row = table.loc["natural", "average", "cor"]
    means = [
        seeds.values_on_natural(run, measure="average")["cor"].mean() for run in (tiny_run, other)
    ]
    assert float(row["mean"]) == pytest.approx(100 * np.mean(means), abs=0.051)
    assert float(row["SD over seeds"]) == pytest.approx(100 * np.std(means, ddof=1), abs=0.051)
    alone = seeds.spread_table([tiny_run], **CONDITION)
    assert set(alone["SD over seeds"]) == {"–"}
    assert len(alone) == len(table) == 2 * 3 * 8
    told = table.loc["SAP, ε = 50 µV", "mean softmax", "fdec"]
    shares = []
    for run in (tiny_run, other):
        answers = answers_of(*tables.attacked(run, **CONDITION))
        shares.append((answers.predicted("mean softmax")["fdec"] == answers.labels).mean())
    assert float(told["mean"]) == pytest.approx(100 * np.mean(shares), abs=0.051)


def test_shared_features_are_shown_of_each_seed(tiny_run, other):
    table = seeds.r_squared_table([tiny_run, other])
    assert len(table) == 4 * 6
    row = table.loc["dec", "dec1 → base"]
    each = [tables.r_squared(run, "dec")[1, 0] for run in (tiny_run, other)]
    assert row["each seed"] == ", ".join(f"{value:.3f}" for value in each)
    assert float(row["mean R²"]) == pytest.approx(np.mean(each), abs=6e-4)
    assert float(row["SD over seeds"]) == pytest.approx(np.std(each, ddof=1), abs=6e-4)
    assert set(seeds.r_squared_table([tiny_run])["SD over seeds"]) == {"–"}


def test_the_gain_is_found_record_by_record(tiny_run, other):
    values = [
        seeds.values_under_attack(run, measure="average", **CONDITION) for run in (tiny_run, other)
    ]
    gain = seeds.gain_of(values)
    each = [np.nanmean(one["fdec"] - one["cor"]) for one in values]
    assert gain.mean == pytest.approx(np.mean(each))
    assert gain.over_seeds == pytest.approx(np.std(each, ddof=1))
    table = seeds.spread_table([tiny_run, other], **CONDITION)
    row = table.loc["SAP, ε = 50 µV", "average", "fdec − cor"]
    assert row["mean"] == tables.percent(gain.mean)
    joined = np.mean([np.nanmean(one["fdec"] - one["fcor"]) for one in values])
    row = table.loc["SAP, ε = 50 µV", "average", "fdec − fcor"]
    assert row["mean"] == tables.percent(joined)
    # Records that are easy or hard for both ensembles cancel.
    apart = [seeds.spread([one[name] for one in values], bounds=(0, 1)) for name in ("fdec", "cor")]
    assert gain.over_records < np.hypot(*(spread.over_records for spread in apart))


def test_the_headline_of_several_seeds_has_each_of_them(tiny_run, other):
    alone = seeds.headline([tiny_run])
    assert alone.equals(tables.headline(tiny_run))
    both = seeds.headline([tiny_run, other])
    for ensemble in both.index:
        shares = [tables.headline(run).loc[ensemble, "ours"] for run in (tiny_run, other)]
        assert both.loc[ensemble, "each seed"] == ", ".join(shares)
        assert float(both.loc[ensemble, "ours"]) == pytest.approx(
            np.mean([float(share) for share in shares]), abs=0.1
        )
        low, high = map(float, both.loc[ensemble, "95 % interval"].split("–"))
        assert low <= min(map(float, shares)) and max(map(float, shares)) <= high
    assert both.loc["cor", "records"].split(", ")[0] == str(alone.loc["cor", "records"])


@pytest.mark.slow
def test_what_the_attacker_knows_is_spread_over_seeds(tiny_run, other):
    table = seeds.knowledge_spread_table([tiny_run, other], epsilon=50.0)
    known = list(dict.fromkeys(table.index.get_level_values("attacker knows")))
    assert known == [*knowledge.KNOWLEDGE, knowledge.ALL]
    alone = seeds.knowledge_spread_table([tiny_run], epsilon=50.0)
    expected = knowledge.knowledge_table(tiny_run)
    for (name, ensemble), row in alone.iterrows():
        if " − " in ensemble:
            continue
        chosen = tables.selected(
            expected, epsilon=50.0, knowledge=name, ensemble=ensemble, measure="at least 1"
        )
        assert row["mean"] == tables.percent(chosen.value.item())
    # Who has every attack leaves no more than who has some of them.
    for ensemble in ("cor", "fdec"):
        left = [float(table.loc[name, ensemble]["mean"]) for name in known]
        assert left[-1] == min(left)
