"""What the jobs of a plan read from and write to the folder that all machines share."""

from collections.abc import Mapping
from dataclasses import dataclass

from dnalib.runs import Stage
from dnalib.workflow.bill import Task

# Snakemake starts twice in a job on a cluster, once in the job and once in its only step.
PLAN_READS = 2
STAGE_FILES = 3  # the artefact, its provenance, and the lock under which it was made
TASK_FILES = 2  # the job's report or the executed notebook, and Snakemake's record of it
CHECKPOINT_FILES = 2  # tensors, and what describes them


@dataclass(frozen=True)
class Sizes:
    """Bytes of what jobs read and write.

    Attributes:
        records: the cache of the records, which every job reads.
        plan: likewise.
        checkpoint: what a training writes after each epoch, for one network.
        artefacts: of each stage, by its name.
    """

    records: int
    plan: int
    checkpoint: int
    artefacts: Mapping[str, int]


@dataclass(frozen=True)
class Traffic:
    """Totals over some tasks.

    Attributes:
        files: that are made, checkpoints among them.
        written: bytes.
        read: bytes, without the programs.
    """

    files: int
    written: int
    read: int


def traffic(
    tasks: Mapping[str, Task], stages: Mapping[str, Stage], *, sizes: Sizes, epochs: int
) -> Traffic:
    """What all tasks read and write together.

    Not counted are the results that a chapter draws and did not compute itself: each lies in one
    small file.

    Args:
        tasks: of a plan.
        stages: of its profile, by name.
        sizes: in bytes.
        epochs: of each training.
    """
    files = written = read = 0
    for task in tasks.values():
        trainings = sum(stages[name].kind == "training" for name in task.stages)
        files += TASK_FILES + STAGE_FILES * len(task.stages)
        files += trainings * epochs * CHECKPOINT_FILES
        written += sum(sizes.artefacts[name] for name in task.stages)
        written += trainings * epochs * sizes.checkpoint
        read += sizes.records + PLAN_READS * sizes.plan
        inputs = {one for name in task.stages for one in stages[name].inputs}
        read += sum(sizes.artefacts[name] for name in inputs - set(task.stages))
    return Traffic(files=files, written=written, read=read)
