"""Every stage of a run, on a tiny one: what it writes, and what each setting changes."""

import contextlib
import io
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny import EPSILONS, SETTINGS, open_tiny

from dnalib import attacks, losses, stages
from dnalib.data import DataError
from dnalib.inference import infer
from dnalib.model import Network
from dnalib.runs import ComputingRun, OutOfTime, ParameterError, artefacts, load_profile
from dnalib.runs.turns import TURNS
from dnalib.stages import ATTACKS, EARLIER, ENSEMBLES, MEMBERS, PADDINGS, perturbations
from dnalib.stages.members import round_weights
from dnalib.stages.survey import first_of_class


def tensors(run, name):
    return load_file(run.obtain(name).path)


@pytest.fixture(scope="module")
def natural(run):
    """Logits of each member on the test records, (record, class)."""
    return {member: tensors(run, f"natural-{member}")["logits"] for member in MEMBERS}


@pytest.fixture(scope="module")
def run(tiny_run):
    return tiny_run


@pytest.fixture(scope="module")
def folder(run):
    return run.root


def test_there_are_nine_members_in_four_ensembles():
    assert len(MEMBERS) == 9 and MEMBERS[0] == "base"
    assert {members[0] for members in ENSEMBLES.values()} == {"base"}
    for name, members in ENSEMBLES.items():
        assert members[1:] == (f"{name}1", f"{name}2")
    assert EARLIER == {
        "dec1": ("base",),
        "dec2": ("base", "dec1"),
        "fdec1": ("base",),
        "fdec2": ("base", "fdec1"),
    }


def test_members_stand_behind_their_filters():
    for member in MEMBERS:
        mask = getattr(stages.make_network(SETTINGS, member=member).fourier_filter, "mask", None)
        if not member.startswith("f"):
            assert mask is None
        else:
            # 0 Hz passes the first filter alone.
            assert len(mask) == 151 and mask[0] == (member[-1] == "1")
            assert (mask.diff() != 0).sum() == SETTINGS.bands - 1
        network = stages.make_network(SETTINGS, member=member)
        assert network.width == 0.05 and network.dropout.probability == SETTINGS.dropout


def test_a_second_call_finds_everything(run, folder, capsys):
    files = {path: path.stat().st_mtime_ns for path in (folder / "tiny").glob("*-*")}
    again = open_tiny(folder)
    for name in again.stages:
        again.obtain(name)
    assert capsys.readouterr().out == ""
    assert {path: path.stat().st_mtime_ns for path in (folder / "tiny").glob("*-*")} == files
    assert not list((folder / "tiny" / "checkpoints").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["file_sha256", "write_json"])
def test_a_training_whose_weights_were_not_kept_is_not_trained_again(
    tmp_path, monkeypatch, capsys, broken
):
    def killed(*arguments, **options):
        raise KeyboardInterrupt

    run = open_tiny(tmp_path)
    with monkeypatch.context() as context:
        context.setattr(artefacts, broken, killed)
        with pytest.raises(KeyboardInterrupt):
            run.obtain("base")
    assert "epoch   3/3" in capsys.readouterr().out and run.find("base") is None
    again = open_tiny(tmp_path)
    assert again.obtain("base").results["history"]["epoch"] == [1, 2, 3]
    assert "epoch" not in capsys.readouterr().out
    assert not again.checkpoint_folder("base").exists()


def test_survey(run):
    results = run.obtain("survey").results
    labels, split = run.dataset.records.labels, run.dataset.split
    assert results["records"] == 160 and len(split.test) == 16
    assert results["train"] == np.bincount(labels[split.train], minlength=4).tolist()
    assert results["test"] == np.bincount(labels[split.test], minlength=4).tolist()
    assert results["rows"] == len(run.dataset.rows) > 144
    counts = np.array(results["length_counts"])
    assert counts.shape == (4, 26) and len(results["length_edges"]) == 27
    assert counts.sum(axis=1).tolist() == np.bincount(labels).tolist()
    assert results["samples"] == run.dataset.records.lengths.sum()
    assert results["raw_units"][0] < 0 < results["raw_units"][1]


