"""The campaign: steps within the time, and sets of files that bring everything back."""

import contextlib
import io
import json
import math
import os
import shutil
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import nbformat
import papermill
import pytest
from nbclient.exceptions import CellTimeoutError
from tiny import open_tiny

from dnalib.campaign import __main__ as command
from dnalib.campaign import estimates, steps, throughput
from dnalib.campaign.handout import WEIGHTS, Limits, artefact_files, choose, cut, hand_out
from dnalib.campaign.limits import CampaignError, Clock
from dnalib.campaign.pieces import Piece
from dnalib.campaign.restoring import restore
from dnalib.campaign.steps import Places, Step, parse_step, run_step
from dnalib.executing import KERNEL_START_SECONDS
from dnalib.runs import OutOfTime
from dnalib.runs.turns import TURNS

pytestmark = pytest.mark.slow

SMALL = Limits(files=4, file_bytes=40_000, total_bytes=100_000)
NAMES = ("01_data", "02_base_model", "03_cor")
APPENDIX = "A1_adaptive_attacks"


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be changed by a test."""
    moment = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: moment[0])
    return moment


def test_a_call_keeps_time_for_starting_and_for_writing_out(now: list[float]) -> None:
    clock = Clock(9)
    assert (clock.working(), clock.running()) == (500, 520)
    now[0] += 510
    assert (clock.seconds(), clock.working(), clock.running()) == (510, 0, 10)
    short = Clock(0.5)
    assert (short.working(), short.running()) == (20, 25)
    endless = Clock(None)
    assert endless.working() == endless.running() == math.inf


def test_what_came_before_the_call_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 470 < Clock(9, started=time.time() - 20).working() <= 480.1
    monkeypatch.setenv("DNALIB_STARTED", "12")
    assert command.call_began() == 12
    monkeypatch.delenv("DNALIB_STARTED")
    assert command.call_began() is None


def test_steps_are_read_as_written() -> None:
    assert parse_step("full:8") == Step("full", 8) and parse_step("paper") == Step("paper")
    assert [parse_step(text).name for text in ("full:8", "paper")] == ["full:8", "paper"]
    assert [parse_step(text).settings.epochs for text in command.STEPS] == [8, 20, 200]
    assert Step("full").full_size and not Step("small").full_size
    step = parse_step("full:8", others={"width": 0.5, "epochs": 3})
    assert step.settings.width == 0.5 and step.settings.epochs == 8 and not step.full_size
    with pytest.raises(CampaignError, match="step is 'full': width is 'wide'"):
        parse_step("full", others={"width": "wide"})


@pytest.mark.parametrize("text", ["full:", "full:0", "full:2.5", "full:8:9", "", "huge", "../x"])
def test_steps_that_are_refused(text: str) -> None:
    with pytest.raises(CampaignError, match="step is .*accepted are"):
        parse_step(text)


class Papermill:
    """In place of papermill: notes what is executed, takes a second each, and fails when told."""

    def __init__(self, now: list[float]) -> None:
        self.now = now
        self.calls: list[SimpleNamespace] = []
        self.failing: dict[str, Exception] = {}

    def execute_notebook(self, source, target, parameters, **options):
        self.calls.append(SimpleNamespace(name=source.stem, given=parameters, options=options))
        self.now[0] += 60
        Path(target).write_text("executed")
        if source.stem in self.failing:
            raise self.failing[source.stem]


@pytest.fixture
def kernel(now: list[float], monkeypatch: pytest.MonkeyPatch) -> Papermill:
    made = Papermill(now)
    monkeypatch.setattr(papermill, "execute_notebook", made.execute_notebook)
    return made


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which records there are, to be changed: they are not loaded."""
    found = ["some"]
    monkeypatch.setattr(steps, "records_of", lambda step, places: found[-1])
    return found


@pytest.fixture
def places(tmp_path: Path, records: list[str]) -> Places:
    """A project of three chapters and an appendix, older than whatever is executed."""
    (tmp_path / "book").mkdir()
    (tmp_path / "dnalib").mkdir()
    (tmp_path / "dnalib" / "module.py").touch()
    for name in (*NAMES, APPENDIX):
        nbformat.write(nbformat.v4.new_notebook(), tmp_path / "book" / f"{name}.ipynb")
    for path in [*tmp_path.glob("*/*")]:
        os.utime(path, (1000, 1000))
    return Places(tmp_path, tmp_path / "runs", data="records")


