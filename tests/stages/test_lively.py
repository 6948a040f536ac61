"""Stages of attacks that know the defence, on networks that answer otherwise when attacked.

Those of a tiny run hardly do: there, one attack can stand for another and nobody sees it.
"""

import dataclasses
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from random_network import random_network, random_records
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from dnalib import attacks
from dnalib.attacks import targets
from dnalib.ensemble import Ensemble
from dnalib.runs import Portions
from dnalib.signals import PackedSignals
from dnalib.stages import adaptive, longer
from dnalib.stages.attacking import generators_of
from dnalib.stages.perturbations import craft_batch, logits_under

EPSILON = 200.0
LENGTHS = torch.tensor([300, 240, 280, 260, 300, 250])
MEMBERS = ("base", "one", "other")
NETWORKS = {name: random_network(width=0.03, seed=seed) for seed, name in enumerate(MEMBERS)}
SIGNALS = PackedSignals.pack(
    random_records(LENGTHS.tolist(), length=300).squeeze(1).short(),
    starts=(300 - LENGTHS) // 2,
    lengths=LENGTHS,
)
EVERY = torch.arange(len(LENGTHS))
INPUTS = SIGNALS.batch(EVERY).float()  # (record, 1, time)
VALID = SIGNALS.valid(EVERY)
# What one of the networks answers, so that none is the least misled by all records.
LABELS = torch.stack([network(INPUTS).argmax(1) for network in NETWORKS.values()])[EVERY % 3, EVERY]
SETTINGS = dataclasses.replace(
    tiny.SETTINGS, epsilons=(), adaptive_epsilons=(EPSILON,), pgd_steps=5, sap_steps=5
)


class LivelyRun:
    """A run of an ensemble of `MEMBERS`, whose stages are computed when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.settings = SETTINGS
        self.dataset = SimpleNamespace(
            split=SimpleNamespace(test=np.arange(len(LENGTHS))),
            packed=lambda records: SIGNALS.select(torch.from_numpy(records)),
            labels=lambda records: LABELS[records],
        )
        made = adaptive.adaptive_stages(
            self.settings, ensembles={"all": MEMBERS}, load=lambda run, name: NETWORKS[name]
        )
        self.stages = {stage.name: stage for stage in made}
        self.folder = folder

    def obtain(self, name: str) -> SimpleNamespace:
        path = self.folder / f"{name}.safetensors"
        results = {} if path.exists() else self.stages[name].compute(self, path)
        return SimpleNamespace(path=path, results=results)

    def portions(self, part: str = "all") -> Portions:
        return Portions()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> LivelyRun:
    made = LivelyRun(tmp_path_factory.mktemp("lively"))
    crafted = crafted_on("base")
    path = made.folder / f"{adaptive.crafted_name('base', EPSILON)}.safetensors"
    save_file({**crafted, "positions": EVERY}, path)
    return made


def crafted_on(name: str) -> dict[str, Tensor]:
    """The paper's attacks on one of the networks: (record, time), fp16."""
    options = {"epsilon": EPSILON, "padding": "mask", "settings": SETTINGS}
    found = craft_batch(NETWORKS[name], INPUTS, LABELS, VALID, **options)
    return {attack: delta.squeeze(1).half() for attack, delta in found.items()}


def answers_to(perturbation: Tensor) -> Tensor:
    """All members' logits, (member, record, class)."""
    return logits_under(perturbation, list(NETWORKS.values()), SIGNALS).float()


@pytest.fixture(scope="module")
def stored(run: LivelyRun) -> dict[str, Tensor]:
    return load_file(run.obtain(adaptive.adaptive_name("all", EPSILON)).path)


