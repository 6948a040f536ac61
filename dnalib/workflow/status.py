"""How far a run or a sweep is: what is done, and what is said of the rest."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import pandas

from dnalib.workflow.parts import Plan
from dnalib.workflow.slurm import FAILED, OUT_OF_TIME, RUNNING, WAITING, QueuedJob

MARKS = "marks"  # folder in which each job says that it runs, failed, or was out of time
COLUMNS = ("done", "running", "waiting", "out of time", "failed", "to come")
MOST_NAMES = 3  # of jobs in a sentence


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
    """What jobs left word of in the run's folder: that they run, failed, or were out of time.

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
                kept = working or word == OUT_OF_TIME
                jobs.append(QueuedJob("0", word if kept else "FAILED", path.name))
    return jobs


def column_of(state: str | None) -> str:
    """The column of a job that is not done, by the scheduler's word for it."""
    late = ("out of time", (OUT_OF_TIME,))
    for column, names in (("running", RUNNING), ("waiting", WAITING), ("failed", FAILED), late):
        if state in names:
            return column
    return "to come"


def with_late(queue: Iterable[QueuedJob], marked: Iterable[QueuedJob]) -> list[QueuedJob]:
    """A scheduler's jobs, and those of which only their own word tells that they were out of time.

    Args:
        queue: the scheduler's jobs, to which such a job is one that failed.
        marked: what the jobs left word of.
    """
    late = {job.work: job for job in marked if job.state == OUT_OF_TIME}
    return [
        *late.values(),
        *(job for job in queue if job.work not in late or job.state != "FAILED"),
    ]


def end_of_minutes(marked: Iterable[QueuedJob]) -> str | None:
    """A sentence for who has just seen jobs end unfinished as their minutes are over, or None.

    Args:
        marked: what the jobs left word of.
    """
    states = {job.work: job.state for job in marked}
    late = sorted(work for work, state in states.items() if state == OUT_OF_TIME)
    if not late:
        return None
    failed = sorted(states.keys() - set(late))
    beside = f" (but {listed(failed)} failed)" if failed else ""
    return (
        f"max_minutes is over for {listed(late)}{beside}; what is done is kept, and the same call "
        "goes on"
    )


def listed(names: Sequence[str]) -> str:
    """The first names of some, and how many there are beside them."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
