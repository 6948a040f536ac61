"""The decorrelation loss between feature spaces, with its gradient written out."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dnalib.signals import check_tensor

from .fits import (
    centred,
    check_features,
    check_widths,
    projected_least_squares,
    sum_of_squares,
)
from .projections import Projections, draw_projections

STABILITY = 1e-5  # added to both sums of squares before the logarithm, as published


def decorrelation_loss(
    features: Tensor,
    earlier: Sequence[Tensor],
    *,
    projected_dimension: int = 50,
    generator: torch.Generator,
) -> Tensor:
    """How well the current features and those of earlier models predict each other.

    For each earlier model one of the two feature matrices is the regressor X and the other the
    regressand Y, with probability ½ each. X is projected by a fresh random matrix and Y is fitted
    on it; the term is log(SS_tot + 1e-5) − log(SS_res + 1e-5), large when the fit is good. The loss
    is the mean over the earlier models.

    Args:
        features: (record, feature), floating point, of the model in training, with gradient.
        earlier: one (record, feature) matrix an earlier model, the same records in the same order.
        projected_dimension: columns that X keeps, 1 to the number of features.
        generator: source of the choices and projections, on the CPU.

    Returns:
        Scalar, float64.

    Raises:
        ValueError: no earlier model, features that are no tensors, shapes that differ, or too few
            records: a fit on `projected_dimension` + 1 columns needs more records than that.

    Source: :eq:`eq-decorrelation` and the mean in :eq:`eq-total` of chapter 4; Wiedeman & Wang,
    equations 4–6, with the centred SS_tot of the authors' code.
    """
    check_tensor("features", features)
    projections = draw_projections(
        steps=1,
        models=len(earlier),
        features=features.shape[-1],
        projected_dimension=projected_dimension,
        generator=generator,
    )
    return projected_decorrelation(features, earlier, projections.to(features.device), step=0)


def projected_decorrelation(
    features: Tensor, earlier: Sequence[Tensor], projections: Projections, *, step: int
) -> Tensor:
    """The decorrelation loss with choices and projections that are drawn already.

    All earlier models are fitted in one batched call, and nothing waits for the device.

    Args:
        features, earlier: as in `decorrelation_loss`, on one device.
        projections: on the same device.
        step: which of their steps.

    Returns:
        Scalar, float64.

    Raises:
        ValueError: as in `decorrelation_loss`.
    """
    if not len(earlier):
        raise ValueError(
            "earlier holds no features; decorrelation needs at least one earlier model"
        )
    matrices = projections.matrices[step]  # (model, feature, projected)
    if len(matrices) != len(earlier):
        raise ValueError(
            f"there are features of {len(earlier)} earlier models and projections for "
            f"{len(matrices)}; accepted is one projection a model"
        )
    check_tensor("features", features)
    for place, fixed in enumerate(earlier):
        check_tensor(f"earlier[{place}]", fixed)
        check_features(features, fixed, columns=matrices.shape[-1] + 1)
        check_widths(features, fixed)  # each may be projected by the same matrix
    choices = projections.current_is_regressor[step]
    return _DecorrelationLoss.apply(choices, matrices, features, *earlier)


def mutual_decorrelation(features: Sequence[Tensor]) -> Tensor:
    """How well the features of networks that are trained together predict each other.

    The mean over all ordered pairs of log SS_tot − log SS_res of the fit of the second on the
    first, on all its columns: no projection. Gradients reach both sides of each pair.

    Args:
        features: one (record, feature) matrix a network, the same records in the same order.

    Returns:
        Scalar, float64.

    Raises:
        ValueError: fewer than two networks, features that are no tensors or of different widths, or
            no more records than columns and one.

    Source: the sum over pairs in :eq:`eq-parallel` of chapter A2; Wiedeman & Wang 2022, with the
    loss of :eq:`eq-decorrelation` of chapter 4.
    """
    if len(features) < 2:
        raise ValueError(f"features are of {len(features)} networks; at least two are needed")
    for number, one in enumerate(features):
        check_tensor(f"features[{number}]", one)
    losses = []
    for number, regressor in enumerate(features):
        others = [one for other, one in enumerate(features) if other != number]
        for other in others:
            check_features(regressor, other, columns=regressor.shape[-1] + 1)
            check_widths(regressor, other)  # the fits are made in one batch
        columns = torch.eye(regressor.shape[-1], dtype=torch.float64, device=regressor.device)
        everything = columns.expand(len(others), -1, -1)  # (other, feature, feature)
        forward = (True,) * len(others)
        losses.append(_DecorrelationLoss.apply(forward, everything, regressor, *others))
    return torch.stack(losses).mean()


def projected_loss(regressor: Tensor, regressand: Tensor, *, projection: Tensor) -> Tensor:
    """log SS_tot − log SS_res of the fit of the regressand on the projected regressor.

    Args:
        regressor: (record, feature X), floating point.
        regressand: (record, feature Y), floating point.
        projection: (feature X, projected), floating point.

    Returns:
        Scalar, float64. Gradients reach both feature matrices.

    Raises:
        ValueError: what is no tensor, different records, no more of them than columns and one, or a
            projection of other features.

    Source: :eq:`eq-fit` and :eq:`eq-decorrelation` of chapter 4; Wiedeman & Wang, equations 4–6.
    """
    check_tensor("regressor", regressor)
    check_tensor("regressand", regressand)
    check_tensor("projection", projection)
    check_features(regressor, regressand, columns=projection.shape[-1] + 1)
    if projection.ndim != 2 or len(projection) != regressor.shape[1]:
        raise ValueError(
            f"projection has shape {tuple(projection.shape)}; accepted is a matrix of "
            f"{regressor.shape[1]} rows, one a feature of the regressor"
        )
    return _DecorrelationLoss.apply((True,), projection.unsqueeze(0), regressor, regressand)


class _DecorrelationLoss(torch.autograd.Function):
    """The mean loss over pairs of feature matrices, with its gradient written out.

    At the optimum SS_res does not change with the coefficients to first order, so they count as
    constants, and no factorisation is differentiated: with residual E = Y − XRB,
    ∂L/∂X = 2 E (RB)ᵀ / SS_res and ∂L/∂Y = 2 Y / SS_tot − 2 E / SS_res. What it needs is at hand in
    the forward pass, and kept as one matrix.

    Source: :eq:`eq-decorrelation` and :eq:`eq-decorrelation-gradient` of chapter 4.
    """

    @staticmethod
    def forward(
        ctx: Any, choices: Sequence[bool], projections: Tensor, features: Tensor, *earlier: Tensor
    ) -> Tensor:
        pairs = [
            (features, other) if current_is_regressor else (other, features)
            for current_is_regressor, other in zip(choices, earlier, strict=True)
        ]
        x, y = (centred(torch.stack(side)) for side in zip(*pairs, strict=True))
        mapping = projected_least_squares(x, y, projections.double())  # (model, X, Y)
        residual = torch.baddbmm(y, x, mapping, alpha=-1)  # (model, record, feature Y)
        residual_sum = sum_of_squares(residual).add_(STABILITY)  # (model, 1, 1)
        total_sum = sum_of_squares(y).add_(STABILITY)
        loss = (total_sum / residual_sum).log_().mean()
        weight = 2 / len(pairs)
        scaled = residual.mul_(weight / residual_sum)
        terms: list[list[Tensor]] = [[] for _ in (features, *earlier)]
        for model, current_is_regressor in enumerate(choices):
            regressor, regressand = (0, model + 1) if current_is_regressor else (model + 1, 0)
            if ctx.needs_input_grad[2 + regressor]:
                terms[regressor].append(scaled[model] @ mapping[model].T)
            if ctx.needs_input_grad[2 + regressand]:
                terms[regressand].append(y[model] * (weight / total_sum[model]) - scaled[model])
        ctx.save_for_backward(
            *(
                sum(some[1:], some[0]).to(matrix.dtype) if some else None
                for some, matrix in zip(terms, (features, *earlier), strict=True)
            )
        )
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        # The gradient of a scalar has no dimension, so each product keeps its matrix's dtype.
        scaled = (None if one is None else one * gradient for one in ctx.saved_tensors)
        return None, None, *scaled
