"""Attacks that know more than the base model: each member, whole ensembles, one for all records.

Perturbations live on the record alone throughout (padding "mask"), and all models are attacked on
the same records: some of those that the base model gets right.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dnalib import attacks
from dnalib.attacks import targets
from dnalib.ensemble import Ensemble
from dnalib.model import Network
from dnalib.runs import ComputingRun, Settings, Stage
from dnalib.signals import PackedSignals
from dnalib.stages.attacking import craft_masked, generators_of
from dnalib.stages.control import CONTROL_STAGE, longer_control_stage, store
from dnalib.stages.ensembles import ENSEMBLES, MEMBERS, PREPARATION, in_full
from dnalib.stages.gradient_checks import check_stage
from dnalib.stages.longer import longer_stages
from dnalib.stages.longer_smooth import longer_smooth_stage
from dnalib.stages.members import finite, load_member
from dnalib.stages.perturbations import (
    ATTACKS,
    Load,
    attacked_positions,
    craft_batch,
    logits_under_each,
    perturbation_name,
    records_at,
)
from dnalib.stages.transfer import transfer_stage
from dnalib.stages.universal import universal_stage

WHOLE_ENSEMBLE: Mapping[str, attacks.Loss] = {
    "end to end": attacks.end_to_end(),
    "least misled member": attacks.least_misled_member(),
}  # attacked by PGD and then SAP, as the base model is in the paper
SEARCH = (*PREPARATION, "pgd_steps", "sap_steps", "adaptive_precision")
RESTARTS = 2


def adaptive_stages(
    settings: Settings,
    *,
    ensembles: Mapping[str, Sequence[str]],
    load: Load = load_member,
) -> list[Stage]:
    """Attacks on each member and on each ensemble as a whole, and checks of the gradients.

    Args:
        settings: of the run.
        ensembles: name -> its models, each also the name of the stage that trains it. The base
            model's attack, which names the records, must be among the run's stages.
        load: gives a model in evaluation mode by its name.

    Returns:
        Stages `crafted_name`, `adaptive_name`, `longer_name`, and at the middle ε `doubled_name`
        and `checks_name`.
    """
    models = dict.fromkeys(model for members in ensembles.values() for model in members)
    stages = []
    for epsilon in settings.adaptive_epsilons:
        stages += [crafted_stage(settings, model, epsilon=epsilon, load=load) for model in models]
        for ensemble, members in ensembles.items():
            crafted_on = dict.fromkeys(("base", *members))
            stages.append(
                Stage(
                    adaptive_name(ensemble, epsilon),
                    ".safetensors",
                    (*SEARCH, "seed"),
                    (*members, *(crafted_name(model, epsilon) for model in crafted_on)),
                    partial(store_adaptive, members=tuple(members), epsilon=epsilon, load=load),
                    "attack",
                )
            )
        records = crafted_name("base", epsilon)
        in_the_middle = epsilon == middle_epsilon(settings)
        for name, members in ensembles.items():
            stages += longer_stages(
                name, members, records=records, epsilon=epsilon, load=load, doubled=in_the_middle
            )
            if in_the_middle:
                stages.append(
                    check_stage(name, members, records=records, epsilon=epsilon, load=load)
                )
    return stages


def shared_stages(settings: Settings) -> list[Stage]:
    """What all nine models answer under each other's attacks, and under universal ones.

    And what the control answers under attacks on it; and, at the largest ε, what SAP on an ensemble
    leaves where it goes on.
    """
    stages = []
    for epsilon in settings.adaptive_epsilons:
        crafted = {model: crafted_name(model, epsilon) for model in MEMBERS}
        stages.append(transfer_stage(epsilon, crafted=crafted))
        records = crafted_name("base", epsilon)
        stages.append(universal_stage(epsilon, records=records))
        stages += [control_stage(epsilon), longer_control_stage(epsilon, records=records)]
    largest = max(settings.adaptive_epsilons)
    for ensemble, members in {**ENSEMBLES, CONTROL_STAGE: ("base",)}.items():
        shorter = adaptive_name(ensemble, largest)
        stages.append(longer_smooth_stage(ensemble, members, shorter=shorter, epsilon=largest))
    middle = middle_epsilon(settings)
    records = crafted_name("base", middle)
    return [*stages, check_stage("base", ("base",), records=records, epsilon=middle)]


def crafted_name(model: str, epsilon: float) -> str:
    """Name of the stage that attacks one model."""
    return f"crafted-on-{model}-{in_full(epsilon)}"


def adaptive_name(ensemble: str, epsilon: float) -> str:
    """Name of the stage that attacks one ensemble."""
    return f"adaptive-{ensemble.replace(' ', '-')}-{in_full(epsilon)}"


def middle_epsilon(settings: Settings) -> float:
    """The middle one of `adaptive_epsilons`, of two the larger."""
    return sorted(settings.adaptive_epsilons)[len(settings.adaptive_epsilons) // 2]


def epsilons_of_each_seed(settings: Settings) -> list[float]:
    """The bounds at which every seed of a run is attacked as `adaptive_name` says, rising.

    The middle one, and the largest, at which the paper's claim is made.
    """
    return sorted({middle_epsilon(settings), max(settings.adaptive_epsilons)})


def crafted_stage(settings: Settings, model: str, *, epsilon: float, load: Load) -> Stage:
    """PGD and SAP on one model; on the base model those of `perturbations-mask`, if it has that ε.

    The base model's names the records for all others.
    """
    name = crafted_name(model, epsilon)
    if model != "base":
        inputs = (model, crafted_name("base", epsilon))
        compute = partial(craft_on, model=model, epsilon=epsilon, load=load)
        return Stage(name, ".safetensors", SEARCH, inputs, compute)
    if epsilon in settings.epsilons:
        source = perturbation_name("mask", epsilon)
        compute = partial(take_crafted, source=source)
        return Stage(name, ".safetensors", ("adaptive_records",), (source,), compute)
    compute = partial(craft_on_base, epsilon=epsilon)
    return Stage(
        name, ".safetensors", (*SEARCH, "attack_records", "adaptive_records"), ("base",), compute
    )


def take_crafted(run: ComputingRun, path: Path, *, source: str) -> dict[str, Any]:
    """The first of the perturbations that a stage crafted."""
    crafted = load_file(run.obtain(source).path)
    limit = run.settings.adaptive_records or None
    save_file({name: tensor[:limit].clone() for name, tensor in crafted.items()}, path)
    return {}


def craft_on_base(run: ComputingRun, path: Path, *, epsilon: float) -> dict[str, Any]:
    """PGD's and SAP's perturbations of the first records that the base model gets right, fp16."""
    network = load_member(run, "base")
    limit = run.settings.adaptive_records or None
    positions = attacked_positions(run, network)[:limit]
    save_file({**craft_paper(run, network, positions, epsilon), "positions": positions}, path)
    return {}


def craft_on(
    run: ComputingRun, path: Path, *, model: str, epsilon: float, load: Load
) -> dict[str, Any]:
    """The same attacks on another model, on the same records, whether it gets them right or not."""
    positions = load_file(run.obtain(crafted_name("base", epsilon)).path)["positions"]
    found = craft_paper(run, load(run, model), positions, epsilon)
    save_file({**found, "positions": positions}, path)
    return {}


def craft_paper(
    run: ComputingRun, network: Network, positions: Tensor, epsilon: float
) -> dict[str, Tensor]:
    """The paper's two attacks on one network, kept off the padding: (record, time), fp16."""
    signals, labels = records_at(run, positions)
    craft = partial(craft_batch, epsilon=epsilon, padding="mask", settings=run.settings)
    return craft_masked(run, craft, network, signals, labels, epsilon=epsilon)


