"""Metrics against brute force and known values."""

import re
import warnings
from itertools import product

import numpy as np
import pytest
from made_up_answers import made_up

from dnalib import metrics


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
    right, labels = [True, False, True, True, False], [0, 0, 0, 0, 2]
    within = metrics.within_classes(right, labels)
    assert within == pytest.approx([0.75, np.nan, 0, np.nan], nan_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metrics.class_averaged(right, labels) == 0.375


@pytest.mark.parametrize(
    "score", [metrics.challenge_f1, metrics.cohens_kappa, metrics.class_averaged]
)
def test_axes_in_front_are_scored_one_by_one(score):
    random = np.random.default_rng(0)
    predicted, labels = random.integers(0, 4, (2, 3, 5, 90))
    found = score(predicted, labels)
    assert found.shape == (3, 5)
    assert found[2, 1] == pytest.approx(score(predicted[2, 1], labels[2, 1]))
    counts = metrics.confusion_matrix(predicted, labels)
    assert np.array_equal(counts[1, 4], metrics.confusion_matrix(predicted[1, 4], labels[1, 4]))


def test_kappa_by_hand_and_where_answers_know_nothing():
    # Shares of labels ¾ and ¼, of answers ½ and ½: chance is ½; three of four are right.
    assert metrics.cohens_kappa([0, 0, 1, 1], [0, 0, 0, 1]) == pytest.approx((0.75 - 0.5) / 0.5)
    labels = np.repeat([0, 1, 2, 3], [60, 20, 15, 5])
    assert metrics.cohens_kappa(labels, labels) == 1
    for favourite in range(4):
        assert metrics.cohens_kappa(np.full(100, favourite), labels) == 0, "exactly"
    independent = np.tile([0, 0, 0, 1, 2], 20)  # the same answers within every class
    assert metrics.cohens_kappa(independent, labels) == pytest.approx(0)
    assert metrics.cohens_kappa((labels + 1) % 4, labels) < 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(metrics.cohens_kappa([2, 2], [2, 2]))


def test_the_worst_case_is_counted_attack_by_attack():
    first = np.array([[True, False, True], [False, False, True]])  # (member, record)
    second = np.array([[False, True, True], [True, False, False]])
    survived = [metrics.at_least_each(one, members=1) for one in (first, second)]
    assert metrics.worst_case(survived).tolist() == [True, False, True]
    joined = metrics.worst_case([first, second])  # member by member: another question
    assert metrics.at_least_each(joined, members=1).tolist() == [False, False, True]


def test_the_worst_case_is_of_every_attack():
    survived = np.array(list(product([False, True], repeat=3)))  # (record, attack)
    found = metrics.worst_case(list(survived.T))
    assert found.tolist() == [False] * 7 + [True], "the last record alone survives all three"


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


@pytest.mark.parametrize(
    ("call", "shapes"),
    [
        (lambda: metrics.correct_predictions(np.zeros((3, 5, 4)), np.zeros(6, int)), (5, 6)),
        (lambda: metrics.class_averaged(np.zeros(5), np.zeros(6, int)), (5, 6)),
        (lambda: metrics.confusion_matrix(np.zeros(5, int), np.zeros(6, int)), (5, 6)),
        (lambda: metrics.cohens_kappa(np.zeros(5, int), np.zeros(6, int)), (5, 6)),
        (lambda: metrics.worst_case([np.zeros(5, bool), np.zeros(6, bool)]), (5, 6)),
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
        (lambda: metrics.class_averaged(np.ones((2, 3)), [0, 1]), r"\(2, 3\).*\(2,\)"),
        (lambda: metrics.majority_vote(np.zeros((5, 4))), "expected"),
        (lambda: metrics.worst_case([]), "empty; give the array"),
        (lambda: metrics.worst_case([[1, 0]]), r"survived\[0\] has dtype int64"),
    ],
)
def test_arguments_out_of_range_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_narrow_labels_are_counted_like_wide_ones() -> None:
    labels, predicted = np.arange(200) % 20, np.arange(200) // 3 % 20
    wide = metrics.confusion_matrix(predicted, labels, classes=20)
    for kind in (np.uint8, np.int8):
        narrow = metrics.confusion_matrix(predicted.astype(kind), labels.astype(kind), classes=20)
        assert np.array_equal(narrow, wide)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float16, np.float64])
@pytest.mark.parametrize(
    "rule",
    [
        metrics.majority_vote,
        metrics.mean_softmax_prediction,
        metrics.softmax,
        lambda logits: metrics.correct_predictions(logits, [0, 1, 2, 3, 0]),
        lambda logits: metrics.accuracy(logits, [0, 1, 2, 3, 0]),
    ],
)
def test_nothing_is_answered_for_logits_that_are_not_finite(rule, kind, number) -> None:
    logits = np.zeros((3, 5, 4), dtype=kind)
    rule(logits)
    logits[1, 2, 3] = number
    what = "NaN" if np.isnan(number) else "infinite"
    with pytest.raises(ValueError, match=f"logits: 1 values are {what}; accepted are"):
        rule(logits)


@pytest.mark.parametrize(
    ("rule", "shape"),
    [
        (lambda logits: metrics.correct_predictions(logits, np.zeros(5, int)), (3, 5, 1)),
        (metrics.mean_softmax_prediction, (3, 5, 1)),
        (metrics.majority_vote, (3, 5, 1)),
        (lambda logits: metrics.with_constants(logits, constants=(0,)), (5, 1)),
    ],
)
def test_a_single_class_is_refused_as_every_answer_would_be_right(rule, shape) -> None:
    message = f"logits has shape {re.escape(str(shape))}; at least two classes are needed"
    with pytest.raises(ValueError, match=message):
        rule(np.zeros(shape))
    rule(np.zeros((*shape[:-1], 2)))


def test_a_record_whose_logits_are_all_infinite_has_no_class() -> None:
    with pytest.raises(ValueError, match="logits: 4 values are infinite; accepted are finite"):
        metrics.mean_softmax_prediction(np.full((1, 1, 4), -np.inf))


def test_any_number_of_classes_is_counted_where_it_is_said():
    labels, predicted = np.array([0, 4, 4, 2]), np.array([0, 4, 1, 2])
    right = predicted == labels
    for count in (metrics.class_averaged, metrics.cohens_kappa, metrics.confusion_matrix):
        with pytest.raises(ValueError, match="labels holds 0 to 4; .* 0 to 3 with classes=4$"):
            count(right if count is metrics.class_averaged else labels % 4, labels)
    with pytest.raises(ValueError, match="class indices are 0 to 3 in the challenge$"):
        metrics.challenge_f1(predicted, labels)  # which has no option
    assert metrics.class_averaged(right, labels, classes=5) == pytest.approx((1 + 0.5 + 1) / 3)
    assert metrics.within_classes(right, labels, classes=5).shape == (5,)
    # Agreement 3/4, by chance (1·1 + 1·0 + 1·1 + 2·1) / 16 = 4/16.
    assert metrics.cohens_kappa(predicted, labels, classes=5) == pytest.approx(0.5 / 0.75)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint64, np.int32])
def test_classes_are_counted_in_every_type_of_whole_numbers(dtype: type) -> None:
    labels = np.array([0, 3, 3, 2]).astype(dtype)
    counts = metrics.confusion_matrix(labels, labels)
    assert counts.tolist() == np.diag([1, 0, 1, 2]).tolist()