def executed(kernel: Papermill) -> list[str]:
    names = [call.name for call in kernel.calls]
    kernel.calls.clear()
    return names


def failure(name: str, value: str) -> papermill.PapermillExecutionError:
    return papermill.PapermillExecutionError(
        cell_index=0, exec_count=1, source="", ename=name, evalue=value, traceback=["where"]
    )


def test_a_step_executes_every_chapter_once(kernel: Papermill, places: Places) -> None:
    run_step(Step("demo", 2), places, Clock(9))
    given = kernel.calls[1].given
    assert given["profile"] == "demo" and given["epochs"] == 2
    assert given["runs_folder"] == str(places.runs) and given["data"] == str(Path.cwd() / "records")
    assert given["max_minutes"] == pytest.approx((500 - 60) / 60)
    assert "split" not in given
    assert kernel.calls[1].options["timeout_func"](None) == 520 - 180
    assert executed(kernel) == list(NAMES)
    run_step(Step("demo", 2), places, Clock(9))
    assert executed(kernel) == []
    run_step(Step("demo"), places, Clock(None))
    assert "epochs" not in kernel.calls[0].given and "max_minutes" not in kernel.calls[0].given
    assert kernel.calls[0].options["timeout_func"](None) is None
    assert kernel.calls[0].options["start_timeout"] == KERNEL_START_SECONDS
    assert executed(kernel) == list(NAMES), "other epochs are another run beside the first"
    assert len(list(places.runs.glob("demo/book/*.ipynb"))) == 3
    assert len(list(places.runs.glob("demo/book-epochs-2/*.ipynb"))) == 3
    changed = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("another")])
    nbformat.write(changed, places.root / "book" / "02_base_model.ipynb")
    run_step(Step("demo", 2), places, Clock(9))
    assert executed(kernel) == ["02_base_model"]
    (places.root / "dnalib" / "module.py").write_text("changed = True")
    run_step(Step("demo", 2), places, Clock(9))
    assert executed(kernel) == list(NAMES)


