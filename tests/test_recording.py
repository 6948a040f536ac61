"""A recorded run holds what the figures need, exactly that run's numbers, and is put back."""

import json
import shutil
from functools import partial
from pathlib import Path
from unittest.mock import MagicMock, Mock

import nbformat
import pytest
import torch
from nbclient.exceptions import CellExecutionError
from safetensors.torch import load_file
from tiny import open_tiny

from dnalib import recorded_stages, recording, restoring, stages, tables
from dnalib.data import load_records
from dnalib.dataset import Dataset, choose_split
from dnalib.inference import infer
from dnalib.pages import numbers, write_run_pages
from dnalib.runs import ComputingRun, RecordedRun
from dnalib.stages import rivals
from dnalib.synthetic import write_dataset
from dnalib.tables import seeds
from dnalib.workflow.chapters import appendix_stages, chapter_stages
from dnalib.workflow.variants import WorkflowError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recorded(tiny_run: ComputingRun) -> RecordedRun:
    return RecordedRun(recording.record(tiny_run, further_seeds=[1]), root=tiny_run.root)


def test_recorded_run_shows_what_the_run_showed(
    tiny_run: ComputingRun, recorded: RecordedRun
) -> None:
    for table in (tables.natural_table, tables.robustness_table, tables.headline):
        assert table(recorded).equals(table(tiny_run))
    assert recorded.settings == tiny_run.settings
    expected = numbers([tiny_run]).replace("`tiny`", "`recorded/tiny`")
    assert numbers([recorded]) == expected


def test_recorded_weights_give_the_recorded_logits(
    tiny_run: ComputingRun, recorded: RecordedRun
) -> None:
    signals = tiny_run.dataset.signals(tiny_run.dataset.split.test)
    for member in stages.MEMBERS:
        network = stages.load_member(recorded, member)
        stored = load_file(recorded.obtain(f"natural-{member}").path)["logits"]
        torch.testing.assert_close(infer(network, signals).half(), stored, atol=1e-3, rtol=1e-3)


def test_a_further_seed_is_recorded_as_far_as_chapters_show_it(
    tiny_run: ComputingRun, recorded: RecordedRun
) -> None:
    first, second = recorded.with_seeds()
    assert first is recorded and second.settings.seed == 1
    assert set(second.manifest["artefacts"]) == {
        *recorded_stages.shown_of_each_seed(second.settings)
    }
    runs = [tiny_run, tiny_run.variant({"seed": 1})]
    condition = {"attack": "sap", "padding": "strip", "epsilon": 50.0}
    table = seeds.spread_table([first, second], **condition)
    assert table.equals(seeds.spread_table(runs, **condition))
    assert "–" not in set(table["SD over seeds"])
    table = seeds.knowledge_over_seeds([first, second])
    assert table.equals(seeds.knowledge_over_seeds(runs))
    expected = numbers(runs).replace("`tiny`", "`recorded/tiny`")
    assert numbers([first, second]) == expected and "the mean of 2 seeds" in expected
    weights = [
        torch.nn.utils.parameters_to_vector(stages.load_member(one, "dec1").parameters())
        for one in (first, second)
    ]
    assert not torch.allclose(*weights)
    files = [path.name for path in second.folder.iterdir()]
    assert not [name for name in files if name.startswith(("features", "perturbations"))]


def test_no_sample_of_a_record_is_recorded(tiny_run: ComputingRun, recorded: RecordedRun) -> None:
    kept = {path.name.split(".")[0] for path in recorded.folder.iterdir()}
    assert not [name for name in kept if name.startswith(("features", "perturbations"))]
    time = tiny_run.settings.length
    for path in recorded.folder.glob("*.safetensors"):
        with_time = [name for name, tensor in load_file(path).items() if time in tensor.shape]
        assert not with_time or path.stem == "examples"
    # The examples are perturbations: bounded by epsilon, which no record is.
    for tensor in load_file(recorded.obtain("examples").path).values():
        assert tensor.abs().max() <= max(tiny_run.settings.epsilons)


