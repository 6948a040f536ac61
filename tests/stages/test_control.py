"""The control is attacked by what its vote hangs on, which is not what its base model falls to."""

import numpy as np
import torch

from dnalib import attacks, metrics
from dnalib.stages.control import BesideConstants, beside_constants
from dnalib.stages.longer import craft_longer

EPSILON = 1.0


def base_model() -> torch.nn.Module:
    """Class 0 by default; upwards the one sample that counts makes it class 1, downwards class 2.

    Upwards is the shorter way, which an attack on the base model takes.
    """
    linear = torch.nn.Linear(1, 4)
    linear.weight.data = torch.tensor([[0.0], [9.0], [-4.0], [0.0]])
    linear.bias.data = torch.tensor([2.0, 0.0, 0.0, 0.0])
    return torch.nn.Sequential(torch.nn.Flatten(), linear).eval()


def test_its_logits_are_those_of_the_base_model_beside_two_constants() -> None:
    base, signals = base_model(), torch.tensor([[[0.3]], [[-0.2]]])
    logits = BesideConstants(base)(signals)
    assert logits.dtype == torch.float32
    expected = metrics.with_constants(base(signals).detach().numpy())
    np.testing.assert_allclose(logits.detach(), expected, rtol=1e-6)


def test_its_vote_falls_to_an_attack_on_all_three_and_not_to_one_on_its_base_model() -> None:
    base = base_model()
    batch = (torch.zeros(1, 1, 1), torch.tensor([0]), torch.ones(1, 1, 1, dtype=torch.bool))
    of_base = attacks.pgd(base, *batch[:2], epsilon=EPSILON, steps=20)
    found = beside_constants(
        base, *batch, craft=craft_longer, epsilon=EPSILON, steps=20, aims=["end to end"]
    )
    answers = {}
    for name, delta in {"base": of_base, "control": found["end to end/apgd"]}.items():
        logits = base(delta).detach().numpy()
        assert logits.argmax() != 0  # the base model falls to both
        answers[name] = metrics.mean_softmax_prediction(metrics.with_constants(logits)).item()
    assert answers == {"base": 0, "control": 2}
