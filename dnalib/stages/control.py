"""Attacks on the control: the base model beside two constants, attacked as the ensemble it is.

P(≥1) of the control falls with the base model alone. Its vote and its mean softmax do not: they
hang on which of the two constants the base model sides with, and only an attack on all three
together asks for that.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dnalib import metrics
from dnalib.model import CLASSES
from dnalib.runs import ComputingRun, Stage
from dnalib.stages.attacking import craft_masked, generators_of
from dnalib.stages.ensembles import PREPARATION
from dnalib.stages.longer import TIMES, craft_longer, longer_name
from dnalib.stages.members import load_member
from dnalib.stages.perturbations import logits_under_each, records_at

CONTROL_STAGE = "control"  # where a stage's name has an ensemble's


class BesideConstants(nn.Module):
    """A network and the constants of `metrics.with_constants`, as an ensemble.

    Args:
        network: (batch, 1, time), raw units -> logits (batch, class), in evaluation mode.
    """

    constants: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        constants = metrics.with_constants(np.zeros((1, CLASSES)))[1:]  # (constant, 1, class)
        self.register_buffer("constants", torch.from_numpy(constants).float())
        self.eval()

    def forward(self, signals: Tensor) -> Tensor:
        """Signals (batch, 1, time), raw units -> logits (member, batch, class)."""
        logits = self.network(signals)  # (batch, class)
        constants = self.constants.to(logits).expand(-1, len(logits), -1)
        return torch.cat([logits.unsqueeze(0), constants])


def longer_control_stage(epsilon: float, *, records: str) -> Stage:
    """The attack with more steps on the control at one ε, as `longer.longer_stages` of others."""
    store = partial(store_longer, records=records, epsilon=epsilon)
    return Stage(
        longer_name(CONTROL_STAGE, epsilon),
        ".safetensors",
        (*PREPARATION, "pgd_steps", "adaptive_precision"),
        ("base", records),
        store,
        "attack",
    )


def store_longer(run: ComputingRun, path: Path, *, records: str, epsilon: float) -> dict[str, Any]:
    """Logits of the base model under `longer.craft_longer` on the control, as `store`."""
    steps = TIMES * run.settings.pgd_steps
    craft = partial(craft_longer, epsilon=epsilon, steps=steps)
    return {"steps": steps, **store(run, path, craft, records=records, epsilon=epsilon)}


def store(
    run: ComputingRun,
    path: Path,
    craft: Callable[..., dict[str, Tensor]],
    *,
    records: str,
    epsilon: float,
    draws: bool = False,
) -> dict[str, Any]:
    """Logits of the base model under attacks on the control: (1, record, class), fp16.

    The file holds them by target and attack, as those of the ensembles, and "positions".

    Args:
        craft: takes the control and a batch, as an attack of `crafting.attack_records`.
        records: the stage that names the records.
        epsilon: raw units.
        draws: whether an attack draws numbers.
    """
    positions = load_file(run.obtain(records).path)["positions"]
    signals, labels = records_at(run, positions)
    network = load_member(run, "base")
    crafted = craft_masked(
        run,
        partial(beside_constants, craft=craft),
        network,
        signals,
        labels,
        epsilon=epsilon,
        generators=generators_of(run, positions, epsilon=epsilon) if draws else None,
    )
    save_file({**logits_under_each(crafted, [network], signals), "positions": positions}, path)
    return {"attacked": len(signals)}


def beside_constants(
    model: nn.Module, *batch: Tensor, craft: Callable[..., dict[str, Tensor]], **options: object
) -> dict[str, Tensor]:
    """Perturbations of a batch by an attack on a network beside the constants."""
    return craft(BesideConstants(model), *batch, **options)
