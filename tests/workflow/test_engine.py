"""What Snakemake is told reaches the jobs, and a signal ends it with all that it started."""

import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
import yaml
from toy_project import make_toy_project

from dnalib.runs.turns import turn
from dnalib.workflow import __main__ as command
from dnalib.workflow import engine
from dnalib.workflow.chapters import CHAPTERS
from dnalib.workflow.summaries import DATA_CHAPTER, SUMMARY_CHAPTERS

pytestmark = pytest.mark.slow

HELD = "02_base_model"


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A project of which every chapter takes no time, as the current folder."""
    monkeypatch.setenv("BASH_ENV", str(make_toy_project(tmp_path, list(CHAPTERS))))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def calls(folder: Path) -> list[list[str]]:
    """The words of each call of papermill."""
    return [shlex.split(line) for line in (folder / "calls").read_text().splitlines()]


def row(capsys, name: str) -> dict[str, int]:
    """What `status` says of a chapter: its columns that are not 0."""
    capsys.readouterr()
    assert command.main(["status"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith(name)]
    for words in ("to come", "out of time"):
        header = header.replace(words, words.replace(" ", "_"))
    columns = header.split()
    found = zip(columns, map(int, line.split()[1:]), strict=True)
    return {column: count for column, count in found if count}


def begin(folder: Path, interrupt: Any) -> tuple[subprocess.Popen, psutil.Process]:
    """A make that has begun with a chapter that does not end, and that chapter's process.

    Args:
        folder: of the project.
        interrupt: what SIGINT does to it; in the background shells let it be ignored.
    """
    (folder / "hold").touch()
    # Without the current folder in its path: the toy's dnalib is no library.
    words = [sys.executable, "-P", "-m", "dnalib.workflow", "book"]
    process = subprocess.Popen(
        words,
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, interrupt),
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        for one in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.Error):  # others come and go
                if one.cmdline() == ["sleep", "600"]:
                    return process, one
        time.sleep(0.2)
    process.terminate()
    raise AssertionError(f"the chapter did not begin: {process.communicate()[1]}")


def test_names_of_records_arrive_whole_and_another_limit_executes_nothing_again(toy):
    records, split = toy / "a #1: {b} 'c' \"d\" é.zip", toy / "yes"
    for path in (records, split):
        path.touch()
    words = ["book", "--profile", "small", "--data", str(records), "--split", str(split)]
    assert command.main([*words, "--max-minutes", "2.5"]) == 0
    first = calls(toy)
    assert len(first) == len(CHAPTERS)
    for words_of_one in first:
        given = yaml.safe_load(words_of_one[words_of_one.index("-y") + 1])
        assert given == {"profile": "small", "data": str(records), "split": str(split)}
        limit = words_of_one.index("-p")
        assert words_of_one[limit : limit + 3] == ["-p", "max_minutes", "2.5"]
    assert command.main([*words, "--max-minutes", "7"]) == 0
    assert calls(toy) == first


def test_a_sweep_over_seeds_executes_every_chapter_and_then_the_summaries(toy, capsys):
    """The toy's `python` is each job: it leaves the report that it was told to."""
    commands = Path(os.environ["BASH_ENV"])
    job = 'python() { [ "$2" != dnalib.workflow.job ] || touch "${@: -3:1}"; }\n'
    commands.write_text(commands.read_text() + job)
    assert command.main(["sweep", "--seeds", "0-1"]) == 0
    executed = [(Path(words[1]).parent.name, Path(words[0]).stem) for words in calls(toy)]
    first, second, both = "seed-0", "seed-1", "seeds-0-1"
    wanted = [(seed, chapter) for seed in (first, second) for chapter in CHAPTERS]
    wanted.remove((second, DATA_CHAPTER))  # the records are the same
    assert sorted(executed) == sorted([*wanted, *((both, name) for name in SUMMARY_CHAPTERS)])
    for name in SUMMARY_CHAPTERS:
        places = [executed.index((variant, name)) for variant in (first, second, both)]
        assert max(places) == places[-1], "a seed came after what shows them all"
    assert (toy / "_build" / f"demo-{both}" / "_build" / "html" / "index.html").exists()
    assert row(capsys, "survey") == row(capsys, DATA_CHAPTER) == {"done": 1}
    assert row(capsys, "base") == {"done": 2} and row(capsys, "08_results") == {"done": 3}


