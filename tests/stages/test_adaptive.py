"""The stages of attacks that know the defence, on a tiny run: what they write and hang on."""

import contextlib
import io
import math
import re
from copy import copy
from functools import partial
from itertools import count, product
from pathlib import Path

import pytest
import torch
from random_network import random_network, random_records
from safetensors.torch import load_file
from tiny import EPSILONS, SETTINGS, open_tiny

from dnalib import attacks, checks, metrics
from dnalib.ensemble import Ensemble
from dnalib.filters import FourierFilter, ring_filters
from dnalib.inference import infer
from dnalib.runs import ComputingRun, OutOfTime, Portions
from dnalib.signals import PackedSignals
from dnalib.stages import (
    ATTACKS,
    ENSEMBLES,
    MEMBERS,
    adaptive,
    control,
    gradient_checks,
    load_member,
    longer,
    transfer,
    universal,
)
from dnalib.stages.perturbations import craft_batch, logits_under, logits_under_each

ROOT = Path(__file__).resolve().parents[2]
WHOLE = {
    "end to end/pgd",
    "end to end/sap",
    "mean of members/pgd",
    "least misled member/pgd",
    "least misled member/sap",
    "least misled member/apgd",
    "most misled member/pgd",
    "confidently wrong/apgd",
}
LONGER = {f"{aim}/apgd" for aim in longer.LOSSES}


@pytest.fixture(scope="module")
def run(tiny_run):
    return tiny_run


def tensors(run, name):
    return load_file(run.obtain(name).path)


def attacked_records(run, positions):
    records = run.dataset.split.test[positions.numpy()]
    return run.dataset.packed(records), run.dataset.labels(records), run.dataset.valid(records)


@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("model", MEMBERS)
def test_each_model_is_attacked_on_the_records_that_the_base_model_gets_right(run, model, epsilon):
    crafted = tensors(run, f"crafted-on-{model}-{epsilon:g}")
    of_base = tensors(run, f"perturbations-mask-{epsilon:g}")
    assert torch.equal(crafted["positions"], of_base["positions"])
    _, _, valid = attacked_records(run, crafted["positions"])
    assert not valid.all()
    for attack in ATTACKS:
        delta = crafted[attack]
        assert delta.shape == of_base[attack].shape and delta.dtype == torch.float16
        assert not delta[~valid].any()
        assert delta.abs().max() <= epsilon  # 0 all over where a tiny network is dead
        assert torch.equal(delta, of_base[attack]) == (model == "base")


def test_an_attack_on_another_model_is_the_papers(run):
    crafted = tensors(run, "crafted-on-dec1-50")
    signals, labels, valid = attacked_records(run, crafted["positions"])
    inputs = signals.batch(torch.arange(len(signals))).float()
    expected = craft_batch(
        load_member(run, "dec1"),
        inputs,
        labels,
        valid.unsqueeze(1),
        epsilon=50.0,
        padding="mask",
        settings=SETTINGS,
    )
    for attack in ATTACKS:
        difference = (crafted[attack].float() - expected[attack].squeeze(1)).abs()
        # The batches differ, and with them the rounding of gradients near zero.
        assert (difference < 0.1).double().mean() > 0.97


def test_every_model_is_shown_the_perturbations_of_each(run):
    artefact = run.obtain("transfer-50")
    found = load_file(artefact.path)
    number = artefact.results["attacked"]
    names = {f"{model}/{attack}" for model in MEMBERS for attack in ATTACKS}
    assert found.keys() == names | {f"{name}/{h}" for name in names for h in ("h1", "h2")} | {
        "positions"
    }
    for name in found.keys() - {"positions"}:
        assert found[name].shape == (9, number, 4) and found[name].dtype == torch.float16
    crafted = tensors(run, "crafted-on-cor2-50")
    signals, _, valid = attacked_records(run, crafted["positions"])
    masks = ring_filters(bands=SETTINGS.bands, length=SETTINGS.length)
    second = FourierFilter(masks[1], length=SETTINGS.length)
    sap = crafted["sap"].unsqueeze(1)  # (record, 1, time)
    passed = second(sap.float()) * valid.unsqueeze(1)
    shown = {"": sap, "/h2": passed.clamp(-50, 50)}
    for ending, delta in shown.items():
        expected = infer(load_member(run, "fdec1"), signals.plus(delta))
        row = found[f"cor2/sap{ending}"][MEMBERS.index("fdec1")]
        torch.testing.assert_close(row.float(), expected, rtol=5e-3, atol=5e-3)


