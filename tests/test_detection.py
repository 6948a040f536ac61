"""The detection of wrong answers against brute force, and cases made by hand."""

import warnings

import numpy as np
import pytest

from dnalib import detection, intervals


def test_uncertainty_scores_agree_with_a_loop():
    random = np.random.default_rng(1)
    doubt, correct = random.exponential(size=200), random.random(200) < 0.6
    reference = random.exponential(size=150)
    r_cc, r_iu, ua = [], [], []
    for threshold in np.linspace(0, 1, 100):
        cc = ic = iu = cu = 0
        for value, right in zip(doubt, correct, strict=True):
            scaled = (value - reference.min()) / (reference.max() - reference.min())
            certain = min(max(scaled, 0), 1) <= threshold
            cc, ic = cc + (certain and right), ic + (certain and not right)
            cu, iu = cu + (not certain and right), iu + (not certain and not right)
        if cc + ic:
            r_cc.append(cc / (cc + ic))
        r_iu.append(iu / (iu + ic))
        ua.append((cc + iu) / 200)
    scores = detection.uncertainty_scores(doubt, correct, reference=reference)
    expected = {"R_cc": np.mean(r_cc), "R_iu": np.mean(r_iu), "UA": np.mean(ua)}
    assert scores == pytest.approx(expected)


def test_intervals_of_the_scores_are_those_of_drawn_records():
    random = np.random.default_rng(2)
    doubt, correct = random.exponential(size=120), random.random(120) < 0.6
    reference = random.exponential(size=150)
    found = detection.uncertainty_score_intervals(doubt, correct, reference=reference, seed=0)
    scores = []
    own = detection.uncertainty_scores(doubt, correct, reference=reference)
    gain = own["UA"] - max(correct.mean(), 1 - correct.mean())
    values = {name: value for name, (value, _, _) in found.items()}
    assert values == own | {detection.UA_GAIN: pytest.approx(gain)}
    for _ in range(400):
        drawn = random.integers(120, size=120)
        one = detection.uncertainty_scores(doubt[drawn], correct[drawn], reference=reference)
        right = correct[drawn].mean()
        scores.append([*one.values(), one["UA"] - max(right, 1 - right)])
    low, high = np.quantile(scores, [0.025, 0.975], axis=0)
    for (_, below, above), one, other in zip(found.values(), low, high, strict=True):
        assert (below, above) == (pytest.approx(one, abs=0.02), pytest.approx(other, abs=0.02))
        assert above - below > 0.05
    rare = detection.uncertainty_score_intervals(
        [0.1, 0.5, 0.9], [True, True, False], reference=[0.0, 1.0], seed=0
    )
    assert np.isnan(rare["R_iu"][1:]).all(), "many draws have no incorrect record"


def test_uncertainty_scores_where_a_denominator_is_empty():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # certain from the second threshold on: the first has no R_cc and does not count
        scores = detection.uncertainty_scores([0.5, 0.5], [True, True], reference=[0.0, 1.0])
    assert scores["R_cc"] == 1.0 and np.isnan(scores["R_iu"]) and 0 < scores["UA"] < 1
    perfect = detection.uncertainty_scores(
        [0.0, 0.0, 1.0], [True, True, False], reference=[0.0, 1.0]
    )
    best = (99 + 2 / 3) / 100  # the last threshold calls everybody certain
    assert perfect == pytest.approx({"R_cc": best, "R_iu": 0.99, "UA": best})
    with pytest.raises(ValueError, match="reference uncertainty is 0.2 everywhere"):
        detection.uncertainty_scores([0.0], [True], reference=[0.2, 0.2])


def test_the_scale_of_each_set_hides_a_shift_that_the_natural_scale_shows():
    natural = np.linspace(0, 1, 50)
    correct = natural < 0.7
    shifted = natural + 2.0
    own = detection.uncertainty_scores(shifted, correct, reference=shifted)
    assert own == detection.uncertainty_scores(natural, correct, reference=natural)
    by_natural = detection.uncertainty_scores(shifted, correct, reference=natural)
    assert by_natural["R_iu"] == 0.99, "beyond the natural range all are uncertain"


def test_error_detection_by_hand():
    #  wrong: 0.8 and 0.2; right: 0.1, 0.2, 0.5. Pairs won: 3 + (1 + ½ + 0) of 6.
    doubt, correct = [0.8, 0.2, 0.1, 0.2, 0.5], [False, False, True, True, True]
    assert detection.error_detection(doubt, correct) == pytest.approx(4.5 / 6)
    assert detection.error_detection([0.3] * 4, [True, False, False, True]) == 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(detection.error_detection([0.1, 0.2], [True, True]))


@pytest.mark.parametrize("seed", range(3))
def test_error_detection_counts_pairs_and_ignores_the_scale(seed):
    random = np.random.default_rng(seed)
    doubt, correct = random.integers(0, 12, 80) / 12, random.random(80) < 0.6
    pairs = np.sign(doubt[~correct][:, None] - doubt[correct])  # (wrong, right)
    found = detection.error_detection(doubt, correct)
    assert found == pytest.approx((pairs.mean() + 1) / 2)
    assert detection.error_detection(np.exp(3 * doubt) - 7, correct) == found
    assert detection.error_detection(-doubt, correct) == pytest.approx(1 - found)


