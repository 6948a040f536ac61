"""The command line: bad input ends at once with one sentence, and only one make has the folder."""

import json
import os
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest

from dnalib.runs.turns import turn
from dnalib.workflow import __main__ as command
from dnalib.workflow import following
from dnalib.workflow.engine import run_snakemake
from dnalib.workflow.status import MARKS


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder that looks like the project's."""
    (tmp_path / "_toc.yml").write_text("")
    for name in ("book", "dnalib"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["sweep", "--seeds", "4-0"], "SEEDS is '4-0'; the range 4-0 ends before it begins"),
        (["sweep", "--vary", "bands", "10,x"], "bands is 'x'; accepted is a whole number from 2"),
        (["sweep", "-p", "speed", "1"], "there is no parameter 'speed'"),
        (["sweep", "-p", "seed", "3"], "SET names seed; accepted is SEEDS=0-4"),
        (["sweep", "-p", "epochs", "["], "epochs is '[', which is no value; accepted are numbers"),
        (["sweep", "--vary", "bands", "[4,10"], "bands is '[4', which is no value; accepted are"),
        (["sweep", "--vary", "bands", "4,1"], "bands is 1; accepted is a whole number from 2"),
        (
            ["sweep", "--vary", "bands", "4,401"],
            "bands has 401, and length is 800; accepted are n",
        ),
        (["sweep", "-p", "swept_bands", "[4,1]"], "swept_bands is [4, 1]; accepted are whole numb"),
        (["sweep", "--vary", "members", "1"], "there is no parameter 'members'; accepted are"),
        (["sweep", "--vary", "most_members", "2"], "most_members is 2; accepted is a whole number"),
        (["book", "--data", "_toc.yml"], "DATA is '_toc.yml', but the profile demo makes its own"),
        (["sweep", "--split", "_toc.yml"], "SPLIT is '_toc.yml', but the profile demo makes its"),
        (
            "sweep --profile small -p source synthetic -p synthetic_records 90 --data x".split(),
            "DATA is 'x', but the profile small makes its own synthetic ECGs",
        ),
        (["sweep", "--vary", "seed", "1,2"], "VARY names seed; accepted is SEEDS=0-4"),
        (
            ["sweep", "--vary", "bands", "4,10", "--vary", "bands", "20"],
            'VARY names bands; accepted is VARY="bands 4,10" once, with all values',
        ),
        (["sweep", "--profile", "tiny"], "profile is 'tiny'; accepted are demo, full, paper"),
        (["book", "--profile", "tiny"], "profile is 'tiny'; accepted are demo, full, paper"),
        (["book", "--max-minutes", "soon"], "max_minutes is 'soon'; accepted is a number above 0"),
        (["book", "--max-minutes", "["], "max_minutes is '['; accepted is a number above 0"),
        (["sweep", "--max-minutes", "nan"], "max_minutes is nan; accepted is a number above 0"),
        (["sweep", "--jobs", "0"], "JOBS is '0'; accepted is a whole number from 1 to 999999"),
        (["sweep", "--jobs", "many"], "JOBS is 'many'; accepted is a whole number from 1"),
        (["sweep", "--jobs", "2.5"], "JOBS is '2.5'; accepted is a whole number from 1"),
        (["sweep", "--jobs=-1"], "JOBS is '-1'; accepted is a whole number from 1"),
        (["sweep", "--jobs", "1000000"], "JOBS is '1000000'; accepted is a whole number from 1"),
        (["book", "--cores", "0"], "CORES is '0'; accepted are all, or a whole number from 1"),
        (["book", "--cores", "abc"], "CORES is 'abc'; accepted are all, or a whole number from 1"),
        (["sweep", "--cores", "2.5"], "CORES is '2.5'; accepted are all, or a whole number from"),
        (["sweep", "--cores="], "CORES is ''; accepted are all, or a whole number from 1"),
        (["sweep", "--executor", "slrum"], "EXECUTOR is 'slrum'; accepted are local, slurm"),
        (["sweep", "--partition", "gpu"], "PARTITION is 'gpu', which is accepted with EXECUTOR="),
        (["sweep", "--account", "ecg"], "ACCOUNT is 'ecg', which is accepted with EXECUTOR=slurm"),
        (["sweep", "--vary", "bands", "4,", "10"], "VARY is 'bands 4, 10'; accepted are a setting"),
        (["sweep", "--vary", "bands"], "VARY is 'bands'; accepted are a setting's name, a space"),
        (["sweep", "-p", "epochs"], "SET is 'epochs'; accepted are a setting's name, a space"),
        (
            ["sweep", "--seeds", "0,3,7", "--vary", "bands", "4,10"],
            "SEEDS is 0, 3, 7; accepted with bands, whose values B2_bands compares, are seeds",
        ),
        (
            ["sweep", "--profile", "small", "--data", "nowhere.zip"],
            "DATA is 'nowhere.zip'; there is nothing at /",
        ),
        (
            ["book", "--profile", "small", "--split", "no/where.npy"],
            "SPLIT is 'no/where.npy'; there is nothing at /",
        ),
        (["status", "--profile", "nope"], "profile is 'nope'; accepted are demo, full, paper, sma"),
        (["status", "--profile", "small"], "nothing was begun with profile small"),
        (["book", "--profile", "small"], "No ECG records at "),
        (["sweep", "--profile", "full"], "No ECG records at "),
        (
            ["sweep", "-p", "synthetic_records", "12"],
            "synthetic_records is 12; accepted is a whole",
        ),
        (
            ["sweep", "-p", "synthetic_records", "0"],
            "synthetic_records is 0, and the run's records",
        ),
    ],
)
def test_bad_input_ends_in_one_sentence(root, capsys, words, sentence):
    assert command.main(words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {sentence}")
    assert not (root / "data").exists(), "something was begun"


def test_a_cluster_that_is_not_there_ends_in_one_sentence(root, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert command.main(["sweep", "--seeds", "0-1", "--executor", "slurm"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: EXECUTOR is slurm, but this machine has no command sinfo")


@pytest.mark.parametrize("words", [["book"], ["sweep", "--seeds", "0-1"]])
def test_a_folder_in_which_another_make_works_is_left_alone(root, capsys, monkeypatch, words):
    folder = root / "data" / "runs" / "demo"
    started = []
    monkeypatch.setattr(following, "run_snakemake", lambda *said, **more: started.append(said) or 0)
    with turn(folder, "workflow"):
        assert command.main(words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: another make works in {folder}; wait for it or end it, and call again"
    assert not started and not (folder / following.PLAN).exists()
    assert command.main(words) == 0
    assert started and (folder / following.PLAN).exists()


def test_the_engine_is_told_what_was_asked_for(root, monkeypatch):
    said = []
    monkeypatch.setattr(following, "run_snakemake", lambda words, **more: said.append(words) or 0)
    monkeypatch.setattr(command.slurm, "check_scheduler", lambda partition: said.append(partition))
    monkeypatch.setattr(command.slurm, "keeps_accounts", lambda: False)
    monkeypatch.setattr(command.slurm, "ask", lambda words: "")  # nothing is in the queue
    (root / "records.zip").touch()
    words = ["sweep", "--profile", "small", "--seeds", "0-1", "--executor", "slurm"]
    words += ["--partition", "long"]
    assert command.main([*words, "--account", "ecg", "--data", "records.zip"]) == 0
    partition, engine = said
    assert partition == "long"
    text = " ".join(engine)
    assert "--executor slurm" in text and "--slurm-status-command squeue" in text
    assert "--default-resources slurm_partition=long slurm_account=ecg" in text
    assert "plan=data/runs/small/plan.json" in engine
    plan = json.loads((root / "data" / "runs" / "small" / following.PLAN).read_text())
    assert plan["places"] == {"data": str(root / "records.zip")}
    folders = {name.partition("/")[0] for name in plan["notebooks"]}
    assert folders == {"seed-0", "seed-1", "seeds-0-1"}


@pytest.mark.parametrize(("limit", "retries"), [([], "1"), (["--max-minutes", "5"], "0")])
@pytest.mark.parametrize("action", ["book", "sweep"])
def test_here_too_a_job_is_tried_again_but_for_one_whose_minutes_are_over(
    root, monkeypatch, action, limit, retries
):
    said = []
    monkeypatch.setattr(following, "run_snakemake", lambda words, **more: said.append(words) or 0)
    assert command.main([action, *limit]) == 0
    (words,) = said
    assert words[words.index("--retries") + 1] == retries


@pytest.mark.parametrize(("words", "cores"), [([], "all"), (["--cores", "12"], "12")])
@pytest.mark.parametrize("action", ["book", "sweep"])
def test_a_user_says_how_many_cores_of_this_machine_may_be_used(
    root, monkeypatch, action, words, cores
):
    said = []
    monkeypatch.setattr(following, "run_snakemake", lambda words, **more: said.extend(words) or 0)
    assert command.main([action, *words]) == 0
    assert said[said.index("--cores") + 1] == cores


@pytest.mark.parametrize(("words", "jobs"), [([], "200"), (["--jobs", "1000"], "1000")])
def test_a_user_says_how_many_jobs_may_be_in_the_queue(root, monkeypatch, words, jobs):
    said = []
    monkeypatch.setattr(following, "run_snakemake", lambda words, **more: said.extend(words) or 0)
    monkeypatch.setattr(command.slurm, "check_scheduler", lambda partition: None)
    monkeypatch.setattr(command.slurm, "keeps_accounts", lambda: False)
    monkeypatch.setattr(command.slurm, "ask", lambda words: "")
    assert command.main(["sweep", "--executor", "slurm", *words]) == 0
    assert said[said.index("--jobs") + 1] == jobs


def test_status_tells_of_a_plan_and_asks_a_cluster_about_its_own_alone(root, capsys, monkeypatch):
    monkeypatch.setattr(following, "run_snakemake", lambda *said, **more: 0)
    monkeypatch.setattr(command.slurm, "check_scheduler", lambda partition: None)
    monkeypatch.setattr(command.slurm, "keeps_accounts", lambda: False)
    assert command.main(["book"]) == 0
    assert command.main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "no make works on it"
    (row,) = [line for line in lines if line.startswith("07_attacks")]
    assert row.split()[1:] == ["0", "0", "0", "0", "0", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(command.slurm, "ask", lambda words: "")
        assert command.main(["sweep", "--executor", "slurm"]) == 0
    marks = root / "data" / "runs" / "demo" / MARKS
    marks.mkdir()
    for chapter, word in (("02_base_model", "RUNNING"), ("03_cor", "FAILED")):
        (marks / f"seed-0_{chapter}").write_text(f"{word}\n")
    monkeypatch.setenv("PATH", "")  # no squeue
    assert command.main(["status"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert "this machine has no command squeue" in lines[-2] and "left word of" in lines[-2]
    columns = header.replace("to come", "to_come").replace("out of time", "late").split()
    for chapter, state in (("02_base", "running"), ("03_cor", "failed"), ("04_dec", "to_come")):
        (row,) = [line for line in lines if line.startswith(chapter)]
        assert row.split()[1 + columns.index(state)] == "1", chapter


def test_a_sweep_begins_only_where_a_make_that_died_left_no_job(root, capsys, monkeypatch):
    started = []
    monkeypatch.setattr(following, "run_snakemake", lambda *said, **more: started.append(said) or 0)
    monkeypatch.setattr(command.slurm, "check_scheduler", lambda partition: None)
    monkeypatch.setattr(command.slurm, "keeps_accounts", lambda: False)
    left = f"7|PENDING|dnalib-demo_1|{root.resolve()}|rule_training_wildcards_dec1-0a"
    monkeypatch.setattr(command.slurm, "ask", lambda words: left)
    assert command.main(["sweep", "--executor", "slurm"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: a make that has ended left jobs queued or running in /")
    assert not started and not list(root.rglob(following.PLAN))
    assert command.main(["sweep"]) == 0, "jobs here are no cluster's"


def test_status_only_reads(root, capsys, monkeypatch):
    monkeypatch.setattr(following, "run_snakemake", lambda *said, **more: 0)
    assert command.main(["book"]) == 0
    folder = root / "data" / "runs" / "demo"
    with turn(folder, "workflow"):
        assert command.main(["status"]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == "a make works on it"
    shutil.rmtree(folder / "turns")
    before = sorted(folder.rglob("*"))
    assert command.main(["status"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "no make works on it"
    assert sorted(folder.rglob("*")) == before


def test_status_says_that_accounting_did_not_answer(root, capsys, monkeypatch):
    monkeypatch.setattr(following, "run_snakemake", lambda *said, **more: 0)
    monkeypatch.setattr(command.slurm, "check_scheduler", lambda partition: None)
    monkeypatch.setattr(command.slurm, "keeps_accounts", lambda: True)

    def ask(words, **of):
        if words[0] == "sacct":
            raise command.WorkflowError("no answer")
        return ""

    monkeypatch.setattr(command.slurm, "ask", ask)
    assert command.main(["sweep", "--executor", "slurm"]) == 0
    assert command.main(["status"]) == 0
    said, last = capsys.readouterr().out.splitlines()[-2:]
    assert said == "no answer; jobs that failed some time ago are counted as to come"
    assert last == "no make works on it"


@pytest.mark.slow
def test_jobs_find_their_commands_in_an_environment_that_is_not_activated(root, monkeypatch):
    outside = os.pathsep.join(
        folder
        for folder in os.environ["PATH"].split(os.pathsep)
        if not Path(folder, "papermill").exists()
    )
    monkeypatch.setenv("PATH", outside)
    rule = 'rule said:\n    output: "said"\n    shell: "papermill --version > {output}"\n'
    (root / "Snakefile").write_text(rule)
    assert run_snakemake(["--cores", "1"], root=root) == 0
    assert version("papermill") in (root / "said").read_text()
