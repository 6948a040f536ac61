"""Inference: the same answer whatever the batch, whatever the records' layout."""

import pytest
import torch

from dnalib.inference import infer
from dnalib.model import Network
from dnalib.signals import PackedSignals


@pytest.fixture(scope="module")
def signals():
    return torch.randint(-300, 300, (40, 300), generator=torch.Generator().manual_seed(1)).short()


def test_inference_does_not_depend_on_the_batch(signals):
    torch.manual_seed(0)
    model = Network(width=0.02, dropout=0.1).train()
    before = [tensor.clone() for tensor in model.state_dict().values()]
    logits, features = infer(model, signals), infer(model, signals, with_features=True)
    assert logits.shape == (40, 4) and features.shape == (40, 64)
    assert logits.dtype == features.dtype == torch.float32 and not logits.requires_grad
    assert torch.allclose(infer(model, signals, batch_size=7), logits, atol=1e-5)
    assert torch.allclose(infer(model, signals.double(), batch_size=7), logits, atol=1e-5)
    assert torch.allclose(infer(model, PackedSignals.pack(signals)), logits, atol=1e-5)
    assert torch.allclose(model.fc(features), logits, atol=1e-5)
    assert model.training  # and yet nothing was counted as training
    after = model.state_dict().values()
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert not infer(model.eval(), signals).requires_grad and not model.training