def test_a_projected_perturbation_stays_on_its_record_and_within_epsilon():
    torch.manual_seed(0)
    starts, lengths = torch.tensor([0, 50]), torch.tensor([600, 300])
    signals = PackedSignals.pack(torch.zeros(2, 600), starts=starts, lengths=lengths)
    valid = signals.valid(torch.arange(2)).squeeze(1)  # (record, time)
    delta = 10 * torch.randn(2, 600).sign() * valid
    parts = [
        transfer.project(delta, FourierFilter(mask, length=600), signals, epsilon=10)
        for mask in ring_filters(bands=10, length=600)
    ]
    for part in parts:
        assert not part[~valid].any() and part.abs().max() <= 10
        assert (part.abs() == 10).any()  # the filter alone would pass more
        assert not torch.allclose(part.float(), delta)
    uncut = (parts[0].abs() < 10) & (parts[1].abs() < 10) & valid
    assert torch.allclose(sum(parts).float()[uncut], delta[uncut], atol=0.02)


def test_the_control_is_attacked_as_the_ensemble_that_it_is(run):
    found = tensors(run, "adaptive-control-50")
    assert found.keys() == WHOLE | {"positions"}
    signals, labels, valid = attacked_records(run, found["positions"])
    inputs = signals.batch(torch.arange(len(signals))).float()
    both = control.BesideConstants(load_member(run, "base"))
    logits = both(inputs)  # (member, record, class)
    assert torch.equal(
        logits.double(), torch.from_numpy(metrics.with_constants(logits[0].detach().numpy()))
    )
    delta = attacks.pgd(
        both,
        inputs,
        labels,
        epsilon=50.0,
        steps=SETTINGS.pgd_steps,
        valid=valid.unsqueeze(1),
        padding="mask",
        loss=attacks.end_to_end(),
    )
    expected = infer(load_member(run, "base"), signals.plus(delta.half()))
    assert found["end to end/pgd"].shape == (1, len(labels), 4)
    close = torch.isclose(found["end to end/pgd"][0].float(), expected, rtol=0.02, atol=0.02)
    assert close.double().mean() > 0.9  # batches differ, and with them some gradients' rounding
    assert tensors(run, "longer-control-50").keys() == {*LONGER, "positions"}


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_logits_of_an_ensemble_under_attacks_that_know_it(run, ensemble):
    members = ENSEMBLES[ensemble]
    artefact = run.obtain(f"adaptive-{ensemble}-50")
    found = load_file(artefact.path)
    conditions = {f"{member}/{attack}" for member in members for attack in ATTACKS} | WHOLE
    assert found.keys() == conditions | {"positions"}
    assert artefact.results["members"] == list(members)
    number = artefact.results["attacked"]
    for name in conditions:
        assert found[name].shape == (3, number, 4) and found[name].dtype == torch.float16
    sizes = artefact.results["sizes"]
    assert sizes.keys() == conditions
    for size in sizes.values():
        assert 0 <= size["median largest"] <= size["largest"] <= 50
        assert 0 <= size["median norm"] <= 50 * math.sqrt(600)
    assert sizes["end to end/pgd"]["median norm"] > 0
    assert sizes["base/sap"] != sizes["end to end/sap"]


