"""The command line: what is recorded, restored or shown, and what is refused in one sentence."""

import json
import shutil
from pathlib import Path
from unittest.mock import Mock

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from dnalib.data import load_records
from dnalib.dataset import Dataset, choose_split
from dnalib.recording import __main__ as command
from dnalib.recording import restoring, showing
from dnalib.runs import RecordedRun
from dnalib.synthetic import write_dataset

pytestmark = pytest.mark.slow


def test_a_setting_that_differs_from_the_profile_is_recorded_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = []
    monkeypatch.setattr(command, "project_root", lambda: tmp_path)
    monkeypatch.setattr(
        command,
        "record",
        lambda run, *, further_seeds, without: recorded.append((run, further_seeds)),
    )
    monkeypatch.setattr(command, "RecordedRun", Mock())
    monkeypatch.setattr(command, "show", Mock())
    words = "recording demo --compute -p epochs 2 -p epsilons [10,50] -p schedule constant"
    monkeypatch.setattr("sys.argv", words.split())
    command.main()
    ((run, further),) = recorded
    assert further == () and run.settings.seed == 0
    assert run.profile == "demo" and run.settings.epochs == 2
    assert run.settings.epsilons == (10.0, 50.0) and run.settings.schedule == "constant"
    monkeypatch.setattr("sys.argv", [*words.split(), "--seeds", "3,5-6"])
    command.main()
    run, further = recorded[-1]
    assert run.settings.seed == 3 and run.settings.epochs == 2 and further == (5, 6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--report -p epochs 2", "-p and --seeds are for what is recorded now"),
        ("--report --seeds 0-1", "-p and --seeds are for what is recorded now"),
        ("--seeds 4-0", "the range 4-0 ends before it begins"),
        ("--seeds 0-1 -p seed 2", "seed and --seeds are both given"),
        ("--restore -p epochs [", "epochs is '[', which is no value"),
        ("--restore -p epochs 0", "epochs is 0; accepted is a whole number from 1"),
        ("--restore --data x", "data is 'x', but the profile demo makes its own synthetic ECGs"),
    ],
)
def test_a_recording_of_what_cannot_be_is_refused(
    words: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["recording", "demo", *words.split()])
    with pytest.raises(SystemExit):
        command.main()
    assert message in capsys.readouterr().err


def test_recorded_seeds_are_dropped_only_by_who_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "data" / "recorded" / "demo" / "seed-1" / "manifest.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    record = Mock()
    for name in ("RecordedRun", "show"):
        monkeypatch.setattr(command, name, Mock())
    monkeypatch.setattr(command, "record", record)
    monkeypatch.setattr(command, "project_root", lambda: tmp_path)
    monkeypatch.setattr("sys.argv", ["recording", "demo"])
    with pytest.raises(SystemExit):
        command.main()
    assert "holds further seeds (seed-1); accepted is --seeds with all" in capsys.readouterr().err
    assert kept.is_file() and not record.called
    monkeypatch.setattr("sys.argv", ["recording", "demo", "-p", "epochz", "3"])
    with pytest.raises(SystemExit):
        command.main()
    assert "there is no parameter 'epochz'" in capsys.readouterr().err, "it is wrong with any seeds"
    monkeypatch.setattr("sys.argv", ["recording", "demo", "--compute", "--seeds", "0"])
    command.main()
    assert record.called


