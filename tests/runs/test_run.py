"""Runs: one that computes what it lacks, in order and once, and one that is only read."""

import dataclasses
import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from dnalib.files import file_sha256
from dnalib.runs import (
    ArtefactError,
    ComputingRun,
    OutOfTime,
    ParameterError,
    RecordedRun,
    Stage,
    folders,
    load_profile,
    project_root,
)
from dnalib.runs.settings import setting_names
from dnalib.runs.turns import turn

DEMO = dataclasses.replace(load_profile("demo"), epochs=4, seed=0)


class Kitchen:
    """Three stages that write down when they are computed."""

    def __init__(self, folder):
        self.folder = folder
        self.order = []
        self.failing = False

    def stage(self, name, settings, inputs):
        def compute(run, path):
            self.order.append(name)
            if self.failing and name == "soup":
                path.write_text("half")
                raise RuntimeError("burnt")
            parts = [run.obtain(needed).path.read_text() for needed in inputs]
            values = [str(getattr(run.settings, setting)) for setting in settings]
            path.write_text(f"{name}({','.join(values + parts)})")
            return {"name": name}

        return Stage(name, ".txt", settings, inputs, compute)

    def run(self, *, records="r", max_minutes=None, **changes):
        stages = [
            self.stage("soup", ("epochs",), ("stock", "herbs")),
            self.stage("stock", ("seed",), ()),
            self.stage("herbs", (), ()),
            self.stage("bread", ("width",), ()),
        ]
        return ComputingRun(
            profile="demo",
            settings=dataclasses.replace(DEMO, **changes),
            folder=self.folder / "demo",
            root=self.folder,
            make_stages=lambda settings: {stage.name: stage for stage in stages},
            load_dataset=lambda run: SimpleNamespace(identity=records),
            max_minutes=max_minutes,
        )


@pytest.fixture
def kitchen(tmp_path):
    return Kitchen(tmp_path)


def test_a_variant_is_the_run_but_for_its_settings_and_what_it_computes(kitchen):
    variants = []

    def compute(run, path):
        variants.append(run.variant({"seed": 5}))
        assert run.portions().folder is not None and variants[0].portions().folder is None
        path.write_text("")
        return {}

    run = kitchen.run(max_minutes=5)
    run.stages = {**run.stages, "feast": Stage("feast", ".txt", (), (), compute)}
    run.obtain("feast")
    (variant,) = variants
    assert variant.settings == dataclasses.replace(run.settings, seed=5)
    assert variant.dataset is run.dataset and 4.9 < variant.minutes_left() <= 5
    assert set(variant.stages) == {"soup", "stock", "herbs", "bread"}
    assert variant.obtain("soup").path.read_text() == "soup(4,stock(5),herbs())"
    assert run.settings.seed == 0 and run.obtain("stock").path.read_text() == "stock(0)"


def test_inputs_are_computed_first_and_everything_once(kitchen, capsys):
    artefact = kitchen.run().obtain("soup")
    assert kitchen.order == ["stock", "herbs", "soup"]
    assert artefact.path.read_text() == "soup(4,stock(0),herbs())"
    assert artefact.results == {"name": "soup"}
    assert "soup: computing" in capsys.readouterr().out
    for run in (kitchen.run(), kitchen.run()):  # other processes, later
        assert run.obtain("soup").path == artefact.path
        run.obtain("stock")
    assert kitchen.order == ["stock", "herbs", "soup"]
    assert capsys.readouterr().out == ""


def test_a_setting_changes_what_depends_on_it_alone(kitchen):
    first = kitchen.run()
    first.obtain("soup")
    kitchen.order.clear()
    changed = kitchen.run(epochs=9)
    assert changed.obtain("soup").path.read_text() == "soup(9,stock(0),herbs())"
    assert kitchen.order == ["soup"]
    kitchen.order.clear()
    assert kitchen.run(seed=5).obtain("soup").path.read_text() == "soup(4,stock(5),herbs())"
    assert kitchen.order == ["stock", "soup"]
    assert kitchen.run(width=0.5).identity("soup") == first.identity("soup")
    kitchen.order.clear()
    assert first.obtain("soup").path.read_text() == "soup(4,stock(0),herbs())"
    assert kitchen.order == []  # the first is kept beside the others


