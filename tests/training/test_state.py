"""A training's state: all of it comes back, and only to the training that it belongs to."""

import dataclasses
import json
import math
from types import SimpleNamespace

import pytest
import torch
from lightning.fabric import Fabric
from trainings import RECIPE, make_data, network, quiet, same_tensors

from dnalib.filters import FourierFilter, ring_filters
from dnalib.model import Network
from dnalib.training import epoch, train
from dnalib.training.acceleration import lay_out_channels_last
from dnalib.training.checkpoints import CheckpointFolder
from dnalib.training.processes import Alone
from dnalib.training.state import (
    Keeper,
    agree,
    from_json,
    match_layouts,
    settle_precision,
    to_json,
)


def make_state(*, seed):
    """A state with nothing in it at its start: two steps were taken."""
    torch.manual_seed(seed)
    fabric = Fabric(devices=1, accelerator="cpu")
    state = epoch.set_up(fabric, network(), recipe=RECIPE, batches=2, compiled=False)
    data = make_data(earlier_models=1)
    projections = epoch.epoch_projections(
        data, RECIPE, steps=2, generator=torch.Generator().manual_seed(seed)
    )
    for state.step in range(2):
        state.totals += epoch.train_step(
            fabric, state, data, torch.arange(60), recipe=RECIPE, projections=projections
        )
    state.history.append({"epoch": 1, "loss": 1 / 3 + seed, "decorrelation_loss": math.nan})
    state.step, state.seconds = 2, 12.5 + seed
    return state


def keeper(path, **identity):
    return Keeper(path, minutes=0, identity={"format": 1, **identity})


def test_all_of_a_state_comes_back(tmp_path):
    state = make_state(seed=1)
    expected = {name: tensor.clone() for name, tensor in state.tensors().items()}
    keeper(tmp_path).save(state)
    numbers = torch.rand(5)
    other = make_state(seed=2)
    assert not same_tensors(other.tensors(), expected)
    keeper(tmp_path).restore(other)
    assert same_tensors(other.tensors(), expected)
    assert json.dumps(other.content()) == json.dumps(state.content())
    assert other.schedule.state_dict().keys() == state.schedule.state_dict().keys()
    assert math.isnan(other.history[0]["decorrelation_loss"])
    assert other.history[0]["loss"] == 1 / 3 + 1 and (other.step, other.seconds) == (2, 13.5)
    assert torch.equal(torch.rand(5), numbers)


def test_a_state_names_its_random_numbers_and_moments():
    names = set(make_state(seed=1).tensors())
    assert {"random.cpu", "totals", "network.bn1.running_mean"} < names
    assert {"optimizer.0.exp_avg", "optimizer.0.exp_avg_sq", "optimizer.0.step"} < names


@pytest.mark.parametrize("first", [True, False])
def test_sums_of_an_epoch_that_one_process_began_count_once(first):
    state = make_state(seed=1)
    expected = state.totals.clone()
    agree(state, SimpleNamespace(first=first, follow=lambda action: (1, 2)))
    assert torch.equal(state.totals, expected if first else torch.zeros(3, dtype=torch.float64))


def test_processes_that_found_different_checkpoints_do_not_go_on():
    other = SimpleNamespace(first=False, follow=lambda action: (1, 0))
    with pytest.raises(ValueError, match="goes on from epoch 1, step 2, and the first"):
        agree(make_state(seed=1), other)


def test_nothing_is_kept_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state, same = make_state(seed=1), make_state(seed=1)
    without = Keeper(None, minutes=0, identity={})
    without.save(state)
    without.save_when_due(state)
    assert not any(tmp_path.iterdir())
    state.totals += 1
    without.restore(state)  # which finds nothing of what was to be saved
    assert torch.equal(state.totals, same.totals + 1)
    assert json.dumps(state.content()) == json.dumps(same.content())


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["totals", "network.conv13.weight", "network.bn1.running_var"])
def test_a_state_that_is_not_finite_is_not_kept(tmp_path, name, number):
    state, kept = make_state(seed=1), keeper(tmp_path)
    kept.save(state)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    state.step += 1
    state.tensors()[name].view(-1)[-1] = number
    message = f"{name} after epoch 1, step 3 is not finite, so that no checkpoint is written"
    with pytest.raises(FloatingPointError, match=message):
        kept.save(state)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    keeper(tmp_path).restore(state)
    assert state.step == 2 and state.tensors()[name].isfinite().all()


def test_a_state_without_one_on_disk_stays_as_it_is(tmp_path):
    state = make_state(seed=1)
    expected = {name: tensor.clone() for name, tensor in state.tensors().items()}
    keeper(tmp_path).restore(state)
    assert same_tensors(state.tensors(), expected)


