"""The bill: what no number of machines saves, and what one machine takes."""

import json

import pytest

from dnalib.runs import load_profile, project_root
from dnalib.stages import MEMBERS
from dnalib.stages.catalogue import all_stages
from dnalib.stages.sweeps import sweep_stages
from dnalib.workflow import make_plan, make_variants
from dnalib.workflow.bill import (
    Checks,
    Overhead,
    Task,
    critical_path,
    simulate,
    tasks_of,
    until,
)
from dnalib.workflow.parts import load_resources

DIAMOND = {
    "first": Task(1.0, ()),
    "long": Task(5.0, ("first",)),
    "short": Task(2.0, ("first",)),
    "last": Task(1.0, ("long", "short")),
}
NONE = Overhead(job=0.0, notebook=0.0)


def tasks(profile="small", *, overhead=NONE, seconds=None, **varied):
    settings = load_profile(profile)
    plan = make_plan(
        settings,
        profile=profile,
        variants=make_variants(settings, fixed={}, varied=varied),
        resources=load_resources(profile),
    )
    given = dict.fromkeys(all_stages(settings), 1.0) | (seconds or {})
    return plan, tasks_of(plan, settings, seconds=given, overhead=overhead)


def test_the_critical_path_is_the_longest_way():
    assert critical_path(DIAMOND) == (7.0, ["first", "long", "last"])


@pytest.mark.parametrize(("machines", "seconds"), [(1, 9.0), (2, 7.0), (50, 7.0)])
def test_machines_take_what_is_ready(machines, seconds):
    bill = simulate(DIAMOND, machines=machines)
    assert bill.seconds == seconds and bill.busy_seconds == 9.0 and bill.jobs == 4
    assert bill.held_seconds == machines * seconds


def test_what_ended_is_known_at_the_next_check_and_checks_grow_rare_while_nothing_ends():
    checks = Checks(first=4, more=1, most=6)
    # Known are: the first at 4, the short one at 8, the long one at 12, the last at 16.
    assert simulate(DIAMOND, machines=2, checks=checks).seconds == 16.0
    alone = {"only": Task(20.0, ())}
    # Checked after 4, 5, 6, 6: at 4, 9, 15, 21.
    assert simulate(alone, machines=1, checks=checks).seconds == 21.0
    often = simulate(DIAMOND, machines=2, checks=Checks(first=1e-3, more=0))
    assert often.seconds == pytest.approx(7.0, abs=1e-2)


def test_a_job_that_is_not_known_to_have_ended_keeps_its_place_in_the_queue():
    several = {name: Task(1.0, ()) for name in "abcd"}
    checks = Checks(first=10)
    assert simulate(several, machines=2, checks=checks, most_jobs=4).seconds == 10.0
    assert simulate(several, machines=2, checks=checks, most_jobs=2).seconds == 20.0


def test_some_tasks_are_taken_with_all_that_they_wait_for():
    assert set(until(DIAMOND, ["short"])) == {"first", "short"}
    assert until(DIAMOND, ["last"]) == DIAMOND


def test_a_stage_without_seconds_is_refused_by_its_name():
    settings = load_profile("small")
    plan, _ = tasks(seed=[0])
    known = dict.fromkeys(all_stages(settings), 1.0)
    del known["dec2-swapped"], known["features-base"]
    with pytest.raises(ValueError, match="no seconds are known of features-base: the bill would"):
        tasks_of(plan, settings, seconds=known, overhead=NONE)


def test_all_that_is_planned_today_is_on_the_page():
    files = sorted((project_root() / "benchmarks" / "results" / "jobs").glob("*.json"))
    assert files
    for file in files:
        result = json.loads(file.read_text())
        settings = load_profile(result["profile"])
        plan = make_plan(
            settings,
            profile=result["profile"],
            variants=make_variants(settings, fixed={}, varied={"seed": [0]}),
            resources=load_resources(result["profile"]),
        )
        seconds = {name: made["seconds"] for name, made in result["stages"].items()}
        planned = tasks_of(plan, settings, seconds=seconds, overhead=NONE)
        assert {stage for task in planned.values() for stage in task.stages} == set(seconds)
        assert len(planned) == result["model"][0]["jobs"], "the plan has changed: run bill.py"


def test_what_cannot_end_is_refused():
    with pytest.raises(ValueError, match="machines is 0; at least one"):
        simulate(DIAMOND, machines=0)
    with pytest.raises(ValueError, match="most_jobs is 0; at least one"):
        simulate(DIAMOND, machines=1, most_jobs=0)
    circle = {"a": Task(1.0, ("b",)), "b": Task(1.0, ("a",)), "c": Task(1.0, ())}
    with pytest.raises(ValueError, match="2 tasks wait for each other"):
        simulate(circle, machines=1, checks=Checks())


def test_every_stage_is_counted_once_a_seed_and_shared_ones_once():
    plan, found = tasks(seed=[0, 1])
    settings = load_profile("small")
    stages = {*all_stages(settings)} - {stage.name for stage in sweep_stages(settings)}
    total = simulate(found, machines=1).busy_seconds
    assert total == 2 * len(stages) - 1, "the survey is shared"
    assert set(found) == {*plan["jobs"], *plan["notebooks"]}


def test_overhead_is_added_to_each():
    plan, plain = tasks(seed=[0])
    _, more = tasks(seed=[0], overhead=Overhead(job=3.0, notebook=7.0))
    added = {name: more[name].seconds - plain[name].seconds for name in plain}
    assert set(added[name] for name in plan["jobs"]) == {3.0}
    assert set(added[name] for name in plan["notebooks"]) == {7.0}


def test_trainings_after_each_other_are_the_critical_path():
    seconds = dict.fromkeys(all_stages(load_profile("small")), 0.0)
    seconds |= dict.fromkeys(MEMBERS, 100.0) | {"features-base": 5.0, "features-dec1": 5.0}
    _, found = tasks(seconds=seconds, seed=[0])
    length, path = critical_path(found)
    names = [name.rpartition("-")[0] for name in path]
    assert names[:2] == ["survey", "base"] and names[2] in ("dec1", "fdec1")
    assert names[3] in ("dec2", "fdec2", "dec2-swapped")
    assert 300 < length <= 315
    for machines in (1, 2, 9, 1000):
        bill = simulate(found, machines=machines)
        assert bill.seconds >= max(length, bill.busy_seconds / machines) - 1e-9
    assert simulate(found, machines=1000).seconds == pytest.approx(length)