def store_adaptive(
    run: ComputingRun, path: Path, *, members: tuple[str, ...], epsilon: float, load: Load
) -> dict[str, Any]:
    """Logits of an ensemble's members under all attacks on it: (member, record, class), fp16.

    The file holds "base/<attack>", the paper's, "<member>/<attack>" for each other member, the
    attacks on the whole ensemble of `craft_adaptive`, and "positions".
    """
    crafted: dict[str, Tensor] = {}
    for model in dict.fromkeys(("base", *members)):
        stored = load_file(run.obtain(crafted_name(model, epsilon)).path)
        crafted |= {f"{model}/{attack}": stored[attack] for attack in ATTACKS}
    positions = stored["positions"]
    signals, labels = records_at(run, positions)
    networks = [load(run, member) for member in members]
    crafted |= craft_masked(
        run,
        partial(craft_adaptive, epsilon=epsilon, settings=run.settings),
        networks,
        signals,
        labels,
        epsilon=epsilon,
        generators=generators_of(run, positions, epsilon=epsilon),
    )
    found = logits_under_each(crafted, networks, signals)
    save_file({**found, "positions": positions}, path)
    sizes = {name: size_of(delta, signals) for name, delta in crafted.items()}
    return {"members": list(members), "attacked": len(signals), "sizes": sizes}


