"""Losses of whole ensembles: by hand, against autograd, and what attacks on them do."""

import numpy as np
import pytest
import torch
from toy_classifiers import random_numbers, related_members

from dnalib import metrics
from dnalib.attacks import (
    confidently_wrong,
    cross_entropy,
    difference_of_logits_ratio,
    end_to_end,
    least_misled_member,
    log_mean_softmax,
    margin,
    mean_of_members,
    most_misled_member,
    pgd,
    record_generators,
)
from dnalib.attacks.targets import mutual_information
from dnalib.uncertainty import mutual_information as measured_mutual_information

TARGETS = {
    "end to end": end_to_end(),
    "end to end, ratio": end_to_end(difference_of_logits_ratio),
    "mean": mean_of_members(),
    "most": most_misled_member(),
    "least": least_misled_member(),
    "confident": confidently_wrong(),
}
LABELS = torch.tensor([0, 1, 2, 3, 0])


@pytest.fixture
def logits():
    return 2 * random_numbers(3, 5, 4)


def probabilities(logits):
    return metrics.softmax(logits.numpy())  # (member, batch, class)


def test_end_to_end_is_the_loss_of_the_mean_softmax(logits):
    mean = probabilities(logits).mean(axis=0)  # (batch, class)
    expected = -np.log(mean[np.arange(5), LABELS])
    assert end_to_end()(logits, LABELS).numpy() == pytest.approx(expected)
    assert log_mean_softmax(logits).exp().numpy() == pytest.approx(mean)
    sorted_logs = np.sort(np.log(mean[0]))[::-1]
    true = np.log(mean[0, 0])
    wrong = np.log(mean[0, 1:].max())
    found = end_to_end(difference_of_logits_ratio)(logits, LABELS)[0].item()
    assert found == pytest.approx((wrong - true) / (sorted_logs[0] - sorted_logs[2]))


def test_members_losses_are_averaged_or_the_extreme_one(logits):
    each = torch.stack([margin(logits[member], LABELS) for member in range(3)])
    assert torch.allclose(mean_of_members(margin)(logits, LABELS), each.sum(0) / 3)
    assert torch.equal(most_misled_member(margin)(logits, LABELS), each.max(0).values)
    assert torch.equal(least_misled_member(margin)(logits, LABELS), each.min(0).values)


def test_mutual_information_is_the_one_that_is_measured(logits):
    expected = measured_mutual_information(probabilities(logits))
    assert mutual_information(logits).numpy() == pytest.approx(expected)
    sure = torch.tensor([[[200.0, 0, 0]], [[0, 200.0, 0]]])  # two members, each of its own class
    assert mutual_information(sure).item() == pytest.approx(np.log(2))
    assert mutual_information(logits[:1]).numpy() == pytest.approx(0, abs=1e-12)


def test_the_confident_attack_weighs_error_against_doubt(logits):
    doubt, error = mutual_information(logits), end_to_end(margin)(logits, LABELS)
    found = confidently_wrong(weight=2.5, largest_loss=None)(logits, LABELS)
    assert torch.allclose(found, error - 2.5 * doubt)
    assert error.max() > 0.5 > error.min()
    found = confidently_wrong(largest_loss=0.5)(logits, LABELS)
    assert torch.allclose(found, error.clamp(max=0.5) - doubt)
    found = confidently_wrong(cross_entropy, weight=0, largest_loss=None)(logits, LABELS)
    assert torch.equal(found, end_to_end()(logits, LABELS))
    for weight in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"weight is {weight}"):
            confidently_wrong(weight=weight)
    for largest in (0, -1, float("nan")):
        with pytest.raises(ValueError, match=f"largest_loss is {largest}; accepted"):
            confidently_wrong(largest_loss=largest)


@pytest.mark.parametrize("name", TARGETS)
def test_gradients_are_those_of_finite_differences(name, logits):
    logits.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda z: TARGETS[name](z, LABELS), logits)


@pytest.mark.parametrize("name", TARGETS)
def test_a_record_has_its_loss_in_any_batch(name, logits):
    together = TARGETS[name](logits, LABELS)
    assert together.shape == (5,)
    for record in range(5):
        one = slice(record, record + 1)
        assert torch.equal(TARGETS[name](logits[:, one], LABELS[one]), together[one])


@pytest.mark.parametrize("name", TARGETS)
def test_logits_of_one_classifier_are_refused(name, logits):
    with pytest.raises(ValueError, match=r"accepted is \(member, batch, class\)"):
        TARGETS[name](logits[0], LABELS)


@pytest.fixture
def answered():
    """An ensemble, records that all its members answer right, and the labels."""
    ensemble = related_members()
    signals = random_numbers(200, 1, 40, seed=9)
    answers = ensemble(signals).argmax(-1)  # (member, batch)
    agreed = (answers == answers[0]).all(0)
    return ensemble, signals[agreed], answers[0, agreed]


@pytest.mark.parametrize("name", TARGETS)
def test_an_attack_on_an_ensemble_raises_its_loss_on_every_record(name, answered):
    ensemble, signals, labels = answered
    loss = TARGETS[name]
    delta = pgd(ensemble, signals, labels, epsilon=0.05, steps=10, loss=loss)
    rise = loss(ensemble(signals + delta), labels) - loss(ensemble(signals), labels)
    assert (rise > 0).double().mean() > 0.95  # the ratio's denominator rises as well, on a few


def test_each_target_is_best_at_its_own_aim(answered):
    ensemble, signals, labels = answered
    right = {}
    for name in ("most", "least"):
        delta = pgd(ensemble, signals, labels, epsilon=0.25, loss=TARGETS[name])
        right[name] = (ensemble(signals + delta).argmax(-1) == labels).sum(0)  # (batch,)
    assert (right["least"] >= 1).sum() < (right["most"] >= 1).sum()
    assert (right["most"] == 3).sum() < (right["least"] == 3).sum()


def test_the_confident_attack_is_wrong_and_without_doubt(answered):
    ensemble, signals, labels = answered
    doubt, wrong = {}, {}
    for name, loss in {"plain": end_to_end(margin), "confident": confidently_wrong()}.items():
        delta = pgd(
            ensemble,
            signals,
            labels,
            epsilon=0.5,
            steps=50,
            loss=loss,
            schedule="apgd",
            restarts=2,
            generators=record_generators(range(len(signals)), seed=0),
        )
        logits = ensemble(signals + delta)
        doubt[name] = mutual_information(logits).mean()
        wrong[name] = (log_mean_softmax(logits).argmax(1) != labels).double().mean()
    natural = mutual_information(ensemble(signals)).mean()
    assert wrong["plain"] > 0.99 and wrong["confident"] > 0.99
    assert doubt["confident"] < 0.5 * min(natural, doubt["plain"])
