"""The plan of a run or a sweep: every job and every notebook, with what it needs, for Snakemake."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import yaml

from dnalib.dataset import RECORDS
from dnalib.runs import Settings, Stage
from dnalib.runs.artefacts import identity_of
from dnalib.runs.settings import override
from dnalib.stages import all_stages
from dnalib.workflow.chapters import CHAPTERS, stages_before
from dnalib.workflow.variants import variant_name

RESOURCES = Path(__file__).with_name("resources.yaml")
BOOK = "book"  # the variant of a run that is no sweep: the profile as it is
DATA_CHAPTER = "01_data"
SUMMARY_CHAPTER = "08_results"  # shows several seeds side by side


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
        executor: what runs the jobs, "local" or "slurm"; set once they are to run.
        sites: by name, a folder in `_build`.
        jobs: by name, `<stage>-<key>`: what two variants share is one job.
        notebooks: by name, `<variant>/<chapter>`.
        resources: by kind of job; "chapter" is that of notebooks.
    """

    profile: str
    executor: NotRequired[str]
    sites: dict[str, Site]
    jobs: dict[str, Job]
    notebooks: dict[str, Notebook]
    resources: dict[str, Resources]


def make_plan(
    settings: Settings,
    *,
    profile: str,
    variants: Mapping[str, Mapping[str, Any]],
    resources: Mapping[str, Resources],
) -> Plan:
    """The plan of some variants of a profile.

    Args:
        settings: of the profile.
        profile: its name.
        variants: by name, each with the settings that it changes.
        resources: by kind; stages of these kinds are jobs of their own.
    """
    plan: Plan = {
        "profile": profile,
        "sites": {},
        "jobs": {},
        "notebooks": {},
        "resources": dict(resources),
    }
    data_chapters: dict[str, str] = {}  # one for all variants with the same records
    for variant, parameters in variants.items():
        changed = override(settings, parameters)
        stages = all_stages(changed)
        names = job_names(stages, changed, kinds=resources)
        for stage, name in names.items():
            needs = nearest(stages[stage].inputs, stages, among=names)
            if stage != "survey" and "survey" in names:
                needs = ["survey", *needs]
            job: Job = {
                "stage": stage,
                "kind": stages[stage].kind,
                "parameters": dict(parameters),
                "needs": [names[one] for one in needs],
            }
            plan["jobs"].setdefault(name, job)
        data = data_chapters.setdefault(records_key(changed), f"{variant}/{DATA_CHAPTER}")
        for chapter, earlier in CHAPTERS.items():
            notebook = f"{variant}/{chapter}"
            if chapter == DATA_CHAPTER and notebook != data:
                continue
            wanted = nearest(stages_before(chapter, stages, changed), stages, among=names)
            before = [data if one == DATA_CHAPTER else f"{variant}/{one}" for one in earlier]
            plan["notebooks"][notebook] = {
                "chapter": chapter,
                "parameters": dict(parameters),
                "jobs": [names[one] for one in wanted],
                "notebooks": before,
            }
    if BOOK in variants:
        plan["sites"][profile] = {"notebooks": list(plan["notebooks"]), "parameters": {}}
    for some in alike_but_for_seeds(variants):
        add_summary(plan, some, variants=variants)
    return plan


def alike_but_for_seeds(variants: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Names of variants that differ by their seed alone, several together."""
    groups: dict[str, list[str]] = {}
    for name, parameters in variants.items():
        groups.setdefault(variant_name(without_seed(parameters)), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def without_seed(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters less the seed."""
    return {name: value for name, value in parameters.items() if name != "seed"}


def add_summary(
    plan: Plan, names: Sequence[str], *, variants: Mapping[str, Mapping[str, Any]]
) -> None:
    """Add the results of several seeds together, and the book with them.

    Its other chapters are those of the first seed.
    """
    seeds = [variants[name]["seed"] for name in names]
    shared = without_seed(variants[names[0]])
    together = variant_name({**shared, "seeds": ranges(seeds)})
    each = [f"{name}/{SUMMARY_CHAPTER}" for name in names]
    jobs = dict.fromkeys(job for one in each for job in plan["notebooks"][one]["jobs"])
    summary = f"{together}/{SUMMARY_CHAPTER}"
    plan["notebooks"][summary] = {
        "chapter": SUMMARY_CHAPTER,
        "parameters": {**shared, "seeds": seeds},
        "jobs": list(jobs),
        "notebooks": each,
    }
    first = list(plan["notebooks"][f"{names[0]}/02_base_model"]["notebooks"])  # the data chapter
    first += [f"{names[0]}/{one}" for one in CHAPTERS if one not in (DATA_CHAPTER, SUMMARY_CHAPTER)]
    plan["sites"][f"{plan['profile']}-{together}"] = {
        "notebooks": [*first, summary],
        "parameters": dict(variants[names[0]]),
    }


def ranges(numbers: Sequence[int]) -> str:
    """Numbers as people write them: "0-4+7"."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return "+".join(f"{one[0]}-{one[-1]}" if len(one) > 1 else str(one[0]) for one in parts)


def job_names(
    stages: Mapping[str, Stage], settings: Settings, *, kinds: Mapping[str, Any]
) -> dict[str, str]:
    """The stages that are jobs, each with its job's name, which tells whether two are the same."""

    @cache
    def key(name: str) -> str:
        stage = stages[name]
        inputs = {one: key(one) for one in stage.inputs}
        parameters = settings.values(stage.settings)
        return identity_of(name=name, parameters=parameters, inputs={"records": records} | inputs)

    records = records_key(settings)
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
    """What the jobs of a profile take, by kind."""
    return yaml.safe_load(RESOURCES.read_text())[profile]
