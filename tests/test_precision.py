"""Precisions of an attacked classifier."""

import pytest
import torch
from random_network import random_network, random_records

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
