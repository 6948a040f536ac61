"""The README's Python runs as it stands."""

from pathlib import Path

import numpy as np
import pytest
import torch
import wfdb
from documented import python_blocks

BLOCKS = python_blocks("README.md")


def test_attacks_losses_and_filters_take_any_model() -> None:
    generator = torch.Generator().manual_seed(0)
    names = {
        "model": torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 200, 5)),
        "signals": 100 * torch.randn(4, 3, 200, generator=generator),
        "labels": torch.tensor([0, 1, 2, 3]),
        "features": torch.randn(80, 64, generator=generator, requires_grad=True),
        "earlier": torch.randn(80, 64, generator=generator),
    }
    exec(BLOCKS[0], names)
    assert names["delta"].shape == (4, 3, 200) and 0 < names["delta"].abs().max() <= 50
    names["loss"].backward()
    assert torch.equal(names["first"] + names["second"], torch.ones(101))


def test_recorded_ensemble_answers_for_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal = np.random.default_rng(0).normal(0, 0.2, size=(9000, 1))
    wfdb.wrsamp(
        "mine",
        fs=300,
        units=["mV"],
        sig_name=["I"],
        p_signal=signal,
        fmt=["16"],
        write_dir=str(tmp_path),
    )
    names: dict[str, object] = {}
    exec(BLOCKS[1].replace("path/to/record", str(tmp_path / "mine")), names)
    prediction = names["prediction"]
    assert prediction.probabilities.sum() == pytest.approx(1)
    assert prediction.votes.sum() == 3 and prediction.mutual_information >= 0
