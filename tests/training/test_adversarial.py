"""Inputs that an attack makes for training."""

from itertools import pairwise

import pytest
import torch
from random_network import random_network
from torch.nn import functional
from toy_classifiers import TwoClasses, random_numbers

from dnalib.training import adversarial
from dnalib.training.adversarial import (
    adversarial_examples,
    distilled_examples,
    partners_of_another_class,
)

EPSILON = 20.0
OPTIONS = {"epsilon": EPSILON, "steps": 6, "precision": "32-true"}


@pytest.fixture
def network():
    return random_network(width=0.02).train()


@pytest.fixture
def batch():
    """Eight signals, the first 60 of 300 samples of half of them padding; labels; valid."""
    generator = torch.Generator().manual_seed(2)
    signals = 100 * torch.randn(8, 1, 300, generator=generator)
    valid = torch.ones_like(signals, dtype=torch.bool)
    valid[:4, :, :60] = False
    return signals * valid, torch.arange(8) % 4, valid


def check_change(found, signals, valid):
    """A change within ε, somewhere as large, and none on the padding."""
    change = found - signals
    assert change.abs().max() == pytest.approx(EPSILON, rel=1e-4)
    assert torch.equal(found[~valid], torch.zeros_like(found[~valid]))


def state_of(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_adversarial_examples_raise_the_loss(network, batch):
    signals, labels, valid = batch
    torch.manual_seed(0)
    before = state_of(network)
    found = adversarial_examples(network, signals, labels, valid=valid, **OPTIONS)
    check_change(found, signals, valid)
    assert network.training  # and nothing of it was changed:
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    network.eval()
    natural, attacked = (
        functional.cross_entropy(network(one), labels, reduction="none") for one in (signals, found)
    )
    assert (attacked > natural).all()


def test_adversarial_examples_start_at_random_and_from_the_global_generator(network, batch):
    signals, labels, valid = batch
    options = {**OPTIONS, "steps": 0}
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(adversarial_examples(network, signals, labels, valid=valid, **options))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])
    start = (found[0] - signals)[valid]
    assert start.min() < -0.95 * EPSILON and start.max() > 0.95 * EPSILON
    assert start.mean().abs() < 0.1 * EPSILON


@pytest.mark.parametrize("steps", [1, 4, 10])
def test_adversarial_examples_take_steps_that_add_up_to_two_and_a_half_epsilon(
    batch, steps, monkeypatch
):
    signals, _, valid = batch
    labels = torch.arange(8) % 2  # the score rises for the first class and falls for the second
    weight = random_numbers(1, 300).float()
    seen = []

    def score(inputs):
        seen.append(inputs.detach() - signals)
        return (inputs * weight).sum((1, 2)) / 1e4

    monkeypatch.setattr(adversarial, "attacked_copy", lambda network: network)
    options = {**OPTIONS, "steps": steps}
    torch.manual_seed(0)
    found = adversarial_examples(TwoClasses(score), signals, labels, valid=valid, **options)
    seen.append(found - signals)
    assert len(seen) == steps + 1
    step = 2.5 * EPSILON / steps * weight.sign() * (1 - 2 * labels[:, None, None]) * valid
    for before, after in pairwise(seen):
        expected = (before + step).clamp(-EPSILON, EPSILON)
        torch.testing.assert_close(after, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("block", [1, 6, 13])
def test_distillation_moves_the_sources_maps_to_the_targets(network, batch, block):
    signals, _, valid = batch
    targets = signals.roll(1, 0)
    found = distilled_examples(network, signals, targets, block=block, valid=valid, **OPTIONS)
    check_change(found, signals, valid)
    assert network.training
    network.eval()
    source, distilled, target = (
        network.maps_after(one, block=block).flatten(1) for one in (signals, found, targets)
    )
    before = (source - target).norm(dim=1)  # (record,)
    after = (distilled - target).norm(dim=1)
    assert (after < 0.9 * before).all()


def test_distillation_of_a_record_towards_itself_changes_nothing(network, batch):
    signals, _, valid = batch
    found = distilled_examples(network, signals, signals, block=5, valid=valid, **OPTIONS)
    assert torch.equal(found, signals)


def test_distillation_takes_steps_that_add_up_to_epsilon(network, batch):
    signals, _, valid = batch
    options = {**OPTIONS, "steps": 5, "block": 3, "valid": valid}
    change = distilled_examples(network, signals, signals.roll(1, 0), **options) - signals
    steps = (change[valid] / (EPSILON / 5)).abs()
    torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-4)
    assert set(steps.round().int().tolist()) >= {1, 3, 5} and steps.max() < 5.5


def test_distillation_is_towards_the_whole_target_however_short_the_source(
    network, batch, monkeypatch
):
    signals, _, valid = batch
    targets = signals.roll(4, 0)  # whole records for the padded ones
    assert targets[~valid].any()
    wanted, nearness = [], adversarial.nearness

    def watch(maps, target):
        wanted.append(target)
        return nearness(maps, target)

    monkeypatch.setattr(adversarial, "nearness", watch)
    distilled_examples(network, signals, targets, block=2, valid=valid, **OPTIONS)
    network.eval()
    expected = network.maps_after(targets, block=2).flatten(1)
    assert len(wanted) == OPTIONS["steps"]
    torch.testing.assert_close(wanted[0], expected, rtol=1e-4, atol=1e-4)


def test_partners_are_of_another_class_and_all_of_these_are_drawn():
    labels = torch.tensor([0, 0, 1, 2, 2, 2])
    torch.manual_seed(0)
    drawn = torch.stack([partners_of_another_class(labels) for _ in range(200)])  # (draw, row)
    assert (labels[drawn] != labels).all()
    assert set(drawn[:, 0].tolist()) == {2, 3, 4, 5}
    assert set(drawn[:, 3].tolist()) == {0, 1, 2}


def test_rows_of_one_class_get_the_first_one():
    assert partners_of_another_class(torch.full((5,), 2)).tolist() == [0] * 5
