"""Attacks on one-dimensional classifiers in raw units: PGD and smooth adversarial perturbations."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Padding = Literal["strip", "mask", "keep"]
PADDINGS: tuple[Padding, ...] = ("strip", "mask", "keep")
SMOOTHING_SIZES = (5, 7, 11, 15, 19)
SMOOTHING_SIGMAS = (1.0, 3.0, 5.0, 7.0, 10.0)


def pgd(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    steps: int = 20,
    step_size: float | None = None,
    valid: Tensor | None = None,
    padding: Padding = "strip",
) -> Tensor:
    """Projected gradient descent: steps of α·sign(∇ₓ CE), kept within ε of the record.

    Args:
        model: classifier in evaluation mode, (batch, lead, time) -> logits (batch, class).
        signals: (batch, lead, time), floating point, raw units.
        labels: (batch,), int64, the classes to lead away from.
        epsilon: largest change of a sample, raw units (µV for CinC 2017).
        steps: number of gradient steps.
        step_size: α in raw units; `epsilon / 10` when None.
        valid: (batch, lead, time), bool; False marks zero padding. None: no padding.
        padding: "strip" lets the perturbation live on the padding and removes it at the end (the
            paper's); "mask" holds it to the record at every step (stronger); "keep" neither: the
            state from which the published SAP goes on.

    Returns:
        Perturbation (batch, lead, time), dtype of `signals`, `|δ| ≤ ε`, zero on the padding (unless
        kept).

    Raises:
        ValueError: shapes that do not fit, non-finite signals, a model in training mode, or a
            parameter out of range.

    Source: :eq:`eq-pgd` of chapter 7; Madry et al. 2018; start and step size as in Han et al.
    2020.
    """
    check_arguments(
        model, signals, labels, valid=valid, epsilon=epsilon, steps=steps, padding=padding
    )
    mask = perturbation_mask(signals, valid, padding=padding)
    zero = torch.zeros_like(signals)
    delta = ascend(
        model,
        signals,
        labels,
        start=zero,
        change=lambda theta: theta * mask,
        epsilon=epsilon,
        steps=steps,
        step_size=epsilon / 10 if step_size is None else step_size,
    )
    return delta if padding == "keep" else strip(delta, valid)


def sap(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    steps: int = 40,
    step_size: float | None = None,
    valid: Tensor | None = None,
    padding: Padding = "strip",
    start: Tensor | None = None,
    start_steps: int = 20,
) -> Tensor:
    """Smooth adversarial perturbation: the gradient steps act on θ, and x′ = x + smooth(θ).

    Args:
        model, signals, labels, epsilon, step_size, valid, padding: as in `pgd`.
        steps: gradient steps on θ.
        start: θ to start from, (batch, lead, time), `|θ| ≤ ε`, such as an earlier `pgd` answer;
            None runs `pgd` first. With "strip" that answer still covers the padding, as with
            `padding="keep"`: the published code strips only the final perturbation.
        start_steps: steps of that `pgd`.

    Returns:
        Perturbation smooth(θ) (batch, lead, time), `|δ| ≤ ε`, zero on the padding.

    Raises:
        ValueError: as in `pgd`; a start outside the ε-ball.

    Source: :eq:`eq-sap` of chapter 7; Han et al. 2020, "Methods"; 20 + 40 steps as in the code of
    Wiedeman & Wang.
    """
    check_arguments(
        model, signals, labels, valid=valid, epsilon=epsilon, steps=steps, padding=padding
    )
    if start is None:
        start = pgd(
            model,
            signals,
            labels,
            epsilon=epsilon,
            steps=start_steps,
            step_size=step_size,
            valid=valid,
            padding="mask" if padding == "mask" else "keep",
        )
    check_start(start, signals, epsilon=epsilon)
    mask = perturbation_mask(signals, valid, padding=padding)
    kernel = smoothing_kernel().to(signals)
    theta = ascend(
        model,
        signals,
        labels,
        start=start,
        change=lambda theta: smooth(theta, kernel) * mask,
        epsilon=epsilon,
        steps=steps,
        step_size=epsilon / 10 if step_size is None else step_size,
    )
    delta = smooth(theta, kernel).clamp(-epsilon, epsilon)  # the kernel's sum is 1 up to rounding
    return delta if padding == "keep" else strip(delta, valid)


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
    return functional.conv1d(flat, kernel.view(1, 1, -1), padding="same").view(batch, leads, time)


def ascend(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    start: Tensor,
    change: Callable[[Tensor], Tensor],
    epsilon: float,
    steps: int,
    step_size: float,
) -> Tensor:
    """Signed gradient ascent of the cross-entropy at `signals + change(θ)`, `|θ| ≤ ε`.

    Returns:
        θ after the last step, (batch, lead, time).
    """
    theta = start.detach().clone()
    with frozen_parameters(model):
        for _ in range(steps):
            theta.requires_grad_(True)
            logits = model(signals + change(theta))  # (batch, class)
            # The sum keeps each record's gradient independent of the batch that it stands in.
            loss = functional.cross_entropy(logits, labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, theta)
            theta = (theta.detach() + step_size * gradient.sign()).clamp_(-epsilon, epsilon)
    return theta


def perturbation_mask(signals: Tensor, valid: Tensor | None, *, padding: Padding) -> Tensor:
    """Where a perturbation may live while it is optimised: broadcastable to the signals, float."""
    if valid is None or padding != "mask":
        return torch.ones((), dtype=signals.dtype, device=signals.device)
    return valid.to(signals.dtype)


def strip(delta: Tensor, valid: Tensor | None) -> Tensor:
    """Remove a perturbation from the padding."""
    return delta if valid is None else delta * valid


@contextmanager
def frozen_parameters(model: nn.Module) -> Iterator[None]:
    """No parameter asks for a gradient inside; each goes back to what it asked for before."""
    asked = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in asked:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in asked:
            parameter.requires_grad_(True)


def check_arguments(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    valid: Tensor | None,
    epsilon: float,
    steps: int,
    padding: str,
) -> None:
    """Raise a ValueError with one sentence for the first argument that an attack cannot take."""
    if model.training:
        raise ValueError("the model is in training mode; call model.eval() before an attack")
    if signals.ndim != 3 or not signals.is_floating_point():
        raise ValueError(
            f"signals have shape {tuple(signals.shape)} and type {signals.dtype}; accepted is "
            "(batch, lead, time), floating point"
        )
    if labels.shape != signals.shape[:1]:
        raise ValueError(
            f"labels have shape {tuple(labels.shape)} and signals {tuple(signals.shape)}; accepted "
            "is one label a record"
        )
    if valid is not None and valid.shape != signals.shape:
        raise ValueError(
            f"valid has shape {tuple(valid.shape)} and signals {tuple(signals.shape)}; accepted "
            "are equal shapes"
        )
    if not torch.isfinite(signals).all():
        raise ValueError("signals hold a value that is not finite; accepted are finite raw units")
    if not epsilon > 0:
        raise ValueError(f"epsilon is {epsilon}; accepted are values above 0, in raw units")
    if steps < 0:
        raise ValueError(f"steps is {steps}; accepted are whole numbers from 0")
    if padding not in PADDINGS:
        raise ValueError(f"padding is {padding!r}; accepted are {', '.join(map(repr, PADDINGS))}")


def check_start(start: Tensor, signals: Tensor, *, epsilon: float) -> None:
    """Raise a ValueError unless a starting perturbation fits the signals and the ε-ball."""
    if start.shape != signals.shape:
        raise ValueError(
            f"start has shape {tuple(start.shape)} and signals {tuple(signals.shape)}; accepted "
            "are equal shapes"
        )
    largest = start.abs().max().item() if start.numel() else 0.0
    if not largest <= epsilon * (1 + 1e-6):  # true of NaN as well
        raise ValueError(
            f"start reaches {largest:g}; accepted are values up to epsilon = {epsilon:g}"
        )