@pytest.mark.parametrize("member", MEMBERS)
def test_members(run, member):
    weights = tensors(run, member)
    assert weights.keys() == Network(width=0.05).state_dict().keys()
    for name, tensor in weights.items():
        if "running" in name:
            assert tensor.dtype == torch.float32
        elif "tracked" not in name:
            assert tensor.dtype == torch.float16
        assert torch.isfinite(tensor).all()
    results = run.obtain(member).results
    assert results["precision"] == "32-true"
    history = results["history"]
    assert history["epoch"] == [1, 2, 3] and len(history["test_accuracy"]) == 3
    decorrelated = member in EARLIER
    assert all((value is not None) == decorrelated for value in history["decorrelation_loss"])


def test_members_differ(run):
    first = {member: tensors(run, member)["conv2.weight"] for member in MEMBERS}
    for one in MEMBERS:
        for other in MEMBERS:
            assert (one == other) == torch.equal(first[one], first[other])


@pytest.mark.slow
def test_a_training_that_time_cuts_off_leaves_its_checkpoint_alone(tmp_path, run, monkeypatch):
    cut = open_tiny(tmp_path)
    monkeypatch.setattr(cut, "minutes_left", lambda: 1e-9)
    with pytest.raises(OutOfTime, match="base has 1 of 3 epochs; call again to go on"):
        cut.obtain("base")
    files = {path.relative_to(tmp_path / "tiny").as_posix() for path in cut.folder.rglob("*base*")}
    made = {name for name in files if not name.startswith(TURNS)}
    assert made == {f"checkpoints/base-{run.identity('base')}"}
    assert len(list(cut.folder.glob("checkpoints/base-*/epoch1*"))) == 2
    with pytest.raises(OutOfTime, match="survey is not begun"):
        open_tiny(tmp_path, max_minutes=1e-9).obtain("survey")
    # A setting that the base model's training does not follow is no reason to begin again.
    finished = open_tiny(tmp_path, max_minutes=10, decorrelation_weight=0.5, projected_dimension=7)
    assert finished.obtain("base").results["history"]["epoch"] == [1, 2, 3]
    weights, uninterrupted = tensors(finished, "base"), tensors(run, "base")
    assert all(torch.equal(weights[name], uninterrupted[name]) for name in uninterrupted)


class Enough(Exception):
    """Stops a training that was looked at."""


def test_what_each_member_is_trained_with(run, monkeypatch, tmp_path):
    seen = {}

    def spy(make_network, data, *, recipe, checkpoint, max_minutes, processes):
        seen[member] = (recipe, data)
        raise Enough

    monkeypatch.setattr(stages.members, "train", spy)
    for member in MEMBERS:
        with pytest.raises(Enough):
            stages.members.train_member(run, tmp_path / "weights", member=member)
        recipe, data = seen[member]
        assert recipe.batch_size == (64 if member == "base" else 80)
        assert recipe.epochs == 3 and recipe.learning_rate == SETTINGS.learning_rate
        if member in EARLIER:
            assert recipe.decorrelation_weight == run.settings.decorrelation_weight
            assert recipe.projected_dimension == run.settings.projected_dimension
        assert data.rows.tolist() == run.dataset.rows.tolist()
        assert data.labels.tolist() == run.dataset.records.labels[run.dataset.split.train].tolist()
        assert len(data.test_signals) == 16
        expected = [tensors(run, f"features-{one}")["features"] for one in EARLIER.get(member, ())]
        assert len(data.earlier) == len(expected)
        assert all(torch.equal(a, b) for a, b in zip(data.earlier, expected, strict=True))
    assert len({recipe.seed for recipe, _ in seen.values()}) == 9


