"""Logits and features of many records, a batch at a time."""

import torch
from torch import Tensor

from dnalib.model import Network
from dnalib.signals import PackedSignals


@torch.no_grad()
def infer(
    network: Network,
    signals: Tensor | PackedSignals,
    *,
    batch_size: int = 64,
    with_features: bool = False,
) -> Tensor:
    """Logits, or features, of many records, a batch at a time, in evaluation mode and float32.

    Args:
        network: on any device; its mode is restored.
        signals: (record, time), int16 or floating point, raw units, or records packed.
        batch_size: records a forward pass.
        with_features: return the features instead.

    Returns:
        (record, 4) logits or (record, 64) features, float32, on the CPU.
    """
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    parts = []
    for records in torch.arange(len(signals)).split(batch_size):
        batch = (
            signals.batch(records.to(signals.samples.device))
            if isinstance(signals, PackedSignals)
            else signals[records]
        )
        inputs = batch.to(device).float().unsqueeze(1)  # (batch, 1, time)
        parts.append(network.features(inputs) if with_features else network(inputs))
    network.train(was_training)
    return torch.cat(parts).cpu()
