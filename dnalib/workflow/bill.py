"""What a plan takes on so many machines: its critical path, and a simulation of its jobs.

Seconds come from measured runs. A stage that is no job of its own is counted with the first job or
notebook that reads it, as it would be computed.
"""

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dnalib.runs import Settings, Stage
from dnalib.runs.settings import override
from dnalib.stages import all_stages
from dnalib.workflow.chapters import stages_before
from dnalib.workflow.parts import Plan
from dnalib.workflow.slurm import SECONDS_BETWEEN_CHECKS


@dataclass(frozen=True)
class Task:
    """A job or notebook.

    Attributes:
        seconds: that it takes by itself.
        needs: tasks that must be done before.
        stages: that it computes.
    """

    seconds: float
    needs: tuple[str, ...]
    stages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Overhead:
    """Seconds around the work, measured.

    Attributes:
        job: of a stage's job: the engine's start, imports, reading the records.
        notebook: of a chapter's: the same, its kernel, and drawing.
    """

    job: float
    notebook: float


@dataclass(frozen=True)
class Checks:
    """How often the engine asks which jobs have ended: as Snakemake's plugin for Slurm does.

    Attributes:
        first: seconds from a check that found an ended job, or from the start, to the next.
        more: seconds by which that grows at each check that found none.
        most: seconds that it grows to.
    """

    first: float = SECONDS_BETWEEN_CHECKS
    more: float = 10
    most: float = 180

    def after(self, seconds: float, *, found: bool) -> float:
        """Seconds to the next check, from those to the last one and whether a job had ended."""
        return self.first if found else min(seconds + self.more, self.most)


@dataclass(frozen=True)
class Bill:
    """What a plan takes on a number of machines.

    Attributes:
        machines: one job runs on each at a time.
        seconds: from the first job's start until the last one is known to have ended.
        busy_seconds: of all jobs together, whatever the number of machines.
        jobs: jobs and notebooks.
    """

    machines: int
    seconds: float
    busy_seconds: float
    jobs: int

    @property
    def held_seconds(self) -> float:
        """Machine-seconds, if all machines are held from the first job to the last."""
        return self.machines * self.seconds


def tasks_of(
    plan: Plan, settings: Settings, *, seconds: Mapping[str, float], overhead: Overhead
) -> dict[str, Task]:
    """The tasks of a plan.

    Args:
        plan: jobs and notebooks.
        settings: of its profile.
        seconds: of each stage's computation, by its name.
        overhead: of each task.

    Raises:
        ValueError: a stage that is to be computed has no seconds.
    """
    known: dict[str, dict[str, Stage]] = {}

    def stages_of(parameters: Mapping[str, Any]) -> dict[str, Stage]:
        key = str(parameters)
        if key not in known:
            known[key] = all_stages(override(settings, parameters))
        return known[key]

    tasks = {}
    counted: dict[str, set[str]] = defaultdict(set)  # stages that a variant's tasks have made
    for name, job in plan["jobs"].items():
        made = counted[str(job["parameters"])]
        stages = stages_of(job["parameters"])
        # Its own stage is a job's work although it is of a kind that has jobs.
        inputs = list(stages[job["stage"]].inputs)
        work = [job["stage"], *unmade(inputs, stages, made=made, kinds=plan["resources"])]
        total = overhead.job + seconds_together(work, seconds)
        tasks[name] = Task(total, tuple(job["needs"]), tuple(work))
    for name, notebook in plan["notebooks"].items():
        parameters = notebook["parameters"]
        work = []
        if "seeds" not in parameters:  # a summary computes nothing
            made, stages = counted[str(parameters)], stages_of(parameters)
            wanted = stages_before(notebook["chapter"], stages, override(settings, parameters))
            work = unmade(wanted, stages, made=made, kinds=plan["resources"])
        total = overhead.notebook + seconds_together(work, seconds)
        tasks[name] = Task(total, (*notebook["jobs"], *notebook["notebooks"]), tuple(work))
    return tasks


def seconds_together(work: Sequence[str], seconds: Mapping[str, float]) -> float:
    """Seconds that some stages take, one after another.

    Raises:
        ValueError: one of them has no seconds: taken for none, it would make the bill too low.
    """
    missing = [stage for stage in work if stage not in seconds]
    if missing:
        raise ValueError(f"no seconds are known of {', '.join(missing)}: the bill would be too low")
    return sum(seconds[stage] for stage in work)


