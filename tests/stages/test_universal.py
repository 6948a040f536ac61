"""How a universal perturbation is learnt, on networks that answer otherwise when attacked."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from random_network import random_network, random_records
from torch import Tensor, nn
from torch.nn import functional

from dnalib import attacks
from dnalib.model import Network
from dnalib.signals import PackedSignals
from dnalib.stages import ENSEMBLES, MEMBERS, universal
from dnalib.stages.universal import learn_universal

EPSILON = 200.0
LENGTHS = torch.tensor([300, 240, 280, 260] * 12)
SIGNALS = PackedSignals.pack(
    random_records(LENGTHS.tolist(), length=300).squeeze(1).short(),
    starts=(300 - LENGTHS) // 2,
    lengths=LENGTHS,
)
RECORDS = np.arange(0, len(LENGTHS), 2)
INPUTS = SIGNALS.batch(torch.from_numpy(RECORDS)).float()  # (record, 1, time)
VALID = SIGNALS.valid(torch.from_numpy(RECORDS))
TARGETS = {"base": ("base",), **ENSEMBLES}


def decided_network(seed: int) -> Network:
    """A random network whose answers are sure enough to have something to lose."""
    network = random_network(width=0.02, seed=seed)
    with torch.no_grad():
        network.fc.weight *= 5
        network.fc.bias *= 5
    return network


NETWORKS = {name: decided_network(seed) for seed, name in enumerate(MEMBERS)}


def probabilities(members: tuple[str, ...], inputs: Tensor) -> Tensor:
    """An ensemble's mean softmax, (record, class)."""
    with torch.no_grad():
        return torch.stack([NETWORKS[name](inputs).softmax(1) for name in members]).mean(0)


def run_with(labels: Tensor, *, precision: str = "32-true") -> SimpleNamespace:
    """A run whose records `RECORDS` have these labels."""
    every = torch.zeros(len(LENGTHS), dtype=torch.int64)
    every[torch.from_numpy(RECORDS)] = labels
    return SimpleNamespace(
        settings=SimpleNamespace(seed=0, adaptive_precision=precision),
        dataset=SimpleNamespace(
            packed=lambda records: SIGNALS.select(torch.from_numpy(records)),
            labels=lambda records: every[torch.from_numpy(records)],
        ),
    )


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(universal, "load_member", lambda run, name: NETWORKS[name])


@pytest.mark.parametrize("target", TARGETS)
def test_the_loss_of_each_target_rises_most_on_the_records_that_it_is_learnt_from(
    target: str,
) -> None:
    members = TARGETS[target]
    labels = probabilities(members, INPUTS).argmax(1)
    delta = learn_universal(run_with(labels), members, RECORDS, epsilon=EPSILON)
    assert delta.shape == (300,) and delta.dtype == torch.float32
    generator = torch.Generator().manual_seed(0)
    random = [EPSILON * torch.randn(300, generator=generator).sign() for _ in range(10)]
    attacked, *others = (
        functional.nll_loss(probabilities(members, INPUTS + change * VALID).log(), labels)
        for change in (delta, torch.zeros(300), -delta, *random)
    )
    assert attacked > max(others) + 0.003


def test_five_passes_over_the_records_reach_the_bound_and_none_goes_beyond() -> None:
    labels = probabilities(("base",), INPUTS).argmax(1)
    delta = learn_universal(run_with(labels), ("base",), RECORDS, epsilon=EPSILON)
    tenths = delta / (EPSILON / 10)
    torch.testing.assert_close(tenths, tenths.round(), rtol=0, atol=1e-4)
    assert tenths.abs().max().round() == 10  # 24 records are two steps of a tenth a pass


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize(("fitting", "at_once"), [((64, 20, 32), 6), ((9, 1), 1), ((7,), 7)])
def test_what_is_climbed_on_which_records_and_how(
    monkeypatch: pytest.MonkeyPatch, precision: str, fitting: tuple[int, ...], at_once: int
) -> None:
    seen: dict[str, Any] = {}

    def spy(model: nn.Module, inputs: Tensor, labels: Tensor, **options: Any) -> Tensor:
        seen.update(options, model=model, inputs=inputs, labels=labels)
        return inputs[0]

    monkeypatch.setattr(attacks, "universal_perturbation", spy)
    sizes = iter(fitting)
    monkeypatch.setattr(universal, "fitting_batch", lambda evaluator: next(sizes))
    labels = torch.arange(len(RECORDS)) % 4
    members = MEMBERS[: len(fitting)]
    run = run_with(labels, precision=precision)
    delta = learn_universal(run, members, RECORDS, epsilon=EPSILON)
    assert torch.equal(delta, INPUTS[0, 0])
    assert torch.equal(seen.pop("inputs"), INPUTS) and torch.equal(seen.pop("labels"), labels)
    assert torch.equal(seen.pop("valid"), VALID) and not VALID.all()
    model, loss = seen.pop("model"), seen.pop("loss")
    assert model.in_bf16 == (precision == "bf16-mixed") and not model.training
    with torch.no_grad():
        logits = model.model(INPUTS)
        each = torch.stack([NETWORKS[name](INPUTS) for name in members])
    torch.testing.assert_close(logits, each, rtol=1e-4, atol=1e-4)
    assert torch.equal(loss(logits, labels), attacks.end_to_end()(logits, labels))
    assert isinstance(seen.pop("generator"), torch.Generator)
    assert seen == {
        "epsilon": EPSILON,
        "epochs": 5,
        "batch_size": 20,
        "at_once": at_once,
        "largest_loss": 5.0,
    }
