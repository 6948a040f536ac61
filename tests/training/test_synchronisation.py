"""A step never waits for the device: shown on the meta device, which has no numbers to wait for."""

import dataclasses
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from trainings import RECIPE, make_data, network

from dnalib.training import epoch
from dnalib.training.joint import JointNetwork
from dnalib.training.recipes import make_schedule
from dnalib.training.state import Keeper, TrainingState

DEVICE = torch.device("meta")


class Transfers(TorchDispatchMode):
    """Collects the shape of whatever goes from the CPU to the device or back."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if torch.is_tensor(leaf)]
        # Schedules and optimizers keep their numbers on the host; a scalar that enters an operation
        # as an argument goes with its launch and waits for nothing.
        if len({tensor.device for tensor in tensors}) > 1:
            self.shapes.append(tuple(result.shape))
        return result


class Wrapped(torch.nn.Module):
    """A network as Fabric sets it up."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, *arguments, **options):
        return self.module(*arguments, **options)


def run_epoch(monkeypatch, *, steps, rows=60, earlier_models=2, **changes):
    """An epoch on the meta device; the shapes that were transferred."""
    recipe = dataclasses.replace(RECIPE, **changes)
    data = make_data(earlier_models=earlier_models)
    data = dataclasses.replace(data, rows=torch.arange(120).repeat(steps)[: rows * steps])
    data = data.to(DEVICE)
    made = network() if recipe.method == "alone" else JointNetwork([network(), network()])
    made = made.to(DEVICE)
    # Fused Adam has no kernel for this device, and an optimizer is none of this loop's steps.
    optimizer = torch.optim.SGD(made.parameters(), lr=0.1)
    state = TrainingState(
        network=made,
        optimizer=optimizer,
        schedule=make_schedule(
            optimizer, dataclasses.replace(recipe, schedule="constant"), steps=9
        ),
        totals=torch.zeros(3, dtype=torch.float64, device=DEVICE),
    )
    # As Fabric sets a network up: the plain one is its module.
    state.network = Wrapped(made)
    fabric = SimpleNamespace(
        device=DEVICE, backward=torch.Tensor.backward, world_size=1, global_rank=0
    )
    monkeypatch.setattr(epoch, "summarise", lambda fabric, state, data, recipe: {})
    keeper = Keeper(None, minutes=10, identity={})
    with torch.random.fork_rng(), Transfers() as transfers:
        epoch.train_epoch(fabric, state, data, recipe=recipe, batches=steps, keeper=keeper)
    assert len(state.history) == 1
    return transfers.shapes


@pytest.mark.parametrize("steps", [2, 5])
def test_an_epoch_moves_its_order_and_its_projections_once(monkeypatch, steps):
    assert run_epoch(monkeypatch, steps=steps) == [(60 * steps,), (steps, 2, 64, 50)]


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "parallel"},
        {"method": "dverge", "adversarial_epsilon": 10.0, "adversarial_steps": 2},
        {"adversarial_epsilon": 10.0, "adversarial_steps": 2},
    ],
)
def test_no_method_waits_for_a_step(monkeypatch, changes):
    # There is no autocast for this device; it waits for nothing.
    monkeypatch.setattr(torch, "autocast", lambda *arguments, **options: nullcontext())
    # Rows enough for a fit on all 64 features.
    found = run_epoch(monkeypatch, steps=1, rows=120, earlier_models=0, **changes)
    assert found == [(120,)]


@pytest.mark.parametrize(
    "wait", [torch.Tensor.item, lambda loss: loss.cpu(), lambda loss: bool(loss > 0)]
)
def test_a_step_that_waits_is_noticed(monkeypatch, wait):
    step = epoch.train_step

    def waiting(*arguments, **options):
        sums = step(*arguments, **options)
        wait(sums[0])
        return sums

    monkeypatch.setattr(epoch, "train_step", waiting)
    with pytest.raises((RuntimeError, NotImplementedError)):
        run_epoch(monkeypatch, steps=2)
