"""What the models answer under random perturbations that are as large as an attack's."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dnalib import attacks
from dnalib.runs import ComputingRun, Stage
from dnalib.stages.adaptive import size_of
from dnalib.stages.attacking import half_within
from dnalib.stages.ensembles import MEMBERS, PREPARATION, in_full
from dnalib.stages.members import load_member
from dnalib.stages.perturbations import attacked_name, logits_under_each, records_at
from dnalib.training.recipes import derived_seed

# For each attack, what a change of its size and kind does that nobody searched for.
CONTROLS: Mapping[str, Callable[..., Tensor]] = {
    "pgd": attacks.random_signs,
    "sap": attacks.smooth_random_signs,
}
NUMBER = 400  # of the draw among those of a run's seed


def noise_stage(epsilon: float) -> Stage:
    """The stage that stores what all members answer under random perturbations at one ε."""
    inputs = (attacked_name("strip", epsilon), *MEMBERS)
    compute = partial(store_noise, epsilon=epsilon)
    return Stage(noise_name(epsilon), ".safetensors", (*PREPARATION, "seed"), inputs, compute)


def noise_name(epsilon: float) -> str:
    """Name of the stage that stores logits under random perturbations."""
    return f"random-{in_full(epsilon)}"


def store_noise(run: ComputingRun, path: Path, *, epsilon: float) -> dict[str, Any]:
    """Logits of all members under the control of each attack: (member, record, class), fp16.

    On the records that are attacked, which "positions" names, and held to them.
    """
    positions = load_file(run.obtain(attacked_name("strip", epsilon)).path)["positions"]
    signals, _ = records_at(run, positions)
    everything = torch.arange(len(signals))
    inputs = signals.batch(everything).float()  # (record, 1, time)
    valid = signals.valid(everything)
    # The same signs at every ε, so that only their size differs.
    seed = derived_seed(run.settings.seed, NUMBER)
    made = {
        attack: half_within(
            control(
                inputs,
                epsilon=epsilon,
                valid=valid,
                generator=torch.Generator().manual_seed(seed),
            ).squeeze(1),
            epsilon,
        )
        for attack, control in CONTROLS.items()
    }
    networks = [load_member(run, member) for member in MEMBERS]
    save_file({**logits_under_each(made, networks, signals), "positions": positions}, path)
    sizes = {attack: size_of(perturbation, signals) for attack, perturbation in made.items()}
    return {"models": list(MEMBERS), "sizes": sizes}
