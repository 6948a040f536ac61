"""Small classifiers and ensembles whose attacks are known or quick."""

import torch
from torch import nn

from dnalib.ensemble import Ensemble


def random_numbers(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


class TwoClasses(nn.Module):
    """Two classes, told apart by a function of the record: logits (0, score)."""

    def __init__(self, score):
        super().__init__()
        self.score = score
        self.eval()

    def forward(self, signals):
        score = self.score(signals)  # (batch,)
        return torch.stack([torch.zeros_like(score), score], dim=1)


class Rippled(nn.Module):
    """Four classes by a smooth function of the record with many local maxima."""

    def __init__(self, *, time=40, seed=0):
        super().__init__()
        self.weight = nn.Parameter(random_numbers(12, time, seed=seed))
        self.last = nn.Parameter(random_numbers(4, 12, seed=seed + 100))
        self.eval()

    def forward(self, signals):
        return torch.sin(signals.flatten(1) @ self.weight.T) @ self.last.T


def related_members(*, members=3, time=40, own=0.6):
    """An ensemble of linear classifiers that share part of their weights."""
    common = random_numbers(4, time, seed=50)
    networks = []
    for seed in range(members):
        linear = nn.Linear(time, 4).double()
        linear.weight.data = common + own * random_numbers(4, time, seed=seed)
        linear.bias.data.zero_()
        networks.append(nn.Sequential(nn.Flatten(), linear))
    return Ensemble(networks).eval()
