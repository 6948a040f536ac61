"""Trainings that take a moment: four kinds of sine, a network of a fiftieth of the width."""

import pandas
import torch

from dnalib.model import Network
from dnalib.signals import PackedSignals
from dnalib.training import Recipe, TrainingData

RECIPE = Recipe(
    epochs=4,
    batch_size=60,
    learning_rate=4e-3,
    schedule="one-cycle",
    precision="32-true",
    seed=3,
    projected_dimension=50,
)


def network():
    return Network(width=0.02, dropout=0.1)


def quiet(line):
    """Receives the lines of a training."""


def sines(count, *, seed, time=300):
    """Four classes told apart by their frequency: int16 (record, time), and labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 4
    frequency = torch.tensor([2.0, 9.0, 30.0, 70.0])[labels][:, None]  # (record, 1), Hz
    phase = 6.28 * torch.rand(count, 1, generator=generator)
    wave = torch.sin(6.2832 * frequency * torch.arange(time) / 300 + phase)  # (record, time)
    noise = torch.randn(count, time, generator=generator)
    return (200 * wave + 40 * noise).to(torch.int16), labels


def make_data(*, earlier_models=0, count=120):
    """120 records or so to train on, 40 to test on; with features of earlier models."""
    signals, labels = sines(count, seed=0)
    test_signals, test_labels = sines(40, seed=1)
    features = torch.randn(count, 64, generator=torch.Generator().manual_seed(5))
    return TrainingData(
        PackedSignals.pack(signals),
        labels,
        torch.arange(count),
        PackedSignals.pack(test_signals),
        test_labels,
        earlier=tuple(features.roll(number, 0) for number in range(earlier_models)),
    )


def same_tensors(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


def same_network(one, other):
    return same_tensors(one.state_dict(), other.state_dict())


def assert_same(one, other):
    """Two trainings gave the same, bit by bit, but for the time they took."""
    assert same_network(one[0], other[0])
    histories = [history.drop(columns="seconds") for _, history in (one, other)]
    pandas.testing.assert_frame_equal(*histories, check_exact=True)
