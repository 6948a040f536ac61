"""Records that figures draw are those that the run was computed on."""

import json
import shutil

import pytest

from dnalib import data, stages, synthetic
from dnalib.runs import RecordedRun


@pytest.fixture
def other(tmp_path):
    """Synthetic records where somebody says that a recorded run's are."""
    return synthetic.write_dataset(tmp_path / "other", count=20, seed=3, progress=False)


@pytest.fixture
def recorded(root, tmp_path):
    """The folder of a recorded run of the challenge's records: its manifest alone."""
    folder = tmp_path / "recorded" / "small"
    folder.mkdir(parents=True)
    shutil.copyfile(
        root / "data" / "recorded" / "small" / "manifest.json", folder / "manifest.json"
    )
    return folder


def test_other_records_than_the_recorded_ones_are_not_drawn(recorded, other, tmp_path, capsys):
    run = RecordedRun(recorded, root=tmp_path, place=other)
    assert stages.class_examples(run) == {} and stages.heartbeat(run) is None
    assert stages.named_signals(run, ["S00001"]) == {}
    assert stages.names_of_test_records(run) is None
    said = capsys.readouterr().out.splitlines()
    assert set(said) == {
        "This figure draws records of the run recorded/small (PhysioNet/CinC Challenge 2017), and "
        f"those at {other} are others: say where the run's are (`-p data ...`, or the environment "
        "variable DNALIB_DATA)."
    }


def test_the_recorded_records_are_drawn_wherever_they_lie(recorded, other, tmp_path):
    manifest = json.loads((recorded / "manifest.json").read_text())
    records = data.load_records(other, cache=tmp_path / "data" / "cache", progress=False)
    (recorded / "manifest.json").write_text(json.dumps(manifest | {"digest": records.digest}))
    run = RecordedRun(recorded, root=tmp_path, place=other)
    assert len(stages.class_examples(run)) == len(data.CLASS_NAMES)
