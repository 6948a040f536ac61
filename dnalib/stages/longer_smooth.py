"""SAP on whole ensembles with more steps, on the records that the shorter searches left.

Whether a search had converged shows when it goes on. Left are records of which a member is still
right whatever SAP aimed at, so that only P(≥1) can fall.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dnalib import attacks, metrics
from dnalib.attacks import targets
from dnalib.ensemble import Ensemble
from dnalib.model import CLASSES, Network
from dnalib.runs import ComputingRun, Stage
from dnalib.signals import PackedSignals
from dnalib.stages.attacking import craft_masked
from dnalib.stages.control import CONTROL_STAGE
from dnalib.stages.ensembles import PREPARATION, in_full
from dnalib.stages.longer import TIMES, is_right
from dnalib.stages.members import load_member
from dnalib.stages.perturbations import logits_under_each, records_at

PASSES = (TIMES, 2 * TIMES)  # as many steps as `sap_steps`, each on what the one before left
AIM = "least misled member"  # all members are to be misled, as P(≥1) asks
CONDITION = f"{AIM}/sap"


def longer_smooth_name(ensemble: str, epsilon: float) -> str:
    """Name of the stage that goes on with SAP on one ensemble."""
    return f"longer-smooth-{ensemble}-{in_full(epsilon)}"


def longer_smooth_stage(
    ensemble: str, members: Sequence[str], *, shorter: str, epsilon: float
) -> Stage:
    """The search on one ensemble, or on the control, where a stage of shorter ones left records."""
    return Stage(
        longer_smooth_name(ensemble, epsilon),
        ".safetensors",
        (*PREPARATION, "pgd_steps", "sap_steps", "adaptive_precision"),
        (*members, shorter),
        partial(
            store_longer_smooth,
            members=tuple(members),
            shorter=shorter,
            epsilon=epsilon,
            constants=ensemble == CONTROL_STAGE,
        ),
        "attack",
    )


def store_longer_smooth(
    run: ComputingRun,
    path: Path,
    *,
    members: tuple[str, ...],
    shorter: str,
    epsilon: float,
    constants: bool,
) -> dict[str, Any]:
    """Logits of an ensemble's members under the longest search: (member, record, class), fp16.

    The file holds them as `CONDITION`, where no search went on those of the shorter one, and
    "positions". The results hold the steps of the shorter search and of each that followed, and
    how many records each left.

    Args:
        members: the ensemble's; the base model alone for the control.
        shorter: the stage whose file holds what SAP left, as `adaptive.store_adaptive`.
        epsilon: raw units.
        constants: whether the constants of the control stand beside the members.
    """
    stored = load_file(run.obtain(shorter).path)
    signals, labels = records_at(run, stored["positions"])
    networks = [load_member(run, member) for member in members]
    smooth = [logits for name, logits in stored.items() if name.endswith("/sap")]
    is_left = torch.stack([is_right(one, labels, aim=AIM) for one in smooth]).all(dim=0)
    # No attack moves a constant: where one is right, there is nothing to search for.
    is_kept = right_by_constants(labels) if constants else torch.zeros_like(is_left)
    logits = stored[CONDITION].clone()
    steps, left = [run.settings.sap_steps], [int((is_left | is_kept).sum())]
    for times in PASSES:
        steps.append(times * run.settings.sap_steps)
        where = (is_left & ~is_kept).nonzero()[:, 0]  # (record to attack,)
        if len(where):
            some = signals.select(where)
            logits[:, where] = logits_under_longer(
                run, networks, some, labels[where], epsilon=epsilon, steps=steps[-1]
            )
            is_left &= is_right(logits, labels, aim=AIM)
        left.append(int((is_left | is_kept).sum()))
    save_file({CONDITION: logits, "positions": stored["positions"]}, path)
    return {"attacked": len(labels), "steps": steps, "left": left}


def logits_under_longer(
    run: ComputingRun,
    networks: Sequence[Network],
    signals: PackedSignals,
    labels: Tensor,
    *,
    epsilon: float,
    steps: int,
) -> Tensor:
    """What networks answer under `craft_longer_smooth` on them: (member, record, class), fp16."""
    craft = partial(
        craft_longer_smooth, epsilon=epsilon, start_steps=run.settings.pgd_steps, steps=steps
    )
    crafted = craft_masked(
        run, craft, networks, signals, labels, epsilon=epsilon, part=f"{steps} steps"
    )
    return logits_under_each(crafted, networks, signals)[CONDITION]


def craft_longer_smooth(
    model: Ensemble | nn.Module,
    inputs: Tensor,
    labels: Tensor,
    valid: Tensor,
    *,
    epsilon: float,
    start_steps: int,
    steps: int,
) -> dict[str, Tensor]:
    """Smooth perturbations of a batch that are to mislead all members, by APGD with a margin."""
    found = attacks.sap(
        model,
        inputs,
        labels,
        epsilon=epsilon,
        start_steps=start_steps,
        steps=steps,
        valid=valid,
        padding="mask",
        loss=targets.least_misled_member(attacks.margin),
        schedule="apgd",
    )
    return {CONDITION: found}


def right_by_constants(labels: Tensor) -> Tensor:
    """Where a constant of the control is right: classes (record,) -> (record,) bool."""
    constants = metrics.with_constants(np.zeros((len(labels), CLASSES)))[1:]
    return torch.from_numpy(metrics.correct_predictions(constants, labels.numpy()).any(axis=0))