def test_features_are_those_of_the_stored_weights(run):
    signals = run.dataset.signals(run.dataset.split.train)
    for member in ("base", "dec1", "fcor2"):
        features = tensors(run, f"features-{member}")["features"]
        assert features.shape == (144, 64) and features.dtype == torch.float32
        expected = infer(stages.load_member(run, member), signals, with_features=True)
        assert torch.allclose(features, expected, atol=1e-5)


def test_natural_logits_are_those_of_the_stored_weights(run, natural):
    test = run.dataset.split.test
    for member in MEMBERS:
        assert natural[member].shape == (16, 4) and natural[member].dtype == torch.float16
        network = stages.make_network(SETTINGS, member=member).eval()
        weights = {name: value.float() for name, value in tensors(run, member).items()}
        network.load_state_dict(weights)
        with torch.no_grad():
            expected = network(run.dataset.signals(test).float().unsqueeze(1))
        assert torch.allclose(natural[member].float(), expected, rtol=1e-3, atol=1e-3)
    labels = tensors(run, "natural-dec1")["labels"]
    assert labels.tolist() == run.dataset.records.labels[test].tolist()


def test_weights_are_rounded_and_statistics_are_not():
    torch.manual_seed(0)
    network = Network(width=0.02)
    network.bn1.running_var.fill_(1e6)  # beyond fp16
    rounded = round_weights(network)
    assert rounded["bn1.running_var"].tolist() == network.bn1.running_var.tolist()
    assert torch.equal(rounded["conv3.weight"], network.conv3.weight.half())


@pytest.mark.parametrize("number", [7e4, -7e4, math.inf, math.nan])
def test_weights_that_fp16_cannot_hold_are_not_stored(number):
    network = Network(width=0.02)
    with torch.no_grad():
        network.conv3.weight[0, 0, 0] = number
    reached = f"{abs(number):g}"
    message = f"conv3.weight reaches {reached}; accepted are finite numbers up to 65504"
    with pytest.raises(FloatingPointError, match=message):
        round_weights(network)


@pytest.mark.parametrize("number", [7e4, -7e4, math.inf])
def test_logits_that_fp16_cannot_hold_are_not_stored(run, tmp_path, monkeypatch, number):
    def answer(network, signals):
        return torch.full((len(signals), 4), number)

    for module in ("members", "perturbations"):
        monkeypatch.setattr(f"dnalib.stages.{module}.infer", answer)
    message = f"the largest logit of dec1 reaches {abs(number):g}; accepted .* lower learning_rate"
    with pytest.raises(FloatingPointError, match=message):
        run.stages["natural-dec1"].compute(run, tmp_path / "logits.safetensors")
    with pytest.raises(FloatingPointError, match="the largest logit under attack reaches"):
        run.stages["attacked-strip-50"].compute(run, tmp_path / "logits.safetensors")
    assert not list(tmp_path.iterdir())


def test_statistics_that_are_not_finite_are_not_stored():
    network = Network(width=0.02)
    network.bn1.running_var[0] = math.inf
    with pytest.raises(FloatingPointError, match="bn1.running_var reaches inf"):
        round_weights(network)


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_r_squared_within_each_ensemble(run, ensemble):
    results = run.obtain(f"r_squared-{ensemble}").results
    members = ENSEMBLES[ensemble]
    assert results["members"] == list(members) and results["rows"] == len(run.dataset.rows)
    rows = torch.from_numpy(run.dataset.rows)
    features = [tensors(run, f"features-{member}")["features"][rows] for member in members]
    for x in range(3):
        for y in range(3):
            value, adjusted = results["r_squared"][x][y], results["adjusted"][x][y]
            expected = losses.r_squared(features[x], features[y])
            if math.isnan(expected):  # features that never change, as a tiny network's may
                assert value is None and adjusted is None
            else:
                assert value == pytest.approx(expected)
                # Of features that never change, which no chance makes explain a thing, both are 0.
                assert adjusted < value or x == y or value == 0