def filtered(index):
    masks = ring_filters(bands=10, length=300)
    return Network(width=0.02, dropout=0.1, fourier_filter=FourierFilter(masks[index], length=300))


def test_another_training_is_refused(tmp_path):
    data = make_data(earlier_models=1)

    def attempt(make_network=network, data=data, checkpoint=tmp_path, **changes):
        recipe = dataclasses.replace(RECIPE, epochs=changes.pop("epochs", 1), **changes)
        train(make_network, data, recipe=recipe, checkpoint=checkpoint, report=quiet)

    def refused(name, found, given, **options):
        before = sorted(tmp_path.iterdir())
        with pytest.raises(ValueError) as caught:
            attempt(**options)
        assert str(caught.value) == (
            f"the checkpoint epoch1 in {tmp_path} was made with {name} {found} and this call has "
            f"{given}; accepted is the same recipe, network and data: name another folder, or "
            "remove this one"
        )
        assert sorted(tmp_path.iterdir()) == before

    attempt()
    attempt()  # the same is none other
    refused("epochs", 1, 2, epochs=2)
    refused("learning_rate", 0.004, 0.005, learning_rate=0.005)
    refused("schedule", "one-cycle", "constant", schedule="constant")
    refused("seed", 3, 4, seed=4)
    refused("precision", "32-true", "bf16-mixed", precision="bf16-mixed")
    refused("decorrelation_weight", 0.2, 0.3, decorrelation_weight=0.3)
    refused("dropout", 0.1, 0.2, make_network=lambda: Network(width=0.02, dropout=0.2))
    wider = {"make_network": lambda: Network(width=0.04, dropout=0.1)}
    refused("the shape of bn1.bias", [6], [13], **wider)
    fewer = dataclasses.replace(data, rows=data.rows[:110])
    digests = data.digests()["training rows"], fewer.digests()["training rows"]
    refused("training rows", *digests, data=fewer)
    refused(
        "features of earlier model 1",
        data.digests()["features of earlier model 1"],
        "none",
        data=dataclasses.replace(data, earlier=()),
    )
    behind = tmp_path.with_name("filtered")
    attempt(make_network=lambda: filtered(0), checkpoint=behind)
    with pytest.raises(ValueError, match=r"made with Fourier filter 151 \(.*and this call has 151"):
        attempt(make_network=lambda: filtered(1), checkpoint=behind)
    with pytest.raises(ValueError, match="Fourier filter 151 .*and this call has none"):
        attempt(checkpoint=behind)


def test_another_kind_of_machine_goes_on_in_the_precision_of_the_first(tmp_path, monkeypatch):
    data, recipe = make_data(), dataclasses.replace(RECIPE, epochs=2, precision="auto")

    def go_on(means, **options):
        monkeypatch.setattr("dnalib.training.state.resolve_precision", lambda precision: means)
        settled = settle_precision(recipe, tmp_path, Alone())
        train(network, data, recipe=recipe, checkpoint=tmp_path, report=quiet, **options)
        return settled.precision

    assert go_on("bf16-mixed", max_minutes=1e-9) == "bf16-mixed"
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["epoch1.json"]
    assert go_on("32-true") == "bf16-mixed"
    found = CheckpointFolder(tmp_path).described()
    assert found["identity"]["precision"] == "bf16-mixed" and len(found["history"]) == 2
    assert settle_precision(recipe, tmp_path / "new", Alone()).precision == "32-true"
    assert settle_precision(recipe, None, Alone()).precision == "32-true"
    assert settle_precision(RECIPE, tmp_path, Alone()) is RECIPE, "a precision that is named stays"


def test_moments_lie_in_memory_like_their_parameters():
    made = network()
    lay_out_channels_last(made)
    optimizer = torch.optim.Adam(made.parameters(), fused=True)
    made(torch.randn(2, 1, 300)).sum().backward()
    optimizer.step()
    moment = optimizer.state[made.conv2.weight]
    expected = moment["exp_avg"].clone()
    moment["exp_avg"] = expected.contiguous()
    assert moment["exp_avg"].stride() != made.conv2.weight.stride()
    match_layouts(optimizer)
    assert moment["exp_avg"].stride() == made.conv2.weight.stride()
    assert torch.equal(moment["exp_avg"], expected) and moment["step"].shape == ()


def test_json_has_no_number_that_is_none():
    row = {"epoch": 1, "loss": 0.1, "decorrelation_loss": math.nan}
    assert to_json(row) == {"epoch": 1, "loss": 0.1, "decorrelation_loss": None}
    assert str(from_json(to_json(row))) == str(row)