def test_universal_perturbations(run):
    artefact = run.obtain("universal-50")
    found = load_file(artefact.path)
    assert found.keys() == {"base", *ENSEMBLES, "positions"}
    assert artefact.results["learnt_from"] == 8 * len(found["positions"]) < 144
    positions = found["positions"]
    natural = torch.stack([tensors(run, f"natural-{one}")["logits"] for one in MEMBERS])
    for target in ("base", *ENSEMBLES):
        assert found[target].shape == (9, len(positions), 4)
        assert not torch.equal(found[target], natural[:, positions])
    assert not torch.equal(found["base"], found["fdec"])


def one_portion_a_call(monkeypatch, folder):
    """Let every stage keep its portions in a folder, and end each call after one of them."""
    kept = Portions(folder, minutes_left=lambda: 0.0)
    monkeypatch.setattr(ComputingRun, "portions", lambda self: copy(kept))


def called_until_whole(compute, done):
    """What a stage answers when it is called again and again, and in how many calls."""
    for calls in count(1):
        try:
            return compute(), calls
        except OutOfTime as error:
            assert f"max_minutes is over: {calls} of {done}" in str(error)


def test_universal_perturbations_that_were_learnt_are_not_learnt_again(run, tmp_path, monkeypatch):
    learnt, learn = [], universal.learn_universal

    def watched(run, members, chosen, *, epsilon):
        learnt.append(members)
        return learn(run, members, chosen, epsilon=epsilon)

    monkeypatch.setattr(universal, "learn_universal", watched)
    one_portion_a_call(monkeypatch, tmp_path / "portions")
    compute = partial(run.stages["universal-50"].compute, run, tmp_path / "found.safetensors")
    results, calls = called_until_whole(compute, "5 perturbations are learnt")
    assert results == run.obtain("universal-50").results and calls == 5
    assert learnt == [("base",), *ENSEMBLES.values()]
    found = load_file(tmp_path / "found.safetensors")
    assert all(torch.equal(found[name], one) for name, one in tensors(run, "universal-50").items())


def test_checks_that_were_made_are_not_made_again(run, tmp_path, monkeypatch):
    one_portion_a_call(monkeypatch, tmp_path / "portions")
    compute = partial(run.stages["checks-base"].compute, run, tmp_path / "found.json")
    results, calls = called_until_whole(compute, "9 parts of the checks are made")
    assert results == run.obtain("checks-base").results and calls == 9


@pytest.mark.parametrize("ensemble", ["base", *ENSEMBLES])
def test_checks_of_the_gradient(run, ensemble):
    results = run.obtain(f"checks-{ensemble}").results
    assert results["epsilon"] == 50 and results["records"] > 0
    names = [one["name"] for one in results["checks"]]
    page = (ROOT / "book" / "checks.md").read_text()
    assert names == re.findall(r"^\(check-(.+)\)=$", page, flags=re.MULTILINE)
    for one in results["checks"]:
        assert one == vars(checks.CheckResult(**one))
    assert results["agreement"] > 0.99


def test_an_ensemble_is_checked_as_one_classifier(run):
    networks = [load_member(run, member) for member in ENSEMBLES["dec"]]
    model = gradient_checks.MeanSoftmax(networks).eval()
    inputs = run.dataset.signals(run.dataset.split.test[:3]).float().unsqueeze(1)
    with torch.no_grad():
        softmax = torch.stack([network(inputs).softmax(1) for network in networks]).mean(0)
        torch.testing.assert_close(model(inputs).exp(), softmax)
        assert model.features(inputs).shape == (3, 3 * 64)
    assert gradient_checks.typical_peak(torch.tensor([[[1.0, -9]], [[2, 3]], [[5, 0]]])) == 5


def test_nothing_is_checked_where_no_record_is_right(run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        gradient_checks.MeanSoftmax,
        "forward",
        lambda self, signals: torch.full((len(signals), 4), torch.nan),
    )
    labels = torch.ones(len(run.dataset.records), dtype=torch.int64)  # argmax of NaN is 0
    monkeypatch.setattr(type(run.dataset), "labels", lambda self, indices: labels[indices])
    results = run.stages["checks-cor"].compute(run, tmp_path / "checks.json")
    assert results == {"epsilon": 50, "records": 0, "checks": [], "agreement": None}


