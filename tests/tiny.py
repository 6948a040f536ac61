"""Settings of a run so small that every stage takes seconds: for machinery, not for learning."""

import dataclasses
from pathlib import Path
from typing import Any, get_args

from dnalib import stages
from dnalib.runs import ComputingRun, load_profile
from dnalib.runs.settings import Rival

EPSILONS = (10.0, 50.0)
# Records of 30 s fill the 300 samples; shorter ones are padded.
SETTINGS = dataclasses.replace(
    load_profile("demo"),
    source="synthetic",
    synthetic_records=160,
    data_seed=0,
    rate=10,
    length=300,
    cut="middle",
    width=0.05,
    epochs=3,
    batch_size=64,
    auxiliary_batch_size=80,
    learning_rate=6e-3,
    precision="32-true",
    seed=0,
    epsilons=EPSILONS,
    pgd_steps=2,
    sap_steps=2,
    attack_records=0,
    adaptive_epsilons=EPSILONS,
    adaptive_records=0,
    rivals=get_args(Rival),
    adversarial_steps=1,
    swept_weights=(0.2,),
    swept_dimensions=(50,),
    swept_bands=(10,),
    sweep_seeds=1,
    most_members=3,
)


def open_tiny(folder: Path, *, max_minutes: float | None = None, **changes: Any) -> ComputingRun:
    """The tiny run in a folder, with some settings changed."""
    settings = dataclasses.replace(SETTINGS, **changes)
    return stages.computing_run(
        settings, profile="tiny", root=folder, runs_folder=folder, max_minutes=max_minutes
    )