def test_r_squared_goes_from_the_row_to_the_column(run):
    # Had it been stored the other way round, the test above would see it where the two differ.
    tables = [run.obtain(f"r_squared-{ensemble}").results["r_squared"] for ensemble in ENSEMBLES]
    pairs = [(table[x][y], table[y][x]) for table in tables for x in range(3) for y in range(x)]
    assert any(abs(one - other) > 1e-3 for one, other in pairs if None not in (one, other))


def attacked_records(run, name):
    crafted = tensors(run, name)
    records = run.dataset.split.test[crafted["positions"].numpy()]
    return crafted, records, run.dataset.valid(records)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_perturbations(run, natural, padding, epsilon):
    crafted, records, valid = attacked_records(run, f"perturbations-{padding}-{epsilon:g}")
    labels = run.dataset.labels(run.dataset.split.test)
    right = torch.nonzero(natural["base"].argmax(1) == labels).flatten()
    assert torch.equal(crafted["positions"], right)
    padded = ~valid.all(1)
    assert padded.any() and not padded.all()  # both kinds are among them
    for name in ATTACKS:
        delta = crafted[name]
        assert delta.shape == (len(records), 300) and delta.dtype == torch.float16
        assert not delta[~valid].any()
        assert delta.abs().max() <= epsilon
        assert (delta.abs().amax(1) > 0).all()
    # Two steps of ε / 10 from zero.
    steps = crafted["pgd"].float() / (epsilon / 10)
    assert set(steps.abs().round(decimals=2).unique().tolist()) <= {0.0, 1.0, 2.0}


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_both_modes_are_one_without_padding(run, epsilon):
    strip, _, valid = attacked_records(run, f"perturbations-strip-{epsilon:g}")
    mask, _, _ = attacked_records(run, f"perturbations-mask-{epsilon:g}")
    whole = valid.all(1)
    for name in ATTACKS:
        assert torch.equal(strip[name][whole], mask[name][whole])
        assert not torch.equal(strip[name][~whole], mask[name][~whole])


@pytest.mark.parametrize("padding", PADDINGS)
def test_perturbations_are_those_of_the_attacks(run, padding):
    crafted, records, valid = attacked_records(run, f"perturbations-{padding}-50")
    network = stages.load_member(run, "base")
    signals = run.dataset.signals(records).float().unsqueeze(1)
    options = {"epsilon": 50.0, "valid": valid.unsqueeze(1), "padding": padding}
    arguments = (network, signals, run.dataset.labels(records))
    expected = {
        "pgd": attacks.pgd(*arguments, steps=2, **options),
        "sap": attacks.sap(*arguments, steps=2, start_steps=2, **options),
    }
    for name in ATTACKS:
        difference = (crafted[name].float() - expected[name].squeeze(1)).abs()
        # The batches differ, and with them the rounding of gradients near zero.
        assert (difference < 0.1).double().mean() > 0.97


@pytest.mark.parametrize("padding", PADDINGS)
def test_logits_under_attack(run, natural, padding):
    crafted, records, _ = attacked_records(run, f"perturbations-{padding}-50")
    stored = run.obtain(f"attacked-{padding}-50")
    found = load_file(stored.path)
    assert stored.results["members"] == list(MEMBERS)
    assert stored.results["attacked"] == len(records)
    assert torch.equal(found["positions"], crafted["positions"])
    signals = run.dataset.signals(records).float()
    for name in ATTACKS:
        assert found[name].shape == (9, len(records), 4) and found[name].dtype == torch.float16
        for index in (0, 4, 6):
            network = stages.load_member(run, MEMBERS[index])
            expected = infer(network, signals + crafted[name].float())
            assert torch.allclose(found[name][index].float(), expected, rtol=2e-3, atol=1e-3)
        unperturbed = natural["base"][crafted["positions"]]
        assert not torch.allclose(found[name][0], unperturbed)


