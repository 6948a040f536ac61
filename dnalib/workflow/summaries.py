"""What shows several variants at once: the results of all seeds, and the values of a parameter."""

from collections.abc import Mapping, Sequence
from typing import Any

from dnalib.runs import Settings
from dnalib.runs.settings import override
from dnalib.runs.values import SWEPT
from dnalib.stages import all_stages
from dnalib.stages.sweeps import SIZES, seeds_of, variant_stages, variants_of
from dnalib.workflow.chapters import CHAPTERS, SWEEP_CHAPTERS
from dnalib.workflow.parts import Plan, add_jobs, job_names
from dnalib.workflow.variants import WorkflowError, variant_name

DATA_CHAPTER = "01_data"
SUMMARY_CHAPTERS = ("08_results", "A1_adaptive_attacks")  # show several seeds side by side


def add_summary(
    plan: Plan, names: Sequence[str], *, variants: Mapping[str, Mapping[str, Any]]
) -> None:
    """Add the chapters that show several seeds together, and the book with them.

    Its other chapters are those of the first seed.
    """
    seeds = [variants[name]["seed"] for name in names]
    shared = without(variants[names[0]], "seed")
    together = variant_name({**shared, "seeds": ranges(seeds)})
    parameters = {**shared, "seeds": seeds}
    shown = chapters_of(plan, names[0])
    for chapter in SUMMARY_CHAPTERS:
        each = [f"{name}/{chapter}" for name in names]
        jobs = dict.fromkeys(job for one in each for job in plan["notebooks"][one]["jobs"])
        plan["notebooks"][f"{together}/{chapter}"] = {
            "chapter": chapter,
            "parameters": parameters,
            "jobs": list(jobs),
            "notebooks": each,
        }
        shown[shown.index(each[0])] = f"{together}/{chapter}"
    plan["sites"][f"{plan['profile']}-{together}"] = {
        "notebooks": shown,
        "parameters": parameters,
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


def add_comparison(
    plan: Plan,
    settings: Settings,
    parameter: str,
    *,
    variants: Sequence[Mapping[str, Any]],
) -> None:
    """Add the chapter that compares the values of a parameter, where the variants have several.

    Where other parameters vary as well, it is of the first value of each.

    Raises:
        WorkflowError: there are several seeds, which do not follow each other as the chapter's do.
    """
    values = list(dict.fromkeys(one[parameter] for one in variants if parameter in one))
    if not values or (len(values) < 2 and parameter in SWEPT):
        return
    shared = {name: value for name, value in variants[0].items() if name != parameter}
    same = [one for one in variants if without(one, parameter, "seed") == without(shared, "seed")]
    seeds = sorted({one["seed"] for one in same if "seed" in one})
    chapter = SWEEP_CHAPTERS[parameter]
    if len(seeds) > 1:
        shared |= {"seed": seeds[0], "sweep_seeds": len(seeds)}
        if seeds[-1] - seeds[0] + 1 > len(seeds):
            raise WorkflowError(
                f"SEEDS is {', '.join(map(str, seeds))}; accepted with {parameter}, whose values "
                f"{chapter} compares, are seeds that follow each other, such as 0-2"
            )
    shared[SWEPT.get(parameter, parameter)] = values if parameter in SWEPT else max(values)
    together = variant_name(without(shared, "seed"))
    plan["notebooks"][f"{together}/{chapter}"] = {
        "chapter": chapter,
        "parameters": shared,
        "jobs": comparison_jobs(plan, override(settings, shared), parameter, parameters=shared),
        "notebooks": [],
    }
    first = variant_name(same[0])
    plan["sites"][f"{plan['profile']}-{together}"] = {
        "notebooks": [*chapters_of(plan, first), f"{together}/{chapter}"],
        "parameters": dict(same[0]),
    }


def comparison_jobs(
    plan: Plan, settings: Settings, parameter: str, *, parameters: Mapping[str, Any]
) -> list[str]:
    """Add the jobs that a comparison needs: those of all its variants, or of larger ensembles.

    Args:
        plan: what is added to.
        settings: of the comparison.
        parameter: what is compared.
        parameters: by which the comparison differs from the profile.
    """
    swept = parameter in SWEPT
    each_seed = [{"seed": seed} for seed in seeds_of(settings)]
    jobs: dict[str, None] = {}
    for changes in variants_of(settings, parameter) if swept else each_seed:
        variant = override(settings, changes)
        stages = all_stages(variant)
        names = job_names(stages, variant, kinds=plan["resources"])
        wanted = variant_stages(variant) if swept else [SIZES]
        added = add_jobs(plan, wanted, stages, names, parameters={**parameters, **changes})
        jobs |= dict.fromkeys(added)
    return list(jobs)


def chapters_of(plan: Plan, variant: str) -> list[str]:
    """The notebooks of a variant's book, the data chapter that it shares among them."""
    data = plan["notebooks"][f"{variant}/02_base_model"]["notebooks"]
    return [*data, *(f"{variant}/{one}" for one in CHAPTERS if one != DATA_CHAPTER)]


def without(parameters: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Parameters less some."""
    return {name: value for name, value in parameters.items() if name not in names}


def alike_but_for_seeds(variants: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Names of variants that differ by their seed alone, several together."""
    groups: dict[str, list[str]] = {}
    for name, parameters in variants.items():
        groups.setdefault(variant_name(without(parameters, "seed")), []).append(name)
    return [names for names in groups.values() if len(names) > 1]
