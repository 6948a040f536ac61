"""The rivals: ensembles made robust by other methods, and one network as large as an ensemble."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from dnalib.inference import infer
from dnalib.joint import JointNetwork
from dnalib.model import Network
from dnalib.runs import ComputingRun, Run, Settings, Stage
from dnalib.stages.ensembles import ENSEMBLES, PREPARATION
from dnalib.stages.members import (
    DECORRELATION,
    TRAINING,
    fastest_device,
    features_stage,
    load_weights,
    make_network,
    member_recipe,
    train_and_store,
    training_data,
)
from dnalib.stages.perturbations import ATTACKS, PADDINGS, perturbation_name

# Ensemble -> its networks, each (stage, position in it): a stage of a method that trains networks
# together holds them all.
RIVALS: Mapping[str, tuple[tuple[str, int], ...]] = {
    "adversarial": (("adversarial1", 0), ("adversarial2", 0), ("adversarial3", 0)),
    "adversarial dec": (("adversarial1", 0), ("adversarial-dec1", 0), ("adversarial-dec2", 0)),
    "parallel": (("parallel", 0), ("parallel", 1), ("parallel", 2)),
    "dverge": (("dverge", 0), ("dverge", 1), ("dverge", 2)),
    "wide": (("wide", 0),),
}
TRAININGS = tuple(dict.fromkeys(stage for places in RIVALS.values() for stage, _ in places))
RIVAL_EARLIER: Mapping[str, tuple[str, ...]] = {
    "adversarial-dec1": ("adversarial1",),
    "adversarial-dec2": ("adversarial1", "adversarial-dec1"),
}
DVERGE_START = ENSEMBLES["cor"]  # trained networks, as its authors start from
ADVERSARIAL = ("adversarial_epsilon", "adversarial_steps")
FIRST_NUMBER = 100  # of the rivals' trainings, whose seeds follow from it; members count from 0


def rival_stages(settings: Settings) -> list[Stage]:
    """The rivals' trainings, their logits on natural records and under the base model's attack."""
    stages = [rival_training_stage(name) for name in TRAININGS]
    for name in dict.fromkeys(one for earlier in RIVAL_EARLIER.values() for one in earlier):
        stages.append(features_stage(name, load=partial(load_network, name=name, position=0)))
    for name in RIVALS:
        compute = partial(store_natural, name=name)
        stages.append(
            Stage(natural_name(name), ".safetensors", PREPARATION, trainings_of(name), compute)
        )
    for epsilon in settings.epsilons:
        for padding in PADDINGS:
            perturbations = perturbation_name(padding, epsilon)
            stages.append(
                Stage(
                    attacked_rivals_name(padding, epsilon),
                    ".safetensors",
                    PREPARATION,
                    (perturbations, *TRAININGS),
                    partial(store_attacked, perturbations=perturbations),
                )
            )
    return stages


def natural_name(rival: str) -> str:
    """Name of the stage with a rival's logits on unperturbed test records."""
    return f"natural-{rival.replace(' ', '-')}"


def attacked_rivals_name(padding: str, epsilon: float) -> str:
    """Name of the stage with all rivals' logits under the attack on the base model."""
    return f"attacked-rivals-{padding}-{epsilon:g}"


def trainings_of(rival: str) -> tuple[str, ...]:
    """The stages that hold a rival's networks."""
    return tuple(dict.fromkeys(stage for stage, _ in RIVALS[rival]))


def rival_training_stage(name: str) -> Stage:
    """The training of one network, or of those that a method trains together."""
    settings: tuple[str, ...] = TRAINING
    inputs = tuple(f"features-{earlier}" for earlier in RIVAL_EARLIER.get(name, ()))
    if name == "dverge":
        inputs = DVERGE_START
    if name == "dverge" or name.startswith("adversarial"):
        settings += ADVERSARIAL
    if inputs and name != "dverge":
        settings += DECORRELATION
    if name == "parallel":
        settings += ("decorrelation_weight",)
    settings += (batch_setting(name),)
    return Stage(name, ".safetensors", settings, inputs, partial(train_rival, name=name))


