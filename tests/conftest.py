"""Where the project lies, and a run that takes seconds, shared by every test that reads one."""

import contextlib
import io
import os
import re
import shutil
from pathlib import Path

import pytest
from tiny import open_tiny

from dnalib.runs import ComputingRun
from dnalib.runs.turns import turn
from dnalib.stages import costs

SLOW_FIXTURES = {"tiny_run", "browser", "served", "on_disk"}  # a run; the book in a browser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest first, so that others are tested beside it where there are processors."""
    for item in items:
        if SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.get_closest_marker("first") is None)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One for each of up to three processors, and one more: a cluster is mostly waited for."""
    return min(os.cpu_count() or 1, 3) + 1


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def common_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that the processes which test side by side have in common."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def tiny_run(
    tmp_path_factory: pytest.TempPathFactory, common_folder: Path, worker_id: str
) -> ComputingRun:
    """A run with every stage computed; its root is its own folder. Tests do not change it.

    It takes longer than any module, so that processes that test side by side compute it together,
    every second one beginning with what comes last. Each has a copy: some tests record it, or open
    runs beside it. Its trainings are timed by one step instead of the median of several.
    """
    together = common_folder / "tiny"
    made = open_tiny(together)
    names = list(made.stages)
    if re.fullmatch("gw[0-9]*[13579]", worker_id):
        names.reverse()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        patch.setattr(costs, "ROUNDS", 1)
        for name in names:
            made.obtain(name)
    for name in names:  # another process may be clearing away what it needed to compute one
        with turn(made.folder, f"{name}-{made.identity(name)}"):
            pass
    return open_tiny(shutil.copytree(together, tmp_path_factory.getbasetemp() / "runs"))
