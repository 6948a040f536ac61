"""What the trainings of all ensembles cost, measured side by side."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from dnalib.runs import ComputingRun, Settings, Stage
from dnalib.stages.ensembles import EARLIER, MEMBERS
from dnalib.stages.members import DECORRELATION, TRAINING, member_training
from dnalib.stages.rivals import (
    ADVERSARIAL,
    DVERGE_START,
    earlier_of,
    rival_training,
    trainings_of,
)
from dnalib.training.costs import training_costs
from dnalib.training.processes import Alone

COSTS = "training-costs"
ROUNDS = 5  # timed steps of each training


def cost_stage(settings: Settings) -> Stage:
    """The stage that times steps of all trainings of a run, its members' and its rivals'."""
    trainings = trainings_of(settings)
    earlier = {one for models in EARLIER.values() for one in models} | {*earlier_of(trainings)}
    names = (
        *TRAINING,
        *DECORRELATION,
        *ADVERSARIAL,
        "bands",
        "batch_size",
        "auxiliary_batch_size",
        "rivals",
    )
    inputs = [f"features-{name}" for name in sorted(earlier)]
    if "dverge" in trainings:
        inputs += DVERGE_START
    return Stage(COSTS, ".json", names, tuple(inputs), store_costs)


def store_costs(run: ComputingRun, path: Path) -> dict[str, Any]:
    """The cost of each training, of members and rivals by the names of their stages."""
    trainings = {member: member_training(run, member) for member in MEMBERS}
    trainings |= {name: rival_training(run, name) for name in trainings_of(run.settings)}
    costs = training_costs(trainings, rounds=ROUNDS)
    path.write_text("{}\n")
    return {
        "device": Alone().make_fabric("32-true").device.type,
        "threads": torch.get_num_threads(),
        "trainings": {name: asdict(cost) for name, cost in costs.items()},
    }
