"""Attacks on whole ensembles with several times the steps: what the shorter ones left alive."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dnalib import attacks
from dnalib.attacks import targets
from dnalib.ensemble import Ensemble
from dnalib.runs import ComputingRun, Stage
from dnalib.stages.ensembles import PREPARATION
from dnalib.stages.members import load_member
from dnalib.stages.perturbations import Load, craft_masked, logits_under_each, records_at

TIMES = 5  # as many steps as `pgd_steps`: 100 where that is the paper's 20, as APGD wants them


def longer_name(ensemble: str) -> str:
    """Name of the stage that attacks one ensemble with more steps."""
    return f"longer-{ensemble.replace(' ', '-')}"


def longer_stage(
    ensemble: str,
    members: Sequence[str],
    *,
    records: str,
    epsilon: float,
    load: Load = load_member,
) -> Stage:
    """The attack on one ensemble at one ε, on the records whose positions a stage stores."""
    return Stage(
        longer_name(ensemble),
        ".safetensors",
        (*PREPARATION, "adaptive_epsilons", "pgd_steps", "adaptive_precision"),
        tuple(dict.fromkeys((*members, records))),
        partial(store_longer, members=tuple(members), records=records, epsilon=epsilon, load=load),
        "attack",
    )


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
) -> dict[str, Tensor]:
    """Perturbations of a batch by APGD from the record itself, with a margin, by target and attack.

    One spoils what a user is told, the other misleads all members, as P(≥1) asks.
    """
    losses = {
        "end to end/apgd": attacks.end_to_end(attacks.margin),
        "least misled member/apgd": targets.least_misled_member(attacks.margin),
    }
    return {
        name: attacks.pgd(
            model,
            inputs,
            labels,
            epsilon=epsilon,
            steps=steps,
            valid=valid,
            padding="mask",
            loss=loss,
            schedule="apgd",
        )
        for name, loss in losses.items()
    }
