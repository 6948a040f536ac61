"""Attacks on the base model, and every member's logits under them."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dnalib import attacks
from dnalib.inference import infer
from dnalib.model import Network
from dnalib.runs import ComputingRun, Settings, Stage
from dnalib.stages.ensembles import MEMBERS, PREPARATION
from dnalib.stages.members import load_member

ATTACKS = ("pgd", "sap")
PADDINGS = ("strip", "mask")
EXAMPLES = 4  # attacked records that a recorded run keeps for the figures
ATTACK = (*PREPARATION, "pgd_steps", "sap_steps", "attack_records")


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
    return f"perturbations-{padding}-{epsilon:g}"


def attacked_name(padding: str, epsilon: float) -> str:
    """Name of the stage that stores logits under attack."""
    return f"attacked-{padding}-{epsilon:g}"


def attacked_positions(run: ComputingRun, network: Network) -> np.ndarray:
    """Positions in the test part of the records to attack: those the base model gets right.

    Raises:
        ValueError: it gets none right.
    """
    test = run.dataset.split.test
    # fp16 as in the stored natural logits, so that both name the same records.
    predicted = infer(network, run.dataset.packed(test)).half().argmax(1)
    right = torch.nonzero(predicted == run.dataset.labels(test)).flatten().numpy()
    if not len(right):
        raise ValueError(
            f"the base model gets none of the {len(test)} test records right, so there is none to "
            "attack; train it for more epochs"
        )
    limit = run.settings.attack_records
    return right[:limit] if limit else right


def craft(run: ComputingRun, path: Path, *, padding: str, epsilon: float) -> dict[str, Any]:
    """PGD's and SAP's perturbations of the records that the base model gets right, fp16."""
    network = load_member(run, "base")
    positions = attacked_positions(run, network)
    records = run.dataset.split.test[positions]
    signals, labels = run.dataset.signals(records), run.dataset.labels(records)
    valid = run.dataset.valid(records)
    found = {name: torch.zeros(signals.shape, dtype=torch.float16) for name in ATTACKS}
    todo = torch.arange(len(records))
    if padding == "mask":
        stripped = load_file(run.obtain(perturbation_name("strip", epsilon)).path)
        found = {name: stripped[name].clone() for name in ATTACKS}
        todo = torch.nonzero(~valid.all(dim=1)).flatten()
    for number, batch in enumerate(todo.split(64) if len(todo) else ()):
        perturbations = craft_batch(
            network,
            signals[batch],
            labels[batch],
            valid[batch],
            epsilon=epsilon,
            padding=padding,
            settings=run.settings,
        )
        for name, perturbation in perturbations.items():
            found[name][batch] = half_within(perturbation, epsilon).cpu()
        print(
            f"  ε = {epsilon:g} µV, {padding}: {min(64 * (number + 1), len(todo))} of "
            f"{len(todo)} records",
            flush=True,
        )
    save_file({**found, "positions": torch.from_numpy(positions)}, path)
    return {}


def craft_batch(
    network: Network,
    signals: Tensor,
    labels: Tensor,
    valid: Tensor,
    *,
    epsilon: float,
    padding: str,
    settings: Settings,
) -> dict[str, Tensor]:
    """PGD's and SAP's perturbations of one batch, (record, time); SAP goes on from PGD's state."""
    device = next(network.parameters()).device
    inputs = signals.to(device).float().unsqueeze(1)  # (record, 1, time)
    labels, mask = labels.to(device), valid.to(device).unsqueeze(1)
    start = attacks.pgd(
        network,
        inputs,
        labels,
        epsilon=epsilon,
        steps=settings.pgd_steps,
        valid=mask,
        padding="mask" if padding == "mask" else "keep",
    )
    smooth = attacks.sap(
        network,
        inputs,
        labels,
        epsilon=epsilon,
        steps=settings.sap_steps,
        valid=mask,
        padding=padding,
        start=start,
    )
    return {"pgd": attacks.strip(start, mask).squeeze(1), "sap": smooth.squeeze(1)}


def half_within(perturbation: Tensor, epsilon: float) -> Tensor:
    """A perturbation in fp16 that stays within ε, also where fp16 cannot hold ε itself."""
    bound = torch.tensor(epsilon, dtype=torch.float16)
    if bound.item() > epsilon:
        bound = torch.nextafter(bound, torch.zeros_like(bound))
    return perturbation.half().clamp(-bound.item(), bound.item())


def store_attacked(run: ComputingRun, path: Path, *, perturbations: str) -> dict[str, Any]:
    """Logits of all members under the stored perturbations: (member, record, class), fp16."""
    crafted = load_file(run.obtain(perturbations).path)
    positions = crafted["positions"]
    records = run.dataset.split.test[positions.numpy()]
    signals = run.dataset.signals(records).float()
    networks = [load_member(run, member) for member in MEMBERS]
    logits = {
        name: torch.stack([infer(network, signals + crafted[name].float()) for network in networks])
        for name in ATTACKS
    }
    save_file(
        {**{name: value.half() for name, value in logits.items()}, "positions": positions}, path
    )
    padded = ~run.dataset.valid(records).all(dim=1)
    return {"members": list(MEMBERS), "attacked": len(records), "with_padding": int(padded.sum())}


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
