"""What one feature space tells of another: R², corrected for chance, and the loss of chance."""

import math

import torch
from torch import Tensor

from dnalib.signals import check_tensor

from .fits import centred, check_features, sum_of_squares

LEFT_OUT = 2e-7  # of the largest singular value: directions below are the rounding of float32


def r_squared(regressor: Tensor, regressand: Tensor) -> float:
    """Share of the regressand's variance that a linear fit on the regressor explains.

    Args:
        regressor: (record, feature X).
        regressand: (record, feature Y).

    Returns:
        1 − SS_res / SS_tot over all columns together; not symmetric in its arguments. NaN where
        the regressand is constant: there is no variance to explain.

    Raises:
        ValueError: what is no tensor, different records, no more of them than columns and one, or a
            value that is not finite.

    Source: :eq:`eq-r-squared` of chapter 3; Wiedeman & Wang, Figure 6.
    """
    share, _ = share_and_rank(regressor, regressand)
    return share


def share_and_rank(regressor: Tensor, regressand: Tensor) -> tuple[float, int]:
    """R², and how many independent columns the centred regressor has: its numerical rank.

    Arguments, errors as in `r_squared`.
    """
    check_tensor("regressor", regressor)
    check_tensor("regressand", regressand)
    check_features(regressor, regressand, columns=regressor.shape[-1] + 1)
    for name, features in (("regressor", regressor), ("regressand", regressand)):
        if not features.isfinite().all():
            raise ValueError(
                f"{name} holds a value that is not finite; accepted are finite numbers"
            )
    # By singular values: nothing waits for it, and features of any rank may come, in any number.
    x, y = centred(regressor.cpu()), centred(regressand.cpu())
    fit = torch.linalg.lstsq(x, y, rcond=LEFT_OUT, driver="gelsd")
    residual = y - x @ fit.solution  # (record, feature Y)
    return (1 - sum_of_squares(residual) / sum_of_squares(y)).item(), int(fit.rank)


def adjusted_r_squared(regressor: Tensor, regressand: Tensor) -> float:
    """R² corrected for chance: independent features score 0 on average, at any number of records.

    Columns count as far as they are independent: a dead feature, or one that others determine,
    gives chance nothing to fit. p is therefore the numerical rank of the centred regressor, with
    directions below 2e-7 of the largest left out, as the fit leaves them out.

    Arguments, errors as in `r_squared`.

    Source: Theil's adjustment, 1 − (1 − R²)(n − 1)/(n − p − 1): :eq:`eq-adjusted` of chapter 3.
    """
    share, rank = share_and_rank(regressor, regressand)
    return adjusted_for_chance(share, records=len(regressor), columns=rank)


def adjusted_for_chance(r_squared: float, *, records: int, columns: int) -> float:
    """Adjusted R² from R² itself, the number of records and that of independent columns.

    Source: Theil's adjustment, :eq:`eq-adjusted` of chapter 3.
    """
    return 1 - (1 - r_squared) * (records - 1) / (records - columns - 1)


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
