"""Artefacts and weights of a run, copied to where the book finds them: `data/recorded`."""

import json
import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from dnalib import stages
from dnalib.dataset import describe
from dnalib.files import write_json
from dnalib.recording.contents import needed, shown, shown_of_each_seed
from dnalib.runs import Artefact, ComputingRun
from dnalib.runs.recorded import MANIFEST, seed_folder
from dnalib.stages.rivals import trainings_of
from dnalib.stages.sweeps import further_members
from dnalib.workflow.variants import WorkflowError


def record(
    run: ComputingRun, *, further_seeds: Sequence[int] = (), without: Collection[str] = ()
) -> Path:
    """Copy what the figures need to `data/recorded/<profile>`, and weights to `data/weights`.

    Args:
        run: the run; what it lacks is computed.
        further_seeds: of these, what chapters show of every seed is recorded as well, each in a
            folder within these two.
        without: appendices that are left out, by their notebooks.

    Returns:
        The recorded run's folder, with a manifest.
    """
    further = [run.variant({"seed": seed}) for seed in further_seeds]
    names = needed(run.settings, without=without)
    # All of it before anything is replaced.
    of_run = [run.obtain(name) for name in shown(run) if name in names]
    of_further = [
        [one.obtain(name) for name in shown_of_each_seed(one.settings) if name in names]
        for one in further
    ]
    folder, weights = recorded_folders(run)
    for place in (folder, weights):
        shutil.rmtree(place, ignore_errors=True)
    write_recorded(run, of_run, folder=folder, weights=weights)
    for one, kept in zip(further, of_further, strict=True):
        below = seed_folder(one.settings.seed)
        write_recorded(one, kept, folder=folder / below, weights=weights / below)
    return folder


def write_recorded(
    run: ComputingRun, kept: Sequence[Artefact], *, folder: Path, weights: Path
) -> None:
    """Copy artefacts of a run to its folder and weights to theirs, with a manifest of them all."""
    for place in (folder, weights):
        place.mkdir(parents=True)
    entries = {one.name: keep(one, folder=folder, weights=weights) for one in kept}
    description = describe(run.dataset, profile=run.profile, settings=run.settings)
    write_json(folder / MANIFEST, {**description, "artefacts": entries})


def recorded_folders(run: ComputingRun) -> tuple[Path, Path]:
    """Where a run is recorded: its results, and its weights."""
    data = run.root / "data"
    return data / "recorded" / run.profile, data / "weights" / run.profile


def keep(artefact: Artefact, *, folder: Path, weights: Path) -> dict[str, Any]:
    """Copy one artefact's file; returns its entry in the manifest."""
    place = weights if stages.holds_weights(artefact.name) else folder
    target = place / f"{artefact.name}{artefact.path.suffix}"
    shutil.copyfile(artefact.path, target)
    return {**artefact.sidecar, "file": os.path.relpath(target, folder)}


def keep_trainings(run: ComputingRun) -> list[str]:
    """Add finished trainings, of rivals and of further members, to what is recorded of the run.

    Returns:
        Their names. None of them is shown before the whole run is recorded.

    Raises:
        WorkflowError: nothing is recorded of the run.
    """
    folder, weights = recorded_folders(run)
    path = folder / MANIFEST
    if not path.is_file():
        raise WorkflowError(
            f"nothing is recorded of {run.profile} in {folder}; record the run before its trainings"
        )
    manifest = json.loads(path.read_text())
    names = [*trainings_of(run.settings), *further_members(run.settings)]
    found = [run.find(name) for name in names]
    entries = {
        artefact.name: keep(artefact, folder=folder, weights=weights)
        for artefact in found
        if artefact is not None
    }
    manifest["artefacts"] |= entries
    write_json(path, manifest)
    return list(entries)
