"""`python -m dnalib.workflow.job STAGE`: compute one stage of a run, and report what it took.

With `torchrun --nproc-per-node 2 -m dnalib.workflow.job STAGE` two processes train it together.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from dnalib import stages
from dnalib.data import DataError
from dnalib.files import write_json
from dnalib.runs import ArtefactError, ComputingRun, OutOfTime, ParameterError, Run
from dnalib.runs.settings import given_settings
from dnalib.training.checkpoints import CheckpointError
from dnalib.training.processes import FirstProcessError, LaunchError, TooManyProcessesError
from dnalib.workflow.slurm import OUT_OF_TIME

# What whoever started the job can mend, and is told in a sentence.
MENDABLE = (
    ArtefactError,
    CheckpointError,
    DataError,
    FloatingPointError,
    LaunchError,
    OutOfTime,
    ParameterError,
    TooManyProcessesError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: compute and report.

    Args:
        arguments: the words after the program's name; None for those it was started with.

    Returns:
        0; 1 on an error (said on standard error).
    """
    made = argparse.ArgumentParser(prog="python -m dnalib.workflow.job", description=__doc__)
    made.add_argument("stage", help="its name, such as dec1")
    made.add_argument("--report", type=Path, required=True, help="JSON file that is written")
    made.add_argument("--mark", type=Path, help="file that says so where the minutes are over")
    made.add_argument("-p", action="append", nargs=2, default=[], metavar=("NAME", "VALUE"))
    options = made.parse_args(arguments)
    began = psutil.Process().create_time()
    try:
        run = stages.open_run(given_settings(options.p))
        write_report(computing(run, options.stage), options.stage, options.report, began=began)
    except FirstProcessError:
        return 1
    except MENDABLE as error:
        print(f"error: {error}", file=sys.stderr)
        if isinstance(error, OutOfTime) and options.mark:
            options.mark.write_text(f"{OUT_OF_TIME}\n")
        return 1
    return 0


def computing(run: Run, stage: str) -> ComputingRun:
    """The run, where it computes and has the stage.

    Raises:
        ParameterError: it is only read, or has no such stage.
    """
    if not isinstance(run, ComputingRun):
        raise ParameterError(f"{run.profile} is only read; accepted is a profile that computes")
    if stage not in run.stages:
        raise ParameterError(
            f"stage is {stage!r}, which {run.profile} does not have; accepted are "
            f"{', '.join(run.stages)}"
        )
    return run


def write_report(run: ComputingRun, stage: str, path: Path, *, began: float) -> None:
    """Compute a stage and write what it took; the report is there only where the artefact is.

    Args:
        run: whose stage it is.
        stage: name.
        path: of the report.
        began: when the process did, seconds since 1970.
    """
    found = run.processes.follow(lambda: run.find(stage) is not None)
    artefact = run.obtain(stage)
    if not run.processes.first:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {
        "stage": stage,
        "artefact": artefact.path.name,
        "found": found,
        "computing_seconds": artefact.sidecar["seconds"],
        "began": datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - began, 2),
        "machine": platform.node(),
        "node": os.environ.get("SLURMD_NODENAME"),
        "scheduler_job": os.environ.get("SLURM_JOB_ID"),
    }
    write_json(path, report)


if __name__ == "__main__":
    sys.exit(main())
