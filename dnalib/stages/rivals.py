"""The rivals: ensembles made robust by other methods, and one network as large as an ensemble.

A run trains and attacks those that its setting `rivals` names.
"""

import math
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from dnalib.inference import infer
from dnalib.model import Network
from dnalib.runs import ComputingRun, Run, Settings, Stage
from dnalib.stages.adaptive import adaptive_stages, crafted_name, middle_epsilon
from dnalib.stages.ensembles import ENSEMBLES, MEMBERS, PREPARATION
from dnalib.stages.members import (
    DECORRELATION,
    TRAINING,
    features_stage,
    in_fp16,
    load_member,
    load_weights,
    make_network,
    member_recipe,
    r_squared_stage,
    train_and_store,
    training_data,
)
from dnalib.stages.transfer import everyone_stage
from dnalib.training import Training
from dnalib.training.joint import JointNetwork, networks_of
from dnalib.training.recipes import Method, fastest_device

RIVALS: Mapping[str, tuple[str, ...]] = {
    "adversarial": ("adversarial1", "adversarial2", "adversarial3"),
    "adversarial dec": ("adversarial1", "adversarial-dec1", "adversarial-dec2"),
    "parallel": ("parallel1", "parallel2", "parallel3"),
    "dverge": ("dverge1", "dverge2", "dverge3"),
    "wide": ("wide",),
}
NETWORKS = tuple(dict.fromkeys(name for names in RIVALS.values() for name in names))
# Methods that train their networks together, in one stage of the ensemble's name.
TOGETHER: tuple[Method, ...] = ("parallel", "dverge")
PARTS = tuple(name for method in TOGETHER for name in RIVALS[method])
TRAININGS = (
    *(name for name in NETWORKS if name.startswith("adversarial")),
    *TOGETHER,
    "wide",
)
RIVAL_EARLIER: Mapping[str, tuple[str, ...]] = {
    "adversarial-dec1": ("adversarial1",),
    "adversarial-dec2": ("adversarial1", "adversarial-dec1"),
}
DVERGE_START = ENSEMBLES["cor"]  # trained networks, as its authors start from
ADVERSARIAL = ("adversarial_epsilon", "adversarial_steps")
EVERYONE = "transfer-rivals"  # the stage that shows all models what was crafted on each
FIRST_NUMBER = 100  # of the rivals' trainings, whose seeds follow from it; members count from 0


def rival_stages(settings: Settings) -> list[Stage]:
    """The rivals' trainings, their logits on natural records, and the attacks that know them.

    The attacks are those of `adaptive_stages`; the base model's must be among the run's stages.
    """
    chosen = rivals_of(settings)
    trainings = trainings_of(settings)
    stages = [training_stage(name) for name in trainings]
    for name in TOGETHER:
        if name in chosen:
            stages += [part_stage(name, place) for place in range(len(RIVALS[name]))]
    several = {rival: networks for rival, networks in chosen.items() if len(networks) > 1}
    for network in dict.fromkeys(name for networks in several.values() for name in networks):
        stages.append(features_stage(network, load=partial(load_network, name=network)))
    stages += [r_squared_stage(rival, networks) for rival, networks in several.items()]
    for rival, networks in chosen.items():
        compute = partial(store_natural, rival=rival)
        stages.append(Stage(natural_name(rival), ".safetensors", PREPARATION, networks, compute))
    middle = middle_epsilon(settings)
    models = (*MEMBERS, *dict.fromkeys(name for names in chosen.values() for name in names))
    everyone = everyone_stage(
        EVERYONE, crafted={model: crafted_name(model, middle) for model in models}, load=load_any
    )
    return [*stages, *adaptive_stages(settings, ensembles=chosen, load=load_network), everyone]


def rivals_of(settings: Settings) -> dict[str, tuple[str, ...]]:
    """The rivals of a run, each with its networks, in the order of `RIVALS`."""
    return {rival: networks for rival, networks in RIVALS.items() if rival in settings.rivals}


def trainings_of(settings: Settings) -> list[str]:
    """The trainings that make a run's rivals, in the order of `TRAININGS`."""
    chosen = rivals_of(settings)
    networks = {name for names in chosen.values() for name in names}
    return [name for name in TRAININGS if name in (chosen if name in TOGETHER else networks)]


def trainings_behind(rival: str) -> tuple[str, ...]:
    """The trainings that a rival takes, those of networks that it starts from among them."""
    if rival == "dverge":
        return (*DVERGE_START, rival)
    return (rival,) if rival in TOGETHER else RIVALS[rival]