def test_an_inputs_setting_changes_the_identity_of_what_is_made_from_it(kitchen):
    def identities(**changes):
        run = kitchen.run(**changes)
        return [run.identity(name) for name in ("soup", "stock", "herbs", "bread")]

    same = [one == other for one, other in zip(identities(), identities(seed=1), strict=True)]
    assert same == [False, False, True, True]
    other_records = zip(identities(), identities(records="s"), strict=True)
    assert not any(one == other for one, other in other_records)


def test_a_damaged_input_is_made_again(kitchen):
    run = kitchen.run()
    run.obtain("soup").path.unlink()
    run.obtain("stock").path.write_text("mould")
    kitchen.order.clear()
    with pytest.warns(UserWarning, match="stock-.* is damaged"):
        assert run.obtain("soup").path.read_text() == "soup(4,stock(0),herbs())"
    assert kitchen.order == ["stock", "soup"]


def test_a_killed_computation_goes_on_where_it_stopped(kitchen):
    kitchen.failing = True
    with pytest.raises(RuntimeError, match="burnt"):
        kitchen.run().obtain("soup")
    assert not list((kitchen.folder / "demo").glob("*soup*"))
    kitchen.failing = False
    kitchen.order.clear()
    kitchen.run().obtain("soup")
    assert kitchen.order == ["soup"]


def test_nothing_more_is_begun_when_the_minutes_are_over(kitchen, monkeypatch):
    kitchen.run().obtain("stock")
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    run = kitchen.run(max_minutes=2)
    assert run.minutes_left() == 2
    now[0] += 90
    assert run.minutes_left() == 0.5
    run.obtain("bread")
    now[0] += 31
    assert run.minutes_left() == 0
    with pytest.raises(
        OutOfTime, match="^max_minutes is over: herbs is not begun; call again to g"
    ):
        run.obtain("soup")
    assert kitchen.order == ["stock", "bread"]
    assert run.obtain("stock").results == {"name": "stock"}, "what is finished is served"
    assert kitchen.run().minutes_left() is None
    assert kitchen.run().obtain("soup").results == {"name": "soup"}


def test_a_notebook_shows_one_sentence_when_the_minutes_are_over():
    assert OutOfTime("it is late")._render_traceback_() == ["OutOfTime: it is late"]


def test_a_stage_that_does_not_exist(kitchen):
    with pytest.raises(KeyError, match="pudding"):
        kitchen.run().obtain("pudding")


def test_records_are_loaded_once_and_late(tmp_path):
    loaded = []
    run = ComputingRun(
        profile="demo",
        settings=DEMO,
        folder=tmp_path,
        root=tmp_path,
        make_stages=lambda settings: {},
        load_dataset=lambda run: loaded.append(run) or SimpleNamespace(identity="r"),
    )
    assert loaded == []
    assert run.dataset is run.dataset
    assert loaded == [run]


