"""What a job costs around its work: for the book's page on the bill.

Runs one seed of a small `demo` sweep on a Slurm cluster of two slots that it brings up on this
machine (root, Debian's slurm-wlm and munge), then executes the chapters once more with nothing left
to compute, and renders them. Writes `NAME.json` into `results/jobs`, which `bill.py` completes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from sides import hardware

from dnalib.workflow.cluster import Cluster, answer, copy_project, why_not

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "jobs"
SWEEP = ("--seeds", "0", "--executor", "slurm", "--seconds-between-checks", "3")
CHANGES = {"epochs": "2", "adaptive_records": "4", "rivals": "[wide]"}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of the file to write, such as cpu")
    arguments = parser.parse_args()
    reason = why_not()
    if reason:
        parser.error(reason)
    with tempfile.TemporaryDirectory(prefix="bill", dir="/tmp") as folder:
        project = copy_project(ROOT, Path(folder) / "project")
        scheduler, queue = sweep(project, Path(folder) / "slurm")
        run = project / "data" / "runs" / "demo"
        content = {
            "hardware": hardware("cpu"),
            "date": datetime.now(UTC).date().isoformat(),
            "scheduler": scheduler,
            "job": job_overhead(run, queue),
            "notebook": {"seconds": executed_again(project)},
            "rendering": rendered_again(project),
            "files": sizes(run.glob("*-*")),
        }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{arguments.name}.json"
    known = json.loads(path.read_text()) if path.is_file() else {}  # what `bill.py` added
    path.write_text(json.dumps(known | content, indent=1, sort_keys=True) + "\n")
    print(f"wrote {path}")


def sweep(project: Path, folder: Path) -> tuple[str, list[tuple[str, float]]]:
    """Run the sweep; returns Slurm's version, and what each ended job was for, with its seconds."""
    words = [word for name, value in CHANGES.items() for word in ("-p", name, value)]
    with Cluster(folder, nodes=2):
        command = [sys.executable, "-m", "dnalib.workflow", "sweep", *SWEEP, *words]
        subprocess.run(command, cwd=project, env=environment(), check=True)
        version = answer(["sinfo", "--version"])
        lines = answer(["squeue", "--noheader", "--states=all", "--format=%k|%S|%e"]).splitlines()
    parts = [line.rsplit("|", 2) for line in lines]
    return version, [
        (comment, (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())
        for comment, start, end in parts
    ]


def job_overhead(run: Path, queue: list[tuple[str, float]]) -> dict[str, float]:
    """Median seconds of a stage's job around its computation, and their parts."""
    engine, start = [], []
    for path in run.glob("jobs/*/*.json"):
        report = json.loads(path.read_text())
        (elapsed,) = [seconds for comment, seconds in queue if comment.endswith(f"_{path.stem}")]
        engine.append(elapsed - report["seconds"])
        start.append(report["seconds"] - report["computing_seconds"])
    return {
        "engine": statistics.median(engine),
        "start and records": statistics.median(start),
        "jobs": len(engine),
    }


def executed_again(project: Path) -> dict[str, float]:
    """Seconds of each chapter with nothing to compute: kernel, loading, drawing."""
    plan = json.loads((project / "data/runs/demo/plan.json").read_text())
    found = {}
    for name, notebook in plan["notebooks"].items():
        parameters = json.dumps({"profile": "demo", **notebook["parameters"]})
        command = ["papermill", f"book/{notebook['chapter']}.ipynb", "out.ipynb", "-y", parameters]
        found[notebook["chapter"]] = timed([*command, "--no-progress-bar"], project)
        print(f"{name}: {found[notebook['chapter']]:.1f} s", flush=True)
    return found


def rendered_again(project: Path) -> float:
    """Seconds of building the pages, from the project's own notebooks."""
    return timed(["jupyter-book", "build", "book", "--all", "-q"], project)


def timed(command: list[str], project: Path) -> float:
    """Seconds that a command takes."""
    started = time.perf_counter()
    subprocess.run(command, cwd=project, env=environment(), check=True, capture_output=True)
    return round(time.perf_counter() - started, 2)


def sizes(paths: Iterable[Path]) -> dict[str, int]:
    """Number and bytes of files."""
    files = [path.stat().st_size for path in paths if path.is_file()]
    return {"files": len(files), "bytes": sum(files)}


def environment() -> dict[str, str]:
    """This one's, with this Python's commands first, one thread a process."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}


if __name__ == "__main__":
    main()