def check_same(stored: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Stored logits agree with the expected ones of their name, and of no other name."""
    for name in expected:
        apart = {
            other: (stored[name].float() - one).abs().mean() for other, one in expected.items()
        }
        own = apart.pop(name)
        assert own < 0.5 * min(apart.values())  # single gradients are rounded otherwise


def test_every_member_s_own_perturbations_are_shown_to_all(stored: dict[str, Tensor]) -> None:
    expected = {
        f"{name}/{attack}": answers_to(delta)
        for name in MEMBERS
        for attack, delta in crafted_on(name).items()
    }
    check_same(stored, expected)


def test_the_whole_ensemble_is_attacked_as_the_attacks_say(
    run: LivelyRun, stored: dict[str, Tensor]
) -> None:
    found = adaptive.craft_adaptive(
        Ensemble(list(NETWORKS.values())).eval(),
        INPUTS,
        LABELS,
        VALID,
        epsilon=EPSILON,
        settings=SETTINGS,
        generators=generators_of(run, EVERY, epsilon=EPSILON),
    )
    for delta in found.values():
        assert 0 < delta.abs().max() <= EPSILON and not delta[~VALID].any()
    expected = {name: answers_to(delta.squeeze(1).half()) for name, delta in found.items()}
    check_same(stored, expected)


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("end to end/pgd", attacks.end_to_end()),
        ("least misled member/pgd", attacks.least_misled_member()),
        ("mean of members/pgd", attacks.mean_of_members()),
        ("most misled member/pgd", attacks.most_misled_member()),
    ],
)
def test_what_an_attack_aims_at_rises_above_what_the_attack_on_the_base_model_reaches(
    stored: dict[str, Tensor], name: str, loss: attacks.Loss
) -> None:
    own, of_base = (loss(stored[key].float(), LABELS).mean() for key in (name, "base/pgd"))
    assert own > of_base + 0.01


def test_what_each_attack_on_an_ensemble_climbs_and_how(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def spy(attack: str, model: nn.Module, inputs: Tensor, *labels: Tensor, **options) -> Tensor:
        calls.append((attack, options))
        return torch.full_like(inputs, len(calls))  # told apart by a number

    for attack in ("pgd", "sap"):
        monkeypatch.setattr(attacks, attack, partial(spy, attack))
    settings = SimpleNamespace(pgd_steps=3, sap_steps=5)
    generators = attacks.record_generators(range(len(LENGTHS)), seed=0)
    options = {"epsilon": EPSILON, "settings": settings, "generators": generators}
    found = adaptive.craft_adaptive(nn.Identity(), INPUTS, LABELS, VALID, **options)
    apgd = {"schedule": "apgd"}
    again = {"random_start": True, "restarts": 2, "generators": generators}
    expected = {
        "end to end/pgd": (attacks.end_to_end(), {}),
        "end to end/sap": (attacks.end_to_end(), {}),
        "least misled member/pgd": (attacks.least_misled_member(), {}),
        "least misled member/sap": (attacks.least_misled_member(), {}),
        "mean of members/pgd": (attacks.mean_of_members(), {}),
        "most misled member/pgd": (attacks.most_misled_member(), {}),
        "confidently wrong/apgd": (targets.confidently_wrong(), apgd),
        "least misled member/apgd": (targets.least_misled_member(attacks.margin), apgd | again),
    }
    assert found.keys() == expected.keys() and len(calls) == len(expected)
    logits = torch.randn(3, 50, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(50) % 4
    for name, (loss, search) in expected.items():
        attack, options = calls[int(found[name].max()) - 1]
        assert attack == ("sap" if name.endswith("sap") else "pgd")
        assert torch.equal(options.pop("loss")(logits, labels), loss(logits, labels))
        start = options.pop("start", None)
        assert (start is not None) == (attack == "sap")
        assert options.pop("valid") is VALID
        steps = {"pgd": 3, "sap": 5}[attack]
        assert options == {"epsilon": EPSILON, "padding": "mask", "steps": steps, **search}


def test_what_is_left_alive_is_what_is_attacked_again(
    run: LivelyRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alive = {"end to end": [1, 4], "least misled member": [0, 2, 5]}
    wrong = -functional.one_hot(LABELS, 4).float()  # (record, class)
    stored = {}
    for aim, records in alive.items():
        logits = wrong.clone()
        logits[records] *= -1
        stored[f"{aim}/apgd"] = logits.expand(3, -1, -1).contiguous()
    save_file({**stored, "positions": EVERY}, tmp_path / "longer.safetensors")
    attacked = []

    def craft(run, attack, networks, signals, labels, **options) -> dict[str, Tensor]:
        attacked.append((signals, labels))
        return {"apgd": torch.zeros(len(signals), 300)}

    monkeypatch.setattr(longer, "craft_masked", craft)
    artefact = SimpleNamespace(path=tmp_path / "longer.safetensors", results={"steps": 4})
    monkeypatch.setattr(run, "obtain", lambda name: artefact, raising=False)
    results = run.stages["doubled-all"].compute(run, tmp_path / "doubled.json")
    for (signals, labels), (aim, records) in zip(attacked, alive.items(), strict=True):
        chosen = torch.tensor(records)
        assert torch.equal(signals.batch(torch.arange(len(records))), SIGNALS.batch(chosen))
        assert torch.equal(labels, LABELS[chosen])
        assert results["left"][aim][0] == len(records)


def test_how_large_perturbations_are_is_counted_on_the_records() -> None:
    packed = PackedSignals.pack(
        torch.tensor([[0, 1, -1, 0], [0, 1, -1, 0], [3, -3, 3, -3]]),
        starts=torch.tensor([1, 1, 0]),
        lengths=torch.tensor([2, 2, 4]),
    )
    outside = 1000.0  # on the padding, where nothing counts
    changes = torch.tensor([[outside, 3, 4, 0], [0, 1, 0, outside], [6, 8, 0, 0]])
    found = adaptive.size_of(changes, packed)
    assert found["largest"] == 8 and found["median largest"] == 4
    assert found["median norm"] == pytest.approx(5)
    ratios = [2 / 25, 2 / 1, 36 / 100]  # squares of the record over those of the change
    assert found["median signal to noise"] == pytest.approx(10 * np.log10(sorted(ratios)[1]))
