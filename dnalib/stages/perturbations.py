"""Attacks on the base model, and every member's logits under them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dnalib import attacks
from dnalib.attacks import Padding
from dnalib.inference import Evaluator, infer
from dnalib.model import Network
from dnalib.runs import ComputingRun, Settings, Stage
from dnalib.signals import PackedSignals
from dnalib.stages.attacking import craft_all
from dnalib.stages.ensembles import MEMBERS, PREPARATION, in_full
from dnalib.stages.members import in_fp16, load_member

Load = Callable[[ComputingRun, str], Network]  # a trained model in evaluation mode, by its name

ATTACKS = ("pgd", "sap")
PADDINGS: tuple[Padding, ...] = ("strip", "mask")
PERTURBATIONS = ("perturbations-", "crafted-on-")  # begin the names of stages that store these
EXAMPLES = 4  # attacked records that a recorded run keeps for the figures
ATTACK = (*PREPARATION, "pgd_steps", "sap_steps", "attack_precision", "attack_records")


def attack_stages(epsilon: float) -> list[Stage]:
    """Perturbations against the base model, and every member's logits under them, at one ε."""
    stages = []
    for padding in PADDINGS:
        name = perturbation_name(padding, epsilon)
        # A record without padding is attacked alike in both modes: the second copies the first.
        inputs = ("base",) if padding == "strip" else ("base", perturbation_name("strip", epsilon))
        stages.append(
            Stage(
                name,
                ".safetensors",
                ATTACK,
                inputs,
                partial(craft, padding=padding, epsilon=epsilon),
                "attack",
            )
        )
        stages.append(
            Stage(
                attacked_name(padding, epsilon),
                ".safetensors",
                PREPARATION,
                (name, *MEMBERS),
                partial(store_attacked, perturbations=name),
            )
        )
    return stages


def perturbation_name(padding: str, epsilon: float) -> str:
    """Name of the stage that crafts perturbations."""
    return f"perturbations-{padding}-{in_full(epsilon)}"


def attacked_name(padding: str, epsilon: float) -> str:
    """Name of the stage that stores logits under attack."""
    return f"attacked-{padding}-{in_full(epsilon)}"


def attacked_positions(run: ComputingRun, network: Network) -> Tensor:
    """Positions in the test part of the records to attack: those the base model gets right.

    Raises:
        ValueError: it gets none right.
    """
    test = run.dataset.split.test
    # fp16 as in the stored natural logits, so that both name the same records.
    predicted = infer(network, run.dataset.packed(test)).half().argmax(1)
    right = torch.nonzero(predicted == run.dataset.labels(test)).flatten()
    if not len(right):
        raise ValueError(
            f"the base model gets none of the {len(test)} test records right, so there is none to "
            "attack; train it for more epochs"
        )
    limit = run.settings.attack_records
    return right[:limit] if limit else right


def craft(run: ComputingRun, path: Path, *, padding: Padding, epsilon: float) -> dict[str, Any]:
    """PGD's and SAP's perturbations of the records that the base model gets right, fp16."""
    network = load_member(run, "base")
    if padding == "mask":
        stripped = load_file(run.obtain(perturbation_name("strip", epsilon)).path)
        positions = stripped["positions"]
    else:
        positions = attacked_positions(run, network)
    signals, labels = records_at(run, positions)
    shape = (len(signals), signals.length)
    found = {name: torch.zeros(shape, dtype=torch.float16) for name in ATTACKS}
    todo = torch.arange(len(signals))
    if padding == "mask":
        found = {name: stripped[name].clone() for name in ATTACKS}
        todo = torch.nonzero(signals.lengths < signals.length).flatten()
    if len(todo):
        made = craft_all(
            partial(craft_batch, epsilon=epsilon, padding=padding, settings=run.settings),
            network,
            signals.select(todo),
            labels[todo],
            epsilon=epsilon,
            padding=padding,
            precision=run.settings.attack_precision,
            portions=run.portions(),
        )
        for name, perturbations in made.items():
            found[name][todo] = perturbations
    save_file({**found, "positions": positions}, path)
    return {}


def craft_batch(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    valid: Tensor,
    *,
    epsilon: float,
    padding: Padding,
    settings: Settings,
    loss: attacks.Loss = attacks.cross_entropy,
) -> dict[str, Tensor]:
    """PGD's and SAP's perturbations of a batch, (record, 1, time); SAP goes on from PGD's state."""
    start = attacks.pgd(
        model,
        inputs,
        labels,
        epsilon=epsilon,
        steps=settings.pgd_steps,
        valid=valid,
        padding="mask" if padding == "mask" else "keep",
        loss=loss,
    )
    smooth = attacks.sap(
        model,
        inputs,
        labels,
        epsilon=epsilon,
        steps=settings.sap_steps,
        valid=valid,
        padding=padding,
        start=start,
        loss=loss,
    )
    return {"pgd": attacks.strip(start, valid), "sap": smooth}


def store_attacked(run: ComputingRun, path: Path, *, perturbations: str) -> dict[str, Any]:
    """Logits of all members under the stored perturbations: (member, record, class), fp16."""
    crafted = load_file(run.obtain(perturbations).path)
    positions = crafted["positions"]
    signals, _ = records_at(run, positions)
    networks = [load_member(run, member) for member in MEMBERS]
    logits = {name: logits_under(crafted[name], networks, signals) for name in ATTACKS}
    save_file({**logits, "positions": positions}, path)
    padded = int((signals.lengths < signals.length).sum())
    return {"members": list(MEMBERS), "attacked": len(signals), "with_padding": padded}


def records_at(run: ComputingRun, positions: Tensor) -> tuple[PackedSignals, Tensor]:
    """Records of the test part, packed, and their labels."""
    records = run.dataset.split.test[positions.numpy()]
    return run.dataset.packed(records), run.dataset.labels(records)


def logits_under(
    perturbation: Tensor, networks: Sequence[Network | Evaluator], signals: PackedSignals
) -> Tensor:
    """What several networks answer to perturbed records: (network, record, class), fp16.

    The perturbations are (record, time), as stages store them.
    """
    attacked = signals.plus(perturbation.unsqueeze(1))
    logits = torch.stack([infer(network, attacked) for network in networks])
    return in_fp16(logits, name="the largest logit under attack")


def logits_under_each(
    perturbations: Mapping[str, Tensor],
    networks: Sequence[Network | Evaluator],
    signals: PackedSignals,
) -> dict[str, Tensor]:
    """The same under each of several perturbations of the records, in common batches, by name."""
    every = torch.cat(list(perturbations.values()))  # (perturbation · record, time)
    repeated = torch.arange(len(signals)).repeat(len(perturbations))
    logits = logits_under(every, networks, signals.select(repeated))
    parts = logits.split(len(signals), dim=1)
    return {name: part.clone() for name, part in zip(perturbations, parts, strict=True)}


def store_examples(run: ComputingRun, path: Path) -> dict[str, Any]:
    """A few perturbations for the figures: (epsilon, example, time), fp16."""
    settings = run.settings
    crafted = [
        load_file(run.obtain(perturbation_name("strip", epsilon)).path)
        for epsilon in settings.epsilons
    ]
    positions = crafted[0]["positions"][:EXAMPLES]
    save_file(
        {name: torch.stack([item[name][:EXAMPLES] for item in crafted]) for name in ATTACKS}, path
    )
    records = run.dataset.split.test[positions.numpy()]
    return {
        "records": [run.dataset.records.names[index] for index in records],
        "epsilons": list(settings.epsilons),
    }
