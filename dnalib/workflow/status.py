"""How far a run or a sweep is: what is done, and what the scheduler says of the rest."""

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pandas

from dnalib.workflow.parts import Plan
from dnalib.workflow.slurm import FAILED, RUNNING, WAITING, QueuedJob

MARKS = "marks"  # folder in which each job says that it runs, or failed
COLUMNS = ("done", "running", "waiting", "failed", "to come")


def progress(plan: Plan, folder: Path, *, queue: Iterable[QueuedJob] = ()) -> pandas.DataFrame:
    """Jobs and notebooks of a plan, counted: a row a stage or chapter, a column a state.

    Args:
        plan: what is to be there in the end.
        folder: of the run.
        queue: the scheduler's jobs, where there is one; of a job that it tried again, the last try
            counts.
    """
    states = {}
    for queued in sorted(queue, key=lambda one: int(one.number.partition("_")[0])):
        states[queued.work] = queued.state
    rows: dict[str, Counter[str]] = {}
    for name, job in plan["jobs"].items():
        done = (folder / "jobs" / job["kind"] / f"{name}.json").is_file()
        found = "done" if done else column_of(states.get(name))
        rows.setdefault(job["stage"], Counter())[found] += 1
    for name, notebook in plan["notebooks"].items():
        done = (folder / f"{name}.ipynb").is_file()
        found = "done" if done else column_of(states.get(name.replace("/", "_")))
        rows.setdefault(notebook["chapter"], Counter())[found] += 1
    table = pandas.DataFrame.from_dict(rows, orient="index", dtype="Int64")
    return table.reindex(columns=list(COLUMNS)).fillna(0).rename_axis("job").astype(int)


def marked_jobs(folder: Path, *, since: Path, working: bool) -> list[QueuedJob]:
    """What jobs left word of in the run's folder: that they run, or failed.

    Args:
        folder: of the run.
        since: a file that the last make wrote when it began; a word from before tells of another.
        working: whether its jobs may still run: if not, whatever says that it does was cut off.
    """
    began = since.stat().st_mtime_ns
    jobs = []
    for path in (folder / MARKS).glob("*"):
        # A job that ends takes its word away, at any moment of this.
        with suppress(FileNotFoundError):
            if path.stat().st_mtime_ns >= began:
                word = path.read_text().strip()
                jobs.append(QueuedJob("0", word if working else "FAILED", path.name))
    return jobs


def column_of(state: str | None) -> str:
    """The column of a job that is not done, by the scheduler's word for it."""
    for column, names in (("running", RUNNING), ("waiting", WAITING), ("failed", FAILED)):
        if state in names:
            return column
    return "to come"
