"""Shared information between feature spaces: R², and the loss that reduces it.

Imports go one way: fits, projections; sharing, decorrelation.
"""

from .decorrelation import (
    decorrelation_loss,
    mutual_decorrelation,
    projected_decorrelation,
    projected_loss,
)
from .fits import projected_least_squares
from .projections import Projections, draw_projections
from .sharing import adjusted_for_chance, adjusted_r_squared, chance_loss, r_squared

__all__ = [
    "Projections",
    "adjusted_for_chance",
    "adjusted_r_squared",
    "chance_loss",
    "decorrelation_loss",
    "draw_projections",
    "mutual_decorrelation",
    "projected_decorrelation",
    "projected_least_squares",
    "projected_loss",
    "r_squared",
]
