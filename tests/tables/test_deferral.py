"""Tables of doubt against the measures one by one, and what their definitions imply."""

import numpy as np
import pytest
from made_up_answers import made_up_ensembles

from dnalib import detection, intervals, metrics, uncertainty
from dnalib.tables import deferral
from dnalib.tables.answers import Answers

SKILL = {"cor": 0.2, "dec": 0.6}
MEASURES = {"mutual information": "mutual_information", "predictive entropy": "predictive_entropy"}


@pytest.fixture(scope="module")
def natural():
    return made_up_ensembles(0, skill={name: skill + 1 for name, skill in SKILL.items()})


@pytest.fixture(scope="module")
def attacked():
    return made_up_ensembles(1, skill=SKILL, records=80, labels_seed=1)


def doubt_of(answers, *, ensemble, name):
    """Doubt and right answers of one ensemble, (record,) each."""
    probabilities = metrics.softmax(answers.logits[ensemble])
    correct = probabilities.mean(axis=0).argmax(axis=-1) == answers.labels
    return getattr(uncertainty, MEASURES[name])(probabilities), correct


def test_doubts_are_of_the_mean_softmax(attacked):
    for name in MEASURES:
        found = deferral.doubts(attacked, uncertainty=name)
        assert list(found) == list(SKILL)
        for ensemble in SKILL:
            for one, other in zip(
                found[ensemble], doubt_of(attacked, ensemble=ensemble, name=name), strict=True
            ):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", MEASURES)
def test_scores_under_both_scalings(natural, attacked, name):
    conditions = {"natural": natural, "PGD": attacked}
    table = deferral.scores_table(conditions, natural=natural, uncertainty=name, seed=3)
    assert len(table) == 2 * 2 * 2  # condition, ensemble, scaling
    for row in table.itertuples():
        answers = conditions[row.condition]
        place = {"ensemble": row.ensemble, "name": name}
        doubt, correct = doubt_of(answers, **place)
        reference = doubt_of(natural, **place)[0] if row.scaling == "natural set" else doubt
        expected = detection.uncertainty_scores(doubt, correct, reference=reference)
        found = {"R_cc": row.R_cc, "R_iu": row.R_iu, "UA": row.UA}
        assert found == pytest.approx(expected) and row.records == len(correct)
        constant = max(correct.mean(), (~correct).mean())  # all certain, or all uncertain
        assert table.loc[row.Index, "UA, constant doubt"] == pytest.approx(constant)
        ends = detection.uncertainty_score_intervals(doubt, correct, reference=reference, seed=3)
        for score, found in ends.items():
            columns = [score, f"{score}, low", f"{score}, high"]
            np.testing.assert_array_equal(table.loc[row.Index, columns].astype(float), found)
    by_scaling = table.set_index(["condition", "ensemble", "scaling"])["UA"]
    by_scaling = by_scaling.unstack()
    same = by_scaling["natural set"] == by_scaling["each set"]
    assert same["natural"].all() and not same["PGD"].all()


def test_scores_without_a_scale_are_undefined(attacked):
    flat = {name: np.zeros((3, 5, 4)) for name in SKILL}  # always the same doubt
    natural = Answers(flat, np.zeros(5, dtype=int))
    table = deferral.scores_table(
        {"PGD": attacked}, natural=natural, uncertainty="mutual information", seed=0
    )
    undefined = table[list(deferral.SCORES)].isna().all(axis=1)
    assert (undefined == (table.scaling == "natural set")).all()


@pytest.mark.parametrize("name", MEASURES)
def test_detection_holds_the_measures_and_their_bounds(attacked, name):
    table = deferral.detection_table({"PGD": attacked}, uncertainty=name, seed=4)
    assert len(table) == 2 * 4 and set(table.records) == {80}
    for ensemble, rows in table.groupby("ensemble"):
        doubt, correct = doubt_of(attacked, ensemble=ensemble, name=name)
        rows = rows.set_index("measure")
        expected = {
            "error detection": detection.error_detection(doubt, correct),
            "area": detection.selective_risk(doubt, correct).mean(),
            "wrong answers": 1 - correct.mean(),
            "least area": detection.selective_risk(~correct, correct).mean(),
        }
        assert rows.value.to_dict() == pytest.approx(expected)
        assert (rows.low < rows.value).all() and (rows.value < rows.high).all()
        assert rows.value["least area"] < rows.value["area"]
        ends = intervals.share_interval(~correct)[1:]
        assert rows.loc["wrong answers", ["low", "high"]].tolist() == pytest.approx(ends)


def test_the_area_is_the_mean_of_the_curve(attacked):
    conditions = {"PGD": attacked, "SAP": made_up_ensembles(7, skill=SKILL)}
    for name in MEASURES:
        curves = deferral.risk_coverage_table(conditions, uncertainty=name)
        areas = deferral.detection_table(conditions, uncertainty=name, seed=0)
        areas = areas[areas.measure == "area"]
        keys = ["condition", "ensemble"]
        mean = curves.groupby(keys).risk.mean()
        assert mean.to_dict() == pytest.approx(areas.set_index(keys).value.to_dict())


def test_the_curve_keeps_the_most_certain(attacked):
    table = deferral.risk_coverage_table({"PGD": attacked}, uncertainty="predictive entropy")
    for ensemble, curve in table.groupby("ensemble"):
        doubt, correct = doubt_of(attacked, ensemble=ensemble, name="predictive entropy")
        order = np.argsort(doubt)  # no two alike
        assert curve.kept.tolist() == list(range(1, 81))
        for row in curve.itertuples():
            assert row.risk == pytest.approx(1 - correct[order[: row.kept]].mean())
            assert row.coverage == row.kept / 80


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda a: deferral.scores_table(
                {}, natural=a, uncertainty="mutual information", seed=0
            ),
            "conditions is empty",
        ),
        (
            lambda a: deferral.detection_table({}, uncertainty="mutual information", seed=0),
            "conditions is empty",
        ),
        (lambda a: deferral.risk_coverage_table({}), "conditions is empty"),
        (
            lambda a: deferral.scores_table(
                {"PGD": a},
                natural=made_up_ensembles(0, skill={"cor": 1.0}),
                uncertainty="mutual information",
                seed=0,
            ),
            "an ensemble of 'PGD' is 'dec'; accepted are cor$",
        ),
        (
            lambda a: deferral.detection_table({"PGD": a}, uncertainty="variance", seed=0),
            "'variance'; accepted are mutual information",
        ),
        (
            lambda a: deferral.doubts(a, uncertainty="variance"),
            "'variance'; accepted are mutual information, predictive entropy",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(attacked, call, message):
    with pytest.raises(ValueError, match=message):
        call(attacked)
