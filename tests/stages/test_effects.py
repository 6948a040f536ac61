"""What the variants' stages store."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from random_network import random_network, random_records
from safetensors.torch import save_file

from dnalib import attacks
from dnalib.inference import infer
from dnalib.losses import r_squared
from dnalib.signals import PackedSignals
from dnalib.stages import effects
from dnalib.stages.effects import craft_short, store_fit


def test_the_undefined_r_squared_of_dead_features_is_stored_as_none(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    features = {
        "base": torch.rand(90, 64, generator=generator),
        "dec1": torch.zeros(90, 64),
        "dec2": torch.rand(90, 64, generator=generator),
    }
    for name, matrix in features.items():
        save_file({"features": matrix}, tmp_path / name)
    run = SimpleNamespace(
        dataset=SimpleNamespace(rows=np.arange(90)),
        obtain=lambda name: SimpleNamespace(path=tmp_path / name.removeprefix("features-")),
    )
    pairs = store_fit(run, tmp_path / "fit.json")["pairs"]
    json.dumps(pairs, allow_nan=False)
    found = {(pair["regressor"], pair["regressand"]): pair for pair in pairs}
    undefined = found["base", "dec1"]
    assert undefined["code"] is None and undefined["text"] is None
    expected = r_squared(features["base"], features["dec2"])
    assert found["base", "dec2"]["code"] == pytest.approx(expected)


def test_sap_alone_starts_at_the_record() -> None:
    signals = random_records([600, 400, 500], length=600)
    network, valid = random_network(width=0.03), signals != 0
    with torch.no_grad():
        labels = network(signals).argmax(1)
    options = {"epsilon": 50.0, "steps": 3, "valid": valid}
    found = craft_short(network, signals, labels, valid, epsilon=50.0, steps=3)
    assert found.keys() == {"after PGD", "alone"}
    start = attacks.pgd(network, signals, labels, padding="keep", **options)
    for name, theta in {"alone": torch.zeros_like(signals), "after PGD": start}.items():
        expected = attacks.sap(network, signals, labels, start=theta, **options)
        assert torch.equal(found[name], expected) and not found[name][~valid].any()
    assert (found["alone"] - found["after PGD"]).abs().max() > 10


def test_r_squared_of_the_swapped_member_is_stored_in_both_directions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals = PackedSignals.pack(random_records([200] * 90, length=200).squeeze(1).short())
    network = random_network(width=0.02)
    own = infer(network, signals, with_features=True)
    generator = torch.Generator().manual_seed(1)
    earlier = {  # the more noise, the less of them can be predicted
        "base": own.roll(1, 0) + own * torch.rand(64, generator=generator),
        "dec1": own + 5 * own.std() * torch.randn(own.shape, generator=generator),
    }
    for name, features in earlier.items():
        save_file({"features": features}, tmp_path / f"features-{name}")
    crafted = {"positions": torch.arange(5), "sap": torch.ones(5, 200)}
    save_file(crafted, tmp_path / "perturbations-strip-50")
    monkeypatch.setattr(effects, "load_member", lambda run, name: network)
    rows = np.arange(90)[::-1].copy()
    run = SimpleNamespace(
        dataset=SimpleNamespace(
            rows=rows,
            split=SimpleNamespace(test=np.arange(20), train=np.arange(90)),
            packed=lambda records: signals.select(torch.from_numpy(records)),
            labels=lambda records: torch.zeros(len(records), dtype=torch.int64),
        ),
        obtain=lambda name: SimpleNamespace(path=tmp_path / name),
    )
    found = effects.store_swap(run, tmp_path / "swap.safetensors", epsilon=50)["r_squared"]
    assert found.keys() == earlier.keys()
    for name, other in earlier.items():
        predicts, predicted = r_squared(other, own), r_squared(own, other)
        assert abs(predicts - predicted) > 0.01
        assert found[name]["predicts it"] == pytest.approx(predicts, rel=1e-6)
        assert found[name]["is predicted"] == pytest.approx(predicted, rel=1e-6)
