"""Sweeps on a tiny run: each variant is another training, and what it does not touch is found."""

from itertools import product

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny import open_tiny

from dnalib import metrics, stages, tables
from dnalib.intervals import crossed_seeds
from dnalib.metrics import CONTROL
from dnalib.runs import ParameterError, load_profile
from dnalib.runs.settings import accept
from dnalib.stages.ensembles import FURTHER, earlier_models, filter_index, members_of
from dnalib.stages.members import training_number
from dnalib.stages.sweeps import (
    SIZES,
    further_members,
    sizes_name,
    sweep_name,
    variant_stages,
    variants_of,
)
from dnalib.tables import replies, sweep_differences, sweeps

pytestmark = pytest.mark.slow

SEEDS_OF_TWO = [{"bands": 2, "seed": seed} for seed in (0, 1)]
CHANGES = {
    "swept_bands": (2, 10),
    "sweep_seeds": 2,
    "most_members": 4,
    "epochs": 1,
    "epsilons": (50.0,),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with the sweep of bands and the members of larger ensembles, two seeds each."""
    made = open_tiny(tmp_path_factory.mktemp("sweeps"), **CHANGES)
    for changes in variants_of(made.settings, "bands"):
        made.obtain(sweep_name(changes))
    for seed in (0, 1):
        made.obtain(sizes_name(made.settings, seed))
    return made


def names_in(run):
    return [path.name.rpartition("-")[0] for path in run.folder.glob("*.safetensors")]


def test_further_members_go_on_as_the_first_two_do():
    assert members_of("fdec", 5) == ("base", "fdec1", "fdec2", "fdec3", "fdec4")
    assert earlier_models("fdec3") == ("base", "fdec1", "fdec2")
    assert earlier_models("dec1") == ("base",) and earlier_models("base") == ()
    assert earlier_models("cor4") == earlier_models("fcor3") == ()
    assert [filter_index(f"fcor{number}") for number in (1, 2, 3, 4)] == [0, 1, 0, 1]
    assert filter_index("dec3") is None
    numbers = [training_number(name) for name in (*stages.MEMBERS, *FURTHER)]
    assert numbers == [*range(9), *range(200, 208)]
    assert set(further_members(load_profile("small"))) == set(FURTHER)


@pytest.mark.parametrize("value", [2, 6, 3.5, "many", True])
def test_ensembles_of_other_sizes_are_refused(value):
    accepted = "most_members is .*; accepted is a whole number from 3 to 5"
    with pytest.raises(ParameterError, match=accepted):
        accept("most_members", value)


def test_values_are_whole_numbers_where_the_parameter_is():
    assert accept("swept_bands", [10, 2.0, 10]) == (10, 2)
    assert accept("swept_weights", 0.5) == (0.5,)
    assert accept("swept_weights", [0, 1]) == (0.0, 1.0)
    with pytest.raises(
        ParameterError, match="swept_bands is .*; accepted are whole numbers from 2"
    ):
        accept("swept_bands", [2.5])


def test_every_value_has_every_seed(run):
    assert variants_of(run.settings, "bands") == [
        {"bands": bands, "seed": seed} for bands in (2, 10) for seed in (0, 1)
    ]


def test_what_a_value_does_not_touch_is_trained_once(run):
    names = names_in(run)
    counts = {name: names.count(name) for name in ("base", "cor1", "dec2", "fcor1", "fdec2")}
    assert counts == {"base": 2, "cor1": 2, "dec2": 2, "fcor1": 4, "fdec2": 4}


def test_the_answers_are_those_of_the_variants(run):
    stored = {
        bands: load_file(run.obtain(sweep_name({"bands": bands, "seed": 1})).path)
        for bands in (2, 10)
    }
    variant = run.variant({"bands": 2, "seed": 1})
    expected = load_file(variant.obtain("natural-fdec2").path)["logits"]
    place = stages.MEMBERS.index("fdec2")
    np.testing.assert_array_equal(stored[2]["natural"][place], expected)
    attacked = load_file(variant.obtain("attacked-strip-50").path)
    for attack in stages.ATTACKS:
        np.testing.assert_array_equal(stored[2][attack], attacked[attack])
    np.testing.assert_array_equal(stored[2]["positions"], attacked["positions"])
    assert not np.array_equal(stored[2]["natural"][place], stored[10]["natural"][place])
    cor = stages.MEMBERS.index("cor1")
    np.testing.assert_array_equal(stored[2]["natural"][cor], stored[10]["natural"][cor])


def test_one_value_more_leaves_the_others_as_they_are(run):
    more = run.variant({"swept_bands": (2, 4, 10)})
    kept = [run.identity(sweep_name(one)) for one in variants_of(run.settings, "bands")]
    names = [sweep_name(one) for one in variants_of(more.settings, "bands")]
    assert set(kept) < {more.identity(name) for name in names} and len(names) == 6
    # Neither does the run's own value of what is swept matter, nor its seed.
    other = run.variant({"bands": 4, "seed": 1})
    assert other.identity("sweep-bands-2-seed-1") == run.identity("sweep-bands-2-seed-1")


def settings_behind(run, names):
    """Settings on which some stages or what they read hang."""
    waiting, found = list(names), set()
    while waiting:
        stage = run.stages[waiting.pop()]
        found |= set(stage.settings)
        waiting += stage.inputs
    return found


def test_every_setting_that_a_variant_depends_on_tells_it_apart(run):
    changes = {"bands": 2, "seed": 1}
    variant = run.variant(changes)
    found = settings_behind(variant, variant_stages(variant.settings))
    assert found - set(changes) <= set(run.stages[sweep_name(changes)].settings)
    further = settings_behind(run.variant({"seed": 1}), [SIZES])
    assert further - {"seed"} <= set(run.stages[sizes_name(run.settings, 1)].settings)


def test_the_table_has_every_measure_at_every_value(run):
    table = sweeps.sweep_table(run, "bands")
    assert len(table) == 2 * (5 * 5 + 4), "the control's features are none"
    assert list(table.columns) == sweeps.COLUMNS
    variants = [run.variant(changes) for changes in SEEDS_OF_TWO]
    hits = []
    for variant in variants:
        logits, labels = [], load_file(variant.obtain("natural-base").path)["labels"]
        for member in ("base", "fcor1", "fcor2"):
            logits.append(load_file(variant.obtain(f"natural-{member}").path)["logits"])
        hits.append((np.stack(logits).argmax(-1) == labels).mean())
    (row,) = table.query(
        "setting == 2 and ensemble == 'fcor' and measure == 'average accuracy, natural'"
    ).itertuples()
    assert row.value == pytest.approx(np.mean(hits))
    assert row.over_seeds == pytest.approx(np.std(hits, ddof=1))
    assert row.low <= row.value <= row.high
    shared = table[table.measure == sweeps.SHARED]
    assert shared.low.isna().all() and shared.value.notna().all()
    assert list(sweeps.shared(table).index) == list(stages.ENSEMBLES)
    one = tables.selected(table, measure="P(≥1), natural")
    wide = tables.wide(one, columns="setting")
    assert list(wide.index) == [*stages.ENSEMBLES, CONTROL] and list(wide.columns) == [2, 10]


@pytest.mark.parametrize("attack", stages.ATTACKS)
def test_the_control_stands_beside_them_under_each_attack(run, attack):
    table = sweeps.sweep_table(run, "bands", attack=attack)
    (kept,) = table.query(
        "setting == 2 and ensemble == @CONTROL and measure == 'P(≥1), attacked'"
    ).itertuples()
    shares = []
    for changes in SEEDS_OF_TWO:
        stored = load_file(run.obtain(sweep_name(changes)).path)
        labels = stored["labels"][stored["positions"]]
        base = stored[attack][stages.MEMBERS.index("base")].argmax(-1)
        shares.append(((base == labels) | np.isin(labels, [0, 2])).mean())
    assert kept.value == pytest.approx(np.mean(shares))


def test_classes_count_alike_where_they_are_averaged(run):
    table = sweeps.sweep_table(run, "bands")
    (row,) = table.query(
        "setting == 10 and ensemble == 'cor' and measure == 'P(≥1), class-averaged, attacked'"
    ).itertuples()
    shares = []
    for seed in (0, 1):
        stored = load_file(run.obtain(sweep_name({"bands": 10, "seed": seed})).path)
        labels = stored["labels"][stored["positions"]].astype(int)
        chosen = [stages.MEMBERS.index(name) for name in stages.ENSEMBLES["cor"]]
        right = (stored["sap"][chosen].argmax(-1) == labels).any(axis=0)
        shares.append(metrics.class_averaged(right, labels))
    assert row.value == pytest.approx(np.mean(shares))


def test_larger_ensembles_begin_with_the_smaller_ones(run):
    table = sweeps.sweep_table(run, "most_members")
    assert sorted(table.setting.unique()) == [2, 3, 4]
    one = table[table.measure == "P(≥1), natural"].pivot(
        index="setting", columns="ensemble", values="value"
    )
    assert (one.diff().dropna() >= 0).all().all(), "a further member takes no right answer away"
    stored = load_file(run.obtain(SIZES).path)
    models = run.obtain(SIZES).results["models"]
    assert len(models) == 9 + 4 and stored["natural"].shape[0] == len(models)
    expected = load_file(run.obtain("natural-dec2").path)["logits"]
    np.testing.assert_allclose(stored["natural"][models.index("dec2")], expected, atol=2e-2)


def test_sizes_are_measured_over_the_seeds(run):
    assert [sizes_name(run.settings, seed) for seed in (0, 1)] == [SIZES, f"{SIZES}-seed-1"]
    hits = []
    for seed in (0, 1):
        artefact = run.obtain(sizes_name(run.settings, seed))
        own = run.variant({"seed": seed, "sweep_seeds": 1}).obtain(SIZES)
        assert artefact.path.read_bytes() == own.path.read_bytes()
        assert artefact.results == own.results
        stored, models = load_file(artefact.path), artefact.results["models"]
        chosen = [models.index(name) for name in members_of("fdec", 4)]
        hits.append((stored["natural"][chosen].argmax(-1) == stored["labels"]).mean())
    (row,) = (
        sweeps.sweep_table(run, "most_members")
        .query("setting == 4 and ensemble == 'fdec' and measure == 'average accuracy, natural'")
        .itertuples()
    )
    assert row.value == pytest.approx(np.mean(hits))
    assert row.over_seeds == pytest.approx(np.std(hits, ddof=1))


def value_at(table, setting, ensemble, measure):
    rows = tables.selected(table, setting=setting, ensemble=ensemble, measure=measure)
    return rows.value.item()


def test_changes_are_differences_of_the_values_where_the_parameter_is_trained_in(run):
    changes = sweep_differences.changes_table(run, "bands")
    assert set(changes.ensemble) == {"fcor", "fdec"}, "cor and dec have no filters"
    assert set(zip(changes.setting, changes.against, strict=True)) == {(2, 10)}
    by_attack = {name: sweeps.sweep_table(run, "bands", attack=name) for name in stages.ATTACKS}
    for row in changes.itertuples():
        attack, shown = sweep_differences.CHANGED[row.measure]
        two, ten = (value_at(by_attack[attack], n, row.ensemble, shown) for n in (2, 10))
        assert row.value == pytest.approx(two - ten)
        assert row.low <= row.value <= row.high
    shown = sweep_differences.wide_changes(changes)
    assert list(shown.columns) == ["2 − 10"]
    assert list(shown.index) == list(product(sweep_differences.CHANGED, ["fcor", "fdec"]))


def test_changes_are_paired_by_seed_and_record(run):
    """The interval is that of the differences, not of two ensembles beside each other."""
    changes = sweep_differences.changes_table(run, "bands")
    chosen = [stages.MEMBERS.index(name) for name in stages.ENSEMBLES["fdec"]]
    differences = []
    for seed in (0, 1):
        right = []
        for bands in (2, 10):
            stored = load_file(run.obtain(sweep_name({"bands": bands, "seed": seed})).path)
            hits = stored["natural"][chosen].argmax(-1) == stored["labels"]
            right.append(hits.mean(axis=0))
        differences.append(right[0] - right[1])
    expected = crossed_seeds(np.stack(differences))
    (found,) = tables.selected(changes, ensemble="fdec", measure="average accuracy").itertuples()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_ensembles_are_compared_with_the_control_by_seed_and_record(run):
    found = sweep_differences.control_table(run, "bands")
    assert list(dict.fromkeys(found.ensemble)) == list(stages.ENSEMBLES)
    table = sweeps.sweep_table(run, "bands")
    for row in tables.selected(found, measure="P(≥1) under SAP, class-averaged").itertuples():
        measure = "P(≥1), class-averaged, attacked"
        kept, control = (
            value_at(table, row.setting, name, measure) for name in (row.ensemble, CONTROL)
        )
        assert row.value == pytest.approx(kept - control)
    chosen = [stages.MEMBERS.index(name) for name in stages.ENSEMBLES["dec"]]
    differences = []
    for seed in (0, 1):
        stored = load_file(run.obtain(sweep_name({"bands": 10, "seed": seed})).path)
        labels = stored["labels"][stored["positions"]]
        right = stored["pgd"].argmax(-1) == labels  # (model, record)
        control = right[stages.MEMBERS.index("base")] | np.isin(labels, [0, 2])
        differences.append(right[chosen].any(axis=0) * 1.0 - control)
    expected = crossed_seeds(np.stack(differences))
    (row,) = tables.selected(
        found, setting=10, ensemble="dec", measure="P(≥1) under PGD"
    ).itertuples()
    assert (row.low, row.high) == pytest.approx((expected.low, expected.high))


def test_each_number_of_networks_is_compared_with_one_fewer(run):
    changes = sweep_differences.changes_table(run, "most_members")
    assert set(zip(changes.setting, changes.against, strict=True)) == {(3, 2), (4, 3)}
    assert (changes[changes.measure == "P(≥1) under SAP"].low >= 0).all()


def test_a_network_that_answers_like_a_constant_counts_as_failed(run, monkeypatch):
    monkeypatch.setattr(sweeps, "at_the_floor", lambda right, *, constant: {})
    assert "better than one constant" in sweeps.failed(run, "bands").markdown
    monkeypatch.undo()
    monkeypatch.setattr(sweeps.tables, "hits_of_commonest", lambda labels: labels >= 0)
    lines = sweeps.failed(run, "bands").markdown.splitlines()
    shown = [f"- {bands}, seed {seed}" for bands in (2, 10) for seed in (0, 1)]
    assert [line.split(":")[0] for line in lines] == shown
    assert all(f"*{name}*" in lines[0] for name in stages.MEMBERS)
    assert "right on 100.0 %" in lines[0]


def test_a_network_that_leaves_a_class_out_is_named(run, monkeypatch):
    monkeypatch.setattr(sweeps, "at_the_floor", lambda right, *, constant: {})
    plain = sweeps.natural_logits

    def without_noise(artefacts, members):
        logits = plain(artefacts, members).astype(float)
        chosen = members.index("fdec2")
        for label in range(4):  # of the first records each class is answered
            logits[..., label, :] += 1e5 * np.eye(4)[label]
        logits[:, chosen, :, 3] -= 1e6
        return logits

    monkeypatch.setattr(sweeps, "natural_logits", without_noise)
    lines = sweeps.failed(run, "bands").markdown.splitlines()
    assert lines[0] == "Every network does better than one constant answer."
    told = [line for line in lines if line.startswith("- ")]
    assert len(told) == 4 and told[0].startswith("- 2, seed 0: *fdec2* never answers ~ on ")
    assert told[0].endswith("is what a constant adds.")


def test_one_value_has_nothing_to_be_compared_with(run):
    changes = sweep_differences.changes_table(run.variant({"swept_bands": (2,)}), "bands")
    assert changes.empty and sweep_differences.wide_changes(changes).empty
    assert "Nothing was compared" in replies.changed(changes).markdown


@pytest.mark.parametrize(
    "chosen, pairs",
    [(0.2, [(0, 0.2), (1, 0.2)]), (0.5, [(0.2, 0), (1, 0)]), (None, [(0.2, 0), (1, 0.2)])],
)
def test_values_are_compared_with_the_runs_own_or_the_one_before(chosen, pairs):
    assert sweep_differences.pairs_of([0, 0.2, 1], chosen=chosen) == pairs


def test_seeds_of_many_digits_have_stages_of_their_own():
    names = [sweep_name({"bands": 2, "seed": seed}) for seed in (20240101, 20240102)]
    assert names == ["sweep-bands-2-seed-20240101", "sweep-bands-2-seed-20240102"]
    assert sweep_name({"decorrelation_weight": 0.2, "seed": 0}).endswith("weight-0.2-seed-0")
    weights = [sweep_name({"decorrelation_weight": value}) for value in (0.1234567, 0.1234568)]
    assert len(set(weights)) == 2
