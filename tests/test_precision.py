"""Precisions of an attacked classifier."""

import pytest
import torch
from random_network import random_network, random_records
from torch import Tensor, nn

from dnalib.precision import InPrecision


def test_logits_are_float32_in_both_precisions():
    network = random_network(width=0.03)
    for precision in ("32-true", "bf16-mixed"):
        model = InPrecision(network, precision=precision)
        assert (
            model(random_records([300, 200], length=300)).dtype == torch.float32
            and not model.training
        )
    with pytest.raises(ValueError, match="'16-true'; accepted are '32-true', 'bf16-mixed'"):
        InPrecision(network, precision="16-true")


class Pair(nn.Module):
    """Gives logits and features at once."""

    def forward(self, signals: Tensor) -> tuple[Tensor, Tensor]:
        return signals, signals


def test_an_answer_that_is_no_tensor_is_refused() -> None:
    with pytest.raises(ValueError, match="the model gives a tuple; accepted is a tensor of logits"):
        InPrecision(Pair().eval(), precision="32-true")(torch.zeros(1, 1, 9))
