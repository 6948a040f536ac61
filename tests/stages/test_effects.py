"""What the variants' stages store."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dnalib.losses import r_squared
from dnalib.stages.effects import store_fit


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
