"""Metrics against brute force, known values and the binomial distribution."""

import warnings
from itertools import product

import numpy as np
import pytest
from scipy import stats

from dnalib import metrics


def made_up(seed, members=3, records=60, classes=4):
    random = np.random.default_rng(seed)
    logits = random.standard_normal((members, records, classes)) * 3
    return logits, random.integers(0, classes, records)


@pytest.mark.parametrize("seed", range(5))
def test_counts_agree_with_brute_force(seed):
    logits, labels = made_up(seed)
    correct = metrics.correct_predictions(logits, labels)
    right = [sum(int(np.argmax(logits[m, r])) == labels[r] for m in range(3)) for r in range(60)]
    for x in (1, 2, 3):
        expected = [number >= x for number in right]
        assert metrics.at_least_each(correct, members=x).tolist() == expected
        assert metrics.at_least(correct, members=x) == pytest.approx(np.mean(expected))
    assert metrics.average_accuracy(correct) == pytest.approx(sum(right) / 180)
    assert metrics.accuracy(logits, labels) == pytest.approx(correct.mean(axis=1))
    # the mean number of right members is the sum of the tails
    tails = sum(metrics.at_least(correct, members=x) for x in (1, 2, 3))
    assert tails == pytest.approx(3 * metrics.average_accuracy(correct))


@pytest.mark.parametrize("seed", range(5))
def test_votes_agree_with_brute_force(seed):
    logits, _ = made_up(seed, members=4, classes=3)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    assert metrics.softmax(logits) == pytest.approx(probabilities)
    mean = probabilities.mean(axis=0)
    assert metrics.mean_softmax_prediction(logits).tolist() == mean.argmax(axis=-1).tolist()
    expected = []
    for record in range(logits.shape[1]):
        answers = [int(logits[m, record].argmax()) for m in range(4)]
        expected.append(max(range(3), key=lambda c: (answers.count(c), mean[record, c])))  # noqa: B023
    assert metrics.majority_vote(logits).tolist() == expected


def test_a_tied_vote_goes_to_the_greater_mean_probability_among_the_tied():
    # One vote each for 0 and 1; class 2 has no vote but the greatest mean probability.
    logits = np.log([[[0.46, 0.10, 0.44]], [[0.05, 0.50, 0.45]]])
    assert metrics.mean_softmax_prediction(logits).tolist() == [2]
    assert metrics.majority_vote(logits).tolist() == [1]


def test_mutual_information_of_agreement_and_of_disagreement():
    same = np.repeat(metrics.softmax(np.random.default_rng(0).standard_normal((1, 9, 4))), 3, 0)
    assert metrics.mutual_information(same) == pytest.approx(np.zeros(9), abs=1e-12)
    each_its_own = np.eye(4)[:3, None, :]  # (member, one record, class)
    assert metrics.mutual_information(each_its_own) == pytest.approx([np.log(3)])
    assert metrics.predictive_entropy(each_its_own) == pytest.approx([np.log(3)])
    assert metrics.predictive_entropy(np.full((2, 1, 4), 0.25)) == pytest.approx([np.log(4)])


def test_mutual_information_is_the_mean_divergence_from_the_mean():
    probabilities = metrics.softmax(made_up(3)[0])
    mean = probabilities.mean(axis=0)
    divergence = (probabilities * np.log(probabilities / mean)).sum(axis=-1).mean(axis=0)
    information = metrics.mutual_information(probabilities)
    assert information == pytest.approx(divergence)
    assert information.min() >= 0 and information.max() <= np.log(3)


def test_uncertainty_scores_agree_with_a_loop():
    random = np.random.default_rng(1)
    uncertainty, correct = random.exponential(size=200), random.random(200) < 0.6
    reference = random.exponential(size=150)
    r_cc, r_iu, ua = [], [], []
    for threshold in np.linspace(0, 1, 100):
        cc = ic = iu = cu = 0
        for value, right in zip(uncertainty, correct, strict=True):
            scaled = (value - reference.min()) / (reference.max() - reference.min())
            certain = min(max(scaled, 0), 1) <= threshold
            cc, ic = cc + (certain and right), ic + (certain and not right)
            cu, iu = cu + (not certain and right), iu + (not certain and not right)
        if cc + ic:
            r_cc.append(cc / (cc + ic))
        r_iu.append(iu / (iu + ic))
        ua.append((cc + iu) / 200)
    scores = metrics.uncertainty_scores(uncertainty, correct, reference=reference)
    expected = {"R_cc": np.mean(r_cc), "R_iu": np.mean(r_iu), "UA": np.mean(ua)}
    assert scores == pytest.approx(expected)


