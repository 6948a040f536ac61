"""Least squares between two matrices of features, and what such a fit takes."""

import torch
from torch import Tensor

RIDGE = 3e-14  # of each diagonal element; keeps the fit solvable when features are collinear
ROUNDING = 1e-16  # the same for each record: over many, the rounding of their sums is larger
# Of each diagonal element where the factor fails, as it may once few records make up every column:
# RIDGE is then lost in the rounding of the products, and so was 1e-13; with this none failed.
SECOND_RIDGE = 1e-12


def projected_least_squares(x: Tensor, y: Tensor, projection: Tensor) -> Tensor:
    """What x is multiplied by in the least-squares fit of y on the projected x.

    That is R(RᵀXᵀXR)⁻¹RᵀXᵀY, by a Cholesky factor of the normal equations: some fifty columns, so
    a product of matrices and a small factor instead of an SVD. It is taken in float64: in float32
    the projected columns are rounded before anything is factored, and once features are collinear
    to 1e-3 no factorisation then agrees with the exact fit to 1e-4. In float64 this one does to a
    collinearity of 1e-4, in about the same time. A ridge damps directions below 2e-7 of a column,
    the rounding of float32 features, and where no factor comes of it, one of 1e-6. No call here
    waits for a device.

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
    second = SECOND_RIDGE / RIDGE * ridge  # over many records larger as well
    factor = cholesky_factor(gram, second, wait=x.device.type == "cpu")
    sides = torch.cat([cross, projection.mT], dim=-1)  # (..., projected, Y + X)
    halves = torch.linalg.solve_triangular(factor, sides, upper=False)
    return halves[..., columns:].mT @ halves[..., :columns]


def cholesky_factor(gram: Tensor, ridge: float, *, wait: bool) -> Tensor:
    """Lower triangular factor of each matrix, and of one with a larger diagonal where that fails.

    A failed factor is not an error but a part of one, and a fit with it anything: a loss below
    zero, gradients of 1e15, NaN.

    Args:
        gram: (..., n, n), symmetric, float64. Its diagonal may be changed.
        ridge: what is added to each diagonal element in the second factor, as a share of it.
        wait: whether to look first if any factor failed, which saves the second one. On the CPU
            that costs nothing; elsewhere the host would wait for the device.

    Returns:
        (..., n, n), float64; bit for bit the first factor wherever there is one.
    """
    factor, failed = torch.linalg.cholesky_ex(gram)
    if wait and not failed.count_nonzero():
        return factor
    gram.diagonal(dim1=-2, dim2=-1).mul_(1 + ridge)
    second, _ = torch.linalg.cholesky_ex(gram)
    return torch.where((failed > 0)[..., None, None], second, factor)


def centred(features: Tensor) -> Tensor:
    """Columns without their mean, float64: the same as a column of ones beside the regressor."""
    wide = features.double()
    return wide - wide.mean(dim=-2, keepdim=True)


def sum_of_squares(matrix: Tensor) -> Tensor:
    """Sum of squared elements of each matrix: (..., 1, 1)."""
    return torch.linalg.vector_norm(matrix, dim=(-2, -1), keepdim=True).square_()


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