def test_other_settings_and_other_records_are_executed_anew(
    kernel: Papermill,
    places: Places,
    records: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_step(Step("demo", 2), places, Clock(None))
    assert executed(kernel) == list(NAMES)
    records.append("others")
    run_step(Step("demo", 2), places, Clock(None))
    assert executed(kernel) == list(NAMES)
    other = replace(Step("demo").settings, pgd_steps=7)
    monkeypatch.setattr(steps, "load_profile", lambda profile: other)
    run_step(Step("demo", 2), places, Clock(None))
    assert executed(kernel) == list(NAMES), "the profile's file was edited"
    run_step(Step("demo", 2), places, Clock(None))
    assert executed(kernel) == []


def test_the_records_of_a_step_are_those_that_its_chapters_read(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path / "runs")
    few, more = (
        steps.records_of(Step("demo", others={"synthetic_records": number}), places)
        for number in (20, 24)
    )
    assert few != more
    with pytest.raises(CampaignError, match="^small: .*nowhere"):
        steps.records_of(Step("small"), replace(places, data=str(tmp_path / "nowhere")))


def test_what_one_machine_executed_the_next_does_not(
    kernel: Papermill, places: Places, tmp_path: Path
) -> None:
    with pytest.raises(OutOfTime, match="03_cor"):
        run_step(Step("demo", 2), places, Clock(2.5))
    assert executed(kernel) == ["01_data", "02_base_model"]
    hand_out(places.runs, tmp_path / "out", limits=Limits())
    fresh = replace(places, runs=tmp_path / "fresh")
    restore([tmp_path / "out"], fresh.runs)
    run_step(Step("demo", 2), fresh, Clock(9))
    assert executed(kernel) == ["03_cor"]
    run_step(Step("demo", 3), fresh, Clock(9))
    assert executed(kernel) == list(NAMES)


def test_a_call_ends_between_chapters_or_where_a_chapter_ran_out_of_time(
    kernel: Papermill, places: Places, now: list[float]
) -> None:
    with pytest.raises(OutOfTime, match="demo, chapter 03_cor: it is not begun; call again"):
        run_step(Step("demo"), places, Clock(2.5))
    assert executed(kernel) == ["01_data", "02_base_model"]
    kernel.failing["03_cor"] = failure("OutOfTime", "max_minutes is over: cor1 has 1 of 6 epochs")
    with pytest.raises(OutOfTime, match="demo, chapter 03_cor: .* cor1 has 1 of 6 epochs"):
        run_step(Step("demo"), places, Clock(9))
    kernel.failing["03_cor"] = CellTimeoutError("cell timed out")
    with pytest.raises(OutOfTime, match="stopped within a stage; call again to go on"):
        run_step(Step("demo"), places, Clock(9))
    assert executed(kernel) == ["03_cor"] * 2
    assert sorted(path.name for path in places.runs.glob("demo/book/*")) == [
        "01_data.ipynb",
        "02_base_model.ipynb",
    ], "a chapter that did not end is executed again"
    kernel.failing.clear()
    run_step(Step("demo"), places, Clock(9))
    assert executed(kernel) == ["03_cor"]


def test_a_chapter_that_fails_is_an_error(
    kernel: Papermill, places: Places, capsys: pytest.CaptureFixture
) -> None:
    kernel.failing["01_data"] = failure("DataError", "A00001 is damaged")
    with pytest.raises(CampaignError, match="^01_data failed: DataError: A00001 is damaged$"):
        run_step(Step("demo"), places, Clock(9))
    assert "where" in capsys.readouterr().err
    assert not list(places.runs.rglob("*.ipynb"))


def test_a_stage_that_outlasts_the_call_is_stopped_by_force(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = nbformat.v4.new_code_cell("import time\ntime.sleep(60)")
    notebook = nbformat.v4.new_notebook(
        cells=[cell],
        metadata={"kernelspec": {"name": "python3", "language": "python", "display_name": "-"}},
    )
    nbformat.write(notebook, places.root / "book" / "01_data.ipynb")
    monkeypatch.setattr(steps, "notebook_parameters", lambda *given: {})
    monkeypatch.setattr(steps, "seconds_for_a_cell", lambda clock: 1)
    started = time.monotonic()
    with pytest.raises(OutOfTime, match="stopped within a stage"):
        run_step(Step("demo"), places, Clock(None))
    assert time.monotonic() - started < 30
    assert not list(places.runs.rglob("*.ipynb"))


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a finished model, other artefacts, and a training that was cut off."""
    folder = tmp_path_factory.mktemp("computed")
    run = open_tiny(folder, synthetic_records=80, length=300, width=0.02)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for name in ("survey", "features-base", "perturbations-strip-10"):
            run.obtain(name)
        run.minutes_left = lambda: 1e-9
        with pytest.raises(OutOfTime):
            run.obtain("cor1")
    (folder / "campaign").mkdir()
    (folder / "campaign" / "benchmark-training-cpu-1.json").write_text("{}")
    return folder


@pytest.fixture
def runs(computed: Path, tmp_path: Path) -> Path:
    """The same, to be changed by a test."""
    return shutil.copytree(computed, tmp_path / "runs")


def contents(folder: Path) -> dict[str, bytes]:
    """What a folder of runs holds that a campaign hands out."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "ledger.json"]
    paths = [path for path in paths if path.parent.name != TURNS]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def is_handed_out(path: str) -> bool:
    return not (path.startswith("tiny/perturbations") or "synthetic" in path or "cache" in path)


def test_what_was_handed_out_comes_back_as_it_was(runs: Path, tmp_path: Path) -> None:
    lines = hand_out(runs, tmp_path / "out", limits=Limits())
    assert lines[0].startswith("handed out 9 files") and len(lines) == 1
    expected = {path: text for path, text in contents(runs).items() if is_handed_out(path)}
    assert len(expected) == 9 and any("checkpoints/cor1" in path for path in expected)
    restore([tmp_path / "out"], tmp_path / "fresh")
    assert contents(tmp_path / "fresh") == expected
    assert hand_out(runs, tmp_path / "next", limits=Limits()) == ["nothing new to hand out"]
    assert hand_out(tmp_path / "fresh", tmp_path / "next", limits=Limits()) == [
        "nothing new to hand out"
    ], "what came back is not handed out again"
    assert not (tmp_path / "next").exists()
    restore([tmp_path / "out"], tmp_path / "fresh")  # again: the same files are there


def test_a_restored_run_goes_on_where_it_stopped(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    hand_out(runs, tmp_path / "out", limits=Limits())
    restore([tmp_path / "out"], tmp_path / "fresh")
    run = open_tiny(tmp_path / "fresh", synthetic_records=80, length=300, width=0.02)
    capsys.readouterr()
    run.obtain("cor1")
    printed = capsys.readouterr().out
    assert "base: computing" not in printed
    assert "epoch   1/3" not in printed and "epoch   2/3" in printed and "epoch   3/3" in printed


def test_every_file_and_call_stays_within_its_limits(runs: Path, tmp_path: Path) -> None:
    restored = []
    for number in range(20):
        output = tmp_path / f"out{number}"
        lines = hand_out(runs, output, limits=SMALL, split_large=True)
        if lines == ["nothing new to hand out"]:
            break
        sizes = [path.stat().st_size for path in output.iterdir()]
        assert len(sizes) <= SMALL.files and max(sizes) <= SMALL.file_bytes
        assert sum(sizes) <= SMALL.total_bytes
        restored.append(output)
    assert 1 < len(restored) < 19
    first = json.loads(next(restored[0].glob("*.json")).read_text())["pieces"]
    assert first[0]["path"].startswith("tiny/base-"), "weights come first"
    lines = restore(restored, tmp_path / "fresh")
    expected = {path: text for path, text in contents(runs).items() if is_handed_out(path)}
    assert contents(tmp_path / "fresh") == expected and len(lines) == 1


def test_the_weights_of_every_training_come_first(tmp_path: Path) -> None:
    # Rivals and further members as well: what is lost of them takes as long to train again.
    trained = ["base", "fdec2", "cor3", "fdec4", "adversarial-dec1", "parallel", "wide"]
    others = ["natural-base", "parallel1", "adaptive-parallel-50", "features-wide", "effect-fit"]
    (tmp_path / "full").mkdir()
    for age, name in enumerate([*others, *trained]):  # older ones would be handed out first
        path = tmp_path / "full" / f"{name}-0123.safetensors"
        path.touch()
        os.utime(path, (age, age))
        path.with_name(f"{path.name}.json").write_text(json.dumps({"name": name, "sha256": "0"}))
    kinds = {path.name.split("-0123")[0]: kind for (kind, _), path in artefact_files(tmp_path)}
    assert {name for name, kind in kinds.items() if kind == WEIGHTS} == set(trained)
    assert set(kinds) == {*trained, *others}


def piece(path: str, size: int) -> Piece:
    return Piece(path, 0, size, size, "0")


def test_what_does_not_fit_waits_and_only_a_last_call_splits_it() -> None:
    pieces = [piece("a", 50_000), piece("large", 150_000), piece("b", 60_000), piece("c", 1_000)]
    chosen, waiting = choose(pieces, limits=SMALL, split_large=False)
    assert [item.path for item in chosen] == ["a", "c"]
    assert [item.path for item in waiting] == ["large", "b"]
    chosen, waiting = choose(pieces, limits=SMALL, split_large=True)
    assert [item.path for item in chosen] == ["a", "large"]
    assert [item.path for item in waiting] == ["large", "b", "c"]
    assert chosen[1].bytes == waiting[0].offset and waiting[0].bytes + chosen[1].bytes == 150_000


def test_a_description_waits_for_what_it_describes() -> None:
    pieces = [piece("a.safetensors", 150_000), piece("a.safetensors.json", 100)]
    pieces += [piece("epoch3-part2of2.safetensors", 150_000), piece("epoch3.json", 100)]
    pieces += [piece("survey.json", 2), piece("survey.json.json", 100)]
    for split_large in (False, True):
        chosen, _ = choose(pieces, limits=SMALL, split_large=split_large)
        names = {item.path for item in chosen} - {"a.safetensors"}
        assert names == (set() if split_large else {"survey.json", "survey.json.json"})
    assert len(choose(pieces[1:2] + pieces[3:], limits=SMALL, split_large=False)[0]) == 4


FULL_SIZE = (15_000_000,) * 4 + (5_800_000,)  # a full-size checkpoint's parts, 65.8 MB


def test_a_full_size_checkpoint_goes_as_a_whole_or_waits() -> None:
    name = "full/checkpoints/cor1-1/epoch3"
    parts = [
        piece(f"{name}-part{number}of5.safetensors", size)
        for number, size in enumerate(FULL_SIZE, start=1)
    ]
    checkpoint = [*parts, piece(f"{name}.json", 20_000)]
    for split_large in (False, True):
        choice = choose(checkpoint, limits=Limits(), split_large=split_large)
        assert choice == (checkpoint, [])
        weights = [piece("full/base-1.safetensors", 11_000_000)]
        survey = [piece("full/survey-1.json", 1_000)]
        choice = choose([*weights, *checkpoint, *survey], limits=Limits(), split_large=split_large)
        assert choice == ([*weights, *survey], checkpoint)
    assert Limits().total_bytes <= 64 * 2**20, "what a machine lets out"
    tight = Limits(total_bytes=60_000_000)
    assert choose(checkpoint, limits=tight, split_large=False) == ([], checkpoint)
    chosen, waiting = choose(checkpoint, limits=tight, split_large=True)
    assert sum(item.bytes for item in chosen + waiting) == sum(FULL_SIZE) + 20_000
    assert choose(waiting, limits=tight, split_large=True) == (waiting, [])


def test_a_checkpoint_that_does_not_fit_is_said_and_no_failure(runs: Path, tmp_path: Path) -> None:
    lines = hand_out(runs, tmp_path / "out", limits=SMALL)
    assert any(
        "not handed out for want of room" in line and "--minutes 0" in line for line in lines
    )


@pytest.mark.parametrize("sizes", [[], [5], [4], [4, 4], [1, 2, 3, 4, 5], [17, 0, 1]])
def test_a_stream_is_cut_without_loss(sizes: list[int]) -> None:
    content = bytes(range(sum(sizes)))
    stream, position = [], 0
    for size in sizes:
        stream.append(content[position : position + size])
        position += size
    parts = list(cut(stream, size=4))
    assert b"".join(parts) == content
    assert all(len(part) == 4 for part in parts[:-1]) and all(parts)


@pytest.fixture
def handed(runs: Path, tmp_path: Path) -> list[Path]:
    hand_out(runs, tmp_path / "out", limits=Limits(file_bytes=60_000))
    return sorted((tmp_path / "out").iterdir())


def test_damaged_and_incomplete_sets_are_refused(handed: list[Path], tmp_path: Path) -> None:
    manifest, first, *others = handed
    assert others, "several volumes"
    fresh = tmp_path / "fresh"
    with pytest.raises(CampaignError, match="is incomplete: .*part1 was not given"):
        restore([manifest, *others], fresh)
    with pytest.raises(CampaignError, match=r"part1 came without its manifest .*\.json"):
        restore([first], fresh)
    with pytest.raises(CampaignError, match="no such file"):
        restore([manifest, tmp_path / "absent"], fresh)
    with pytest.raises(CampaignError, match="no set was found"):
        restore([tmp_path / "runs"], fresh)
    whole = first.read_bytes()
    for damaged in (whole[:-1], whole[:100] + b"x" + whole[101:]):
        first.write_bytes(damaged)
        with pytest.raises(CampaignError, match="part1 is damaged"):
            restore(handed, fresh)
    first.write_bytes(whole)
    text = manifest.read_text()
    manifest.write_text(text[:-20])
    with pytest.raises(CampaignError, match=r"\.json is damaged"):
        restore(handed, fresh)
    for path in ("../escaped", "/etc/passwd", "tiny/../../x", "plain"):
        content = json.loads(text)
        content["pieces"][0]["path"] = path
        manifest.write_text(json.dumps(content))
        with pytest.raises(CampaignError, match="which is no file of a run"):
            restore(handed, fresh)
    assert not fresh.exists()
    manifest.write_text(text)
    restore(handed, fresh)


def test_a_different_file_is_never_overwritten(handed: list[Path], tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    name = json.loads(handed[0].read_text())["pieces"][-1]["path"]
    (fresh / name).parent.mkdir(parents=True)
    (fresh / name).write_text("mine")
    with pytest.raises(CampaignError, match="is there already and differs"):
        restore(handed, fresh)
    assert list(contents(fresh).values()) == [b"mine"], "nothing is restored in part"


def written_again(sidecar: Path, **changes: object) -> None:
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), **changes}))


