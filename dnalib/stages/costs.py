"""What the trainings of all ensembles cost, measured side by side."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from dnalib.processes import make_fabric
from dnalib.runs import ComputingRun, Stage
from dnalib.stages.ensembles import EARLIER, MEMBERS
from dnalib.stages.members import DECORRELATION, TRAINING, member_training
from dnalib.stages.rivals import (
    ADVERSARIAL,
    DVERGE_START,
    RIVAL_EARLIER,
    TRAININGS,
    rival_training,
)
from dnalib.training_costs import training_costs

COSTS = "training-costs"
ROUNDS = 5  # timed steps of each training


def cost_stage() -> Stage:
    """The stage that times steps of all members' and rivals' trainings."""
    earlier = {one for models in (*EARLIER.values(), *RIVAL_EARLIER.values()) for one in models}
    settings = (
        *TRAINING,
        *DECORRELATION,
        *ADVERSARIAL,
        "bands",
        "batch_size",
        "auxiliary_batch_size",
    )
    inputs = (*(f"features-{name}" for name in sorted(earlier)), *DVERGE_START)
    return Stage(COSTS, ".json", settings, inputs, store_costs)


def store_costs(run: ComputingRun, path: Path) -> dict[str, Any]:
    """The cost of each training, of members and rivals by the names of their stages."""
    trainings = {member: member_training(run, member) for member in MEMBERS}
    trainings |= {name: rival_training(run, name) for name in TRAININGS}
    costs = training_costs(trainings, rounds=ROUNDS)
    path.write_text("{}\n")
    return {
        "device": make_fabric("32-true").device.type,
        "threads": torch.get_num_threads(),
        "trainings": {name: asdict(cost) for name, cost in costs.items()},
    }
