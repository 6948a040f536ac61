"""Attacks on whole ensembles with several times the steps: what the shorter ones left alive.

And what those leave, attacked again with twice as many.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dnalib import attacks, metrics
from dnalib.attacks import targets
from dnalib.ensemble import Ensemble
from dnalib.runs import ComputingRun, Stage
from dnalib.stages.attacking import craft_masked
from dnalib.stages.ensembles import PREPARATION, in_full
from dnalib.stages.members import load_member
from dnalib.stages.perturbations import Load, logits_under_each, records_at

TIMES = 5  # as many steps as `pgd_steps`: 100 where that is the paper's 20, as APGD wants them
# What is climbed, by APGD with a margin from the record itself: the one spoils what a user is
# told, the other misleads all members, as P(≥1) asks.
LOSSES: Mapping[str, attacks.Loss] = {
    "end to end": attacks.end_to_end(attacks.margin),
    "least misled member": targets.least_misled_member(attacks.margin),
}


def longer_name(ensemble: str, epsilon: float) -> str:
    """Name of the stage that attacks one ensemble with more steps."""
    return f"longer-{ensemble.replace(' ', '-')}-{in_full(epsilon)}"


def doubled_name(ensemble: str) -> str:
    """Name of the stage that attacks with twice these steps what they left of an ensemble."""
    return f"doubled-{ensemble.replace(' ', '-')}"


def longer_stages(
    ensemble: str,
    members: Sequence[str],
    *,
    records: str,
    epsilon: float,
    load: Load = load_member,
    doubled: bool = False,
) -> list[Stage]:
    """The attack on one ensemble at one ε, on the records whose positions a stage stores.

    With `doubled` also the one that asks whether it had converged.
    """
    longer = longer_name(ensemble, epsilon)
    settings = (*PREPARATION, "pgd_steps", "adaptive_precision")
    inputs = tuple(dict.fromkeys((*members, records)))
    known: dict[str, Any] = {"members": tuple(members), "epsilon": epsilon, "load": load}
    store = partial(store_longer, records=records, **known)
    stages = [Stage(longer, ".safetensors", settings, inputs, store, "attack")]
    if doubled:
        again = partial(store_doubled, longer=longer, **known)
        stages.append(
            Stage(doubled_name(ensemble), ".json", settings, (*inputs, longer), again, "attack")
        )
    return stages


def store_longer(
    run: ComputingRun,
    path: Path,
    *,
    members: tuple[str, ...],
    records: str,
    epsilon: float,
    load: Load,
) -> dict[str, Any]:
    """Logits of an ensemble's members under `craft_longer`: (member, record, class), fp16.

    The file holds them by target and attack, as those of `adaptive.store_adaptive`, and
    "positions".
    """
    positions = load_file(run.obtain(records).path)["positions"]
    signals, labels = records_at(run, positions)
    networks = [load(run, member) for member in members]
    steps = TIMES * run.settings.pgd_steps
    craft = partial(craft_longer, epsilon=epsilon, steps=steps)
    crafted = craft_masked(run, craft, networks, signals, labels, epsilon=epsilon)
    save_file({**logits_under_each(crafted, networks, signals), "positions": positions}, path)
    return {"members": list(members), "attacked": len(signals), "steps": steps}


def craft_longer(
    model: Ensemble | nn.Module,
    inputs: Tensor,
    labels: Tensor,
    valid: Tensor,
    *,
    epsilon: float,
    steps: int,
    aims: Iterable[str] = tuple(LOSSES),
) -> dict[str, Tensor]:
    """Perturbations of a batch, some of `LOSSES` climbed, by target and attack."""
    return {
        f"{aim}/apgd": attacks.pgd(
            model,
            inputs,
            labels,
            epsilon=epsilon,
            steps=steps,
            valid=valid,
            padding="mask",
            loss=LOSSES[aim],
            schedule="apgd",
        )
        for aim in aims
    }


def store_doubled(
    run: ComputingRun,
    path: Path,
    *,
    members: tuple[str, ...],
    longer: str,
    epsilon: float,
    load: Load,
) -> dict[str, Any]:
    """How many records are left when those that more steps left are attacked with twice as many.

    The results hold the steps before and after, the records, and by target how many of them are
    left after the one and after both: with an answer right end to end, or with a member right.
    """
    artefact = run.obtain(longer)
    stored = load_file(artefact.path)
    steps = artefact.results["steps"]
    signals, labels = records_at(run, stored["positions"])
    networks = [load(run, member) for member in members]
    left = {}
    for aim in LOSSES:
        alive = is_right(stored[f"{aim}/apgd"], labels, aim=aim).nonzero()[:, 0]  # (record left,)
        still = 0
        if len(alive):
            craft = partial(craft_longer, epsilon=epsilon, steps=2 * steps, aims=[aim])
            some, theirs = signals.select(alive), labels[alive]
            crafted = craft_masked(run, craft, networks, some, theirs, epsilon=epsilon, part=aim)
            (logits,) = logits_under_each(crafted, networks, some).values()
            still = int(is_right(logits, theirs, aim=aim).sum())
        left[aim] = [len(alive), still]
    path.write_text("{}\n")
    return {"steps": [steps, 2 * steps], "attacked": len(labels), "left": left}


def is_right(logits: Tensor, labels: Tensor, *, aim: str) -> Tensor:
    """Where an attack with some aim has failed: (member, record, class) logits -> (record,)."""
    answered = logits.double().numpy()
    if aim == "end to end":
        return torch.from_numpy(metrics.mean_softmax_prediction(answered) == labels.numpy())
    return torch.from_numpy(metrics.correct_predictions(answered, labels.numpy()).any(axis=0))