def test_more_steps_are_taken_against_every_ensemble_and_the_control(run):
    for (ensemble, members), epsilon in product(
        {"control": ("base",), **ENSEMBLES}.items(), SETTINGS.adaptive_epsilons
    ):
        artefact = run.obtain(f"longer-{ensemble}-{epsilon:g}")
        assert artefact.results["steps"] == longer.TIMES * SETTINGS.pgd_steps
        found = load_file(artefact.path)
        assert torch.equal(
            found.pop("positions"), tensors(run, f"crafted-on-base-{epsilon:g}")["positions"]
        )
        assert set(found) == {"end to end/apgd", "least misled member/apgd"}
        for logits in found.values():
            assert logits.shape == (len(members), artefact.results["attacked"], 4)


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_what_is_left_is_attacked_again_with_twice_the_steps(run, ensemble, monkeypatch):
    attacked, search = [], longer.craft_longer

    def craft(model, inputs, labels, valid, **options):
        attacked.append((options["aims"], options["steps"], len(inputs)))
        return search(model, inputs, labels, valid, **options)

    monkeypatch.setattr(longer, "craft_longer", craft)
    file = tensors(run, f"longer-{ensemble}-50")
    labels = run.dataset.labels(run.dataset.split.test[file["positions"].numpy()])
    told = file["end to end/apgd"].double().softmax(-1).mean(0).argmax(-1) == labels
    alive = (file["least misled member/apgd"].argmax(-1) == labels).any(0)
    results = run.stages[f"doubled-{ensemble}"].compute(run, run.root / "doubled.json")
    steps = longer.TIMES * SETTINGS.pgd_steps
    assert results["steps"] == [steps, 2 * steps] and results["attacked"] == len(labels)
    for aim, expected in {"end to end": told, "least misled member": alive}.items():
        before, after = results["left"][aim]
        assert before == expected.sum() and after <= before
        assert sum(count for aims, _, count in attacked if aims == [aim]) == before
    assert {steps for _, steps, _ in attacked} <= {2 * steps}


def test_an_attack_that_leaves_nothing_is_not_repeated(run, monkeypatch):
    monkeypatch.setattr(longer, "is_right", lambda logits, labels, aim: labels < 0)
    monkeypatch.setattr(longer, "craft_masked", None)
    results = run.stages["doubled-cor"].compute(run, run.root / "doubled.json")
    assert results["left"] == {"end to end": [0, 0], "least misled member": [0, 0]}


def test_more_steps_climb_higher_and_stay_on_the_record():
    signals = random_records([600, 400, 500], length=600)
    valid = signals != 0
    ensemble = Ensemble([random_network(width=0.05, seed=seed) for seed in (0, 1)]).eval()
    with torch.no_grad():
        labels = ensemble(signals)[0].argmax(1)
    losses = {
        "end to end/apgd": attacks.end_to_end(attacks.margin),
        "least misled member/apgd": attacks.least_misled_member(attacks.margin),
    }
    reached = []
    for steps in (0, 4, 20):
        found = longer.craft_longer(ensemble, signals, labels, valid, epsilon=50.0, steps=steps)
        assert found.keys() == losses.keys()
        for delta in found.values():
            assert delta.abs().max() <= 50 and not delta[~valid].any()
        with torch.no_grad():
            reached.append(
                [loss(ensemble(signals + found[name]), labels) for name, loss in losses.items()]
            )
    for before, after in zip(reached, reached[1:], strict=False):
        for less, more in zip(before, after, strict=True):
            assert (more >= less - 1e-4).all() and more.mean() > less.mean()