def test_what_two_machines_made_alike_is_no_conflict(runs: Path, tmp_path: Path) -> None:
    """As bare machines make the survey anew, each with its own date."""
    other = shutil.copytree(runs, tmp_path / "other")
    for sidecar in other.glob("tiny/*.json.json"):
        written_again(sidecar, created="later", seconds=77.0)
    (base,) = other.glob("tiny/base-*.safetensors.json")
    history = json.loads(base.read_text())["results"]
    history["history"]["seconds"] = [9.0, 9.0, 9.0]
    written_again(base, created="later", results=history)
    for folder in (runs, other):
        hand_out(folder, tmp_path / f"out-{folder.name}", limits=Limits())
    outputs = [tmp_path / "out-runs", tmp_path / "out-other"]
    restore(outputs, tmp_path / "together")
    for output in outputs:
        restore([output], tmp_path / "in turn")
    for name in ("together", "in turn"):
        restored = (tmp_path / name / base.relative_to(other)).read_bytes()
        assert restored == (runs / base.relative_to(other)).read_bytes(), "the first one's"
    history["history"]["test_accuracy"][0] += 0.1
    written_again(base, results=history)
    hand_out(other, tmp_path / "differs", limits=Limits())
    with pytest.raises(CampaignError, match="is there already and differs"):
        restore([tmp_path / "differs"], tmp_path / "in turn")
    with pytest.raises(CampaignError, match="differs between the sets given"):
        restore([tmp_path / "out-runs", tmp_path / "differs"], tmp_path / "fresh")
    assert not (tmp_path / "fresh").exists()


