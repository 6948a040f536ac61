"""SAP goes on where it left a member right, and nowhere else."""

from types import SimpleNamespace

import pytest
import torch
from random_network import random_network, random_records
from safetensors.torch import load_file, save_file
from tiny import SETTINGS
from torch.nn import functional

from dnalib import attacks, metrics
from dnalib.attacks import targets
from dnalib.ensemble import Ensemble
from dnalib.stages import ENSEMBLES, MEMBERS, longer_smooth
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


def answers(labels, *misled):
    """Logits of members, each wrong on its misled records: (member, record, class), fp16."""
    answered = labels.repeat(len(misled), 1)  # (member, record)
    for member, records in enumerate(misled):
        answered[member, records] = (labels[records] + 1) % 4
    return functional.one_hot(answered, 4).half()


@pytest.fixture
def searched(monkeypatch, tmp_path):
    """What each pass attacked, how many were left, and the stored logits, of made-up answers."""

    def store(labels, stored, *, passes, constants):
        attacked = []

        def attack(run, networks, records, theirs, **options):
            assert torch.equal(theirs, labels[records])
            misled = torch.isin(records, torch.tensor(passes[len(attacked)])).nonzero()[:, 0]
            attacked.append(records.tolist())
            return answers(theirs, *[misled] * len(networks))

        # The records are their positions, so that what is selected of them is known.
        signals = SimpleNamespace(select=lambda chosen: chosen)
        monkeypatch.setattr(longer_smooth, "records_at", lambda run, positions: (signals, labels))
        monkeypatch.setattr(longer_smooth, "load_member", lambda run, member: member)
        monkeypatch.setattr(longer_smooth, "logits_under_longer", attack)
        shorter, path = tmp_path / "shorter.safetensors", tmp_path / "longer.safetensors"
        save_file({**stored, "positions": torch.arange(len(labels))}, shorter)
        results = longer_smooth.store_longer_smooth(
            SimpleNamespace(settings=SETTINGS, obtain=lambda name: SimpleNamespace(path=shorter)),
            path,
            members=MEMBERS[: len(stored[CONDITION])],
            shorter="shorter",
            epsilon=50.0,
            constants=constants,
        )
        return attacked, results["left"], load_file(path)[CONDITION]

    return store


def test_what_any_aim_misled_is_never_attacked_again(searched):
    labels = torch.tensor([0, 1, 2, 3, 0, 1, 2])
    stored = {
        "end to end/sap": answers(labels, [0, 1, 4], [0, 1]),
        "mean of members/sap": answers(labels, [2], [2, 4]),  # neither misled all on the fifth
        CONDITION: answers(labels, [3], [3]),
        "end to end/pgd": answers(labels, [5, 6], [5, 6]),  # which is not smooth
    }
    attacked, left, logits = searched(labels, stored, passes=[[5], [4]], constants=False)
    assert attacked == [[4, 5, 6], [4, 6]] and left == [3, 2, 1]
    assert torch.equal(logits, answers(labels, [3, 4, 5], [3, 4, 5]))


def test_what_a_constant_has_right_is_left_and_not_attacked(searched):
    labels = torch.tensor([0, 1, 2, 3, 1, 3, 2])  # the constants are 0 and 2
    stored = {
        "base/sap": answers(labels, [0, 1]),
        CONDITION: answers(labels, [2, 3]),
    }
    attacked, left, logits = searched(labels, stored, passes=[[4], [5]], constants=True)
    assert attacked == [[4, 5], [5]] and left == [5, 4, 3]
    assert torch.equal(logits, answers(labels, [2, 3, 4, 5]))


def test_nothing_is_attacked_once_nothing_is_left(searched):
    labels = torch.tensor([1, 3, 1])
    stored = {CONDITION: answers(labels, [0], [0])}
    attacked, left, _ = searched(labels, stored, passes=[[1, 2]], constants=False)
    assert attacked == [[1, 2]] and left == [2, 0, 0]
