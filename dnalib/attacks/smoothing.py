"""The smoothing of smooth adversarial perturbations (SAP)."""

import torch
from torch import Tensor
from torch.nn import functional

SMOOTHING_SIZES = (5, 7, 11, 15, 19)
SMOOTHING_SIGMAS = (1.0, 3.0, 5.0, 7.0, 10.0)
SMOOTHING_REACH = max(SMOOTHING_SIZES) // 2  # samples to either side


def smoothing_kernel() -> Tensor:
    """The mean of the 25 Gaussian kernels of SAP, as one kernel of 19 taps: (19,), float64.

    Each kernel of size s and standard deviation σ (samples) is normalised to sum 1. Convolution is
    linear and every kernel is centred, so the mean of 25 convolutions is one convolution.

    Source: Han et al. 2020, sizes {5, 7, 11, 15, 19}, σ {1, 3, 5, 7, 10}.
    """
    longest = max(SMOOTHING_SIZES)
    total = torch.zeros(longest, dtype=torch.float64)
    for size in SMOOTHING_SIZES:
        time = torch.arange(size, dtype=torch.float64) - size // 2  # (size,)
        edge = (longest - size) // 2
        for sigma in SMOOTHING_SIGMAS:
            kernel = torch.exp(-(time**2) / (2 * sigma**2))  # (size,)
            total[edge : edge + size] += kernel / kernel.sum()
    return total / (len(SMOOTHING_SIZES) * len(SMOOTHING_SIGMAS))


def smooth(theta: Tensor, kernel: Tensor) -> Tensor:
    """Convolve each lead with a kernel, zero padding "same": (batch, lead, time) in and out."""
    batch, leads, time = theta.shape
    flat = theta.reshape(batch * leads, 1, time)
    taps = kernel.to(theta).view(1, 1, -1)
    return functional.conv1d(flat, taps, padding="same").view(batch, leads, time)