def test_a_set_that_a_call_was_killed_over_is_passed_over(
    handed: list[Path], tmp_path: Path
) -> None:
    orphan = handed[1].with_name("20000101-000000-abcd.part1")
    shutil.copy(handed[1], orphan)
    with pytest.warns(UserWarning, match=f"without its manifest: .*{orphan.name}"):
        restore([tmp_path / "out"], tmp_path / "fresh")
    assert any("base" in path for path in contents(tmp_path / "fresh"))


def test_files_that_are_half_written_disturb_nothing(runs: Path) -> None:
    before = steps.finished_stages(runs)
    assert len(before) == 4
    (runs / "tiny" / ".survey-0123.json").touch()
    (runs / "tiny" / "survey-0123.json.json").touch()
    assert steps.finished_stages(runs) == before


def test_a_training_s_state_is_handed_out_until_its_weights_have_their_provenance(
    runs: Path, tmp_path: Path
) -> None:
    (checkpoint,) = runs.glob("tiny/checkpoints/cor1-*")
    weights = checkpoint.parent.parent / f"{checkpoint.name}.safetensors"
    weights.touch()
    hand_out(runs, tmp_path / "out", limits=Limits())
    restore([tmp_path / "out"], tmp_path / "fresh")
    assert list(tmp_path.glob("fresh/tiny/checkpoints/cor1-*/*.safetensors"))


