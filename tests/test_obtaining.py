"""Two processes obtain what one would: they train together, and the first alone writes."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from obtaining import CHANGES
from tiny import open_tiny

from dnalib.runs import Artefact, ComputingRun

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("obtaining.py")


@dataclass(frozen=True)
class Obtained:
    """What two processes left: their run's folder, what each told, and what they printed."""

    run: ComputingRun
    told: list[dict]
    printed: str


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """The base model that one process trains."""
    return open_tiny(tmp_path_factory.mktemp("one"), **CHANGES).obtain("base")


@pytest.fixture(scope="module")
def two(root: Path, one: Artefact, tmp_path_factory: pytest.TempPathFactory) -> Obtained:
    """The same run by two processes, from records that are there."""
    folder = tmp_path_factory.mktemp("two")
    for made in ("synthetic-160-0", "cache"):
        shutil.copytree(one.path.with_name(made), folder / "tiny" / made)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [sys.executable, *launch, PROGRAM, folder],
        capture_output=True,
        text=True,
        cwd=root,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads((folder / f"process-{number}.json").read_text()) for number in (0, 1)]
    return Obtained(open_tiny(folder, **CHANGES), told, done.stdout)


def test_two_processes_make_each_artefact_once(two: Obtained) -> None:
    for name in ("base", "features-base", "dec1"):
        artefact = two.run.find(name)
        assert artefact is not None
        files = {path.name for path in two.run.folder.glob(f"{name}-*")}
        assert files == {artefact.path.name, f"{artefact.path.name}.json"}
        assert two.printed.splitlines().count(f"{name}: computing") == 1, "one says it, and once"
        together = {"processes": 2} if name in ("base", "dec1") else {}
        assert together.items() <= artefact.results.items()
    assert not list(two.run.folder.glob("checkpoints/base-*")), "a finished training's is removed"
    assert not list(two.run.folder.glob(".*")), "something half-written is left"


def test_both_processes_see_the_same_artefact(two: Obtained) -> None:
    name = two.run.find("dec1").path.name
    for told in two.told:
        assert told["dec1"] == told["again"] == name


def test_no_turn_is_held_when_all_is_made(two: Obtained) -> None:
    assert [told["held"] for told in two.told] == [[], []]


def test_two_processes_train_as_one_does(one: Artefact, two: Obtained) -> None:
    alone, together = one.results["history"], two.run.find("base").results["history"]
    assert one.identity == two.run.find("base").identity
    assert "processes" not in one.results
    for column in ("train_loss", "train_accuracy", "test_accuracy", "learning_rate"):
        assert together[column] == pytest.approx(alone[column], abs=1e-4), column


def test_a_failure_of_the_first_ends_both(two: Obtained) -> None:
    first, second = two.told
    assert first["survey"] == ["ArtefactError", "burnt"]
    assert second["survey"] == ["FirstProcessError", "ArtefactError: burnt"]
    # In the middle of a training, where the first alone keeps checkpoints.
    assert first["cor1"] == ["CheckpointError", "no room"]
    assert second["cor1"] == ["FirstProcessError", "CheckpointError: no room"]
    assert two.run.find("cor1") is None
