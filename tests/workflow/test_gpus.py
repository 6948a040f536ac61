"""Jobs side by side on one machine: each on GPUs of its own, as long as its command runs."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from dnalib.workflow import engine, gpus

SHOW = "import os; print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); input()"

Begin = Callable[..., subprocess.Popen]


@pytest.fixture
def begin(root: Path, tmp_path: Path) -> Iterator[Begin]:
    """Begins a command that says which GPUs it has and waits for a line."""
    begun = []

    def begin(count: int, names: str) -> subprocess.Popen:
        words = [sys.executable, "-m", "dnalib.workflow.gpus", str(count), names]
        environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(root)}
        process = subprocess.Popen(
            [*words, sys.executable, "-c", SHOW],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_each_job_has_gpus_of_its_own_and_waits_for_them(begin: Begin) -> None:
    first, second = begin(1, "2,5,7"), begin(1, "2,5,7")
    held = [process.stdout.readline().strip() for process in (first, second)]
    assert sorted(held) == ["2", "5"]
    both = begin(2, "2,5,7")  # one is free, and it takes none until two are
    third = begin(1, "2,5,7")
    assert third.stdout.readline().strip() == "7"
    first.kill()  # nothing of it can let go
    second.communicate("\n")
    assert both.stdout.readline().strip() == "2,5"


def test_all_that_are_asked_for_or_none(tmp_path: Path) -> None:
    assert gpus.take(2, ["GPU-1/a", "GPU-1/b", "3"], folder=tmp_path) == ["GPU-1/a", "GPU-1/b"]
    assert gpus.take(2, ["GPU-1/a", "3", "GPU-1/b"], folder=tmp_path) == []
    assert gpus.take(1, ["GPU-1/a", "3"], folder=tmp_path) == ["3"]  # it was let go


def test_gpus_are_named_as_cuda_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv(gpus.VARIABLE, raising=False)
    assert engine.local_gpus() == ["0", "1"]
    monkeypatch.setenv(gpus.VARIABLE, "4,6,9")  # of which one is not there
    assert engine.local_gpus() == ["4", "6"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert engine.local_gpus() == []