def batch_setting(name: str) -> str:
    """Which setting holds a training's rows a step: fits of features need the larger batches."""
    return "batch_size" if name in ("wide", "adversarial1", "dverge") else "auxiliary_batch_size"


def train_rival(run: ComputingRun, path: Path, *, name: str) -> dict[str, Any]:
    """Train a rival's network or networks and store the weights; the history is the result.

    Raises:
        OutOfTime: the run's minutes ended first; the checkpoint stays for the next call.
    """
    settings = run.settings
    changes: dict[str, Any] = {}
    if name in ("parallel", "dverge"):
        changes["method"] = name
    if name == "dverge" or name.startswith("adversarial"):
        changes |= settings.values(ADVERSARIAL)
    recipe = member_recipe(
        settings,
        batch_size=getattr(settings, batch_setting(name)),
        number=FIRST_NUMBER + TRAININGS.index(name),
        **changes,
    )
    return train_and_store(
        run,
        path,
        name=name,
        make_network=partial(make_start, run, name=name),
        data=training_data(run, earlier=RIVAL_EARLIER.get(name, ())),
        recipe=recipe,
    )


def make_start(run: Run, *, name: str) -> Network | JointNetwork:
    """What a rival's training starts from."""
    network = make_rival(run.settings, name=name)
    if name == "dverge":
        for member, start in zip(network.members, DVERGE_START, strict=True):
            load_weights(member, run.obtain(start).path)
    return network


def make_rival(settings: Settings, *, name: str) -> Network | JointNetwork:
    """A rival's untrained network, or networks."""
    if name in ("parallel", "dverge"):
        return JointNetwork([make_network(settings, member="base") for _ in RIVALS[name]])
    if name == "wide":
        # Parameters grow with the square of the width: as many as three networks have.
        width = settings.width * math.sqrt(len(ENSEMBLES["cor"]))
        return Network(width=width, dropout=settings.dropout)
    return make_network(settings, member="base")


def load_network(run: Run, *, name: str, position: int) -> Network:
    """A trained network of a rival in evaluation mode, on the fastest device."""
    network = make_rival(run.settings, name=name)
    load_weights(network, run.obtain(name).path)
    chosen = network.members[position] if isinstance(network, JointNetwork) else network
    return chosen.to(fastest_device()).eval()


def load_rival(run: Run, rival: str) -> list[Network]:
    """A rival's trained networks in evaluation mode, on the fastest device."""
    return [load_network(run, name=name, position=place) for name, place in RIVALS[rival]]


def store_natural(run: ComputingRun, path: Path, *, name: str) -> dict[str, Any]:
    """A rival's logits on the unperturbed test records, (member, record, class) fp16."""
    signals = run.dataset.packed(run.dataset.split.test)
    logits = all_logits(load_rival(run, name), signals)
    save_file({"logits": logits.half()}, path)
    return {"parameters": [count_parameters(network) for network in load_rival(run, name)]}


def store_attacked(run: ComputingRun, path: Path, *, perturbations: str) -> dict[str, Any]:
    """All rivals' logits under stored perturbations: "<rival>/<attack>", fp16, and positions."""
    crafted = load_file(run.obtain(perturbations).path)
    positions = crafted["positions"]
    signals = run.dataset.packed(run.dataset.split.test[positions.numpy()])
    found = {}
    for attack in ATTACKS:
        attacked = signals.plus(crafted[attack])
        for rival in RIVALS:
            found[f"{rival}/{attack}"] = all_logits(load_rival(run, rival), attacked).half()
    save_file({**found, "positions": positions}, path)
    return {}


def all_logits(networks: Sequence[Network], signals: Any) -> torch.Tensor:
    """Logits of several networks: (member, record, class), float32."""
    return torch.stack([infer(network, signals) for network in networks])


def count_parameters(network: Network) -> int:
    """Numbers that training adjusts."""
    return sum(parameter.numel() for parameter in network.parameters())
