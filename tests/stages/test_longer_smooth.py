"""SAP goes on where it left a member right, and nowhere else."""

import pytest
import torch
from random_network import random_network, random_records
from safetensors.torch import load_file
from tiny import SETTINGS

from dnalib import attacks, metrics
from dnalib.attacks import targets
from dnalib.ensemble import Ensemble
from dnalib.stages import ENSEMBLES, longer_smooth
from dnalib.stages.longer_smooth import CONDITION, craft_longer_smooth


def right(logits, labels, *, constants):
    """Where any member is right, or one of the constants: (record,)."""
    answered = logits.double().numpy()
    if constants:
        answered = metrics.with_constants(answered[0])
    return torch.from_numpy((answered.argmax(-1) == labels.numpy()).any(0))


@pytest.mark.parametrize("ensemble", ["control", *ENSEMBLES])
def test_each_pass_attacks_what_the_one_before_left(tiny_run, ensemble, monkeypatch):
    attacked = []

    def craft(model, inputs, labels, valid, **options):
        attacked.append((options["steps"], len(inputs)))
        return craft_longer_smooth(model, inputs, labels, valid, **options)

    monkeypatch.setattr(longer_smooth, "craft_longer_smooth", craft)
    path = tiny_run.root / "smooth.safetensors"
    results = tiny_run.stages[f"longer-smooth-{ensemble}-50"].compute(tiny_run, path)
    file = load_file(path)
    shorter = load_file(tiny_run.obtain(f"adaptive-{ensemble}-50").path)
    positions = file["positions"]
    assert torch.equal(positions, shorter["positions"])
    labels = tiny_run.dataset.labels(tiny_run.dataset.split.test[positions.numpy()])
    constants = ensemble == "control"
    smooth = [name for name in shorter if name.endswith("/sap")]
    assert len(smooth) == (2 if constants else 5)
    before = torch.ones(len(labels), dtype=torch.bool)
    for name in smooth:
        before &= right(shorter[name], labels, constants=constants)
    after = before & right(file[CONDITION], labels, constants=constants)
    fixed = torch.isin(labels, torch.tensor([0, 2])) if constants else torch.zeros_like(before)
    assert fixed.any() == constants
    steps = SETTINGS.sap_steps
    assert results["steps"] == [steps, 5 * steps, 10 * steps]
    first, second, last = results["left"]
    assert [first, last] == [before.sum(), after.sum()] and first >= second >= last
    for number, count in ((5 * steps, first), (10 * steps, second)):
        assert sum(size for taken, size in attacked if taken == number) == count - fixed.sum()
    untouched = ~before | fixed
    assert torch.equal(file[CONDITION][:, untouched], shorter[CONDITION][:, untouched])


def test_where_nothing_is_left_nothing_is_attacked(tiny_run, monkeypatch):
    monkeypatch.setattr(longer_smooth, "is_right", lambda logits, labels, aim: labels < 0)
    monkeypatch.setattr(longer_smooth, "craft_masked", None)
    path = tiny_run.root / "nothing.safetensors"
    results = tiny_run.stages["longer-smooth-cor-50"].compute(tiny_run, path)
    assert results["left"] == [0, 0, 0]
    shorter = load_file(tiny_run.obtain("adaptive-cor-50").path)
    assert torch.equal(load_file(path)[CONDITION], shorter[CONDITION])


def test_more_steps_climb_higher_and_stay_smooth():
    signals = random_records([600, 600, 600], length=600)
    valid = torch.ones_like(signals, dtype=torch.bool)
    valid[1:, :, :100] = False
    signals *= valid
    ensemble = Ensemble([random_network(width=0.05, seed=seed) for seed in (0, 1)]).eval()
    with torch.no_grad():
        labels = ensemble(signals)[0].argmax(1)
    loss = targets.least_misled_member(attacks.margin)
    steepest = 2 * 50 * attacks.smoothing_kernel().max()
    reached = []
    for steps in (1, 5, 25):
        found = craft_longer_smooth(
            ensemble, signals, labels, valid, epsilon=50.0, start_steps=2, steps=steps
        )
        delta = found[CONDITION]
        assert delta.abs().max() <= 50 and not delta[~valid].any()
        assert delta[0].diff().abs().max() <= steepest < 25  # the first record has no padding
        with torch.no_grad():
            reached.append(loss(ensemble(signals + delta), labels))
    for less, more in zip(reached, reached[1:], strict=False):
        assert more.mean() > less.mean()
