"""Putting what is recorded of a run back into one that computes."""

from dnalib import stages
from dnalib.data import DataError, locate
from dnalib.data.locations import DATA_VARIABLE, SPLIT_VARIABLE
from dnalib.dataset import load_dataset
from dnalib.runs import ComputingRun, RecordedRun, artefacts
from dnalib.runs.consistency import SYNTHETIC
from dnalib.runs.settings import setting_names
from dnalib.workflow.variants import WorkflowError


def restore(recorded: RecordedRun, run: ComputingRun) -> list[str]:
    """Put what is recorded into a run that computes, as far as the run would make the same.

    What was recorded of further seeds goes with it, for runs that compute with those.

    Returns:
        Names of what was restored; the rest was made with other settings.

    Raises:
        DataError: the run's records are not those of the recorded one.
        WorkflowError: no training is one of the run's. Nothing is restored then.
    """
    check_records(recorded)
    pairs = [(recorded, run)] + [
        (other, run.variant({"seed": other.settings.seed}))
        for other in recorded.with_seeds()
        if other.settings.seed != recorded.settings.seed
    ]
    found = [restorable(*pair) for pair in pairs]
    names = list(dict.fromkeys(name for each in found for name in each))
    if not any(stages.holds_weights(name) for name in names):
        raise WorkflowError(
            f"no training that was recorded in {recorded.profile} is one of this run, which has "
            f"{differences(recorded, run)}; accepted is -p with settings that leave some as they "
            "are, and all others are trained anew without --restore"
        )
    for (one, into), each in zip(pairs, found, strict=True):
        for name in each:
            artefacts.adopt(into.folder, one.obtain(name))
    return names


def restorable(recorded: RecordedRun, run: ComputingRun) -> list[str]:
    """Names of what is recorded of one seed and what a run would make the same."""
    return [
        name
        for name, entry in recorded.manifest["artefacts"].items()
        if name in run.stages and run.identity(name) == entry["identity"]
    ]


def differences(recorded: RecordedRun, run: ComputingRun) -> str:
    """What a run has otherwise than a recorded one, a few words."""
    now, before = run.settings.values(setting_names()), recorded.settings.values(setting_names())
    changed = [
        f"{name} {now[name]} instead of {before[name]}" for name in now if now[name] != before[name]
    ]
    return ", ".join(changed) or "other records"


def check_records(run: RecordedRun) -> None:
    """Make sure that a recorded run's real records are here: without, figures would be lost.

    Raises:
        DataError: they are not found, or are others, or divided otherwise than the run's.
    """
    if run.settings.source == SYNTHETIC:
        return
    dataset = load_dataset(run, place=run.place, split=run.split)
    if dataset.identity != run.manifest["records"]:
        raise DataError(
            f"the records at {locate(run.place, root=run.root)}, or their split "
            f"({dataset.split.source}), are not those of the run {run.profile} "
            f"({run.manifest['split']}); name them by --data and --split (`make DATA=... "
            f"SPLIT=...`), or by {DATA_VARIABLE} and {SPLIT_VARIABLE}"
        )