SCRIPT = """import argparse, json
import beside
options = argparse.ArgumentParser()
options.add_argument("--device"), options.add_argument("--quick", action="store_true")
given = options.parse_args()
print("measuring")
print(json.dumps({"epoch_seconds": 6.0, "device": given.device, "quick": given.quick}))
"""


def test_the_machine_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "beside.py").touch()
    (folder / "training.py").write_text(SCRIPT)
    (folder / "attacks.py").write_text("raise SystemExit('no')")
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    found = throughput.measure(tmp_path, tmp_path / "runs", Clock(9), device="cpu")
    assert found == {"training": {"epoch_seconds": 6.0, "device": "cpu", "quick": True}}
    (folder / "training.py").write_text("raise SystemExit('not again')")
    (folder / "attacks.py").write_text(SCRIPT)
    assert throughput.measure(tmp_path, tmp_path / "runs", Clock(9), device="cpu") == found
    (folder / "attacks.py").write_text("raise SystemExit('no')")
    assert throughput.measure(tmp_path, tmp_path / "runs", Clock(9), device="cpu") == found
    monkeypatch.setattr(throughput, "machine", lambda: "another")
    assert throughput.measure(tmp_path, tmp_path / "runs", Clock(9), device="cpu") == {}


def test_a_benchmark_that_was_stopped_is_tried_again_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    script = tmp_path / "benchmarks" / "training.py"
    script.parent.mkdir()
    script.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(throughput, "LONGEST", {"training": 0.2})
    measure = partial(throughput.measure, tmp_path, tmp_path / "runs", device="cpu")
    assert measure(Clock(9)) == {}
    assert "training.py gave no numbers within 0.2 s" in capsys.readouterr().out
    script.write_text(f"print({json.dumps(json.dumps({'epoch_seconds': 6.0}))})")
    monkeypatch.setattr(throughput, "LONGEST", {"training": 30.0})
    assert measure(Clock(9)) == {"training": {"epoch_seconds": 6.0}}
    script.write_text("raise SystemExit('not again')")
    assert measure(Clock(9)) == {"training": {"epoch_seconds": 6.0}}


