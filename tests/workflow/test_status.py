"""Status: each job in one column, the last try of it counts, and what is there is done."""

import json
import os
from pathlib import Path

import pytest

from dnalib.runs import load_profile
from dnalib.workflow import make_plan, make_variants
from dnalib.workflow.parts import load_resources
from dnalib.workflow.slurm import OUT_OF_TIME, QueuedJob
from dnalib.workflow.status import MARKS, end_of_minutes, marked_jobs, progress, with_late

DEMO = load_profile("demo")
PLAN = make_plan(
    DEMO,
    profile="demo",
    variants=make_variants(DEMO, fixed={}, varied={"seed": [0, 1]}),
    resources=load_resources("demo"),
)


def name_of(stage, seed):
    (name,) = [
        name
        for name, job in PLAN["jobs"].items()
        if job["stage"] == stage and job["parameters"]["seed"] == seed
    ]
    return name


def test_jobs_and_chapters_are_counted_by_their_state(tmp_path):
    done = tmp_path / "jobs" / "training" / f"{name_of('base', 0)}.json"
    done.parent.mkdir(parents=True)
    done.write_text(json.dumps({}))
    (tmp_path / "seed-1").mkdir()
    (tmp_path / "seed-1" / "02_base_model.ipynb").write_text("{}")
    queue = [
        QueuedJob("12", "RUNNING", name_of("dec1", 0)),
        QueuedJob("9", "NODE_FAIL", name_of("dec1", 0)),
        QueuedJob("3", "COMPLETED", name_of("base", 0)),
        QueuedJob("10", "TIMEOUT", name_of("base", 1)),
        QueuedJob("13", "PENDING", name_of("dec1", 1)),
        QueuedJob("14", "RUNNING", "seed-0_02_base_model"),
    ]
    table = progress(PLAN, tmp_path, queue=queue)
    rows = {name: row[row > 0].to_dict() for name, row in table.iterrows()}
    assert rows["base"] == {"done": 1, "failed": 1}
    assert rows["dec1"] == {"running": 1, "waiting": 1}
    assert rows["cor2"] == {"to come": 2}
    assert rows["02_base_model"] == {"done": 1, "running": 1}
    assert rows["01_data"] == {"to come": 1}
    assert table.to_numpy().sum() == len(PLAN["jobs"]) + len(PLAN["notebooks"])


def test_a_word_from_before_the_last_make_tells_of_another(tmp_path):
    plan, marks = tmp_path / "plan.json", tmp_path / MARKS
    marks.mkdir()
    for place, name, word in (
        (marks, "book_02_base_model", "RUNNING"),  # its make was killed with the machine
        (tmp_path, plan.name, "{}"),
        (marks, "book_03_cor", "FAILED"),
        (marks, "book_04_dec", "RUNNING"),
        (marks, "book_05_fcor", OUT_OF_TIME),
    ):
        (place / name).write_text(f"{word}\n")
        os.utime(place / name, ns=(0, len(list(tmp_path.rglob("*")))))
    now = {job.work: job.state for job in marked_jobs(tmp_path, since=plan, working=True)}
    late = {"book_05_fcor": OUT_OF_TIME}
    assert now == {"book_03_cor": "FAILED", "book_04_dec": "RUNNING"} | late
    later = {job.work: job.state for job in marked_jobs(tmp_path, since=plan, working=False)}
    assert later == dict.fromkeys(["book_03_cor", "book_04_dec"], "FAILED") | late


def test_a_job_that_says_it_was_out_of_time_did_not_fail(tmp_path):
    late = [name_of("dec1", 0), name_of("dec1", 1), name_of("cor2", 0)]
    marked = [QueuedJob("0", OUT_OF_TIME, work) for work in late]
    marked.append(QueuedJob("0", "FAILED", name_of("base", 0)))
    queue = [
        QueuedJob("3", "FAILED", late[0]),
        QueuedJob("4", "FAILED", late[1]),
        QueuedJob("5", "PENDING", late[1]),  # it goes on
        QueuedJob("6", "FAILED", name_of("base", 0)),
    ]
    table = progress(PLAN, tmp_path, queue=with_late(queue, marked))
    rows = {name: row[row > 0].to_dict() for name, row in table.iterrows()}
    assert rows["dec1"] == {"out of time": 1, "waiting": 1}
    assert rows["cor2"] == {"out of time": 1, "to come": 1}, "the scheduler has forgotten it"
    assert rows["base"] == {"failed": 1, "to come": 1}


def test_the_end_of_the_minutes_is_one_sentence():
    late = [QueuedJob("0", OUT_OF_TIME, f"dec{number}") for number in range(5)]
    goes_on = "; what is done is kept, and the same call goes on"
    assert end_of_minutes(late[:2]) == f"max_minutes is over for dec0, dec1{goes_on}"
    failed = QueuedJob("0", "FAILED", "base")
    told = end_of_minutes([failed, *late])
    few = "dec0, dec1, dec2 and 2 more (but base failed)"
    assert told == f"max_minutes is over for {few}{goes_on}"
    assert end_of_minutes([failed]) is None


@pytest.mark.parametrize("working", [True, False])
@pytest.mark.parametrize("looked", ["is_file", "stat", "read_text"])
def test_a_job_that_ends_while_its_word_is_read_is_passed_over(
    tmp_path, monkeypatch, looked, working
):
    plan, marks = tmp_path / "plan.json", tmp_path / MARKS
    marks.mkdir()
    for path in (plan, marks / "book_02_base_model", marks / "book_03_cor"):
        path.write_text("RUNNING\n")
    ending, real = marks / "book_02_base_model", getattr(Path, looked)

    def look(path, *arguments, **options):
        found = real(path, *arguments, **options)
        if path == ending:
            os.unlink(ending)
        return found

    monkeypatch.setattr(Path, looked, look)
    names = [job.work for job in marked_jobs(tmp_path, since=plan, working=working)]
    assert [name for name in names if name != ending.name] == ["book_03_cor"]
