"""Shared information between feature spaces: R², and the loss that reduces it."""

from collections.abc import Sequence

import torch
from torch import Tensor

STABILITY = 1e-5  # added to both sums of squares before the logarithm, as published
RIDGE = 1e-12  # relative to the mean diagonal; keeps the fit solvable when features are collinear


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

    Source: Wiedeman & Wang, equations 4–6, with the centred SS_tot of the authors' code.
    """
    if not earlier:
        raise ValueError(
            "earlier holds no features; decorrelation needs at least one earlier model"
        )
    terms = []
    for fixed in earlier:
        check_features(features, fixed, columns=projected_dimension + 1)
        projection = random_projection(
            features.shape[1], projected_dimension=projected_dimension, generator=generator
        ).to(features.device)
        current_is_regressor = torch.rand((), generator=generator).item() < 0.5
        regressor, regressand = (features, fixed) if current_is_regressor else (fixed, features)
        terms.append(projected_loss(regressor, regressand, projection=projection))
    return torch.stack(terms).mean()


def random_projection(
    features: int, *, projected_dimension: int, generator: torch.Generator
) -> Tensor:
    """Gaussian projection with standard deviation 1/√features: (features, projected), float64.

    Raises:
        ValueError: `projected_dimension` is not in 1 … features.
    """
    if not 1 <= projected_dimension <= features:
        raise ValueError(
            f"projected_dimension is {projected_dimension}; accepted are 1 to {features}, the "
            "number of features"
        )
    numbers = torch.randn(features, projected_dimension, generator=generator, dtype=torch.float64)
    return numbers / features**0.5


def projected_loss(regressor: Tensor, regressand: Tensor, *, projection: Tensor) -> Tensor:
    """log SS_tot − log SS_res of the fit of the regressand on the projected regressor: scalar.

    Args:
        regressor, regressand: (record, feature).
        projection: (feature, projected).
    """
    residual, total = sums_of_squares(regressor.double() @ projection.double(), regressand)
    return torch.log(total + STABILITY) - torch.log(residual + STABILITY)


def r_squared(regressor: Tensor, regressand: Tensor) -> float:
    """Share of the regressand's variance that a linear fit on the regressor explains.

    Args:
        regressor: (record, feature X).
        regressand: (record, feature Y).

    Returns:
        1 − SS_res / SS_tot over all columns together; not symmetric in its arguments.

    Raises:
        ValueError: different records, or no more records than columns.

    Source: Wiedeman & Wang, Figure 6.
    """
    check_features(regressor, regressand, columns=regressor.shape[-1] + 1)
    residual, total = sums_of_squares(regressor, regressand)
    return (1 - residual / total).item()


def adjusted_r_squared(regressor: Tensor, regressand: Tensor) -> float:
    """R² corrected for chance: independent features score 0 on average, at any number of records.

    Arguments, errors as in `r_squared`.

    Source: Theil's adjustment, 1 − (1 − R²)(n − 1)/(n − p − 1).
    """
    unexplained = 1 - r_squared(regressor, regressand)
    records, columns = regressor.shape
    return 1 - unexplained * (records - 1) / (records - columns - 1)


def sums_of_squares(regressor: Tensor, regressand: Tensor) -> tuple[Tensor, Tensor]:
    """SS_res of the least-squares fit with intercept and the centred SS_tot, scalars in float64.

    The fit solves the normal equations by a Cholesky factor in float64: for these few columns that
    is exact enough (the tests compare with an SVD) and its gradient stays finite where that of an
    orthogonal factorisation does not, when features are dead or collinear.
    """
    x = regressor.double() - regressor.double().mean(dim=0)  # (record, feature X)
    y = regressand.double() - regressand.double().mean(dim=0)  # (record, feature Y)
    gram = x.T @ x  # (feature X, feature X)
    # Centring both is the column of ones. The absolute floor serves a regressor of zeros.
    ridge = RIDGE * gram.diagonal().mean().detach() + torch.finfo(torch.float64).tiny
    factor = torch.linalg.cholesky(gram + ridge * torch.eye(len(gram)).to(gram))
    fitted = x @ torch.cholesky_solve(x.T @ y, factor)  # (record, feature Y)
    return (y - fitted).square().sum(), y.square().sum()


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
