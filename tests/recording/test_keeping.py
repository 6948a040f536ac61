"""A recorded run holds what the figures need, exactly that run's numbers, and is put back."""

import json
import shutil
from pathlib import Path

import nbformat
import pytest
import torch
from safetensors.torch import load_file
from tiny import open_tiny

from dnalib import stages, tables
from dnalib.inference import infer
from dnalib.pages import numbers, write_run_pages
from dnalib.recording import contents, keeping, restoring
from dnalib.runs import ComputingRun, RecordedRun
from dnalib.stages import rivals
from dnalib.tables import seeds
from dnalib.workflow.chapters import appendix_stages, chapter_stages
from dnalib.workflow.variants import WorkflowError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recorded(tiny_run: ComputingRun) -> RecordedRun:
    return RecordedRun(keeping.record(tiny_run, further_seeds=[1]), root=tiny_run.root)


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
    assert set(second.manifest["artefacts"]) == {*contents.shown_of_each_seed(second.settings)}
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
    assert all(other.find(name) for name in contents.shown_of_each_seed(other.settings))


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
    absent = contents.check_chapters_are_held(run, further_seeds=())
    assert absent == [*appendix_stages(run.settings)] and len(absent) == 6
    recorded = RecordedRun(keeping.record(run, without=absent), root=tmp_path)
    held = recorded.manifest["artefacts"]
    assert set(held) == chapter_stages(run.settings).keys() & set(contents.shown(run))
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
        contents.check_chapters_are_held(chapters_alone, further_seeds=())
    show(tmp_path, "B2_bands", "recorded/small")
    with pytest.raises(WorkflowError, match="stages of seed 7 with these settings, first base;"):
        contents.check_chapters_are_held(chapters_alone, further_seeds=[7])
    for path in chapters_alone.folder.glob("natural-dec1-*"):
        path.unlink()
    with pytest.raises(WorkflowError, match="lacks 1 stages of seed 0 .* first natural-dec1; exec"):
        contents.check_chapters_are_held(chapters_alone, further_seeds=())


def test_a_whole_recorded_run_lacks_no_appendix(root: Path, recorded: RecordedRun) -> None:
    for run in (recorded, stages.open_run({"profile": "recorded/small"})):
        held = run.manifest["artefacts"].__contains__
        assert contents.absent_appendices(run.settings, is_held=held) == []


def test_finished_trainings_are_added_to_what_is_recorded(
    tiny_run: ComputingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny_run, "root", tmp_path)
    recorded, weights = keeping.recorded_folders(tiny_run)
    recorded.mkdir(parents=True), weights.mkdir(parents=True)
    (recorded / "manifest.json").write_text('{"artefacts": {"survey": {}}, "profile": "tiny"}')
    find = tiny_run.find
    monkeypatch.setattr(tiny_run, "find", lambda name: None if name == "dverge" else find(name))
    trainings = [name for name in rivals.TRAININGS if name != "dverge"]
    assert keeping.keep_trainings(tiny_run) == trainings
    manifest = json.loads((recorded / "manifest.json").read_text())
    assert manifest["profile"] == "tiny" and set(manifest["artefacts"]) == {"survey", *trainings}
    for name in trainings:
        kept = (recorded / manifest["artefacts"][name]["file"]).resolve()
        assert kept == weights / f"{name}.safetensors"
        assert kept.read_bytes() == tiny_run.obtain(name).path.read_bytes()
