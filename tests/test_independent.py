"""ART's attacks on our models: the same as ours where both exist, and held to the record."""

import importlib
import sys
from functools import partial

import numpy as np
import pytest
import torch
from random_network import random_network, random_records
from torch import nn

from dnalib import attacks, independent
from dnalib.ensemble import Ensemble

EPSILON = 20.0
LENGTHS = [600, 400, 500, 600, 350, 500]


@pytest.fixture(scope="module")
def network():
    return random_network(width=0.05)


@pytest.fixture(scope="module")
def records(network):
    """Signals (record, 1, time), validity and the network's own answers as labels."""
    signals = random_records(LENGTHS, length=600)
    valid = torch.zeros(signals.shape, dtype=torch.bool)
    for row, samples in enumerate(LENGTHS):
        first = (600 - samples) // 2
        valid[row, :, first : first + samples] = True
    with torch.no_grad():
        return signals, valid, network(signals).argmax(1)


def art_square(seed=0, **options):
    return partial(independent.square, generator=torch.Generator().manual_seed(seed), **options)


class Linear(nn.Module):
    """Two classes told apart by a weighted sum over leads and samples, of rounded signals."""

    def __init__(self, weight, *, quantum=0.0):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.quantum = quantum
        self.eval()

    def forward(self, signals):
        if self.quantum:
            signals = (signals / self.quantum).round() * self.quantum
        score = (signals * self.weight).sum((1, 2))
        return torch.stack([torch.zeros_like(score), score], dim=1)


@pytest.mark.parametrize(
    ("epsilon", "steps", "step_size"), [(EPSILON, 20, None), (EPSILON, 7, 1.5), (100.0, 40, 5.0)]
)
def test_ours_and_arts_pgd_agree(network, records, epsilon, steps, step_size):
    signals, valid, labels = records
    options = {"epsilon": epsilon, "steps": steps, "step_size": step_size, "valid": valid}
    ours = attacks.pgd(network, signals, labels, **options, padding="mask")
    theirs = independent.pgd(network, signals, labels, **options)
    assert independent.agreement(ours, theirs, epsilon=epsilon, valid=valid) > 0.99
    assert theirs.abs().max() <= epsilon and theirs[valid].abs().double().mean() > epsilon / 3


def test_agreement_tells_other_steps_and_other_labels_apart(network, records):
    signals, valid, labels = records
    theirs = independent.pgd(network, signals, labels, epsilon=EPSILON, valid=valid)
    ours = partial(attacks.pgd, network, signals, epsilon=EPSILON, valid=valid, padding="mask")
    for other in (ours(labels, steps=19, step_size=1.0), ours((labels + 1) % 4)):
        assert independent.agreement(other, theirs, epsilon=EPSILON, valid=valid) < 0.9


def test_agreement_is_a_share_of_the_valid_samples():
    first = torch.tensor([[[10.0, -10.0, 10.0, 0.0]]])
    second = torch.tensor([[[10.0, -9.995, -10.0, 7.0]]])
    assert independent.agreement(first, second, epsilon=10.0) == 0.5
    valid = torch.tensor([[[True, True, True, False]]])
    assert independent.agreement(first, second, epsilon=10.0, valid=valid) == pytest.approx(2 / 3)


@pytest.mark.parametrize("attack", [independent.pgd, art_square(steps=5)], ids=["pgd", "square"])
def test_a_perturbation_stays_in_the_ball_and_on_the_record(network, records, attack):
    signals, valid, labels = records
    before = signals.clone()
    delta = attack(network, signals, labels, epsilon=EPSILON, valid=valid)
    assert delta.shape == signals.shape and delta.dtype == torch.float32
    assert 0 < delta.abs().max() <= EPSILON
    assert not delta[~valid].any()
    assert torch.equal(signals, before)


@pytest.mark.parametrize("attack", [independent.pgd, art_square(steps=5)], ids=["pgd", "square"])
def test_no_sample_leaves_the_interval(network, records, attack):
    signals, valid, labels = records
    interval = (signals.min().item(), signals.max().item())
    delta = attack(network, signals, labels, epsilon=400.0, valid=valid, interval=interval)
    changed = signals + delta
    assert interval[0] - 1e-3 <= changed.min() and changed.max() <= interval[1] + 1e-3
    with pytest.raises(ValueError, match="accepted are samples in"):
        attack(network, 2 * signals, labels, epsilon=1.0, valid=valid, interval=interval)


@pytest.mark.parametrize("attack", [independent.pgd, art_square(steps=2)], ids=["pgd", "square"])
def test_the_model_is_left_as_it_was(records, attack):
    network = random_network(width=0.05)
    network.fc.weight.requires_grad_(False)
    network.fc.bias.grad = torch.ones(4)
    signals, valid, labels = records
    attack(network, signals, labels, epsilon=EPSILON, valid=valid)
    assert not network.training and not network.fc.weight.requires_grad
    assert network.conv1.weight.requires_grad and network.conv1.weight.grad is None
    assert torch.equal(network.fc.bias.grad, torch.ones(4))


