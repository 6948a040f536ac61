"""The parts of a plan: jobs, notebooks and sites, and which stages are which jobs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import yaml

from dnalib.dataset import RECORDS
from dnalib.runs import Settings, Stage
from dnalib.runs.artefacts import identity_of
from dnalib.runs.run import identities

RESOURCES = Path(__file__).with_name("resources.yaml")
DEFAULT = "default"  # its entry for all profiles that it does not name


class Resources(TypedDict):
    """What a job takes: CPUs (None: all), MB of memory, minutes of its first attempt, GPUs."""

    cpus: int | None
    memory: int
    minutes: int
    gpus: int


class Job(TypedDict):
    """A stage that is computed by a process of its own; `needs` are jobs."""

    stage: str
    kind: str
    parameters: dict[str, Any]
    needs: list[str]


class Notebook(TypedDict):
    """A chapter of a variant; `jobs` and `notebooks` come before it."""

    chapter: str
    parameters: dict[str, Any]
    jobs: list[str]
    notebooks: list[str]


class Site(TypedDict):
    """A rendered book: its notebooks, and the parameters of the run that its first page shows."""

    notebooks: list[str]
    parameters: dict[str, Any]


class Plan(TypedDict):
    """Everything that is to be there in the end, as JSON holds it.

    Attributes:
        profile: name.
        executor: what runs the jobs, "local" or "slurm"; set once they are to run, as are:
        places: where the records are and their split, "data" and "split", if that was said.
        max_minutes: that each chapter and each job may compute, if that was said.
        gpus: of this machine, where jobs run side by side on it: each takes as many as it asks for.
        sites: by name, a folder in `_build`.
        jobs: by name, `<stage>-<key>`: what two variants share is one job.
        notebooks: by name, `<variant>/<chapter>`.
        resources: by kind of job; "chapter" is that of notebooks.
    """

    profile: str
    executor: NotRequired[str]
    places: NotRequired[dict[str, str]]
    max_minutes: NotRequired[float]
    gpus: NotRequired[list[str]]
    sites: dict[str, Site]
    jobs: dict[str, Job]
    notebooks: dict[str, Notebook]
    resources: dict[str, Resources]


def add_jobs(
    plan: Plan,
    wanted: Sequence[str],
    stages: Mapping[str, Stage],
    names: Mapping[str, str],
    *,
    parameters: Mapping[str, Any],
) -> list[str]:
    """Add the jobs that some stages need, with all that come before; returns those they wait for.

    Args:
        plan: what is added to.
        wanted: names of stages.
        stages: all stages of the variant by name.
        names: from `job_names`, of these stages.
        parameters: by which the variant differs from the profile.
    """
    first = nearest(wanted, stages, among=names)
    waiting = list(first)
    while waiting:
        stage = waiting.pop(0)
        if names[stage] in plan["jobs"]:
            continue
        needs = nearest(stages[stage].inputs, stages, among=names)
        if stage != "survey" and "survey" in names:
            needs = ["survey", *needs]
        plan["jobs"][names[stage]] = {
            "stage": stage,
            "kind": stages[stage].kind,
            "parameters": dict(parameters),
            "needs": [names[one] for one in needs],
        }
        waiting += needs
    return [names[one] for one in first]


def job_names(
    stages: Mapping[str, Stage], settings: Settings, *, kinds: Mapping[str, Any]
) -> dict[str, str]:
    """The stages that are jobs, each with its job's name, which tells whether two are the same."""
    key = identities(stages, settings, records=records_key(settings))
    return {name: f"{name}-{key(name)}" for name, stage in stages.items() if stage.kind in kinds}


def records_key(settings: Settings) -> str:
    """Tells the records of two variants apart without reading them."""
    return identity_of(name="records", parameters=settings.values(RECORDS), inputs={})


def nearest(
    names: Sequence[str], stages: Mapping[str, Stage], *, among: Mapping[str, Any]
) -> list[str]:
    """Of the stages and all that they read, those of some that come first on each way back."""
    found: dict[str, None] = {}
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        if name in among:
            found[name] = None
        else:
            waiting += stages[name].inputs
    return list(found)


def load_resources(profile: str) -> dict[str, Resources]:
    """What the jobs of a profile take, by kind; of one that the file does not name, its default."""
    known = yaml.safe_load(RESOURCES.read_text())
    return known.get(profile, known[DEFAULT])
