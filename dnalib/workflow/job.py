"""`python -m dnalib.workflow.job STAGE`: compute one stage of a run, and report what it took."""

import argparse
import os
import platform
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from dnalib import stages
from dnalib.files import write_json
from dnalib.runs import ComputingRun
from dnalib.runs.settings import given_settings


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: compute and report.

    Args:
        arguments: the words after the program's name; None for those it was started with.
    """
    made = argparse.ArgumentParser(prog="python -m dnalib.workflow.job", description=__doc__)
    made.add_argument("stage", help="its name, such as dec1")
    made.add_argument("--report", type=Path, required=True, help="JSON file that is written")
    made.add_argument("-p", action="append", nargs=2, default=[], metavar=("NAME", "VALUE"))
    options = made.parse_args(arguments)
    run = stages.open_run(given_settings(options.p))
    began = psutil.Process().create_time()
    write_report(run, options.stage, options.report, began=began)


def write_report(run: ComputingRun, stage: str, path: Path, *, began: float) -> None:
    """Compute a stage and write what it took; the report is there only where the artefact is.

    Args:
        run: whose stage it is.
        stage: name.
        path: of the report.
        began: when the process did, seconds since 1970.
    """
    found = run.find(stage) is not None
    artefact = run.obtain(stage)
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
    main()
