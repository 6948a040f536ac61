"""The rivals' stages on a tiny run."""

from typing import get_args

import pytest
import torch
from safetensors.torch import load_file
from tiny import SETTINGS, open_tiny

from dnalib.inference import infer
from dnalib.model import Network
from dnalib.runs.settings import Rival
from dnalib.stages import ATTACKS, MEMBERS, members, rivals
from dnalib.stages.rivals import NETWORKS, RIVALS, TRAININGS
from dnalib.training.joint import JointNetwork


@pytest.fixture(scope="module")
def run(tiny_run):
    return tiny_run


def tensors(run, name):
    return load_file(run.obtain(name).path)


class Enough(Exception):
    """Stops a training that was looked at."""


@pytest.fixture
def trained_with(run, monkeypatch, tmp_path):
    """The recipe, the data and the start of each training, without training."""
    seen = {}

    def spy(make_network, data, *, recipe, checkpoint, max_minutes, processes):
        seen[name] = recipe, data, make_network()
        raise Enough

    monkeypatch.setattr(members, "train", spy)
    for name in TRAININGS:
        with pytest.raises(Enough):
            rivals.train_rival(run, tmp_path / "weights", name=name)
    return seen


def test_every_network_is_trained_by_one_stage():
    together = {name for method in rivals.TOGETHER for name in RIVALS[method]}
    alone = set(TRAININGS) - set(rivals.TOGETHER)
    assert together | alone == set(NETWORKS) and not together & alone
    assert all(len(names) == 3 for name, names in RIVALS.items() if name != "wide")


def test_what_each_rival_is_trained_with(trained_with):
    assert len({recipe.seed for recipe, *_ in trained_with.values()}) == len(TRAININGS)
    for name, (recipe, data, start) in trained_with.items():
        attacked = name == "dverge" or name.startswith("adversarial")
        expected = (
            (SETTINGS.adversarial_epsilon, SETTINGS.adversarial_steps) if attacked else (0, 0)
        )
        assert (recipe.adversarial_epsilon, recipe.adversarial_steps) == expected
        assert recipe.epochs == SETTINGS.epochs
        if name in rivals.RIVAL_EARLIER:
            assert recipe.decorrelation_weight == SETTINGS.decorrelation_weight
        if name == "parallel":
            assert recipe.decorrelation_weight == SETTINGS.parallel_weight
        assert recipe.method == (name if name in ("parallel", "dverge") else "alone")
        assert isinstance(start, JointNetwork) == (name in ("parallel", "dverge"))
        assert len(data.earlier) == {"adversarial-dec1": 1, "adversarial-dec2": 2}.get(name, 0)


def test_decorrelated_rivals_see_the_features_of_the_rivals_before_them(run, trained_with):
    _, data, _ = trained_with["adversarial-dec2"]
    names = ("adversarial1", "adversarial-dec1")
    for name, features in zip(names, data.earlier, strict=True):
        assert torch.equal(features, tensors(run, f"features-{name}")["features"])
        network = rivals.load_network(run, name)
        signals = run.dataset.packed(run.dataset.split.train)
        assert torch.allclose(features, infer(network, signals, with_features=True), atol=1e-4)


def test_dverge_starts_from_the_trained_networks_of_cor(run, trained_with):
    _, _, start = trained_with["dverge"]
    for member, name in zip(start.members, ("base", "cor1", "cor2"), strict=True):
        stored = tensors(run, name)
        assert all(
            torch.equal(value, stored[key].to(value.dtype))
            for key, value in member.state_dict().items()
        )


def test_the_wide_network_is_as_large_as_three(run):
    (wide,) = run.obtain("natural-wide").results["parameters"]
    adversarial = run.obtain("natural-adversarial").results["parameters"]
    assert len(set(adversarial)) == 1
    full = sum(p.numel() for p in Network(width=3**0.5).parameters())
    three = 3 * sum(p.numel() for p in Network(width=1.0).parameters())
    assert full == pytest.approx(three, rel=0.02)
    assert wide > 1.5 * adversarial[0]  # the last two blocks, which all widths share, weigh here


