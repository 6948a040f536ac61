"""Several seeds: both sources of chance are told apart, and the records are those of one set."""

import numpy as np
import pytest
from tiny import EPSILONS, open_tiny

from dnalib import metrics, tables
from dnalib.intervals import crossed_shares
from dnalib.tables import adaptive, knowledge, seeds
from dnalib.tables.answers import answers_of

CONDITION = {"attack": "sap", "padding": "strip", "epsilon": max(EPSILONS)}


def test_attacked_records_are_found_in_the_test_set(tiny_run):
    attacked = seeds.values_under_attack(tiny_run, measure="P(≥1)", **CONDITION)
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
    natural = seeds.natural_spread_table([tiny_run, other])
    assert list(natural.columns) == ["mean", "95 % interval", "SD over seeds", "SD over records"]
    row = natural.loc["average", "cor"]
    means = [
        seeds.values_on_natural(run, measure="average")["cor"].mean() for run in (tiny_run, other)
    ]
    assert float(row["mean"]) == pytest.approx(100 * np.mean(means), abs=0.051)
    assert float(row["SD over seeds"]) == pytest.approx(100 * np.std(means, ddof=1), abs=0.051)
    alone = seeds.spread_table([tiny_run], **CONDITION)
    assert set(alone["SD over seeds"]) == {"–"}
    table = seeds.spread_table([tiny_run, other], **CONDITION)
    assert len(alone) == len(table) == len(natural) == 3 * (5 + 5)
    told = table.loc["mean softmax", "fdec"]
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
    row = table.loc["average", "fdec − cor"]
    assert row["mean"] == tables.percent(gain.mean)
    joined = np.mean([np.nanmean(one["fdec"] - one["fcor"]) for one in values])
    row = table.loc["average", "fdec − fcor"]
    assert row["mean"] == tables.percent(joined)


def test_records_that_are_hard_for_both_ensembles_cancel():
    hard = np.random.default_rng(0).random(200)  # (record,)
    values = [
        {"fdec": (hard < 0.6 + shift).astype(float), "cor": (hard < 0.5).astype(float)}
        for shift in (0.0, 0.05)
    ]
    gain = seeds.gain_of(values)
    apart = [crossed_shares(np.stack([one[name] for one in values])) for name in ("fdec", "cor")]
    assert 0 < gain.over_records < np.hypot(*(spread.over_records for spread in apart))


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
    table = seeds.knowledge_over_seeds([tiny_run, other])
    known = list(table.columns)
    assert known == [*knowledge.KNOWLEDGE, knowledge.ALL]
    expected = [knowledge.knowledge_table(run) for run in (tiny_run, other)]
    for name in known:
        row = table.loc["50 µV"][name]
        values = {}
        for ensemble in ("cor", "dec", "fcor", "fdec", metrics.CONTROL):
            chosen = {
                "epsilon": 50.0,
                "knowledge": name,
                "ensemble": ensemble,
                "measure": "P(≥1)",
            }
            each = [tables.selected(one, **chosen).value.item() for one in expected]
            values[ensemble] = np.mean(each)
            assert row[ensemble].split()[0] == tables.percent(values[ensemble])
        for ensemble in ("cor", "dec", "fcor"):
            gain = float(row[f"fdec − {ensemble}"].split()[0].replace("−", "-"))
            assert gain == pytest.approx(100 * (values["fdec"] - values[ensemble]), abs=0.051)
    # Who has every attack leaves no more than who has some of them.
    for ensemble in ("cor", "fdec"):
        left = [float(table.loc["50 µV", ensemble][name].split()[0]) for name in known]
        assert left[-1] == min(left)


@pytest.mark.slow
def test_what_sap_aims_at_is_spread_over_seeds(tiny_run, other):
    table = seeds.smooth_over_seeds([tiny_run, other])
    aims = list(table.columns)
    assert aims == ["SAP, base model", "SAP, each member", "SAP, every aim", "SAP, more steps"]
    shown = [adaptive.smooth(run) for run in (tiny_run, other)]
    for aim in aims:
        for ensemble in ("cor", "fdec", metrics.CONTROL):
            each = [float(one.loc[("50 µV", ensemble), aim].split()[0]) for one in shown]
            mean = float(table.loc["50 µV", ensemble][aim].split()[0])
            assert mean == pytest.approx(np.mean(each), abs=0.11)
