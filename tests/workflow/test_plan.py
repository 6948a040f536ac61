"""The plan: jobs that are shared, in an order in which each finds what it reads."""

import graphlib
import re

import pytest
import yaml

from dnalib.runs import computing_profiles, load_profile, project_root
from dnalib.stages import ENSEMBLES, MEMBERS, all_stages
from dnalib.workflow import WorkflowError, make_plan, make_variants
from dnalib.workflow.chapters import (
    CHAPTERS,
    SWEEP_CHAPTERS,
    appendix_stages,
    chapter_stages,
)
from dnalib.workflow.parts import load_resources
from dnalib.workflow.plan import BOOK

SMALL = load_profile("small")


def plan_of(profile="small", *, fixed=None, **varied):
    settings = load_profile(profile)
    variants = make_variants(settings, fixed=fixed or {}, varied=varied)
    return make_plan(
        settings, profile=profile, variants=variants, resources=load_resources(profile)
    )


def stages_of(plan, names):
    return {plan["jobs"][name]["stage"] for name in names}


def job_of(plan, stage, **parameters):
    (found,) = [
        job
        for job in plan["jobs"].values()
        if job["stage"] == stage and parameters.items() <= job["parameters"].items()
    ]
    return found


def test_every_profile_says_what_its_jobs_take():
    for profile in computing_profiles():
        resources = load_resources(profile)
        assert {"data", "training", "chapter"} <= set(resources), profile
        for kind, one in resources.items():
            assert set(one) == {"cpus", "memory", "minutes", "gpus"}, (profile, kind)
            assert one["cpus"] >= 1 and one["memory"] >= 1000 and one["minutes"] >= 10
        assert (resources["training"]["gpus"] > 0) == (profile in ("full", "paper"))


def test_a_profile_of_ones_own_takes_what_the_default_says():
    assert load_resources("mine") == load_resources("default")
    assert set(load_resources("mine")) == set(load_resources("full"))
    assert load_resources("mine")["training"]["gpus"] == 0, "asks for nothing that may not be there"


@pytest.mark.parametrize("profile", ["demo", "small"])
def test_nothing_waits_for_itself_and_everything_that_is_needed_is_there(profile):
    plan = plan_of(profile, seed=[0, 1])
    needs = {name: job["needs"] for name, job in plan["jobs"].items()}
    for name, notebook in plan["notebooks"].items():
        needs[name] = [*notebook["jobs"], *notebook["notebooks"]]
    assert {one for some in needs.values() for one in some} <= set(needs)
    list(graphlib.TopologicalSorter(needs).static_order())  # raises where there is a circle


@pytest.mark.parametrize("profile", computing_profiles())
def test_chapters_read_nothing_that_only_appendices_do(profile):
    settings = load_profile(profile)
    chapters, appendices = chapter_stages(settings), appendix_stages(settings)
    assert set(appendices) == {"A1_adaptive_attacks", "A2_rivals", *SWEEP_CHAPTERS.values()}
    for name, stage in chapters.items():
        assert set(stage.inputs) <= set(chapters), name
    assert not set(chapters) & {name for names in appendices.values() for name in names}
    assert {*MEMBERS, "examples", "effect-swap", "attacked-strip-150"} <= set(chapters)


def test_every_training_is_a_job_and_waits_for_those_whose_features_it_reads_alone():
    plan = plan_of(seed=[0])
    before = {
        "base": set(),
        "cor1": set(),
        "fcor2": set(),
        "dec1": {"base"},
        "fdec1": {"base"},
        "dec2": {"base", "dec1"},
        "fdec2": {"base", "fdec1"},
        "adversarial-dec2": {"adversarial1", "adversarial-dec1"},
        "dverge": set(ENSEMBLES["cor"]),
    }
    for stage, wanted in before.items():
        assert stages_of(plan, job_of(plan, stage)["needs"]) == {"survey", *wanted}, stage
    assert set(MEMBERS) <= {job["stage"] for job in plan["jobs"].values()}
    kinds = {job["kind"] for job in plan["jobs"].values()}
    assert kinds == {"data", "training", "attack"}