def earlier_of(trainings: Iterable[str]) -> list[str]:
    """The networks whose features some of these trainings read."""
    return list(dict.fromkeys(one for name in trainings for one in RIVAL_EARLIER.get(name, ())))


def natural_name(rival: str) -> str:
    """Name of the stage with a rival's logits on unperturbed test records."""
    return f"natural-{rival.replace(' ', '-')}"


def training_stage(name: str) -> Stage:
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
        settings += ("parallel_weight",)
    settings += (batch_setting(name),)
    compute = partial(train_rival, name=name)
    return Stage(name, ".safetensors", settings, inputs, compute, "training")


def part_stage(method: Method, place: int) -> Stage:
    """One of the networks that were trained together, by itself."""
    compute = partial(store_part, method=method, place=place)
    return Stage(RIVALS[method][place], ".safetensors", (), (method,), compute)


def batch_setting(name: str) -> str:
    """Which setting holds a training's rows a step: fits of features need the larger batches."""
    return "batch_size" if name in ("wide", "adversarial1", "dverge") else "auxiliary_batch_size"


def train_rival(run: ComputingRun, path: Path, *, name: str) -> dict[str, Any]:
    """Train a rival's network or networks and store the weights; the history is the result.

    Raises:
        OutOfTime: the run's minutes ended first; the checkpoint stays for the next call.
    """
    return train_and_store(run, path, name=name, training=rival_training(run, name))


def rival_training(run: ComputingRun, name: str) -> Training:
    """What a rival's training starts from, reads and follows."""
    settings = run.settings
    changes: dict[str, Any] = {}
    if name in TOGETHER:
        changes["method"] = name
    if name == "dverge" or name.startswith("adversarial"):
        changes |= settings.values(ADVERSARIAL)
    if name in RIVAL_EARLIER:
        changes |= settings.values(DECORRELATION)
    if name == "parallel":
        changes["decorrelation_weight"] = settings.parallel_weight
    recipe = member_recipe(
        settings,
        batch_size=getattr(settings, batch_setting(name)),
        number=FIRST_NUMBER + TRAININGS.index(name),
        **changes,
    )
    return Training(
        partial(make_start, run, name=name),
        training_data(run, earlier=RIVAL_EARLIER.get(name, ())),
        recipe,
    )


def make_start(run: Run, *, name: str) -> Network | JointNetwork:
    """What a rival's training starts from."""
    network = make_rival(run.settings, name=name)
    if name == "dverge":
        for member, start in zip(networks_of(network), DVERGE_START, strict=True):
            load_weights(member, run.obtain(start).path)
    return network


def make_rival(settings: Settings, *, name: str) -> Network | JointNetwork:
    """The untrained network, or networks, of one training."""
    if name in TOGETHER:
        return JointNetwork([make_network(settings, member="base") for _ in RIVALS[name]])
    return make_alone(settings, name=name)


def make_alone(settings: Settings, *, name: str) -> Network:
    """One untrained network, as wide as all of cor's together for the rival *wide*."""
    if name == "wide":
        # Parameters of the blocks that are scaled grow with the square of the width.
        width = settings.width * math.sqrt(len(ENSEMBLES["cor"]))
        return Network(width=width, dropout=settings.dropout)
    return make_network(settings, member="base")


def store_part(run: ComputingRun, path: Path, *, method: Method, place: int) -> dict[str, Any]:
    """One network out of a joint training, and the history that all of them share."""
    joint = run.obtain(method)
    part = f"members.{place}."
    weights = load_file(joint.path)
    save_file(
        {key.removeprefix(part): weights[key] for key in weights if key.startswith(part)}, path
    )
    return {**joint.results, "trained_with": list(RIVALS[method])}


def load_network(run: Run, name: str) -> Network:
    """A rival's trained network in evaluation mode, on the fastest device."""
    network = make_alone(run.settings, name=name)
    load_weights(network, run.obtain(name).path)
    return network.to(fastest_device()).eval()


def load_any(run: Run, name: str) -> Network:
    """One of the nine models, or a rival's network, in evaluation mode."""
    return load_member(run, name) if name in MEMBERS else load_network(run, name)


def store_natural(run: ComputingRun, path: Path, *, rival: str) -> dict[str, Any]:
    """A rival's logits on the unperturbed test records: (network, record, class), fp16."""
    signals = run.dataset.packed(run.dataset.split.test)
    networks = [load_network(run, name) for name in RIVALS[rival]]
    logits = torch.stack([infer(network, signals) for network in networks])
    logits = in_fp16(logits, name=f"the largest logit of {rival}")
    save_file({"logits": logits}, path)
    return {"parameters": [sum(p.numel() for p in network.parameters()) for network in networks]}