def unmade(
    wanted: Sequence[str],
    stages: Mapping[str, Stage],
    *,
    made: set[str],
    kinds: Mapping[str, Any],
) -> list[str]:
    """Of some stages and all that they read, those that nobody made yet; they count from now on.

    Stages of kinds that have jobs of their own are not entered: these are tasks.
    """
    found: list[str] = []
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name in made or stages[name].kind in kinds:
            continue
        made.add(name)
        found.append(name)
        waiting += stages[name].inputs
    return found


def critical_path(tasks: Mapping[str, Task]) -> tuple[float, list[str]]:
    """Seconds that no number of machines can save, and the tasks that take them, in order."""
    done: dict[str, tuple[float, str | None]] = {}

    def finish(name: str) -> float:
        if name not in done:
            before = max(tasks[name].needs, key=finish, default=None)
            start = finish(before) if before is not None else 0.0
            done[name] = (start + tasks[name].seconds, before)
        return done[name][0]

    path = [max(tasks, key=finish)]
    while (before := done[path[-1]][1]) is not None:
        path.append(before)
    return finish(path[0]), path[::-1]


def until(tasks: Mapping[str, Task], names: Sequence[str]) -> dict[str, Task]:
    """Of the tasks, some with all that they wait for."""
    found: dict[str, Task] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = tasks[name]
            waiting += tasks[name].needs
    return found


class Queue:
    """The tasks that wait, and those that may start, in the order of the plan."""

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self.place = {name: number for number, name in enumerate(tasks)}
        self.missing = {name: len(set(task.needs)) for name, task in tasks.items()}
        self.followers: dict[str, list[str]] = defaultdict(list)
        for name, task in tasks.items():
            for needed in set(task.needs):
                self.followers[needed].append(name)
        self.ready = sorted(
            (self.place[name], name) for name, count in self.missing.items() if not count
        )

    def take(self) -> str:
        """The first task that is ready; it is so no more."""
        return heapq.heappop(self.ready)[1]

    def end(self, names: Sequence[str]) -> None:
        """Let those follow that waited for nothing but these tasks any more."""
        for follower in (one for name in names for one in self.followers[name]):
            self.missing[follower] -= 1
            if self.missing[follower] == 0:
                heapq.heappush(self.ready, (self.place[follower], follower))


def simulate(
    tasks: Mapping[str, Task],
    *,
    machines: int,
    checks: Checks | None = None,
    most_jobs: int | None = None,
) -> Bill:
    """Run the tasks on so many machines: whichever is free takes the first task that is ready.

    Args:
        tasks: by name, in the order of the plan.
        machines: how many.
        checks: when the engine learns of ends; None where it knows of each at once.
        most_jobs: that are submitted and not known to have ended; None for any number.

    Raises:
        ValueError: no machine or job at a time, or tasks that wait for each other.
    """
    for what, number in (("machines", machines), ("most_jobs", most_jobs)):
        if number is not None and number < 1:
            raise ValueError(f"{what} is {number}; at least one is needed")
    queue = Queue(tasks)
    running: list[tuple[float, str]] = []
    ended: list[str] = []  # and not known yet
    interval = check = checks.first if checks else 0.0
    clock, known = 0.0, 0
    while queue.ready or running or ended:
        places = min(machines, (most_jobs or len(tasks)) - len(ended))
        while queue.ready and len(running) < places:
            name = queue.take()
            heapq.heappush(running, (clock + tasks[name].seconds, name))
        if running and (checks is None or running[0][0] <= check):
            clock, name = heapq.heappop(running)
            ended.append(name)
            if checks is not None:
                continue
        else:
            clock = check
        queue.end(ended)
        known += len(ended)
        if checks is not None:
            interval = checks.after(interval, found=bool(ended))
            check = clock + interval
        ended = []
    if known < len(tasks):
        raise ValueError(f"{len(tasks) - known} tasks wait for each other")
    busy = sum(task.seconds for task in tasks.values())
    return Bill(machines=machines, seconds=clock, busy_seconds=busy, jobs=len(tasks))
