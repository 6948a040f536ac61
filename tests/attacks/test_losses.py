"""The losses: by hand, and what leaves them alone."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from dnalib.attacks import cross_entropy, difference_of_logits_ratio, margin, pgd
from dnalib.attacks.losses import cut, of_each

LOSSES = [cross_entropy, margin, difference_of_logits_ratio]
LOGITS = torch.tensor([[4.0, 1.0, 2.0, -1.0], [4.0, 1.0, 2.0, -1.0], [0.0, 0.0, 0.0, 0.0]])
LABELS = torch.tensor([0, 3, 1])


def random_logits(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("loss", LOSSES)
def test_no_loss_waits_for_a_device(loss):
    # This device has no numbers that could be waited for.
    logits = torch.empty(5, 4, device="meta", requires_grad=True)
    loss(logits, torch.empty(5, dtype=torch.int64, device="meta")).sum().backward()
    assert logits.grad.shape == (5, 4)


def test_cross_entropy_by_hand():
    total = math.log(math.exp(4) + math.exp(1) + math.exp(2) + math.exp(-1))
    expected = [total - 4, total + 1, math.log(4)]
    assert cross_entropy(LOGITS, LABELS).tolist() == pytest.approx(expected, rel=1e-5)


def test_margin_by_hand():
    assert margin(LOGITS, LABELS).tolist() == [2 - 4, 4 - -1, 0]


def test_difference_of_logits_ratio_by_hand():
    # The three largest are 4, 2, 1; where all tie the margin is 0 and so is the ratio.
    expected = [(2 - 4) / (4 - 1), (4 - -1) / (4 - 1), 0]
    found = difference_of_logits_ratio(LOGITS, LABELS).tolist()
    assert found == pytest.approx(expected, rel=1e-6)


def test_margin_and_ratio_are_above_zero_where_the_answer_is_wrong():
    logits, labels = random_logits(200, 4), torch.arange(200) % 4
    wrong = logits.argmax(1) != labels
    assert 0 < wrong.sum() < 200
    for loss in (margin, difference_of_logits_ratio):
        assert torch.equal(loss(logits, labels) > 0, wrong)


def test_the_ratio_has_no_scale_and_no_offset():
    logits, labels = random_logits(20, 4), torch.arange(20) % 4
    moved = 1e4 * logits + 7
    ratio = difference_of_logits_ratio
    assert torch.allclose(ratio(moved, labels), ratio(logits, labels))
    assert not torch.allclose(margin(moved, labels), margin(logits, labels))


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_one_value_a_record_whatever_its_neighbours(loss):
    logits, labels = random_logits(7, 4), torch.arange(7) % 4
    together = loss(logits, labels)
    assert together.shape == (7,)
    for record in range(7):
        one = slice(record, record + 1)
        assert torch.equal(loss(logits[one], labels[one]), together[one])


def test_a_loss_is_cut():
    logits, labels = random_logits(20, 4).requires_grad_(True), torch.arange(20) % 4
    values, kept = margin(logits, labels), cut(margin, largest_loss=1.0)(logits, labels)
    over = values > 1
    assert over.any() and torch.equal(kept, torch.where(over, 1.0, values))
    (gradient,) = torch.autograd.grad(kept.sum(), logits)
    assert torch.equal(gradient.any(1), ~over)
    assert cut(margin, largest_loss=None) is margin


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_finite_differences(loss):
    logits, labels = random_logits(5, 4, seed=1).requires_grad_(True), torch.arange(5) % 4
    assert torch.autograd.gradcheck(lambda z: loss(z, labels), logits)


def test_too_few_classes_are_refused():
    with pytest.raises(ValueError, match=r"shape \(5, 2\); .* at least 3 classes"):
        difference_of_logits_ratio(random_logits(5, 2), torch.zeros(5, dtype=torch.int64))
    with pytest.raises(ValueError, match="at least 2 classes"):
        margin(random_logits(5, 1), torch.zeros(5, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"\(batch, class\)"):
        margin(random_logits(3, 5, 4), torch.zeros(5, dtype=torch.int64))


@pytest.mark.parametrize("loss", [cross_entropy, margin, difference_of_logits_ratio])
def test_logits_of_an_ensemble_are_refused_with_a_word_on_what_takes_them(loss):
    with pytest.raises(ValueError, match=r"shape \(3, 5, 4\).*attacks\.end_to_end\(\)"):
        loss(torch.zeros(3, 5, 4), torch.zeros(5, dtype=torch.int64))


@pytest.mark.parametrize(
    ("loss", "shape"),
    [
        (functional.cross_entropy, r"\(\)"),
        (lambda logits, labels: cross_entropy(logits, labels)[:, None], r"\(3, 1\)"),
    ],
)
def test_a_loss_that_is_not_one_value_a_record_is_refused(loss, shape):
    with pytest.raises(ValueError, match=f"the loss gives shape {shape} .* reduction='none'"):
        of_each(loss, LOGITS, LABELS)
    with pytest.raises(ValueError, match=f"the loss gives shape {shape}"):
        pgd(nn.Flatten().eval(), LOGITS[:, None], LABELS, epsilon=1, loss=loss)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("margin", "loss is 'margin'; accepted is a function of logits and labels, such as att"),
        (lambda logits, labels: 1.0, r"the loss gives a float; accepted is a tensor.* \(batch,\)"),
        (lambda logits, labels: logits.numpy()[:, 0], "the loss gives a ndarray; accepted is a t"),
    ],
)
def test_a_loss_that_gives_no_tensor_is_refused(loss, message):
    with pytest.raises(ValueError, match=message):
        of_each(loss, LOGITS, LABELS)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_shape_of_a_loss_is_told_without_waiting_for_a_device(loss):
    logits = torch.empty(5, 4, device="meta")
    assert of_each(loss, logits, torch.empty(5, dtype=torch.int64, device="meta")).shape == (5,)