def test_what_two_variants_share_is_one_job():
    seeds = plan_of(seed=[0, 1])
    assert len([name for name in seeds["jobs"] if name.startswith("survey-")]) == 1
    assert len([name for name in seeds["jobs"] if re.match("base-[0-9a-f]{16}$", name)]) == 2
    assert len([name for name in seeds["notebooks"] if name.endswith("/01_data")]) == 1
    weights = plan_of(decorrelation_weight=[0, 0.1, 0.2], seed=[0])
    counts = {
        stage: sum(job["stage"] == stage for job in weights["jobs"].values())
        for stage in ("base", "cor1", "fcor2", "dec1", "fdec2")
    }
    assert counts == {"base": 1, "cor1": 1, "fcor2": 1, "dec1": 3, "fdec2": 3}
    # What hangs on it through what it reads is told apart as well.
    attacks = [job for job in weights["jobs"].values() if job["stage"] == "adaptive-dec-50"]
    assert len(attacks) == 3
    assert len({tuple(job["needs"]) for job in attacks}) == 3
    records = plan_of(train_records=[0, 400], seed=[0])
    assert len([name for name in records["jobs"] if name.startswith("survey-")]) == 2
    assert len([name for name in records["notebooks"] if name.endswith("/01_data")]) == 2


def test_a_chapter_waits_for_what_it_shows():
    plan = plan_of(seed=[3])
    chapter = {one["chapter"]: one for one in plan["notebooks"].values()}
    assert list(chapter) == list(CHAPTERS)
    assert stages_of(plan, chapter["02_base_model"]["jobs"]) == {"base"}
    assert stages_of(plan, chapter["06_fdec"]["jobs"]) == {"base", "fdec1", "fdec2"}
    results = stages_of(plan, chapter["08_results"]["jobs"])
    assert {*MEMBERS, "perturbations-strip-150", "adaptive-dec-50"} <= results
    assert not {one for one in results if "adversarial" in one or "dverge" in one}
    everything = {job["stage"] for job in plan["jobs"].values()}
    assert stages_of(plan, chapter["A2_rivals"]["jobs"]) == everything


def test_a_kind_without_resources_is_computed_by_the_chapters():
    demo = plan_of("demo", seed=[0])
    stages = all_stages(load_profile("demo"))
    assert {stages[job["stage"]].kind for job in demo["jobs"].values()} == {"data", "training"}
    resources = {"chapter": load_resources("small")["chapter"]}
    book = make_plan(SMALL, profile="small", variants={BOOK: {}}, resources=resources)
    assert book["jobs"] == {} and list(book["sites"]) == ["small"]
    assert list(book["notebooks"]) == [f"{BOOK}/{chapter}" for chapter in CHAPTERS]
    assert not demo["sites"], "one seed is no book of several"


def test_the_plan_knows_every_chapter_of_the_book():
    toc = yaml.safe_load((project_root() / "_toc.yml").read_text())
    files = re.findall(r"'file': '(?:book/)?([^']+)'", str(toc))
    notebooks = {path.stem for path in (project_root() / "book").glob("*.ipynb")}
    known = {*CHAPTERS, *SWEEP_CHAPTERS.values()}
    assert known == notebooks == {name for name in files if name in notebooks}


def test_several_seeds_are_shown_together_in_a_book_of_their_own():
    plan = plan_of(epochs=[4, 10], seed=[0, 1, 2, 5])
    assert list(plan["sites"]) == ["small-epochs-4_seeds-0-2+5", "small-epochs-10_seeds-0-2+5"]
    site = plan["sites"]["small-epochs-10_seeds-0-2+5"]
    assert sorted(name.partition("/")[2] for name in site["notebooks"]) == sorted(CHAPTERS)
    assert site["parameters"] == {"epochs": 10, "seeds": [0, 1, 2, 5]}
    assert "epochs-4_seed-0/01_data" in site["notebooks"], "the records are those of all variants"
    assert "epochs-10_seed-0/07_attacks" in site["notebooks"]
    for chapter in ("08_results", "A1_adaptive_attacks"):
        assert f"epochs-10_seeds-0-2+5/{chapter}" in site["notebooks"]
        summary = plan["notebooks"][f"epochs-10_seeds-0-2+5/{chapter}"]
        assert summary["parameters"] == {"epochs": 10, "seeds": [0, 1, 2, 5]}
        assert summary["notebooks"] == [f"epochs-10_seed-{seed}/{chapter}" for seed in (0, 1, 2, 5)]
        for one in summary["notebooks"]:
            assert set(plan["notebooks"][one]["jobs"]) <= set(summary["jobs"])


