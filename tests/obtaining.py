"""Obtain stages in one of several processes, or alone: `python obtaining.py FOLDER`.

Each process leaves `process-<number>.json`: what it obtained, and how its failures read.
"""

import dataclasses
import json
import os
import sys
from pathlib import Path

import torch
from tiny import open_tiny

from dnalib.runs import ArtefactError, ComputingRun
from dnalib.runs.turns import TURNS, turn
from dnalib.training.checkpoints import CheckpointError, CheckpointFolder
from dnalib.training.processes import FirstProcessError

# Without dropout, whose random numbers differ between processes.
CHANGES = {"epochs": 1, "dropout": 0.0, "learning_rate": 3e-4}


def failure(run: ComputingRun, name: str) -> list[str]:
    """How a stage fails in this process."""
    try:
        run.obtain(name)
    except (ArtefactError, CheckpointError, FirstProcessError) as error:
        return [type(error).__name__, str(error)]
    return []


def held(run: ComputingRun) -> list[str]:
    """The turns that somebody holds; asked by the first, since asking takes them for a moment."""

    def ask() -> list[str]:
        names = [path.stem for path in (run.folder / TURNS).glob("*.lock")]
        assert len(names) == 3
        return [name for name in names if not free(run.folder, name)]

    return run.processes.follow(ask)


def free(folder: Path, name: str) -> bool:
    """Whether nobody holds a turn, this process included."""
    with turn(folder, name, seconds=0) as ours:
        return ours


def break_survey(run: ComputingRun) -> None:
    """Let a stage that is no training fail."""

    def compute(run, path):
        raise ArtefactError("burnt")

    run.stages["survey"] = dataclasses.replace(run.stages["survey"], compute=compute)


def break_checkpoints() -> None:
    """Let no checkpoint be written."""

    def write(self, *tensors, **place):
        raise CheckpointError("no room")

    CheckpointFolder.write = write


def main() -> None:
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    run = open_tiny(folder, **CHANGES)
    told = {"dec1": run.obtain("dec1").path.name, "again": run.obtain("dec1").path.name}
    told["held"] = held(run)
    break_survey(run)
    told["survey"] = failure(run, "survey")
    break_checkpoints()
    told["cor1"] = failure(run, "cor1")
    number = os.environ.get("RANK", "0")
    (folder / f"process-{number}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
