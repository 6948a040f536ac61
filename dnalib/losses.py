"""Shared information between feature spaces: R², and the loss that reduces it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

STABILITY = 1e-5  # added to both sums of squares before the logarithm, as published
RIDGE = 3e-14  # of each diagonal element; keeps the fit solvable when features are collinear
ROUNDING = 1e-16  # the same for each record: over many, the rounding of their sums is larger
LEFT_OUT = 2e-7  # of the largest singular value: directions below are the rounding of float32


@dataclass(frozen=True)
class Projections:
    """What chance decides in the decorrelation loss, drawn ahead for many steps.

    Attributes:
        matrices: (step, model, feature, projected), float32, random projections; on any device.
        current_is_regressor: one tuple of bools a step, one bool an earlier model; on the host, so
            that reading them never waits for a device.
    """

    matrices: Tensor
    current_is_regressor: tuple[tuple[bool, ...], ...]

    def to(self, device: torch.device | str) -> "Projections":
        """The same, with the matrices on a device."""
        return replace(self, matrices=self.matrices.to(device))

    def until_swap(self, step: int) -> "Projections":
        """One step's, up to the first term whose regressand the current features are.

        Source: the journal version's code. There such a swap persists over the earlier models, so
        that later terms compare two of them and have no gradient.
        """
        choices = self.current_is_regressor[step]
        terms = choices.index(False) + 1 if False in choices else len(choices)
        return Projections(self.matrices[step : step + 1, :terms], (choices[:terms],))


def draw_projections(
    *,
    steps: int,
    models: int,
    features: int,
    projected_dimension: int,
    generator: torch.Generator,
) -> Projections:
    """Draw the choices and random projections of many steps at once.

    Args:
        steps: calls of the loss that they are for.
        models: earlier models a step.
        features: columns of the feature matrices.
        projected_dimension: columns that the regressor keeps.
        generator: on the CPU.

    Raises:
        ValueError: `projected_dimension` is not in 1 … features.
    """
    check_projected_dimension(projected_dimension, features=features)
    shape = (steps, models, features, projected_dimension)
    # Drawn in float32, which takes a fifth of the time; the fit itself is in float64.
    matrices = torch.randn(shape, generator=generator).div_(features**0.5)
    choices = torch.rand(steps, models, generator=generator) < 0.5  # (step, model)
    return Projections(matrices, tuple(tuple(row) for row in choices.tolist()))


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
        ValueError: no earlier model, shapes that differ, or too few records: a fit on
            `projected_dimension` + 1 columns needs more records than that.

    Source: :eq:`eq-decorrelation` and the mean in :eq:`eq-total` of chapter 4; Wiedeman & Wang,
    equations 4–6, with the centred SS_tot of the authors' code.
    """
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
    for fixed in earlier:
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
        ValueError: fewer than two networks, features of different widths, or no more records than
            columns and one.

    Source: the sum over pairs in :eq:`eq-parallel` of chapter A2; Wiedeman & Wang 2022, with the
    loss of :eq:`eq-decorrelation` of chapter 4.
    """
    if len(features) < 2:
        raise ValueError(f"features are of {len(features)} networks; at least two are needed")
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
        ValueError: different records, no more of them than columns and one, or a projection of
            other features.

    Source: :eq:`eq-fit` and :eq:`eq-decorrelation` of chapter 4; Wiedeman & Wang, equations 4–6.
    """
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


def r_squared(regressor: Tensor, regressand: Tensor) -> float:
    """Share of the regressand's variance that a linear fit on the regressor explains.

    Args:
        regressor: (record, feature X).
        regressand: (record, feature Y).

    Returns:
        1 − SS_res / SS_tot over all columns together; not symmetric in its arguments. NaN where
        the regressand is constant: there is no variance to explain.

    Raises:
        ValueError: different records, no more of them than columns and one, or a value that is not
            finite.

    Source: :eq:`eq-r-squared` of chapter 3; Wiedeman & Wang, Figure 6.
    """
    check_features(regressor, regressand, columns=regressor.shape[-1] + 1)
    for name, features in (("regressor", regressor), ("regressand", regressand)):
        if not features.isfinite().all():
            raise ValueError(
                f"{name} holds a value that is not finite; accepted are finite numbers"
            )
    # By singular values: nothing waits for it, and features of any rank may come, in any number.
    x, y = centred(regressor.cpu()), centred(regressand.cpu())
    mapping = torch.linalg.lstsq(x, y, rcond=LEFT_OUT, driver="gelsd").solution  # (X, Y)
    residual = y - x @ mapping  # (record, feature Y)
    return (1 - sum_of_squares(residual) / sum_of_squares(y)).item()