@pytest.mark.parametrize("seed", range(2))
def test_intervals_of_detection_are_those_of_every_draw_by_itself(seed):
    random = np.random.default_rng(seed)
    doubt, correct = random.integers(0, 9, 30) / 9, random.random(30) < 0.6

    def measures(drawn):
        if drawn.ndim == 2:
            return np.stack([measures(one) for one in drawn], axis=1)
        one, right = doubt[drawn], correct[drawn]
        return np.array(
            [
                detection.error_detection(one, right),
                detection.selective_risk(one, right).mean(),
                detection.selective_risk(~right, right).mean(),
            ]
        )

    expected = intervals.resampled_records(measures, records=30, seed=seed)
    found = detection.detection_intervals(doubt, correct, seed=seed)
    assert tuple(found) == detection.DETECTED
    assert found.pop("wrong answers") == intervals.share_interval(~correct)
    for name, *ends in zip(found, *expected, strict=True):
        assert found[name] == pytest.approx(tuple(ends)), name


def test_selective_risk_by_hand():
    # In order of doubt: right, then a right and a wrong that tie, then wrong.
    risk = detection.selective_risk([0.9, 0.1, 0.4, 0.4], [False, True, False, True])
    assert risk == pytest.approx([0, 0.5 / 2, 1 / 3, 2 / 4])
    area = detection.risk_coverage_area([0.9, 0.1, 0.4, 0.4], [False, True, False, True])
    assert area == pytest.approx(np.mean([0, 1 / 4, 1 / 3, 1 / 2]))


def test_risk_coverage_of_a_perfect_and_of_an_empty_score():
    correct = np.arange(10) % 5 > 0  # two of ten are wrong
    risk = detection.selective_risk(~correct, correct)
    assert risk == pytest.approx([0] * 8 + [1 / 9, 2 / 10])
    best = detection.risk_coverage_area(~correct, correct)
    assert best == pytest.approx((1 / 9 + 2 / 10) / 10)
    assert detection.least_risk_coverage_area(correct) == pytest.approx(best)
    extremes = detection.least_risk_coverage_area(np.stack([correct, correct | True]))
    assert extremes == pytest.approx([best, 0])
    assert detection.least_risk_coverage_area(np.zeros(5, bool)) == 1
    assert detection.risk_coverage_area(np.ones(10), correct) == pytest.approx(0.2)
    assert detection.risk_coverage_area(correct, correct) > 0.2


@pytest.mark.parametrize("seed", range(3))
def test_the_area_is_the_mean_risk_and_the_order_of_the_records_is_immaterial(seed):
    random = np.random.default_rng(seed)
    doubt, correct = random.integers(0, 6, (2, 50)) / 6, random.random((2, 50)) < 0.7
    for one, right in zip(doubt, correct, strict=True):
        area = detection.risk_coverage_area(one, right)
        risk = detection.selective_risk(one, right)
        assert area == pytest.approx(risk.mean()) and risk[-1] == pytest.approx((~right).mean())
        order = random.permutation(50)
        assert detection.selective_risk(one[order], right[order]) == pytest.approx(risk)
        assert detection.selective_risk(one**3 - 5, right) == pytest.approx(risk)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: detection.uncertainty_scores(np.zeros(5), np.zeros(6, bool), reference=[0]),
            r"\(5,\).*\(6,\)",
        ),
        (lambda: detection.error_detection([0.1, 0.2], [True]), r"\(2,\).*\(1,\)"),
        (lambda: detection.selective_risk([[0.1]], [[True]]), r"\(1, 1\)"),
        (lambda: detection.risk_coverage_area([0.1], [1]), "correct has dtype int64"),
        (lambda: detection.risk_coverage_area([], np.zeros(0, bool)), "hold the same records"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("number", "what"), [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite")]
)
def test_a_doubt_that_is_not_finite_is_refused_not_ranked(number, what):
    doubt, correct = np.full(5, 0.25), np.array([True, False, True, True, False])
    doubt[2] = number

    def scored(doubt, correct):
        return detection.uncertainty_scores(doubt, correct, reference=[0, 1])

    def bounded(doubt, correct):
        return detection.uncertainty_score_intervals(doubt, correct, reference=[0, 1], seed=0)

    def detected(doubt, correct):
        return detection.detection_intervals(doubt, correct, seed=0)

    for score in (
        detection.error_detection,
        detection.selective_risk,
        detection.risk_coverage_area,
        detected,
        scored,
        bounded,
    ):
        with pytest.raises(ValueError, match=f"uncertainty: 1 values are {what}"):
            score(doubt, correct)


def test_an_empty_reference_sets_no_scale() -> None:
    with pytest.raises(ValueError, match="reference holds no uncertainty"):
        detection.uncertainty_scores([0.1, 0.2], [True, False], reference=[])


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (np.nan, "reference: 1 values are NaN; accepted are numbers"),
        (np.inf, "reference: 1 values are infinite; accepted are finite numbers"),
    ],
)
def test_a_reference_that_is_not_finite_sets_no_scale(number: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        detection.uncertainty_scores([0.1, 0.2], [True, False], reference=[0.0, number, 1.0])


def test_who_is_sure_of_every_answer_gains_nothing_over_a_constant_doubt() -> None:
    # In every draw the UA of the two is one and the same: that of the records that are drawn.
    found = detection.uncertainty_score_intervals(
        np.zeros(100), np.arange(100) < 90, reference=[0.0, 1.0], seed=0
    )
    assert found[detection.UA_GAIN] == (0, 0, 0)
