"""The command line: bad input ends at once with one sentence, and only one make has the folder."""

import json
import os
from importlib.metadata import version
from pathlib import Path

import pytest

from dnalib.runs.turns import turn
from dnalib.workflow import __main__ as command


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
        (["sweep", "--vary", "bands", "10,x"], "bands is 'x'; accepted is a whole number from 0"),
        (["sweep", "-p", "speed", "1"], "there is no parameter 'speed'"),
        (["sweep", "--profile", "tiny"], "profile is 'tiny'; accepted are demo, full, paper"),
        (["book", "--profile", "tiny"], "profile is 'tiny'; accepted are demo, full, paper"),
        (["book", "--max-minutes", "soon"], "max_minutes is 'soon'; accepted is a number above 0"),
        (["sweep", "--jobs", "0"], "JOBS is '0'; accepted is a whole number from 1 to 999999"),
        (["sweep", "--jobs", "many"], "JOBS is 'many'; accepted is a whole number from 1"),
        (["sweep", "--jobs", "2.5"], "JOBS is '2.5'; accepted is a whole number from 1"),
        (["sweep", "--jobs=-1"], "JOBS is '-1'; accepted is a whole number from 1"),
        (["sweep", "--jobs", "1000000"], "JOBS is '1000000'; accepted is a whole number from 1"),
        (["status", "--profile", "small"], "nothing was begun with profile small"),
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
    monkeypatch.setattr(command, "run_snakemake", lambda *said, **more: started.append(said) or 0)
    with turn(folder, "workflow"):
        assert command.main(words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: another make works in {folder}; wait for it or end it, and call again"
    assert not started and not (folder / command.PLAN).exists()
    assert command.main(words) == 0
    assert started and (folder / command.PLAN).exists()


def test_the_engine_is_told_what_was_asked_for(root, monkeypatch):
    said = []
    monkeypatch.setattr(command, "run_snakemake", lambda words, **more: said.append(words) or 0)
    monkeypatch.setattr(command.slurm, "check_scheduler", lambda partition: said.append(partition))
    monkeypatch.setattr(command.slurm, "keeps_accounts", lambda: False)
    words = ["sweep", "--seeds", "0-1", "--executor", "slurm", "--partition", "long"]
    assert command.main([*words, "--account", "ecg", "--data", "records.zip"]) == 0
    partition, engine = said
    assert partition == "long"
    text = " ".join(engine)
    assert "--executor slurm" in text and "--slurm-status-command squeue" in text
    assert "--default-resources slurm_partition=long slurm_account=ecg" in text
    assert f"data={root / 'records.zip'}" in engine
    plan = json.loads((root / "data" / "runs" / "demo" / command.PLAN).read_text())
    folders = {name.partition("/")[0] for name in plan["notebooks"]}
    assert folders == {"seed-0", "seed-1", "seeds-0-1"}


@pytest.mark.parametrize(("limit", "retries"), [([], "1"), (["--max-minutes", "5"], "0")])
@pytest.mark.parametrize("action", ["book", "sweep"])
def test_here_too_a_job_is_tried_again_but_for_one_whose_minutes_are_over(
    root, monkeypatch, action, limit, retries
):
    said = []
    monkeypatch.setattr(command, "run_snakemake", lambda words, **more: said.append(words) or 0)
    assert command.main([action, *limit]) == 0
    (words,) = said
    assert words[words.index("--retries") + 1] == retries


@pytest.mark.parametrize(("words", "jobs"), [([], "200"), (["--jobs", "1000"], "1000")])
def test_a_user_says_how_many_jobs_may_be_in_the_queue(root, monkeypatch, words, jobs):
    said = []
    monkeypatch.setattr(command, "run_snakemake", lambda words, **more: said.extend(words) or 0)
    monkeypatch.setattr(command.slurm, "check_scheduler", lambda partition: None)
    monkeypatch.setattr(command.slurm, "keeps_accounts", lambda: False)
    assert command.main(["sweep", "--executor", "slurm", *words]) == 0
    assert said[said.index("--jobs") + 1] == jobs


def test_status_tells_of_a_plan_and_asks_a_cluster_about_its_own_alone(root, capsys, monkeypatch):
    monkeypatch.setattr(command, "run_snakemake", lambda *said, **more: 0)
    monkeypatch.setattr(command.slurm, "check_scheduler", lambda partition: None)
    monkeypatch.setattr(command.slurm, "keeps_accounts", lambda: False)
    monkeypatch.setenv("PATH", "")  # no squeue
    assert command.main(["book"]) == 0
    assert command.main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "no make works on it"
    (row,) = [line for line in lines if line.startswith("07_attacks")]
    assert row.split()[1:] == ["0", "0", "0", "0", "1"]
    assert command.main(["sweep", "--executor", "slurm"]) == 0
    assert command.main(["status"]) == 1
    assert "this machine has no command squeue" in capsys.readouterr().err


def test_jobs_find_their_commands_in_an_environment_that_is_not_activated(root, monkeypatch):
    outside = os.pathsep.join(
        folder
        for folder in os.environ["PATH"].split(os.pathsep)
        if not Path(folder, "papermill").exists()
    )
    monkeypatch.setenv("PATH", outside)
    rule = 'rule said:\n    output: "said"\n    shell: "papermill --version > {output}"\n'
    (root / "Snakefile").write_text(rule)
    assert command.run_snakemake(["--cores", "1"], root=root) == 0
    assert version("papermill") in (root / "said").read_text()