def test_a_benchmark_that_is_always_stopped_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def stopped(script: Path, *, device: str, longest: float) -> dict:
        calls.append(longest)
        return {throughput.STOPPED: longest, "when": len(calls)}

    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "training.py").touch()
    monkeypatch.setattr(throughput, "run_benchmark", stopped)
    for minutes in (5, 9, 9, 9):
        measured = throughput.measure(tmp_path, tmp_path / "runs", Clock(minutes), device="cpu")
        assert measured == {}
        assert minutes == 9 or not calls, "five minutes leave too little for the steps after it"
    assert calls == [240.0, 240.0]


def test_a_call_that_began_a_while_ago_measures_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a fresh machine a minute of nine is over when all is unpacked and imported.
    allowed = {}

    def quick(script: Path, *, device: str, longest: float) -> dict:
        allowed[script.stem] = longest
        return {"epoch_seconds": 6.0}

    (tmp_path / "benchmarks").mkdir()
    for name in throughput.LONGEST:
        (tmp_path / "benchmarks" / f"{name}.py").touch()
    monkeypatch.setattr(throughput, "run_benchmark", quick)
    throughput.measure(
        tmp_path, tmp_path / "runs", Clock(9, started=time.time() - 60), device="cpu"
    )
    assert allowed["attacks"] == 120
    assert allowed["training"] == pytest.approx(220, abs=5) == allowed["decorrelation"]


def test_an_estimate_counts_the_attacks_and_every_training() -> None:
    found = {"training": {"epoch_seconds": 6.0}}
    lines = estimates.estimates([Step("full", 8), Step("demo"), Step("paper")], found)
    assert lines == [
        "an epoch at full size takes 6.0 s on this machine",
        "full:8: 10 trainings of 8 epochs about 8 min, attacks not measured; "
        "inference and appendices not counted",
        "paper: 10 trainings of 200 epochs about 200 min, attacks not measured; "
        "inference and appendices not counted",
    ]
    found["attacks"] = {"gradient_seconds": {"32-true": {"strip": 0.01, "mask": 0.005}}}
    _, line = estimates.estimates([Step("full", 8)], found)
    # 853 records, five ε of 20 + 40 steps in both modes, and three times 20 at one ε.
    assert "attacks at most 73 min" in line and 853 * (360 * 0.01 + 300 * 0.005) / 60 == (
        pytest.approx(72.5, abs=0.1)
    )
    _, line = estimates.estimates([Step("full", 8, {"attack_records": 100})], found)
    assert "attacks at most 8 min" in line
    assert estimates.estimates([Step("full")], {}) == []
    (line,) = estimates.estimates([Step("full")], {"training": {"seconds": 6}})
    assert "no epoch_seconds" in line