def test_uncertainty_scores_where_a_denominator_is_empty():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # certain from the second threshold on: the first has no R_cc and does not count
        scores = metrics.uncertainty_scores([0.5, 0.5], [True, True], reference=[0.0, 1.0])
    assert scores["R_cc"] == 1.0 and np.isnan(scores["R_iu"]) and 0 < scores["UA"] < 1
    perfect = metrics.uncertainty_scores(
        [0.0, 0.0, 1.0], [True, True, False], reference=[0.0, 1.0], thresholds=100
    )
    best = (99 + 2 / 3) / 100  # the last threshold calls everybody certain
    assert perfect == pytest.approx({"R_cc": best, "R_iu": 0.99, "UA": best})
    with pytest.raises(ValueError, match="reference uncertainty is 0.2 everywhere"):
        metrics.uncertainty_scores([0.0], [True], reference=[0.2, 0.2])


@pytest.mark.parametrize("seed", range(3))
def test_confusion_matrix_and_f1_agree_with_brute_force(seed):
    random = np.random.default_rng(seed)
    predicted, labels = random.integers(0, 4, 80), random.integers(0, 4, 80)
    counts = metrics.confusion_matrix(predicted, labels)
    for true, answer in product(range(4), range(4)):
        assert counts[true, answer] == np.sum((labels == true) & (predicted == answer))
    scores = []
    for label in range(3):
        precision = np.mean(labels[predicted == label] == label)
        recall = np.mean(predicted[labels == label] == label)
        scores.append(2 * precision * recall / (precision + recall))
    assert metrics.challenge_f1(predicted, labels) == pytest.approx(np.mean(scores))


def test_f1_has_no_value_where_a_class_is_absent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(metrics.challenge_f1([0, 0, 2], [0, 2, 2]))


def test_class_average_weighs_classes_alike():
    assert metrics.class_averaged([True, True, True, False], [0, 0, 0, 2]) == 0.5


def test_the_control_answers_normal_and_other_whatever_the_input():
    logits, labels = made_up(0, members=1)
    control = metrics.with_constants(logits[0])
    assert control.shape == (3, 60, 4) and np.isfinite(control).all()
    assert np.array_equal(control[0], logits[0])
    assert set(control[1].argmax(-1)) == {0} and set(control[2].argmax(-1)) == {2}
    fooled = metrics.with_constants(-1000 * np.eye(4)[labels])  # a base that is always wrong
    correct = metrics.correct_predictions(fooled, labels)
    assert metrics.at_least(correct, members=1) == np.isin(labels, [0, 2]).mean()
    assert metrics.at_least(correct, members=2) == 0


def test_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(0)
    samples = random.random((300, 400)) < 0.3
    covered = 0
    for seed, sample in enumerate(samples):
        low, high = metrics.bootstrap_interval(sample, resamples=500, seed=seed)
        covered += low <= 0.3 <= high
    assert 0.91 <= covered / 300 <= 0.98  # 95 % nominal; the standard error is 1.3 points


def test_interval_agrees_with_the_binomial_distribution():
    values = np.arange(1000) < 250
    low, high = metrics.bootstrap_interval(values, resamples=5000, seed=4)
    expected = stats.binom(1000, 0.25).ppf([0.025, 0.975]) / 1000
    assert [low, high] == pytest.approx(expected, abs=0.003)
    narrow = metrics.bootstrap_interval(values, confidence=0.5, seed=4)
    assert low < narrow[0] < 0.25 < narrow[1] < high


@pytest.mark.parametrize("values", [np.ones(20), np.zeros(1), np.full(7, 0.1)])
def test_equal_values_give_a_point_without_a_warning(values):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metrics.bootstrap_interval(values, seed=0) == (values[0], values[0])


def test_interval_depends_on_the_seed_alone():
    values = np.random.default_rng(0).standard_normal(50)
    first = metrics.bootstrap_interval(values, seed=1)
    assert metrics.bootstrap_interval(values, seed=1) == first
    assert metrics.bootstrap_interval(values, seed=2) != first


def test_a_paired_difference_uses_the_same_records():
    random = np.random.default_rng(0)
    first = random.random(500) < 0.5
    second = first.copy()
    second[:10] = ~first[:10]
    difference, low, high = metrics.paired_difference(first, second, seed=3)
    assert difference == pytest.approx(first.mean() - second.mean())
    assert low <= difference <= high
    assert high - low < 0.03  # unpaired it would be about 0.12
    shifted = metrics.paired_difference(first + 0.25, first, seed=3)
    assert shifted == pytest.approx((0.25, 0.25, 0.25))