@pytest.fixture
def recorded(tmp_path):
    """The folder of a recorded run with one artefact."""
    folder = tmp_path / "data" / "recorded" / "small"
    folder.mkdir(parents=True)
    weights = tmp_path / "data" / "weights" / "base.bin"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    entry = {
        "file": "../../weights/base.bin",
        "sha256": file_sha256(weights),
        "identity": "0123456789abcdef",
        "results": {"accuracy": 0.7},
    }
    settings = load_profile("small").values(setting_names())
    manifest = {"profile": "small", "settings": settings, "artefacts": {"base": entry}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_recorded_run_is_read(recorded, tmp_path):
    run = RecordedRun(recorded, root=tmp_path)
    assert run.recorded and run.profile == "recorded/small"
    assert run.settings == load_profile("small")
    base = run.obtain("base")
    assert base.path.read_bytes() == b"weights" and base.results == {"accuracy": 0.7}
    assert base.identity == "0123456789abcdef"


def test_a_recorded_run_refuses_another_value_and_says_what_to_do(recorded, tmp_path):
    run = RecordedRun(recorded, root=tmp_path)
    with pytest.raises(ParameterError, match="decorrelation_weight is 0.5 but.* 0.2.*-p prof"):
        run.check_unchanged({"decorrelation_weight": 0.5})
    with pytest.raises(ParameterError, match="epsilons is .*-p profile demo"):
        run.check_unchanged({"epsilons": [10]})
    with pytest.raises(ParameterError, match="epochs is 'many'"):
        run.check_unchanged({"epochs": "many"})


def test_a_recorded_run_accepts_the_values_that_it_has(recorded, tmp_path):
    run = RecordedRun(recorded, root=tmp_path)
    run.check_unchanged({"decorrelation_weight": 0.2, "epsilons": [10, 50, 75, 100, 150]})
    run.check_unchanged({"epochs": float(run.settings.epochs)})
    run.check_unchanged({})


def test_a_damaged_or_absent_recorded_file_is_noticed(recorded, tmp_path):
    weights = tmp_path / "data" / "weights" / "base.bin"
    run = RecordedRun(recorded, root=tmp_path)
    with pytest.raises(ArtefactError, match="recorded/small holds no 'dec1'.*-p profile demo"):
        run.obtain("dec1")
    weights.write_bytes(b"Weights")
    with pytest.raises(ArtefactError, match="base.bin is missing or damaged.*git checkout"):
        run.obtain("base")
    weights.unlink()
    with pytest.raises(ArtefactError, match="base.bin is missing or damaged"):
        run.obtain("base")


def test_a_run_that_was_not_recorded(recorded, tmp_path):
    with pytest.raises(ParameterError, match="'recorded/huge'; recorded are recorded/small"):
        RecordedRun(recorded.parent / "huge", root=tmp_path)
    with pytest.raises(ParameterError, match="recorded are none"):
        RecordedRun(tmp_path / "elsewhere" / "huge", root=tmp_path)


def test_further_seeds_are_read_with_the_run_that_they_belong_to(recorded, tmp_path):
    assert [run.settings.seed for run in RecordedRun(recorded, root=tmp_path).with_seeds()] == [0]
    manifest = json.loads((recorded / "manifest.json").read_text())
    for seed in (10, 2):
        (recorded / f"seed-{seed}").mkdir()
        changed = {**manifest, "settings": {**manifest["settings"], "seed": seed}}
        (recorded / f"seed-{seed}" / "manifest.json").write_text(json.dumps(changed))
    run = RecordedRun(recorded, root=tmp_path, place="somewhere")
    runs = run.with_seeds()
    assert [one.settings.seed for one in runs] == [0, 2, 10] and runs[0] is run
    assert [one.profile for one in runs[1:]] == ["recorded/small/seed-2", "recorded/small/seed-10"]
    assert {one.place for one in runs} == {"somewhere"}
    assert [one.settings.seed for one in run.with_seeds([0, 10])] == [0, 10]
    with pytest.raises(ParameterError, match="seeds begins with 10; .*small are .* begin with 0,"):
        run.with_seeds([10, 0])
    with pytest.raises(ParameterError, match="seeds has 3; recorded.* are 0, 2, 10; to compute"):
        run.with_seeds([0, 3])


def test_the_projects_folder_is_found_from_below(monkeypatch, tmp_path):
    for name in ("book", "dnalib", "deep/er"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "_toc.yml").touch()
    for below in ("book", "deep/er", "."):
        monkeypatch.chdir(tmp_path / below)
        assert project_root() == tmp_path.resolve()


def test_without_a_clone_one_learns_where_to_run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    library = Path(folders.__file__).resolve().parents[2]
    assert project_root() == library, "imported from a clone, it works from anywhere"
    monkeypatch.setattr(folders, "__file__", str(tmp_path / "site-packages/dnalib/runs/folders.py"))
    message = "nor .*site-packages, from .*; run this inside a clone .*, or `pip install -e .` one"
    with pytest.raises(FileNotFoundError, match=message):
        project_root()


def test_a_folder_that_cannot_be_written_is_named_by_its_parameter(kitchen):
    (kitchen.folder / "demo").write_text("a file")
    message = (
        f"runs_folder is '{kitchen.folder}', but nothing can be written in .*demo .*; accepted"
    )
    with pytest.raises(ParameterError, match=message):
        kitchen.run().obtain("stock")
    assert not kitchen.order


def test_an_error_of_the_computation_is_its_own(kitchen):
    def compute(run, path):
        raise OSError(28, "the oven is full")

    run = kitchen.run()
    run.stages = {**run.stages, "feast": Stage("feast", ".txt", (), (), compute)}
    with pytest.raises(OSError, match="the oven is full"):
        run.obtain("feast")


def test_a_whole_run_is_read_where_nothing_can_be_written(kitchen, monkeypatch):
    kitchen.run().obtain("soup")
    kitchen.order.clear()

    def refused(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refused)
    assert kitchen.run().obtain("soup").name == "soup" and not kitchen.order
    with pytest.raises(ParameterError, match=r"runs_folder .*\(Permission denied\); accepted"):
        kitchen.run().obtain("bread")


def test_what_another_process_made_meanwhile_is_taken(tmp_path):
    kitchen = Kitchen(tmp_path)
    waiting, beside = kitchen.run(), kitchen.run()
    find, looks = waiting.find, []

    def find_late(name):
        looks.append(name)
        if looks == ["stock"]:  # not there at the first look; then another process makes it
            beside.obtain("stock")
            return None
        return find(name)

    waiting.find = find_late
    assert waiting.obtain("stock").path.read_text() == "stock(0)"
    assert looks == ["stock", "stock"]
    assert kitchen.order == ["stock"], "it was computed twice"


def test_who_waits_in_vain_is_out_of_time(tmp_path):
    kitchen = Kitchen(tmp_path)
    run = kitchen.run(max_minutes=0.002)
    with turn(run.folder, f"stock-{run.identity('stock')}"):
        with pytest.raises(OutOfTime, match="stock is not begun"):
            run.obtain("stock")
    assert kitchen.order == []


def test_a_stage_keeps_its_portions_until_it_is_whole(tmp_path):
    def compute(run, path):
        one, other = run.portions(), run.portions("other part")
        kept = [sorted(one.read(made_for="r")), sorted(other.read(made_for="r"))]
        one.keep(f"portion-{len(kept[0])}", {}, made_for="r")
        other.keep("a", {}, made_for="r")
        if len(kept[0]) < 2:
            raise OutOfTime("max_minutes is over")
        path.write_text("whole")
        return {"kept": kept}

    stage = Stage("soup", ".txt", (), (), compute)
    run = ComputingRun(
        profile="demo",
        settings=DEMO,
        folder=tmp_path / "demo",
        root=tmp_path,
        make_stages=lambda settings: {"soup": stage},
        load_dataset=lambda run: SimpleNamespace(identity="r"),
    )
    for _ in range(2):
        with pytest.raises(OutOfTime):
            run.obtain("soup")
    assert run.portions_folder("soup").is_dir()
    assert run.obtain("soup").results == {"kept": [["portion-0", "portion-1"], ["a"]]}
    assert not run.portions_folder("soup").exists()
    assert run.portions().folder is None  # no stage of this run is being computed
