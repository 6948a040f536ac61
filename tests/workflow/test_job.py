"""A stage's job: one sentence where it fails, and a process for each GPU that a training has."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from dnalib.files import write_json
from dnalib.runs import load_profile
from dnalib.training.loop import check_processes
from dnalib.workflow import job, make_plan
from dnalib.workflow.parts import load_resources

# Too short for anything: the records are made, and no stage is begun.
WORDS = ["base", "-p", "profile", "demo", "-p", "synthetic_records", "40"]
WORDS += ["-p", "max_minutes", "0.00001"]


@pytest.mark.slow
def test_a_job_of_two_processes_ends_both_with_one_sentence(root: Path, tmp_path: Path) -> None:
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    options = ["--report", tmp_path / "report.json", "-p", "runs_folder", tmp_path]
    options += ["--mark", tmp_path / "mark"]
    done = subprocess.run(
        [sys.executable, *launch, "-m", "dnalib.workflow.job", *WORDS, *options],
        capture_output=True,
        text=True,
        cwd=root,
        timeout=600,
    )
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line == "error: max_minutes is over: base is not begun; call again to go on"
    assert "FirstProcessError" not in done.stderr
    assert (tmp_path / "mark").read_text() == "OUT_OF_TIME\n"
    assert not (tmp_path / "report.json").exists()
    assert not list((tmp_path / "demo").glob("base-*"))


def test_a_job_ends_with_a_sentence_about_a_parameter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["base", "--report", str(tmp_path / "report.json"), "-p", "speed", "1"]
    assert job.main([*words, "--mark", str(tmp_path / "mark")]) == 1
    assert not (tmp_path / "mark").exists(), "it was not out of time"
    assert capsys.readouterr().err.startswith("error: there is no parameter 'speed'; accepted are")


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["dec7", "-p", "profile", "demo"], "stage is 'dec7', which demo does not have; accepted"),
        (["base", "-p", "profile", "recorded/small"], "recorded/small is only read; accepted is"),
    ],
)
def test_a_job_ends_with_a_sentence_about_what_cannot_be_computed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    report = tmp_path / "report.json"
    words = [*words, "--report", str(report)]
    if "demo" in words:
        words += ["-p", "runs_folder", str(tmp_path)]
    assert job.main(words) == 1
    assert capsys.readouterr().err.startswith(f"error: {sentence}")
    assert not report.exists()


def test_a_job_of_too_many_processes_ends_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def train_together(*run: object, **report: object) -> None:
        data = SimpleNamespace(rows=range(60), test_labels=range(40))
        check_processes(SimpleNamespace(world_size=41), data, batches=1)

    monkeypatch.setattr(job, "computing", lambda run, stage: run)
    monkeypatch.setattr(job.stages, "open_run", lambda parameters: None)
    monkeypatch.setattr(job, "write_report", train_together)
    assert job.main(["base", "--report", str(tmp_path / "report.json")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: 41 processes share batches of 60 rows and 40 test records")


def commands(
    root: Path, folder: Path, *, gpus: int, machine: Sequence[str] | None = None
) -> dict[str, str]:
    """What the jobs of one training and of one attack would call, by kind.

    Args:
        root: the project's folder.
        folder: where they would run.
        gpus: that a job asks for.
        machine: those of this machine, where the jobs would run on it.
    """
    resources = {
        kind: {"cpus": 8, "memory": 4000, "minutes": 10, "gpus": gpus}
        for kind in load_resources("small")
    }
    variants = {"book": {}}
    plan = make_plan(load_profile("small"), profile="small", variants=variants, resources=resources)
    if machine is not None:
        plan["gpus"] = list(machine)
    write_json(folder / "plan.json", plan)
    wanted = {
        one["kind"]: f"data/runs/small/jobs/{one['kind']}/{name}.json"
        for name, one in plan["jobs"].items()
        if one["stage"] in ("base", "perturbations-strip-150")
    }
    words = ["--dry-run", "--printshellcmds", "--nolock", "--cores", "8"]
    words += [] if machine is None else ["--resources", f"gpu={len(machine)}"]
    words += ["--snakefile", str(root / "Snakefile"), "--directory", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *words]
        + [*wanted.values(), "--config", f"plan={folder / 'plan.json'}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=root,
    )
    assert done.returncode == 0, done.stdout
    mark = "Shell command: "
    lines = [line.strip() for line in done.stdout.splitlines()]
    return {
        kind: next(line for line in lines if f"--report {report} " in line).removeprefix(mark)
        for kind, report in wanted.items()
    }


@pytest.mark.slow
def test_a_training_with_several_gpus_is_launched_in_a_process_for_each(
    root: Path, tmp_path: Path
) -> None:
    several = commands(root, tmp_path, gpus=2)
    launch = "OMP_NUM_THREADS=4 torchrun --standalone --nproc-per-node 2 -m dnalib.workflow.job"
    assert f"; {launch} base " in several["training"]
    single = "OMP_NUM_THREADS=8 python -m dnalib.workflow.job"
    assert f"; {single} perturbations-strip-150 " in several["attack"]


@pytest.mark.slow
@pytest.mark.parametrize(("gpus", "machine"), [(0, None), (0, []), (2, [])])
def test_a_training_with_one_gpu_or_none_is_one_process(
    root: Path, tmp_path: Path, gpus: int, machine: Sequence[str] | None
) -> None:
    command = commands(root, tmp_path, gpus=gpus, machine=machine)["training"]
    assert "; OMP_NUM_THREADS=8 python -m dnalib.workflow.job base " in command


@pytest.mark.slow
def test_jobs_beside_each_other_hold_gpus_of_their_own(root: Path, tmp_path: Path) -> None:
    single = commands(root, tmp_path, gpus=1, machine=["0", "3"])
    hold = "OMP_NUM_THREADS=8 python -m dnalib.workflow.gpus 1 0,3 python -m dnalib.workflow.job"
    assert f"; {hold} base " in single["training"]
    assert f"; {hold} perturbations-strip-150 " in single["attack"]
    several = commands(root, tmp_path, gpus=2, machine=["0", "3"])
    hold = "OMP_NUM_THREADS=4 python -m dnalib.workflow.gpus 2 0,3 torchrun --standalone"
    assert f"; {hold} --nproc-per-node 2 -m dnalib.workflow.job base " in several["training"]
