"""The code of the page on own signals runs from top to bottom, and does what the page says."""

from typing import Any

import numpy as np
import pytest
import torch
from documented import python_blocks

from dnalib import metrics
from dnalib.data import prepare_signal, raw_units
from dnalib.inference import infer
from dnalib.model import Network

pytestmark = pytest.mark.slow  # nine small trainings

ENSEMBLES = ["cor", "fcor", "dec", "fdec"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page's names stand for after its last line."""
    names: dict[str, Any] = {"folder": tmp_path_factory.mktemp("own")}
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        patch.chdir(names["folder"])
        torch.manual_seed(0)
        for block in python_blocks("book/own_signals.md"):
            exec(block, names)
    return names


def test_members_learn_and_are_filtered_and_decorrelated(page: dict[str, Any]) -> None:
    assert list(page["members"]) == ENSEMBLES
    for name, (base, second, third) in page["members"].items():
        assert base is page["base"] and base.classes == 2
        filtered = [one.fourier_filter is not None for one in (base, second, third)]
        assert filtered == [False, name[0] == "f", name[0] == "f"]
    natural = page["natural"]
    learnt = metrics.accuracy(natural.logits["cor"], natural.labels)
    learnt_behind = metrics.accuracy(natural.logits["fcor"], natural.labels)
    assert learnt.min() > 0.8 and learnt_behind.min() > 0.8
    kept = page["kept"].set_index(["ensemble", "measure"]).value
    for name in ENSEMBLES:
        assert kept[name, "average"] == pytest.approx(natural.correct()[name].mean())


def test_scores_stand_under_the_classes_own_names(page: dict[str, Any]) -> None:
    measures = ["accuracy", "class-averaged", "kappa", "narrow", "broad"]
    assert list(dict.fromkeys(page["scores"].measure)) == measures


def test_perturbations_keep_to_epsilon_and_mislead_members(page: dict[str, Any]) -> None:
    everything = torch.arange(len(page["attacked"]))
    valid = page["attacked"].valid(everything)
    for delta in (*page["perturbations"].values(), page["aimed"]):
        assert delta.shape == (len(everything), 2, page["length"])
        assert 100 < delta.abs().max() <= page["epsilon"] * (1 + 1e-6) and not delta[~valid].any()
        assert not valid.all(), "some records are padded"
    assert {name for _, name in page["misled"]} == set(ENSEMBLES)
    for (_, name), numbers in page["misled"].items():
        assert numbers.shape == (4,) and numbers.sum() == len(everything), name
    base = page["robustness"].query("ensemble == 'cor' and measure == 'P(≥3)'")
    assert base.attack.tolist() == ["PGD", "SAP"] and (base.value < 0.9).all()
    assert page["under_aimed"].logits["fdec"].shape == (3, len(everything), 2)


def test_weights_that_were_saved_answer_alike_behind_their_filter_alone(
    page: dict[str, Any],
) -> None:
    signals = page["material"].test_signals
    expected = infer(page["fdec"], signals)
    assert torch.equal(infer(page["again"], signals), expected)
    bare = Network(width=0.02, classes=2, leads=2)
    bare.load_state_dict(page["fdec"].state_dict())  # the page warns that this is no error
    assert (infer(bare, signals) - expected).abs().max() > 0.01
    assert (page["folder"] / "fdec1.safetensors").exists()


def test_one_recording_is_answered_by_leads_at_the_rate_of_the_training(
    page: dict[str, Any],
) -> None:
    assert page["prediction"].probabilities.argmax() == page["class_names"].index("broad")
    (first, second) = (raw_units(page["record"], lead=lead, rate=500) for lead in ("I", "II"))
    padded, _, _ = prepare_signal(
        np.stack([first, second]), length=200, rate=125, cut="middle", source_rate=500
    )
    inputs = torch.from_numpy(padded)[None]  # (record, lead, time)
    for member, found in zip(
        page["members"]["fdec"], page["prediction"].member_probabilities, strict=True
    ):
        expected = infer(member, inputs).softmax(1)[0].numpy()
        assert found == pytest.approx(expected, abs=1e-4)


def test_own_networks_of_three_leads_are_attacked_and_decorrelated(page: dict[str, Any]) -> None:
    assert page["smooth"].shape == page["three_leads"].shape == (64, 3, page["length"])
    assert 0 < page["smooth"].abs().max() <= page["epsilon"] * (1 + 1e-6)
    assert np.shape(page["own"].logits["own"]) == (2, 64, 2)
    gradients = [one.grad for one in page["second"].parameters()]
    assert all(one is not None and one.isfinite().all() for one in gradients)