def test_networks_of_a_joint_training_are_taken_apart(run):
    for method in rivals.TOGETHER:
        joint = tensors(run, method)
        for place, name in enumerate(RIVALS[method]):
            weights = tensors(run, name)
            assert weights.keys() == Network(width=0.05).state_dict().keys()
            for key, value in weights.items():
                assert torch.equal(value, joint[f"members.{place}.{key}"])
            assert run.obtain(name).results["trained_with"] == list(RIVALS[method])
            assert run.obtain(name).results["history"] == run.obtain(method).results["history"]
        first, second, _ = (tensors(run, name)["conv2.weight"] for name in RIVALS[method])
        assert not torch.equal(first, second)


@pytest.mark.parametrize("rival", RIVALS)
def test_natural_logits_are_those_of_the_stored_weights(run, rival):
    signals = run.dataset.packed(run.dataset.split.test)
    logits = tensors(run, rivals.natural_name(rival))["logits"]
    assert logits.shape == (len(RIVALS[rival]), 16, 4)
    for one, name in zip(logits, RIVALS[rival], strict=True):
        expected = infer(rivals.load_network(run, name), signals)
        assert torch.allclose(one.float(), expected, rtol=1e-3, atol=1e-3)


def test_which_rivals_a_setting_changes(run):
    def changed(**changes):
        other = open_tiny(run.root, **changes)
        other._dataset = run.dataset  # the same records
        return {name for name in TRAININGS if other.identity(name) != run.identity(name)}

    assert changed(adversarial_epsilon=7.0) == {
        name for name in TRAININGS if name.startswith("adversarial") or name == "dverge"
    }
    decorrelated = {"adversarial-dec1", "adversarial-dec2"}
    assert changed(decorrelation_weight=0.7) == changed(projected_dimension=7) == decorrelated
    assert changed(parallel_weight=0.7) == {"parallel"}
    assert changed(epsilons=(3.0,)) == changed(bands=4) == set()
    assert changed(seed=5) == set(TRAININGS)


def test_a_run_has_the_trainings_of_the_rivals_that_it_names(run):
    def stages_of(*names):
        return open_tiny(run.root, rivals=names).stages.keys()

    without = stages_of("wide") - {"wide", "natural-wide"}
    assert not [name for name in without if name.startswith(("adversarial", "dverge", "parallel"))]
    decorrelated = stages_of("adversarial dec") & {*TRAININGS, *NETWORKS}
    assert decorrelated == {"adversarial1", "adversarial-dec1", "adversarial-dec2"}
    together = stages_of("dverge", "wide") & {*TRAININGS, *NETWORKS}
    assert together == {"dverge", *RIVALS["dverge"], "wide"}
    assert stages_of(*get_args(Rival)) == run.stages.keys()
    assert get_args(Rival) == tuple(RIVALS)
    some = open_tiny(run.root, rivals=("wide",))
    assert {name for name in some.stages if some.identity(name) != run.identity(name)} == {
        "training-costs",
        "transfer-rivals",
    }
    assert some.stages["training-costs"].inputs == tuple(
        f"features-{name}" for name in ("base", "dec1", "fdec1")
    )


def test_all_models_are_shown_what_was_crafted_on_each(run):
    artefact = run.obtain("transfer-rivals")
    models = artefact.results["models"]
    assert models == [*MEMBERS, *NETWORKS]
    found = load_file(artefact.path)
    assert found.keys() == {"positions"} | {f"{m}/{a}" for m in models for a in ATTACKS}
    number = artefact.results["attacked"]
    assert all(found[f"{m}/pgd"].shape == (len(models), number, 4) for m in models)
    # What was crafted on one of the nine is shown to them by the other stage as well.
    nine = load_file(run.obtain("transfer-50").path)["dec1/sap"]
    torch.testing.assert_close(found["dec1/sap"][: len(MEMBERS)], nine, rtol=5e-3, atol=5e-3)
    own = load_file(run.obtain("adaptive-dverge-50").path)["dverge2/sap"][2]
    ours = found["dverge2/sap"][models.index("dverge3")]
    torch.testing.assert_close(ours, own, rtol=5e-3, atol=5e-3)


def test_costs_of_all_trainings_are_measured(run):
    found = run.obtain("training-costs").results
    assert set(found["trainings"]) == {*MEMBERS, *TRAININGS}
    for name, cost in found["trainings"].items():
        assert cost["steps"] % SETTINGS.epochs == 0 and cost["seconds"] > 0, name
    assert found["device"] in ("cpu", "cuda") and found["threads"] >= 1