def test_examples(run):
    examples = run.obtain("examples")
    found = load_file(examples.path)
    crafted, records, _ = attacked_records(run, "perturbations-strip-50")
    names = run.dataset.records.names
    assert examples.results["records"] == [names[index] for index in records[:4]]
    assert examples.results["epsilons"] == list(EPSILONS)
    for name in ATTACKS:
        assert found[name].shape == (2, min(4, len(records)), 300)
        assert torch.equal(found[name][1], crafted[name][:4])


def identities(folder, **changes):
    changed = open_tiny(folder, **changes)
    return {name: changed.identity(name) for name in changed.stages}


def changed_by(run, folder, **changes):
    other = identities(folder, **changes)
    return {name for name in run.stages if run.identity(name) != other.get(name)}


def test_the_decorrelation_weight_changes_the_decorrelated_members_alone(run, folder):
    changed = changed_by(run, folder, decorrelation_weight=0.5)
    for member in MEMBERS:
        assert (member in changed) == (member in EARLIER)
        assert (f"features-{member}" in changed) == (member in EARLIER)
    assert {"r_squared-dec", "r_squared-fdec"} < changed
    assert "r_squared-cor" not in changed and "r_squared-fcor" not in changed
    assert "perturbations-strip-50" not in changed  # the base model's
    assert "attacked-strip-50" in changed and "survey" not in changed


def test_the_seed_changes_all_but_the_records(run, folder):
    assert changed_by(run, folder, seed=1) == set(run.stages) - {"survey"}
    assert changed_by(run, folder, data_seed=1) == set(run.stages)


@pytest.mark.parametrize(
    ("change", "members"),
    [
        ({"bands": 6}, {"fcor1", "fcor2", "fdec1", "fdec2"}),
        ({"batch_size": 32}, {"base", "dec1", "dec2", "fdec1", "fdec2"}),
        ({"auxiliary_batch_size": 72}, set(MEMBERS) - {"base"}),
        ({"projected_dimension": 20}, set(EARLIER)),
        ({"width": 0.03}, set(MEMBERS)),
        ({"dropout": 0.5}, set(MEMBERS)),
        ({"epochs": 4}, set(MEMBERS)),
        ({"learning_rate": 0.1}, set(MEMBERS)),
        ({"schedule": "constant"}, set(MEMBERS)),
        ({"precision": "bf16-mixed"}, set(MEMBERS)),
        ({"length": 500}, set(MEMBERS)),
        ({"rate": 30}, set(MEMBERS)),
        ({"cut": "start"}, set(MEMBERS)),
        ({"pgd_steps": 3}, set()),
        ({"sap_steps": 3}, set()),
        ({"attack_records": 3}, set()),
    ],
)
def test_which_members_a_setting_changes(run, folder, change, members):
    changed = changed_by(run, folder, **change)
    assert changed & set(MEMBERS) == members
    attacked = "perturbations-strip-50"
    of_attacks = bool(change.keys() & {"pgd_steps", "sap_steps", "attack_records"})
    assert (attacked in changed) == ("base" in members or of_attacks)
    assert ("examples" in changed) == (attacked in changed)


def test_another_epsilon_leaves_the_others(run, folder):
    other = identities(folder, epsilons=(10.0, 75.0))
    assert other["attacked-strip-10"] == run.identity("attacked-strip-10")
    assert "attacked-mask-75" in other and "attacked-mask-50" not in other
    assert other["examples"] != run.identity("examples")


def test_bounds_that_print_alike_are_told_apart(folder):
    close = identities(folder, epsilons=(50.0, 50.00001))
    assert "attacked-strip-50" in close and "attacked-strip-50.00001" in close