def test_arts_pgd_on_a_linear_model_is_the_sign_of_its_weights():
    weight = torch.randn(2, 40, generator=torch.Generator().manual_seed(0))
    signals = torch.zeros(3, 2, 40)
    delta = independent.pgd(Linear(weight), signals, torch.tensor([0, 1, 0]), epsilon=7.0)
    away = torch.tensor([1.0, -1.0, 1.0]).view(3, 1, 1)
    assert torch.allclose(delta, 7 * away * weight.sign())
    no_steps = independent.pgd(
        Linear(weight), signals, torch.tensor([0, 1, 0]), epsilon=7.0, steps=0
    )
    assert not no_steps.any()


def test_square_turns_records_without_a_gradient():
    """Rounding leaves no gradient: PGD stands still, random search does not."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(2, 60, generator=generator)
    model = Linear(weight, quantum=4.0)
    signals = (20 * torch.randn(16, 2, 60, generator=generator)).round()
    with torch.no_grad():
        labels = model(signals).argmax(1)
    labels[0] = 1 - labels[0]  # wrong as it is
    options = {"epsilon": 30.0}
    assert not independent.pgd(model, signals, labels, **options).any()
    delta = art_square(steps=150)(model, signals, labels, **options)
    with torch.no_grad():
        turned = model(signals + delta).argmax(1) != labels
    assert turned.float().mean() > 0.9
    assert not delta[0].any()
    assert not art_square(steps=0)(model, signals, labels, **options).any()


def test_square_draws_from_the_generator_alone(network, records):
    signals, valid, labels = records
    arguments = (network, signals[:3], labels[:3])
    options = {"epsilon": EPSILON, "valid": valid[:3]}
    np.random.seed(7)
    before = np.random.get_state()[1].copy()
    first = art_square(seed=1, steps=3)(*arguments, **options)
    assert np.array_equal(np.random.get_state()[1], before)
    np.random.seed(8)
    assert torch.equal(first, art_square(seed=1, steps=3)(*arguments, **options))
    assert not torch.equal(first, art_square(seed=2, steps=3)(*arguments, **options))


@pytest.mark.parametrize("attack", [independent.pgd, art_square()], ids=["pgd", "square"])
def test_refuses_what_art_would_take_amiss(network, records, attack):
    signals, valid, labels = records
    with pytest.raises(ValueError, match="accepted is float32"):
        attack(network, signals.double(), labels, epsilon=1.0)
    with pytest.raises(ValueError, match="epsilon is 0"):
        attack(network, signals, labels, epsilon=0)
    with pytest.raises(ValueError, match="labels reach 4 and the model has 4 classes; accepted"):
        attack(network, signals, labels.clone().fill_(4), epsilon=1.0, valid=valid)
    with pytest.raises(ValueError, match="valid has shape"):
        attack(network, signals, labels, epsilon=1.0, valid=valid[:1])


@pytest.mark.parametrize("attack", [independent.pgd, art_square()], ids=["pgd", "square"])
def test_an_ensemble_is_not_taken_for_a_classifier(network, records, attack):
    signals, valid, labels = records
    ensemble = Ensemble([network, network]).eval()
    with pytest.raises(ValueError, match=r"logits of shape \(2, 1, 4\).*attacks.log_mean_softmax"):
        attack(ensemble, signals, labels, epsilon=1.0, valid=valid)

    class Answer(nn.Module):
        """What the message names."""

        def __init__(self):
            super().__init__()
            self.ensemble = ensemble
            self.eval()

        def forward(self, signals):
            return attacks.log_mean_softmax(self.ensemble(signals))

    assert independent.art_classifier(Answer(), shape=(1, 600)).nb_classes == 4


def test_says_what_to_install_where_art_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "art.attacks.evasion", None)
    monkeypatch.delitem(sys.modules, "dnalib.independent")
    with pytest.raises(ImportError, match=r"dnalib\[rigour\]"):
        importlib.import_module("dnalib.independent")


def test_the_random_states_of_others_are_left_as_they_were() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(100, 3)).eval()
    signals, labels = torch.ones(3, 1, 100), torch.tensor([0, 1, 2])
    before, numbers = torch.get_rng_state(), np.random.get_state()[1].copy()
    independent.pgd(model, signals, labels, epsilon=1.0, steps=2)
    generator = torch.Generator().manual_seed(0)
    independent.square(model, signals, labels, epsilon=1.0, steps=2, generator=generator)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numbers)


def test_what_art_cannot_take_is_refused() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(100, 3)).eval()
    signals, labels = torch.ones(3, 1, 100), torch.tensor([0, 1, 2])
    valid = torch.ones_like(signals, dtype=torch.bool)
    valid[..., 50:] = False
    generator = torch.Generator()
    with pytest.raises(ValueError, match="not zero where valid is False"):
        independent.square(model, signals, labels, epsilon=1.0, valid=valid, generator=generator)
    with pytest.raises(ValueError, match=r"epsilon has shape \(3,\)"):
        independent.pgd(model, signals, labels, epsilon=torch.ones(3))
    with pytest.raises(ValueError, match="signals hold no record"):
        independent.pgd(model, signals[:0], labels[:0], epsilon=1.0)
    with torch.inference_mode(), pytest.raises(ValueError, match="inference_mode.* no gradients"):
        independent.pgd(model, signals, labels, epsilon=1.0)
    with pytest.raises(ValueError, match="perturbations have shapes"):
        independent.agreement(signals, signals[:1], epsilon=1.0)