def test_perturbations_shown_together_give_what_each_gives(run):
    crafted = tensors(run, "crafted-on-dec1-50")
    signals, _, _ = attacked_records(run, crafted.pop("positions"))
    networks = [load_member(run, "base"), load_member(run, "fcor1")]
    together = logits_under_each(crafted, networks, signals)
    for name, delta in crafted.items():
        alone = logits_under(delta, networks, signals)
        torch.testing.assert_close(together[name], alone, rtol=5e-3, atol=5e-3)


def identities(folder, **changes):
    changed = open_tiny(folder, **changes)
    return {name: changed.identity(name) for name in changed.stages}


@pytest.mark.parametrize(
    ("change", "begins", "but"),
    [
        (
            {"adaptive_records": 3},
            ("crafted", "transfer", "adaptive", "universal", "checks", "longer", "doubled"),
            (),
        ),
        (
            {"pgd_steps": 3},
            ("crafted", "transfer", "adaptive", "universal", "checks", "longer", "doubled"),
            (),
        ),
        # On the base model the perturbations are those of chapter 7, in its own precision.
        (
            {"adaptive_precision": "bf16-mixed"},
            ("crafted", "transfer", "adaptive", "universal", "longer", "doubled"),
            ("crafted-on-base",),
        ),
        ({"adversarial_epsilon": 7.0}, (), ()),
        ({"adversarial_steps": 2}, (), ()),
    ],
)
def test_what_each_setting_changes(run, change, begins, but):
    other = identities(run.root, **change)
    ours = {
        stage.name
        for stage in (
            *adaptive.adaptive_stages(SETTINGS, ensembles=ENSEMBLES),
            *adaptive.shared_stages(SETTINGS),
        )
    }
    changed = {name for name in ours if run.identity(name) != other[name]}
    assert changed == {
        name for name in ours if name.startswith(begins) and not name.startswith(but)
    }


def test_fewer_records_and_an_epsilon_that_the_paper_does_not_attack_at(run):
    few = open_tiny(run.root, adaptive_records=3, adaptive_epsilons=(50.0, 70.0))
    with contextlib.redirect_stdout(io.StringIO()):
        found, other = (tensors(few, f"crafted-on-base-{one}") for one in (50, 70))
        on_dec1 = tensors(few, "crafted-on-dec1-70")
    every = tensors(run, "crafted-on-base-50")
    for name in ("positions", *ATTACKS):
        assert torch.equal(found[name], every[name][:3])
    assert torch.equal(other["positions"], found["positions"])
    assert torch.equal(on_dec1["positions"], found["positions"])
    assert 50 < other["pgd"].abs().max() <= 70 or SETTINGS.pgd_steps < 8
    assert not few.stages["crafted-on-base-70"].inputs[0].startswith("perturbations")
    assert "crafted-on-base-10" not in few.stages and "checks-cor" in few.stages
    assert adaptive.middle_epsilon(few.settings) == 70


def test_others_join_by_their_models(run):
    loaded = []

    def load(run, name):
        loaded.append(name)
        return load_member(run, {"rival 1": "cor1", "rival 2": "dec1"}[name])

    made = adaptive.adaptive_stages(
        run.settings, ensembles={"two rivals": ("rival 1", "rival 2")}, load=load
    )
    names = [stage.name for stage in made]
    assert names == [
        "crafted-on-rival 1-10",
        "crafted-on-rival 2-10",
        "adaptive-two-rivals-10",
        "longer-two-rivals-10",
        "crafted-on-rival 1-50",
        "crafted-on-rival 2-50",
        "adaptive-two-rivals-50",
        "longer-two-rivals-50",
        "doubled-two-rivals",
        "checks-two-rivals",
    ]
    assert "crafted-on-base-50" in made[6].inputs and "rival 2" in made[6].inputs
    path = run.root / "rival.safetensors"
    with contextlib.redirect_stdout(io.StringIO()):
        made[0].compute(run, path)
    assert loaded == ["rival 1"]
    assert torch.equal(load_file(path)["sap"], tensors(run, "crafted-on-cor1-10")["sap"])