def test_a_sweep_over_a_parameter_ends_in_the_chapter_that_compares_its_values():
    plan = plan_of(fixed={"epochs": 3}, decorrelation_weight=[0, 0.5], seed=[4, 5])
    (name,) = [one for one in plan["notebooks"] if one.endswith("/B1_decorrelation_weight")]
    notebook = plan["notebooks"][name]
    assert notebook["parameters"] == {
        "epochs": 3,
        "seed": 4,
        "sweep_seeds": 2,
        "swept_weights": [0, 0.5],
    }
    needed = [plan["jobs"][job] for job in notebook["jobs"]]
    counts = {
        stage: sum(job["stage"] == stage for job in needed)
        for stage in ("base", "cor2", "dec2", "fdec1", "perturbations-strip-150")
    }
    assert counts == {"base": 2, "cor2": 2, "dec2": 4, "fdec1": 4, "perturbations-strip-150": 2}
    site = plan["sites"]["small-epochs-3_sweep_seeds-2_swept_weights-0+0.5"]
    assert site["notebooks"][-1] == name
    first = [one.rpartition("/")[2] for one in site["notebooks"][:-1]]
    assert sorted(first) == sorted(CHAPTERS), "the first variant's book, with the chapter added"
    assert site["parameters"] == {"decorrelation_weight": 0, "epochs": 3, "seed": 4}
    # Each of them is a job of a variant as well: nothing is trained for the comparison alone.
    chapters = [one for one in plan["notebooks"].values() if one["chapter"] == "07_attacks"]
    assert {*notebook["jobs"]} <= {job for one in chapters for job in one["jobs"]}


def test_another_projection_is_another_training_of_the_decorrelated_members_alone():
    plan = plan_of(projected_dimension=[10, 50], seed=[0])
    (name,) = [one for one in plan["notebooks"] if one.endswith("/B4_projected_dimension")]
    notebook = plan["notebooks"][name]
    assert notebook["parameters"] == {"seed": 0, "swept_dimensions": [10, 50]}
    needed = [plan["jobs"][job]["stage"] for job in notebook["jobs"]]
    counts = {name: needed.count(name) for name in MEMBERS}
    assert counts == {name: 1 + ("dec" in name) for name in MEMBERS}


def test_members_beyond_three_are_trained_where_sizes_are_compared_alone():
    plan = plan_of(seed=[0])
    assert not {"dec3", "fcor4"} & {job["stage"] for job in plan["jobs"].values()}
    larger = plan_of(most_members=[4], seed=[0])
    (name,) = [one for one in larger["notebooks"] if one.endswith("/B3_members")]
    needed = stages_of(larger, larger["notebooks"][name]["jobs"])
    assert {"base", "cor3", "dec3", "fcor3", "fdec3"} <= needed and "dec4" not in needed
    assert stages_of(larger, job_of(larger, "fdec3")["needs"]) == {
        "survey",
        "base",
        "fdec1",
        "fdec2",
    }


def test_sizes_are_compared_over_the_seeds_that_follow_each_other():
    plan = plan_of(most_members=[5], seed=[0, 1])
    (name,) = [one for one in plan["notebooks"] if one.endswith("/B3_members")]
    notebook = plan["notebooks"][name]
    assert name.startswith("most_members-5_sweep_seeds-2/")
    assert notebook["parameters"] == {"most_members": 5, "seed": 0, "sweep_seeds": 2}
    needed = [plan["jobs"][job] for job in notebook["jobs"]]
    for stage in ("base", "cor4", "dec4", "fdec4", "perturbations-strip-150"):
        of = [job["parameters"]["seed"] for job in needed if job["stage"] == stage]
        assert sorted(of) == [0, 1], stage


@pytest.mark.parametrize("varied", [{"most_members": [5]}, {"bands": [4, 10]}])
def test_values_are_compared_over_seeds_that_follow_each_other_alone(varied):
    (parameter,) = varied
    with pytest.raises(WorkflowError, match=f"SEEDS is 0, 2; accepted with {parameter}, whose val"):
        plan_of(seed=[0, 2], **varied)
    in_any_order = plan_of(seed=[2, 1], **varied)
    (name,) = [one for one in in_any_order["notebooks"] if one.partition("/")[2].startswith("B")]
    shown = in_any_order["notebooks"][name]["parameters"]
    assert (shown["seed"], shown["sweep_seeds"]) == (1, 2)
