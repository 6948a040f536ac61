"""What one step of training shows its networks, and under which classes."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from random_network import random_network
from torch import Tensor, nn
from torch.nn import functional
from trainings import RECIPE, make_data

from dnalib.signals import PackedSignals
from dnalib.training import Recipe, TrainingData, objectives
from dnalib.training.joint import JointNetwork

RECORDS = torch.arange(39, 9, -3)  # (row,): ten, of all four classes, not in the order of the data


class SetUp(nn.Module):
    """A network as Lightning Fabric sets it up, on one process."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *arguments: Tensor, **options: bool) -> tuple[Tensor, Tensor]:
        return self.module(*arguments, **options)


@pytest.fixture
def data() -> TrainingData:
    """Forty records of 200 to 278 of 300 samples."""
    found = make_data(count=40)
    lengths = 200 + 2 * torch.arange(40)
    padded = found.signals.batch(torch.arange(40))
    packed = PackedSignals.pack(padded, starts=(300 - lengths) // 2, lengths=lengths)
    return dataclasses.replace(found, signals=packed)


def step_of(network: nn.Module, data: TrainingData, recipe: Recipe) -> objectives.Step:
    fabric = SimpleNamespace(world_size=1, global_rank=0)
    return objectives.Step(fabric, SetUp(network), data, RECORDS, recipe, None, 0)


def joint_network() -> JointNetwork:
    return JointNetwork([random_network(width=0.02, seed=seed) for seed in range(3)])


DVERGE = dataclasses.replace(RECIPE, method="dverge", adversarial_epsilon=10.0, adversarial_steps=2)


def test_dverge_distils_each_row_towards_its_partner_off_the_padding(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def distil(network: nn.Module, sources: Tensor, targets: Tensor, **options: Tensor) -> Tensor:
        calls.append((sources, targets, options["valid"]))
        return sources

    monkeypatch.setattr(objectives, "distilled_examples", distil)
    monkeypatch.setattr(
        objectives, "partners_of_another_class", lambda labels: torch.arange(len(labels)).roll(1)
    )
    objectives.dverge(step_of(joint_network(), data, DVERGE))
    assert len(calls) == 3
    for sources, targets, valid in calls:
        assert torch.equal(sources, data.signals.batch(RECORDS).float())
        assert torch.equal(targets, sources.roll(1, 0))
        assert torch.equal(valid, data.signals.valid(RECORDS)) and not valid.all()


def test_dverge_draws_partners_of_another_class_than_the_rows(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, partners = [], objectives.partners_of_another_class

    def watch(labels: Tensor) -> Tensor:
        asked.append(labels)
        return partners(labels)

    monkeypatch.setattr(objectives, "partners_of_another_class", watch)
    objectives.dverge(step_of(joint_network(), data, DVERGE))
    (labels,) = asked
    assert torch.equal(labels, data.labels[RECORDS])


def test_dverge_teaches_the_classes_of_the_sources(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught, cross_entropy = [], objectives.mean_cross_entropy

    def watch(logits: Tensor, labels: Tensor) -> Tensor:
        taught.append(labels)
        return cross_entropy(logits, labels)

    monkeypatch.setattr(objectives, "mean_cross_entropy", watch)
    objectives.dverge(step_of(joint_network(), data, DVERGE))
    (labels,) = taught
    own = data.labels[RECORDS]
    assert labels.tolist() == [*own.tolist(), *own.tolist()], "all of one network, then the other's"


def test_the_hits_of_dverge_are_of_as_many_rows_as_there_are(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = functional.one_hot(data.labels[RECORDS].repeat(2), 4).float()  # (row · other, class)
    # Two networks are always right, the third never is.
    answers = torch.stack([right, right, -right])
    monkeypatch.setattr(JointNetwork, "forward", lambda self, shown: (answers, None))
    found = objectives.dverge(step_of(joint_network(), data, DVERGE))
    assert found.hits.item() == pytest.approx(len(RECORDS) * 2 / 3)


def test_adversarial_training_attacks_its_own_records_off_the_padding(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, attack = [], objectives.adversarial_examples

    def watch(network: nn.Module, signals: Tensor, labels: Tensor, **options: Tensor) -> Tensor:
        found = attack(network, signals, labels, **options)
        calls.append((found - signals, labels, options["valid"]))
        return found

    monkeypatch.setattr(objectives, "adversarial_examples", watch)
    recipe = dataclasses.replace(RECIPE, adversarial_epsilon=10.0, adversarial_steps=2)
    objectives.alone(step_of(random_network(width=0.02), data, recipe))
    ((change, labels, valid),) = calls
    assert torch.equal(labels, data.labels[RECORDS])
    assert torch.equal(valid, data.signals.valid(RECORDS)) and not valid.all()
    assert change[valid].any() and not change[~valid].any()


def test_a_joint_step_is_the_mean_over_its_networks() -> None:
    logits = torch.randn(3, 5, 4)
    labels = torch.tensor([0, 1, 2, 3, 0])
    one_by_one = torch.stack([functional.cross_entropy(one, labels) for one in logits])
    assert torch.allclose(objectives.mean_cross_entropy(logits, labels), one_by_one.mean())
    hits = (logits.argmax(2) == labels).sum(dim=1).float()
    assert objectives.mean_hits(logits, labels) == pytest.approx(hits.mean().item())