def test_another_weight_trains_what_it_must_and_keeps_the_rest(run, folder, capsys):
    before = {name: run.obtain(name).path for name in run.stages}
    other = open_tiny(folder, decorrelation_weight=0.0)
    other.obtain("dec1")
    out = capsys.readouterr().out
    assert "dec1: computing" in out and "base: computing" not in out
    assert not torch.equal(tensors(run, "dec1")["fc.weight"], tensors(other, "dec1")["fc.weight"])
    assert all(path.exists() for path in before.values())


def test_fewer_records_are_attacked_where_fewer_are_asked_for(run, folder):
    few = open_tiny(folder, attack_records=2)
    with contextlib.redirect_stdout(io.StringIO()):
        attacked = tensors(few, "attacked-mask-50")
    assert attacked["pgd"].shape == (9, 2, 4)
    every = tensors(run, "attacked-mask-50")["positions"]
    assert attacked["positions"].tolist() == every[:2].tolist()


def test_a_base_model_that_gets_nothing_right(run, folder, monkeypatch):
    def wrong(network, signals):
        labels = run.dataset.labels(run.dataset.split.test)
        return torch.nn.functional.one_hot((labels + 1) % 4, 4).float()

    monkeypatch.setattr(perturbations, "infer", wrong)
    other = open_tiny(folder, pgd_steps=1)
    with pytest.raises(ValueError, match="base model gets none of the 16 test records right"):
        other.obtain("perturbations-strip-10")
    assert not list((folder / "tiny").glob(f"*{other.identity('perturbations-strip-10')}*"))


def test_records_that_all_lack_padding(folder):
    whole = open_tiny(folder, rate=20, length=160)
    assert (whole.dataset.prepared.lengths == 160).all()
    with contextlib.redirect_stdout(io.StringIO()):
        strip, mask = (tensors(whole, f"perturbations-{padding}-50") for padding in PADDINGS)
    assert strip.keys() == mask.keys()
    assert all(torch.equal(strip[name], mask[name]) for name in strip)