def control_stage(epsilon: float) -> Stage:
    """The attacks of `craft_adaptive` on the control at one ε."""
    records = crafted_name("base", epsilon)
    return Stage(
        adaptive_name(CONTROL_STAGE, epsilon),
        ".safetensors",
        (*SEARCH, "seed"),
        ("base", records),
        partial(store_control, records=records, epsilon=epsilon),
        "attack",
    )


def store_control(run: ComputingRun, path: Path, *, records: str, epsilon: float) -> dict[str, Any]:
    """Logits of the base model under `craft_adaptive` on the control, as `control.store`."""
    craft = partial(craft_adaptive, epsilon=epsilon, settings=run.settings)
    return store(run, path, craft, records=records, epsilon=epsilon, draws=True)


def craft_adaptive(
    model: Ensemble | nn.Module,
    inputs: Tensor,
    labels: Tensor,
    valid: Tensor,
    *,
    epsilon: float,
    settings: Settings,
    generators: Sequence[torch.Generator],
) -> dict[str, Tensor]:
    """Perturbations of a batch that know the whole ensemble, by target and attack.

    PGD and SAP as on the base model for each loss of `WHOLE_ENSEMBLE`; PGD on the mean of the
    members' losses, and one that misleads any one member; and by APGD, with a margin, wrong answers
    without doubt, and a stronger search for what misleads all members.
    """
    found: dict[str, Tensor] = {}
    for target, loss in WHOLE_ENSEMBLE.items():
        both = craft_batch(
            model,
            inputs,
            labels,
            valid,
            epsilon=epsilon,
            padding="mask",
            settings=settings,
            loss=loss,
        )
        found |= {f"{target}/{attack}": delta for attack, delta in both.items()}
    search = partial(
        attacks.pgd,
        model,
        inputs,
        labels,
        epsilon=epsilon,
        steps=settings.pgd_steps,
        valid=valid,
        padding="mask",
    )
    found["mean of members/pgd"] = search(loss=attacks.mean_of_members())
    found["most misled member/pgd"] = search(loss=targets.most_misled_member())
    found["confidently wrong/apgd"] = search(loss=targets.confidently_wrong(), schedule="apgd")
    found["least misled member/apgd"] = search(
        loss=targets.least_misled_member(attacks.margin),
        schedule="apgd",
        random_start=True,
        restarts=RESTARTS,
        generators=generators,
    )
    return found


def size_of(perturbation: Tensor, signals: PackedSignals) -> dict[str, float | None]:
    """How large perturbations (record, time) are: raw units and dB, over the records."""
    everything = torch.arange(len(signals))
    size = attacks.perturbation_size(
        perturbation.unsqueeze(1),
        signals.batch(everything),
        valid=signals.valid(everything),
    )
    return {
        "largest": size.largest.max().item(),
        "median largest": size.largest.median().item(),
        "median norm": size.norm.median().item(),
        "median signal to noise": finite(size.signal_to_noise.median().item()),
    }
