"""Where the project lies, and a run that takes seconds, shared by every test that reads one."""

import contextlib
import io
import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from tiny import open_tiny

from dnalib.runs import ComputingRun

SLOW_FIXTURES = {"tiny_run", "browser", "served", "on_disk"}  # a run; the book in a browser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest first, so that others are tested beside it where there are processors."""
    for item in items:
        if SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.get_closest_marker("first") is None)


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> ComputingRun:
    """A run with every stage computed; its root is its own folder. Tests do not change it.

    It takes longer than most modules, so that processes that test side by side compute it once.
    Each has a copy: some tests record it, or open runs beside it.
    """
    own = tmp_path_factory.getbasetemp()
    shared = (own if worker_id == "master" else own.parent) / "tiny"
    with FileLock(f"{shared}.lock"):
        made = open_tiny(shared)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            for name in made.stages:
                made.obtain(name)
    return open_tiny(shutil.copytree(shared, own / "runs"))