def test_nothing_falls_back_to_synthetic_records(folder, monkeypatch, tmp_path):
    monkeypatch.delenv("DNALIB_DATA", raising=False)
    real = open_tiny(tmp_path, source="cinc2017")
    for name in ("survey", "base", "examples"):
        with pytest.raises(DataError, match="No ECG records at"):
            real.obtain(name)
    assert not list(tmp_path.rglob("*.*"))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty clone to open runs in."""
    for name in ("book", "dnalib"):
        (tmp_path / name).mkdir()
    (tmp_path / "_toc.yml").touch()
    monkeypatch.chdir(tmp_path / "book")
    return tmp_path


def test_a_notebook_opens_the_run_that_it_names(project):
    variables = {"profile": "demo", "decorrelation_weight": 0.5, "epochs": None, "data": None}
    opened = stages.open_run(variables | {"stages": stages, "_dh": [], "In": []})
    assert isinstance(opened, ComputingRun) and not opened.recorded
    assert opened.folder == project / "data" / "runs" / "demo"
    assert opened.settings.decorrelation_weight == 0.5
    assert opened.settings.epochs == load_profile("demo").epochs
    elsewhere = stages.open_run({"profile": "demo", "runs_folder": str(project / "x")})
    assert elsewhere.folder == project / "x" / "demo"
    places = stages.open_run({"profile": "small", "data": "nowhere", "split": "nowhere.npy"})
    with pytest.raises(DataError, match="No ECG records at nowhere"):
        places.obtain("survey")


def test_a_file_is_no_folder_of_runs(project):
    file = project / "file"
    file.touch()
    for folder in (file, file / "below" / "it"):
        message = f"runs_folder is '{folder}', but {file} is a file; accepted is a folder"
        with pytest.raises(ParameterError, match=message):
            stages.open_run({"profile": "demo", "runs_folder": str(folder)})


def test_synthetic_records_need_a_folder_that_can_be_written(project):
    opened = stages.open_run({"profile": "demo", "runs_folder": str(project / "x")})
    (project / "x").touch()
    with pytest.raises(ParameterError, match=f"runs_folder is '{project / 'x'}', but nothing can"):
        opened.obtain("survey")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"profile": "demo", "epoch": 3}, "no parameter 'epoch'"),
        ({"profile": "demo", "epochs": -3}, "epochs is -3"),
        ({"profile": "tiny"}, "profile is 'tiny'"),
        ({"profile": "recorded/none"}, "profile is 'recorded/none'"),
        ({"profile": "demo", "runs_folder": 2024}, "runs_folder is 2024; accepted is a path in w"),
        ({"profile": "small", "data": 2017}, r"data is 2017; .* such as \./2024"),
        ({"profile": "recorded/small", "data": 0}, "data is 0; accepted is a path in words"),
        ({"profile": "small", "split": ["a.npy"]}, r"split is \['a.npy'\]; accepted is a path"),
        ({}, "profile is"),
    ],
)
def test_a_notebook_hears_of_wrong_parameters(project, variables, message):
    with pytest.raises(ParameterError, match=message):
        stages.open_run(variables)


def test_a_chapter_of_several_seeds_opens_a_run_for_each(project):
    variables = {"profile": "demo", "epochs": 2, "seed": None, "stages": stages}
    (alone,) = stages.open_seeds(variables | {"seeds": None})
    assert alone.settings.seed == 0 and alone.settings.epochs == 2
    first, *others = stages.open_seeds(variables | {"seeds": [3, 0, 1]})
    assert [run.settings.seed for run in (first, *others)] == [3, 0, 1]
    assert {run.settings.epochs for run in (first, *others)} == {2}
    words = stages.open_seeds(variables | {"seeds": "[3, 0, 1]"})  # as papermill's -p gives it
    assert [run.settings for run in words] == [run.settings for run in (first, *others)]
    first._dataset = object()
    assert all(run.dataset is first.dataset for run in others), "the records are read once"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"profile": "demo", "seeds": 3}, "seeds is 3; accepted is a list"),
        ({"profile": "demo", "seeds": "fast"}, "seeds is 'fast'; accepted is a list"),
        ({"profile": "demo", "seeds": []}, r"seeds is \[\]; accepted is a list"),
        ({"profile": "demo", "seeds": [1, 1]}, r"seeds is \[1, 1\]; accepted is a list"),
        ({"profile": "demo", "seeds": [1, 1.0]}, r"seeds is \[1, 1.0\]; .* each once"),
        ({"profile": "demo", "seeds": ["1e0", 1]}, r"seeds is \['1e0', 1\]; .* each once"),
        ({"profile": "demo", "seeds": ["a"]}, "seed is 'a'; accepted is a whole number"),
        ({"profile": "demo", "seeds": [[1]]}, r"seed is \[1\]; accepted is a whole number"),
        ({"profile": "demo", "seeds": [[1], [2]]}, r"seed is \[1\]; accepted is a whole number"),
        ({"profile": "demo", "seeds": [0, 1], "seed": 2}, "seed and seeds are both given"),
        ({"profile": "demo", "speed": 1}, "there is no parameter 'speed'"),
    ],
)
def test_wrong_seeds_are_refused(project, variables, message):
    with pytest.raises(ParameterError, match=message):
        stages.open_seeds(variables)


def test_a_recorded_run_is_opened_with_the_seeds_recorded_beside_it():
    variables = {"profile": "recorded/small"}
    main, *others = stages.open_seeds(variables)
    assert main.settings == stages.open_run(variables).settings
    assert [run.profile for run in others] == [
        f"recorded/small/seed-{run.settings.seed}" for run in others
    ]
    for asked in ({"seed": 0}, {"seeds": [0]}):
        (alone,) = stages.open_seeds(variables | asked)
        assert alone.settings.seed == 0
    with pytest.raises(ParameterError, match="seeds has 999; recorded in recorded/small are 0"):
        stages.open_seeds(variables | {"seeds": [0, 999]})
    with pytest.raises(ParameterError, match="seeds begins with 1; accepted in recorded/small are"):
        stages.open_seeds(variables | {"seeds": [1, 0]})
    with pytest.raises(ParameterError, match="seed is 999 but the run recorded/small"):
        stages.open_seeds(variables | {"seed": 999})


def test_another_seed_is_shown_beside_its_run_alone(root):
    seed = next((root / "data" / "recorded" / "small").glob("seed-*")).name
    for opened in (stages.open_run, stages.open_seeds):
        with pytest.raises(
            ParameterError, match=f"small/{seed}', .*; accepted is 'recorded/small'"
        ):
            opened({"profile": f"recorded/small/{seed}"})
    assert len(stages.load_ensemble(f"recorded/small/{seed}", "fdec").members) == 3


def test_a_chapter_of_one_run_refuses_several_seeds(project):
    with pytest.raises(
        ParameterError, match="shows one run; seeds is a parameter of chapter 8 and"
    ):
        stages.open_run({"profile": "demo", "seeds": [0, 1]})


def test_an_ensemble_takes_records_as_its_members_did(run, monkeypatch):
    monkeypatch.setattr(stages.catalogue, "open_whole_or_seed", lambda variables: run)
    ensemble = stages.load_ensemble("tiny", "fdec")
    assert (ensemble.rate, ensemble.length, ensemble.cut) == (10, 300, "middle")
    assert not ensemble.training and len(ensemble.members) == 3
    test = run.dataset.split.test[:1]
    with torch.no_grad():
        logits = ensemble(run.dataset.signals(test).float().unsqueeze(1))[:, 0]
    for member, found in zip(ENSEMBLES["fdec"], logits, strict=True):
        expected = tensors(run, f"natural-{member}")["logits"][0].float()
        assert torch.allclose(found, expected, rtol=2e-3, atol=1e-3)
    with pytest.raises(ValueError, match="name is 'abc'; accepted are cor, dec, fcor, fdec"):
        stages.load_ensemble("tiny", "abc")


def test_the_effect_of_fewer_steps_is_measured_on_the_attacked_records(run):
    artefact = run.obtain("effect-steps")
    assert artefact.results["steps"] == SETTINGS.pgd_steps and artefact.results["epsilon"] == 50
    stored = load_file(artefact.path)
    whole = tensors(run, stages.attacked_name("strip", 50))
    assert torch.equal(stored["positions"], whole["positions"])
    # This run takes as many steps of SAP as of PGD: the variant after PGD is what it does anyway.
    assert SETTINGS.sap_steps == SETTINGS.pgd_steps
    torch.testing.assert_close(stored["after PGD"], whole["sap"], rtol=0, atol=0)
    assert not torch.equal(stored["alone"], whole["sap"])


def test_the_effect_of_a_swap_that_persists_is_another_training_of_the_same_member(run):
    swapped, usual = tensors(run, "dec2-swapped"), tensors(run, "dec2")
    assert swapped.keys() == usual.keys()
    assert not torch.equal(swapped["fc.weight"], usual["fc.weight"])
    artefact = run.obtain("effect-swap")
    stored = load_file(artefact.path)
    network = stages.load_member(run, "dec2-swapped")
    test = run.dataset.packed(run.dataset.split.test)
    torch.testing.assert_close(
        stored["natural"].float(), infer(network, test), rtol=2e-3, atol=2e-3
    )
    assert len(stored["sap"]) == len(stored["positions"])
    assert set(artefact.results["r_squared"]) == {"base", "dec1"}
    assert artefact.results["r_squared"]["base"]["predicts it"] <= 1


def test_a_class_is_shown_by_its_first_record_of_thirty_seconds_or_its_longest():
    records = SimpleNamespace(
        labels=np.array([0, 1, 0, 0, 1]), lengths=np.array([4000, 5000, 9000, 18000, 6000])
    )
    assert [first_of_class(records, label) for label in (0, 1)] == [2, 4]