def test_manifest_says_where_everything_comes_from(
    tiny_run: ComputingRun, recorded: RecordedRun
) -> None:
    manifest = json.loads((recorded.folder / "manifest.json").read_text())
    assert manifest["split"] == "stratified, seed 0"
    assert manifest["digest"] == tiny_run.dataset.records.digest
    for entry in manifest["artefacts"].values():
        assert {"created", "device", "versions", "seconds", "revision", "sha256"} <= set(entry)
        assert (recorded.folder / entry["file"]).is_file()


def test_a_recorded_run_is_restored_and_goes_on(
    tiny_run: ComputingRun, recorded: RecordedRun, tmp_path: Path
) -> None:
    run = open_tiny(tmp_path)
    assert run.find("base") is None
    names = restoring.restore(recorded, run)
    assert names == list(recorded.manifest["artefacts"])
    for name in names:
        found = run.find(name)
        assert found.sidecar == tiny_run.obtain(name).sidecar
        assert found.path.read_bytes() == tiny_run.obtain(name).path.read_bytes()
    assert not [name for name in run.stages if name.startswith("features-") and run.find(name)]
    other = run.variant({"seed": 1})
    assert all(other.find(name) for name in recorded_stages.shown_of_each_seed(other.settings))


def test_what_other_settings_made_is_not_restored(recorded: RecordedRun, tmp_path: Path) -> None:
    other = open_tiny(tmp_path, adversarial_epsilon=7.0)
    restored = set(restoring.restore(recorded, other))
    assert {"base", "parallel", "wide", "adaptive-fdec-50"} <= restored
    assert not restored & {"adversarial1", "dverge", "natural-adversarial", "training-costs"}
    assert restoring.restorable(recorded, open_tiny(tmp_path, seed=5)) == ["survey"]
    second = open_tiny(tmp_path / "second", seed=1)
    assert "base" in restoring.restore(recorded, second) and second.find("base")


def test_a_run_that_no_training_is_restored_of_is_refused(
    recorded: RecordedRun, tmp_path: Path
) -> None:
    run = open_tiny(tmp_path, epochs=2)
    with pytest.raises(WorkflowError, match="no training .* recorded/tiny .* has epochs 2 instead"):
        restoring.restore(recorded, run)
    assert run.find("survey") is None


@pytest.fixture
def chapters_alone(tiny_run: ComputingRun, tmp_path: Path) -> ComputingRun:
    """The run without what only appendices read, in a project whose appendices show another."""
    shutil.copytree(tiny_run.folder, tmp_path / "tiny")
    for name in tiny_run.stages.keys() - chapter_stages(tiny_run.settings).keys():
        for path in (tmp_path / "tiny").glob(f"{name}-{tiny_run.identity(name)}.*"):
            path.unlink()
    (tmp_path / "book").mkdir()
    for appendix in appendix_stages(tiny_run.settings):
        show(tmp_path, appendix, "recorded/small")
    return open_tiny(tmp_path)


