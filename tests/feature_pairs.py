"""Pairs of feature matrices that are hard to fit, and their fit by NumPy's SVD."""

import numpy as np
import torch


def random_features(records=80, columns=64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(records, columns, generator=generator, dtype=torch.float64)


def related(seed=0, records=80):
    one, other = random_features(records, seed=seed), random_features(records, seed=seed + 1)
    return one, 0.7 * one @ random_features(64, seed=seed + 2) / 8 + other


def nearly_collinear(seed=0):
    one, other = related(seed)
    one[:, 30:50] = one[:, :20] * 3 + 1e-3 * one[:, 30:50]
    return one, other


def collinear(seed=0):
    one, other = related(seed)
    # Below the rounding of float32 features, where the fit leaves such directions out, as it must.
    one[:, 30:50] = one[:, :20] * 3 + 1e-14 * one[:, 30:50]
    return one, other


def dead(seed=0):
    one, other = related(seed)
    one[:, 5:40] = 0
    other[:, :7] = 2.5  # constant, and not zero
    return one.relu(), other


def offset(seed=0):
    one, other = related(seed)
    return one + 100, other - 50


def badly_scaled(seed=0):
    one, other = related(seed)
    return one * torch.logspace(-3, 3, 64, dtype=torch.float64), other


CASES = [related, nearly_collinear, collinear, dead, offset, badly_scaled]


def sums_by_svd(regressor, regressand):
    x = np.column_stack([regressor.numpy(), np.ones(len(regressor))])
    y = regressand.numpy()
    fitted = x @ np.linalg.lstsq(x, y, rcond=1e-10)[0]
    return ((y - fitted) ** 2).sum(), ((y - y.mean(0)) ** 2).sum()