def test_status_tells_what_failed_here_until_it_is_done(toy, capsys):
    (toy / "fail").touch()
    assert command.main(["book"]) != 0
    assert row(capsys, "01_data") == {"done": 1}
    assert row(capsys, HELD) == {"failed": 1}
    assert row(capsys, "03_cor") == {"to_come": 1}
    (toy / "fail").unlink()
    assert command.main(["book"]) == 0
    assert row(capsys, HELD) == {"done": 1}


def test_a_chapter_whose_minutes_are_over_is_no_failed_one(toy, capfd):
    (toy / "late").write_text('{\n "ename": "OutOfTime",\n "evalue": "max_minutes is over"\n}\n')
    assert command.main(["book", "--max-minutes", "1"]) not in (0, None)
    told = "max_minutes is over for book_02_base_model; what is done is kept, and the same call"
    assert capfd.readouterr().err.splitlines()[-1] == f"{told} goes on"
    assert row(capfd, HELD) == {"out_of_time": 1}
    # The next one ends before there is a notebook, with what is left of this one beside it.
    (toy / "fail").touch()
    assert command.main(["book", "--max-minutes", "1"]) != 0
    assert "max_minutes is over" not in capfd.readouterr().err
    assert row(capfd, HELD) == {"failed": 1}
    for name in ("fail", "late"):
        (toy / name).unlink()
    assert command.main(["book", "--max-minutes", "1"]) == 0
    assert "max_minutes is over" not in capfd.readouterr().err
    assert row(capfd, HELD) == {"done": 1}


def test_what_papermill_leaves_of_a_chapter_tells_that_its_minutes_are_over(
    toy, capfd, monkeypatch
):
    monkeypatch.delenv("BASH_ENV")  # the real papermill
    lines = ["class OutOfTime(RuntimeError):", "    pass", "raise OutOfTime('it is late')"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("\n".join(lines))])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    nbformat.write(notebook, toy / "book" / "01_data.ipynb")
    assert command.main(["book", "--max-minutes", "1"]) != 0
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("max_minutes is over for book_01_data; ")


@pytest.mark.parametrize(
    ("ending", "state"),
    [("echo OUT_OF_TIME > {}", "out_of_time"), (": {}", "failed")],
)
def test_a_job_says_itself_that_its_minutes_are_over(toy, capfd, ending, state):
    """The toy's `python` is the job: it has the file to say so in as its last argument."""
    commands = Path(os.environ["BASH_ENV"])
    job = "python() { " + ending.format('"${@: -1}"') + "; return 1; }\n"
    commands.write_text(commands.read_text() + job)
    assert command.main(["sweep", "--max-minutes", "1", "--seeds", "0"]) != 0
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("max_minutes is over for survey-") == (state == "out_of_time")
    assert row(capfd, "survey") == {state: 1}


def test_a_signal_while_snakemake_is_started_ends_it_too(tmp_path, monkeypatch, capsys):
    before = {number: signal.getsignal(number) for number in engine.ENDING}
    made = []

    class Told(subprocess.Popen):
        """Whose maker is told to end, twice, before it has the process in hand."""

        def __init__(self, command, **options):
            super().__init__(["sleep", "600"], **options)
            made.append(self)
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)

    monkeypatch.setattr(subprocess, "Popen", Told)
    try:
        assert engine.run_snakemake([], root=tmp_path) == 128 + signal.SIGTERM
        assert made[0].poll() is not None, "it is left, known to nobody"
    finally:
        made[0].kill()
        made[0].wait()
    assert "ended by SIGTERM; the same call goes on" in capsys.readouterr().err
    assert {number: signal.getsignal(number) for number in engine.ENDING} == before


@pytest.mark.parametrize(
    ("number", "interrupt"),
    [(signal.SIGTERM, signal.SIG_IGN), (signal.SIGINT, signal.SIG_DFL)],
)
def test_a_signal_ends_what_was_started_before_another_make_may_begin(
    toy, capsys, number, interrupt
):
    process, chapter = begin(toy, interrupt)
    try:
        assert row(capsys, HELD) == {"running": 1}
        assert command.main(["book"]) == 1
        assert "another make works in" in capsys.readouterr().err
        began = time.monotonic()
        os.kill(process.pid, number)
        _, said = process.communicate(timeout=120)
        assert time.monotonic() - began < engine.PATIENCE, "it was killed, not interrupted"
        assert not chapter.is_running()
        assert process.returncode == 128 + number
        assert f"ended by {number.name}; the same call goes on" in said
    finally:
        process.kill()
        if chapter.is_running():
            chapter.kill()
    with turn(toy / "data" / "runs" / "demo", "workflow", seconds=0) as ours:
        assert ours
    assert row(capsys, HELD) == {"failed": 1}