def show(project: Path, chapter: str, profile: str) -> None:
    """Make a chapter that shows a run."""
    cell = nbformat.v4.new_code_cell(f'profile = "{profile}"', metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbformat.write(notebook, project / "book" / f"{chapter}.ipynb")


def test_chapters_are_recorded_without_appendices_that_were_not_computed(
    chapters_alone: ComputingRun, tiny_run: ComputingRun, tmp_path: Path
) -> None:
    run = chapters_alone
    absent = recorded_stages.check_chapters_are_held(run, further_seeds=())
    assert absent == [*appendix_stages(run.settings)] and len(absent) == 6
    recorded = RecordedRun(recording.record(run, without=absent), root=tmp_path)
    held = recorded.manifest["artefacts"]
    assert set(held) == chapter_stages(run.settings).keys() & set(recorded_stages.shown(run))
    assert not [name for name in held if name.startswith(("adaptive", "checks", "sweep"))]
    assert tables.robustness_table(recorded).equals(tables.robustness_table(tiny_run))
    write_run_pages([recorded], tmp_path)
    text = (tmp_path / "run.md").read_text()
    assert "met in [appendix A1](A1_adaptive_attacks), on the run that it names" in text


def test_what_is_missing_for_a_recording_is_said(
    chapters_alone: ComputingRun, tmp_path: Path
) -> None:
    show(tmp_path, "B2_bands", "recorded/tiny")
    with pytest.raises(WorkflowError, match="lacks stages of B2_bands, which shows recorded/tiny"):
        recorded_stages.check_chapters_are_held(chapters_alone, further_seeds=())
    show(tmp_path, "B2_bands", "recorded/small")
    with pytest.raises(WorkflowError, match="stages of seed 7 with these settings, first base;"):
        recorded_stages.check_chapters_are_held(chapters_alone, further_seeds=[7])
    for path in chapters_alone.folder.glob("natural-dec1-*"):
        path.unlink()
    with pytest.raises(WorkflowError, match="lacks 1 stages of seed 0 .* first natural-dec1; exec"):
        recorded_stages.check_chapters_are_held(chapters_alone, further_seeds=())


def test_a_whole_recorded_run_lacks_no_appendix(root: Path, recorded: RecordedRun) -> None:
    for run in (recorded, stages.open_run({"profile": "recorded/small"})):
        held = run.manifest["artefacts"].__contains__
        assert recorded_stages.absent_appendices(run.settings, is_held=held) == []


def test_finished_trainings_are_added_to_what_is_recorded(
    tiny_run: ComputingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny_run, "root", tmp_path)
    recorded, weights = recording.recorded_folders(tiny_run)
    recorded.mkdir(parents=True), weights.mkdir(parents=True)
    (recorded / "manifest.json").write_text('{"artefacts": {"survey": {}}, "profile": "tiny"}')
    find = tiny_run.find
    monkeypatch.setattr(tiny_run, "find", lambda name: None if name == "dverge" else find(name))
    trainings = [name for name in rivals.TRAININGS if name != "dverge"]
    assert recording.keep_trainings(tiny_run) == trainings
    manifest = json.loads((recorded / "manifest.json").read_text())
    assert manifest["profile"] == "tiny" and set(manifest["artefacts"]) == {"survey", *trainings}
    for name in trainings:
        kept = (recorded / manifest["artefacts"][name]["file"]).resolve()
        assert kept == weights / f"{name}.safetensors"
        assert kept.read_bytes() == tiny_run.obtain(name).path.read_bytes()


def test_a_setting_that_differs_from_the_profile_is_recorded_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = []
    monkeypatch.setattr(recording, "project_root", lambda: tmp_path)
    monkeypatch.setattr(
        recording,
        "record",
        lambda run, *, further_seeds, without: recorded.append((run, further_seeds)),
    )
    monkeypatch.setattr(recording, "execute_notebooks", lambda root, **options: None)
    monkeypatch.setattr(recording, "absent_appendices", lambda settings, *, is_held: [])
    monkeypatch.setattr(recording, "RecordedRun", MagicMock())
    monkeypatch.setattr(recording, "check_records", lambda run: None)
    monkeypatch.setattr(recording, "refresh_readme", lambda runs, root, *, into: None)
    monkeypatch.setattr(recording, "write_run_pages", lambda runs, folder: None)
    words = "recording demo --compute -p epochs 2 -p epsilons [10,50] -p schedule constant"
    monkeypatch.setattr("sys.argv", words.split())
    recording.main()
    ((run, further),) = recorded
    assert further == () and run.settings.seed == 0
    assert run.profile == "demo" and run.settings.epochs == 2
    assert run.settings.epsilons == (10.0, 50.0) and run.settings.schedule == "constant"
    monkeypatch.setattr("sys.argv", [*words.split(), "--seeds", "3,5-6"])
    recording.main()
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
        recording.main()
    assert message in capsys.readouterr().err


def test_recorded_seeds_are_dropped_only_by_who_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "data" / "recorded" / "demo" / "seed-1" / "manifest.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    record = Mock()
    for name in ("execute_notebooks", "RecordedRun", "refresh_readme", "write_run_pages"):
        monkeypatch.setattr(recording, name, MagicMock())
    monkeypatch.setattr(recording, "record", record)
    monkeypatch.setattr(recording, "check_records", lambda run: None)
    monkeypatch.setattr(recording, "absent_appendices", lambda settings, *, is_held: [])
    monkeypatch.setattr(recording, "project_root", lambda: tmp_path)
    monkeypatch.setattr("sys.argv", ["recording", "demo"])
    with pytest.raises(SystemExit):
        recording.main()
    assert "holds further seeds (seed-1); accepted is --seeds with all" in capsys.readouterr().err
    assert kept.is_file() and not record.called
    monkeypatch.setattr("sys.argv", ["recording", "demo", "-p", "epochz", "3"])
    with pytest.raises(SystemExit):
        recording.main()
    assert "there is no parameter 'epochz'" in capsys.readouterr().err, "it is wrong with any seeds"
    monkeypatch.setattr("sys.argv", ["recording", "demo", "--compute", "--seeds", "0"])
    recording.main()
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
        monkeypatch.setattr(recording, name, MagicMock())
    monkeypatch.setattr(recording, "project_root", lambda: tmp_path)
    return tmp_path


def report(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr("sys.argv", ["recording", "small", "--report", *words])
    recording.main()


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
    assert chapter.read_bytes() == before and not recording.refresh_readme.called


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
    assert recording.refresh_readme.called


@pytest.mark.parametrize("failing", ["a chapter", "the pages"])
def test_a_report_that_is_cut_short_changes_nothing(
    failing: str, shown_run: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if failing == "a chapter":
        cells = [nbformat.v4.new_code_cell("raise KeyboardInterrupt")]
        second = shown_run / "book" / "02_base_model.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells), second)
    else:
        monkeypatch.setattr(recording, "write_run_pages", Mock(side_effect=KeyboardInterrupt))
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
        recording.main()
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
        recording.main()
    said = capsys.readouterr().err.splitlines()[-1]
    assert "no training that was recorded in recorded/small is one of this run" in said
    assert "which has epochs 3 instead of 14; accepted is" in said


def test_executed_notebook_is_clean_and_shows_the_named_run(tmp_path: Path) -> None:
    parameters = nbformat.v4.new_code_cell('profile = "recorded/other"')
    parameters.metadata["tags"] = ["parameters"]
    cells = [parameters, nbformat.v4.new_code_cell("import os; print(profile, os.getcwd())")]
    (tmp_path / "book").mkdir()
    path = tmp_path / "book" / "chapter.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    made, before = tmp_path / "made", path.read_bytes()
    made.mkdir()
    execute = partial(recording.execute_notebooks, tmp_path, into=made, profile="recorded/this")
    execute(left=["chapter"])
    executed = nbformat.read(made / "chapter.ipynb", as_version=4)
    assert executed.cells[1].outputs[0].text == f"recorded/other {path.parent}\n"
    execute()
    executed = nbformat.read(made / "chapter.ipynb", as_version=4)
    assert executed.cells[1].outputs[0].text == f"recorded/this {path.parent}\n"
    assert not any("execution" in cell.metadata for cell in executed.cells)
    assert path.read_bytes() == before
    for folder in (made, path.parent):
        assert [file.name for file in folder.iterdir()] == ["chapter.ipynb"]


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
    monkeypatch.setattr(recording, "project_root", lambda: tmp_path)
    monkeypatch.setattr("sys.argv", ["recording", *words])
    for name in ("DNALIB_DATA", "DNALIB_SPLIT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit) as ended:
        recording.main()
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]