@pytest.fixture
def shown_run(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the manifest of a recorded run of real records, and a chapter that shows it.

    Its records are not there, and nothing is drawn.
    """
    manifest = Path("data", "recorded", "small", "manifest.json")
    (tmp_path / manifest).parent.mkdir(parents=True)
    shutil.copyfile(root / manifest, tmp_path / manifest)
    (tmp_path / "book").mkdir()
    cells = [nbformat.v4.new_code_cell("print('executed')")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "book" / "01_data.ipynb")
    for name in ("DNALIB_DATA", "DNALIB_SPLIT"):
        # What `main` sets of them is taken back.
        monkeypatch.setenv(name, "")
    for name in ("refresh_readme", "write_run_pages", "write_speed_page", "write_bill_page"):
        monkeypatch.setattr(showing, name, Mock())
    monkeypatch.setattr(command, "project_root", lambda: tmp_path)
    return tmp_path


def report(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr("sys.argv", ["recording", "small", "--report", *words])
    command.main()


def test_a_report_without_the_real_records_changes_nothing(
    shown_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chapter = shown_run / "book" / "01_data.ipynb"
    before = chapter.read_bytes()
    with pytest.raises(SystemExit):
        report(monkeypatch)
    place = shown_run / "data" / "cinc2017"
    assert f"No ECG records at {place}: run `python" in capsys.readouterr().err
    other = write_dataset(shown_run / "other", count=20, seed=0, progress=False)
    with pytest.raises(SystemExit):
        report(monkeypatch, "--data", str(other))
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"the records at {other}, or their split (stratified, seed 0), are not those" in said
    assert chapter.read_bytes() == before and not showing.refresh_readme.called


@pytest.fixture
def source(shown_run: Path) -> Path:
    """Records that the manifest is made to name as its own."""
    source = write_dataset(shown_run / "records", count=20, seed=0, progress=False)
    path = shown_run / "data" / "recorded" / "small" / "manifest.json"
    manifest = json.loads(path.read_text())
    recorded = RecordedRun(path.parent, root=shown_run)
    records = load_records(source, cache=shown_run / "data" / "cache")
    split = choose_split(records, None, settings=recorded.settings)
    manifest["records"] = Dataset(records, split, recorded.settings, "").identity
    path.write_text(json.dumps(manifest))
    return source


def test_a_report_with_the_real_records_executes_the_chapters(
    shown_run: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(monkeypatch, "--data", str(source))
    notebook = nbformat.read(shown_run / "book" / "01_data.ipynb", as_version=4)
    assert notebook.cells[0].outputs[0].text == "executed\n"
    assert showing.refresh_readme.called


@pytest.mark.parametrize("failing", ["a chapter", "the pages"])
def test_a_report_that_is_cut_short_changes_nothing(
    failing: str, shown_run: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if failing == "a chapter":
        cells = [nbformat.v4.new_code_cell("raise KeyboardInterrupt")]
        second = shown_run / "book" / "02_base_model.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells), second)
    else:
        monkeypatch.setattr(showing, "write_run_pages", Mock(side_effect=KeyboardInterrupt))
    before = {path: path.read_bytes() for path in (shown_run / "book").iterdir()}
    with pytest.raises((CellExecutionError, KeyboardInterrupt)):
        report(monkeypatch, "--data", str(source))
    assert {path: path.read_bytes() for path in (shown_run / "book").iterdir()} == before
    assert sorted(path.name for path in shown_run.iterdir()) == ["book", "data", "records"]


def test_nothing_is_restored_onto_other_records(
    shown_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_dataset(shown_run / "other", count=20, seed=0, progress=False)
    monkeypatch.setattr("sys.argv", ["recording", "small", "--restore", "--data", str(other)])
    with pytest.raises(SystemExit):
        command.main()
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"the records at {other}, or their split (stratified, seed 0), are not those" in said
    assert not (shown_run / "data" / "runs").exists()


def test_without_trainings_nothing_is_restored(
    shown_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(restoring, "check_records", lambda run: None)
    source = write_dataset(shown_run / "other", count=20, seed=0, progress=False)
    words = ["recording", "small", "--restore", "--data", str(source), "-p", "epochs", "3"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit):
        command.main()
    said = capsys.readouterr().err.splitlines()[-1]
    assert "no training that was recorded in recorded/small is one of this run" in said
    assert "which has epochs 3 instead of 14; accepted is" in said


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["small", "--restore"], "recorded/small"),
        (["small", "--seeds", "0-1"], "No ECG records at"),
        (["demo", "--restore"], "recorded/demo"),
        (["nosuch", "--report"], "recorded/nosuch"),
        (["demo", "--trainings"], "nothing is recorded of demo"),
    ],
)
def test_what_cannot_be_recorded_ends_in_one_sentence(
    tmp_path, monkeypatch, capsys, words, sentence
) -> None:
    monkeypatch.setattr(command, "project_root", lambda: tmp_path)
    monkeypatch.setattr("sys.argv", ["recording", *words])
    for name in ("DNALIB_DATA", "DNALIB_SPLIT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]