def test_appendices_follow_the_chapters_of_every_step(
    kernel: Papermill, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "measure", lambda *given, **options: {})
    begun = [Step("demo", 2, {"seed": 1}), Step("demo")]
    assert command.compute(begun, places, Clock(None), later=begun[:1], device="cpu") == 0
    assert [call.given.get("seed") for call in kernel.calls] == [1, 1, 1, None, None, None, 1]
    assert executed(kernel) == [*NAMES, *NAMES, APPENDIX]
    assert (places.runs / "demo" / "book-epochs-2_seed-1" / f"{APPENDIX}.ipynb").is_file()


def test_a_call_may_leave_the_machine_unmeasured(
    kernel: Papermill, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "find_places", lambda options: places)
    monkeypatch.setattr(command, "measure", lambda *given, **options: pytest.fail("measured"))
    assert command.main(["--steps", "demo", "--device", "cpu", "--unmeasured"]) == 0
    assert executed(kernel) == [*NAMES]


def test_the_command_hands_out_what_is_there_whatever_happens(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    words = ["--runs-folder", str(runs), "--steps", "demo:2", "demo", "--minutes", "9"]

    def go(ending: Exception | None, *more: str) -> tuple[int, str]:
        def end(step: Step, places: Places, clock: Clock, **options: str) -> None:
            if ending:
                raise ending

        monkeypatch.setattr(command, "run_step", end)
        monkeypatch.setattr(command, "measure", lambda *given, **options: {})
        status = command.main([*words, *more])
        return status, capsys.readouterr().out

    status, printed = go(OutOfTime("demo:2, chapter 03_cor: late"), "--output", str(tmp_path / "a"))
    assert status == 0 and "next: demo:2, chapter 03_cor: late" in printed
    assert "handed out 9 files" in printed and len(list((tmp_path / "a").iterdir())) == 2
    again = ("--again", "--output", str(tmp_path / "b"))
    status, printed = go(CampaignError("01_data failed"), *again)
    assert status == 1 and "handed out 9 files" in printed
    status, printed = go(
        ZeroDivisionError("unforeseen"), "--again", "--output", str(tmp_path / "d")
    )
    assert status == 1 and "handed out 9 files" in printed
    status, printed = go(None, "--output", str(tmp_path / "c"))
    assert status == 0 and "the chapters of all steps are done: demo:2 demo" in printed
    assert "nothing new" in printed
    status, printed = go(None, "--appendices", "demo", "-p", "seed", "1")
    assert status == 0 and "the appendices are done: demo\n" in printed
    restored = ["--runs-folder", str(tmp_path / "fresh"), "--unpack", str(tmp_path / "a")]
    assert command.main(restored) == 0 and (tmp_path / "fresh" / "tiny").is_dir()


def test_a_call_of_no_minutes_only_hands_out(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "compute", lambda *given, **options: pytest.fail("computed"))
    words = ["--runs-folder", str(runs), "--minutes", "0", "--output", str(tmp_path / "out")]
    assert command.main([*words, "--total-megabytes", "0.1", "--files", "3"]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--steps", "huge"], "error: step is 'huge'"),
        (["-p", "speed", "2"], "error: step is 'full:8': there is no parameter 'speed'"),
        (["-p", "epochs", "["], "error: epochs is '[', which is no value"),
        (["--files", "1"], "error: files is 1; accepted are numbers from 2"),
        (["--unpack", "nowhere"], "error: nowhere: there is no such file or folder"),
    ],
)
def test_what_the_command_refuses_is_one_sentence(
    words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert command.main(["--runs-folder", str(tmp_path), *words]) == 1
    assert capsys.readouterr().err.startswith(sentence)


def test_the_help_gives_the_commands_for_a_load_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit):
        command.main(["-h"])
    printed = capsys.readouterr().out
    assert "git sparse-checkout set --no-cone /.gitignore /Makefile " in printed
    assert "git sparse-checkout disable " in printed and "DNALIB_WORK=FOLDER " in printed
