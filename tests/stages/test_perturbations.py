"""Which records are attacked."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from dnalib.stages.perturbations import attacked_positions


def test_records_are_attacked_whose_answer_is_right_as_it_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # In fp16 the first two logits of the first record are one number, and the first is the answer.
    logits = torch.tensor([[1.0, 1.0001, 0, 0], [1.0, 1.1, 0, 0], [0, 0, 0, 1.0]])
    monkeypatch.setattr("dnalib.stages.perturbations.infer", lambda network, signals: logits)
    dataset = SimpleNamespace(
        split=SimpleNamespace(test=torch.arange(3)),
        packed=lambda records: None,
        labels=lambda records: torch.tensor([0, 0, 3]),
    )
    run = SimpleNamespace(dataset=dataset, settings=SimpleNamespace(attack_records=0))
    assert attacked_positions(run, nn.Identity()).tolist() == [0, 2]
