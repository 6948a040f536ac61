"""The plan of a run or a sweep: every job and every notebook, with what it needs, for Snakemake."""

from collections.abc import Mapping
from typing import Any

from dnalib.runs import Settings
from dnalib.runs.settings import override
from dnalib.stages import all_stages
from dnalib.workflow.chapters import CHAPTERS, SWEEP_CHAPTERS, stages_before
from dnalib.workflow.parts import Plan, Resources, add_jobs, job_names, records_key
from dnalib.workflow.summaries import (
    DATA_CHAPTER,
    add_comparison,
    add_summary,
    alike_but_for_seeds,
)

BOOK = "book"  # the variant of a run that is no sweep: the profile as it is


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

    Raises:
        WorkflowError: values of a parameter are compared, with seeds that do not follow each other.
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
        data = data_chapters.setdefault(records_key(changed), f"{variant}/{DATA_CHAPTER}")
        for chapter, earlier in CHAPTERS.items():
            notebook = f"{variant}/{chapter}"
            if chapter == DATA_CHAPTER and notebook != data:
                continue
            wanted = stages_before(chapter, stages, changed)
            plan["notebooks"][notebook] = {
                "chapter": chapter,
                "parameters": dict(parameters),
                "jobs": add_jobs(plan, wanted, stages, names, parameters=parameters),
                "notebooks": [
                    data if one == DATA_CHAPTER else f"{variant}/{one}" for one in earlier
                ],
            }
    if BOOK in variants:
        plan["sites"][profile] = {"notebooks": list(plan["notebooks"]), "parameters": {}}
    for some in alike_but_for_seeds(variants):
        add_summary(plan, some, variants=variants)
    for parameter in SWEEP_CHAPTERS:
        add_comparison(plan, settings, parameter, variants=list(variants.values()))
    return plan