def adjusted_r_squared(regressor: Tensor, regressand: Tensor) -> float:
    """R² corrected for chance: independent features score 0 on average, at any number of records.

    Arguments, errors as in `r_squared`.

    Source: Theil's adjustment, 1 − (1 − R²)(n − 1)/(n − p − 1): :eq:`eq-adjusted` of chapter 3.
    """
    plain = r_squared(regressor, regressand)
    records, columns = regressor.shape
    return adjusted_for_chance(plain, records=records, columns=columns)


def chance_loss(*, records: int, columns: int) -> float:
    """The decorrelation loss of features that share nothing, in nats: what chance alone explains.

    Args:
        records: rows of the batch.
        columns: that the regressor keeps, fewer than `records` - 1.

    Raises:
        ValueError: as many columns or more: they fit anything.

    Source: :eq:`eq-decorrelation` of chapter 4, where R² is columns / (records - 1).
    """
    if not 0 <= columns < records - 1:
        raise ValueError(
            f"columns is {columns}; accepted are 0 to {records - 2} of {records} records"
        )
    return math.log((records - 1) / (records - 1 - columns))


def adjusted_for_chance(r_squared: float, *, records: int, columns: int) -> float:
    """Adjusted R² from R² itself, the number of records and that of the regressor's columns.

    Source: Theil's adjustment, :eq:`eq-adjusted` of chapter 3.
    """
    return 1 - (1 - r_squared) * (records - 1) / (records - columns - 1)


def centred(features: Tensor) -> Tensor:
    """Columns without their mean, float64: the same as a column of ones beside the regressor."""
    wide = features.double()
    return wide - wide.mean(dim=-2, keepdim=True)


def sum_of_squares(matrix: Tensor) -> Tensor:
    """Sum of squared elements of each matrix: (..., 1, 1)."""
    return torch.linalg.vector_norm(matrix, dim=(-2, -1), keepdim=True).square_()


def projected_least_squares(x: Tensor, y: Tensor, projection: Tensor) -> Tensor:
    """What x is multiplied by in the least-squares fit of y on the projected x.

    That is R(RᵀXᵀXR)⁻¹RᵀXᵀY, by a Cholesky factor of the normal equations: some fifty columns, so
    a product of matrices and a small factor instead of an SVD. It is taken in float64: in float32
    the projected columns are rounded before anything is factored, and once features are collinear
    to 1e-3 no factorisation then agrees with the exact fit to 1e-4. In float64 this one does to a
    collinearity of 1e-4, in about the same time. A ridge damps directions below 2e-7 of a column,
    the rounding of float32 features. No call here waits for a device.

    The matrices are so small that a call costs more than its arithmetic, most of all where it wakes
    threads: hence one product for both sides of the normal equations and one triangular solution.

    Args:
        x: (..., record, feature X), centred, float64.
        y: (..., record, feature Y), centred, float64.
        projection: (..., feature X, projected), float64.

    Returns:
        (..., feature X, feature Y), float64.
    """
    kept, columns = projection.shape[-1], y.shape[-1]
    projected = x @ projection  # (..., record, projected)
    moments = projected.mT @ torch.cat([projected, y], dim=-1)  # (..., projected, projected + Y)
    gram, cross = moments[..., :kept], moments[..., kept:]
    ridge = max(RIDGE, ROUNDING * x.shape[-2])
    # The absolute floor serves a regressor of zeros.
    gram.diagonal(dim1=-2, dim2=-1).mul_(1 + ridge).add_(torch.finfo(torch.float64).tiny)
    factor, _ = torch.linalg.cholesky_ex(gram)
    sides = torch.cat([cross, projection.mT], dim=-1)  # (..., projected, Y + X)
    halves = torch.linalg.solve_triangular(factor, sides, upper=False)
    return halves[..., columns:].mT @ halves[..., :columns]


def check_projected_dimension(projected_dimension: int, *, features: int) -> None:
    """Raise a ValueError unless the projection keeps 1 … features columns."""
    if not 1 <= projected_dimension <= features:
        raise ValueError(
            f"projected_dimension is {projected_dimension}; accepted are 1 to {features}, the "
            "number of features"
        )


def check_features(regressor: Tensor, regressand: Tensor, *, columns: int) -> None:
    """Raise a ValueError unless both are matrices over the same, sufficiently many records."""
    if regressor.ndim != 2 or regressand.ndim != 2 or len(regressor) != len(regressand):
        raise ValueError(
            f"features have shapes {tuple(regressor.shape)} and {tuple(regressand.shape)}; "
            "accepted are two matrices (record, feature) over the same records"
        )
    if len(regressor) <= columns:
        raise ValueError(
            f"features of {len(regressor)} records; a fit on {columns} columns needs at least "
            f"{columns + 1}"
        )


def check_widths(features: Tensor, others: Tensor) -> None:
    """Raise a ValueError unless both matrices have as many columns."""
    if features.shape[1] != others.shape[1]:
        raise ValueError(
            f"features have {features.shape[1]} and {others.shape[1]} columns; accepted are as "
            "many of each model"
        )
