"""What chance decides in the decorrelation loss: projections and the direction of each fit."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dnalib.signals import check_generator


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
        ValueError: `projected_dimension` is not in 1 … features, or no generator on the CPU.
    """
    check_generator("generator", generator)
    check_projected_dimension(projected_dimension, features=features)
    shape = (steps, models, features, projected_dimension)
    # Drawn in float32, which takes a fifth of the time; the fit itself is in float64.
    matrices = torch.randn(shape, generator=generator).div_(features**0.5)
    choices = torch.rand(steps, models, generator=generator) < 0.5  # (step, model)
    return Projections(matrices, tuple(tuple(row) for row in choices.tolist()))


def check_projected_dimension(projected_dimension: int, *, features: int) -> None:
    """Raise a ValueError unless the projection keeps 1 … features columns."""
    if not 1 <= projected_dimension <= features:
        raise ValueError(
            f"projected_dimension is {projected_dimension}; accepted are 1 to {features}, the "
            "number of features"
        )