def test_table_holds_the_measures_and_their_intervals():
    logits, labels = made_up(7, records=300)
    correct = metrics.correct_predictions(logits, labels)
    table = metrics.ensemble_table({"cor": correct, "dec": ~correct}, labels, seed=5)
    assert list(table.columns) == ["ensemble", "measure", "value", "low", "high", "records"]
    measures = ["average", "at least 1", "at least 2", "at least 3", "at least 1, class-averaged"]
    assert table.measure.tolist() == 2 * measures and set(table.records) == {300}
    assert table.ensemble.tolist() == 5 * ["cor"] + 5 * ["dec"]
    rows = table[table.ensemble == "cor"].set_index("measure")
    assert rows.value["average"] == pytest.approx(metrics.average_accuracy(correct))
    for x in (1, 2, 3):
        each = metrics.at_least_each(correct, members=x)
        assert rows.value[f"at least {x}"] == pytest.approx(each.mean())
        interval = metrics.bootstrap_interval(each, seed=5)
        assert rows.loc[f"at least {x}", ["low", "high"]].tolist() == pytest.approx(interval)
    average = metrics.bootstrap_interval(correct.mean(axis=0), seed=5)
    assert rows.loc["average", ["low", "high"]].tolist() == pytest.approx(average)
    first = metrics.at_least_each(correct, members=1)
    averaged = rows.loc["at least 1, class-averaged"]
    assert averaged.value == pytest.approx(metrics.class_averaged(first, labels))
    assert averaged.low < averaged.value < averaged.high


def test_table_leaves_out_classes_without_a_record():
    correct = np.array([[True, False, True, True]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = metrics.ensemble_table({"cor": correct}, [0, 0, 2, 2], seed=0)
    assert table.measure.tolist() == ["average", "at least 1", "at least 1, class-averaged"]
    assert table.value.iloc[-1] == 0.75 and table.notna().all(axis=None)


def test_robustness_table_prepends_the_condition():
    logits, labels = made_up(2)
    correct = metrics.correct_predictions(logits, labels)
    conditions = {
        ("PGD", "strip", 10): {"cor": correct},
        ("SAP", "mask", 150): {"cor": ~correct, "dec": correct},
    }
    table = metrics.robustness_table(conditions, labels, seed=0)
    assert list(table.columns)[:4] == ["attack", "padding", "epsilon", "ensemble"]
    assert len(table) == 15 and table.epsilon.unique().tolist() == [10.0, 150.0]
    assert table.epsilon.dtype == float
    part = table[(table.attack == "SAP") & (table.ensemble == "cor")]
    alone = metrics.ensemble_table({"cor": ~correct}, labels, seed=0)
    assert part[alone.columns].reset_index(drop=True).equals(alone)


@pytest.mark.parametrize(
    ("call", "shapes"),
    [
        (lambda: metrics.correct_predictions(np.zeros((3, 5, 4)), np.zeros(6, int)), (5, 6)),
        (lambda: metrics.class_averaged(np.zeros(5), np.zeros(6, int)), (5, 6)),
        (lambda: metrics.confusion_matrix(np.zeros(5, int), np.zeros(6, int)), (5, 6)),
        (lambda: metrics.paired_difference(np.zeros(5), np.zeros(6), seed=0), (5, 6)),
        (
            lambda: metrics.uncertainty_scores(np.zeros(5), np.zeros(6, bool), reference=[0, 1]),
            (5, 6),
        ),
        (
            lambda: metrics.ensemble_table({"a": np.zeros((3, 5), bool)}, np.zeros(6, int), seed=0),
            (5, 6),
        ),
    ],
)
def test_shapes_that_do_not_fit_are_both_named(call, shapes):
    with pytest.raises(ValueError) as error:
        call()
    assert f"{shapes[0]}" in str(error.value) and f"({shapes[1]},)" in str(error.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.at_least(np.ones((3, 5), bool), members=4), "members is 4"),
        (lambda: metrics.at_least(np.ones((3, 5), int), members=1), "must be bool"),
        (lambda: metrics.at_least(np.ones(5, bool), members=1), r"shape \(5,\)"),
        (lambda: metrics.correct_predictions(np.zeros((1, 2, 4)), [0, 4]), "holds 0 to 4"),
        (lambda: metrics.correct_predictions(np.zeros((1, 2, 4)), [0.0, 1.0]), "integers"),
        (lambda: metrics.with_constants(np.zeros((2, 4)), constants=(5,)), "holds 5 to 5"),
        (lambda: metrics.bootstrap_interval([], seed=0), "at least one record"),
        (lambda: metrics.bootstrap_interval([0, 1], confidence=95, seed=0), "confidence is 95"),
        (lambda: metrics.class_averaged(np.ones((2, 3)), [0, 1]), r"\(2, 3\).*\(2,\)"),
        (lambda: metrics.majority_vote(np.zeros((5, 4))), "expected"),
        (lambda: metrics.robustness_table({}, [0], seed=0), "no condition"),
    ],
)
def test_arguments_out_of_range_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
