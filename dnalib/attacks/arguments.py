"""What attacks accept: the bound ε, where a perturbation may live, and checks of the arguments."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from dnalib.array_arguments import check_count, is_number
from dnalib.attacks.ascent import SCHEDULES
from dnalib.model import check_evaluation_mode
from dnalib.signals import check_generators, check_labels, check_tensor, first_of

Padding = Literal["strip", "mask", "keep"]
PADDINGS: tuple[Padding, ...] = ("strip", "mask", "keep")


def as_bound(epsilon: float | Tensor, signals: Tensor) -> float | Tensor:
    """ε as attacks compute with it: a number, or a tensor broadcastable to the signals.

    Args:
        epsilon: raw units; one number above 0, also as a tensor, or a tensor of values from 0:
            (batch,), one a record, or the shape of the signals, one a sample, to which
            `bounds[:, None].expand_as(signals)` brings one a lead.
        signals: (batch, lead, time).

    Returns:
        Without a gradient, whether ε asks for one or not.

    Raises:
        ValueError: neither a number nor a tensor, a value out of range, or another shape.
    """
    if not isinstance(epsilon, Tensor) and not is_number(epsilon):
        raise ValueError(
            f"epsilon is of type {type(epsilon).__name__}; accepted are numbers and tensors"
        )
    if isinstance(epsilon, Tensor):
        epsilon = epsilon.detach()
    if not isinstance(epsilon, Tensor) or epsilon.ndim == 0:
        if not (epsilon > 0 and math.isfinite(epsilon)):
            raise ValueError(
                f"epsilon is {epsilon}; accepted are finite values above 0, in raw units"
            )
        return within(float(epsilon), signals.dtype)
    if epsilon.shape not in (signals.shape[:1], signals.shape):
        raise ValueError(
            f"epsilon has shape {tuple(epsilon.shape)} and signals {tuple(signals.shape)}; "
            "accepted are one number, one a record or one a sample (of one a lead, "
            "bounds[:, None].expand_as(signals))"
        )
    if not ((epsilon >= 0) & epsilon.isfinite()).all():
        raise ValueError("epsilon holds a value below 0 or one that is not finite; in raw units")
    bounds = rounded_down(epsilon, signals.dtype).to(signals.device)
    return bounds.view(-1, 1, 1) if epsilon.ndim == 1 else bounds


def within(epsilon: float, dtype: torch.dtype) -> float:
    """ε, or the value below it that half precision has, if a perturbation is of that type."""
    if torch.finfo(dtype).bits > 16:
        return epsilon
    return rounded_down(torch.tensor(epsilon, dtype=torch.float64), dtype).item()


def rounded_down(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Values in another type, in half precision none above what it was."""
    rounded = values.to(dtype)
    if torch.finfo(dtype).bits > 16:
        return rounded
    return torch.where(rounded > values, rounded.nextafter(torch.zeros_like(rounded)), rounded)


def varies_in_time(bound: float | Tensor) -> bool:
    """Whether a bound from `as_bound` is one a sample."""
    return isinstance(bound, Tensor) and bound.shape[1:] != (1, 1)


def perturbation_mask(signals: Tensor, valid: Tensor | None, *, padding: Padding) -> Tensor:
    """Where a perturbation may live while it is optimised: broadcastable to the signals, float."""
    if valid is None or padding != "mask":
        return torch.ones((), dtype=signals.dtype, device=signals.device)
    return valid.to(signals.dtype)


def strip(delta: Tensor, valid: Tensor | None) -> Tensor:
    """Remove a perturbation from the padding."""
    return delta if valid is None else delta * valid


def check_arguments(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    valid: Tensor | None,
    steps: int,
    padding: str,
) -> None:
    """Raise a ValueError with one sentence for the first argument that an attack cannot take."""
    check_evaluation_mode(model, name="the model", before="an attack")
    check_labelled(signals, labels, valid=valid)
    check_count("steps", steps, least=0)
    check_padding(padding)


def check_labelled(signals: Tensor, labels: Tensor, *, valid: Tensor | None) -> None:
    """Raise a ValueError with one sentence unless these are finite signals and their classes."""
    check_signals(signals, valid=valid)
    check_labels("labels", labels, records=len(signals))
    if (labels < 0).any():
        raise ValueError(f"labels hold {labels.min().item()}; accepted are classes from 0")
    lost = ~signals.isfinite().flatten(1).all(dim=1)  # (batch,)
    if lost.any():
        raise ValueError(
            f"signals hold a value that is not finite, in record {first_of(lost)} of the batch; "
            "accepted are finite raw units"
        )


def check_padding(padding: str) -> None:
    """Raise a ValueError for a treatment of the padding that is none of `PADDINGS`."""
    if padding not in PADDINGS:
        raise ValueError(f"padding is {padding!r}; accepted are {', '.join(map(repr, PADDINGS))}")


def check_signals(signals: Tensor, *, valid: Tensor | None) -> None:
    """Raise a ValueError with one sentence unless signals and their validity have their shape."""
    check_tensor("signals", signals)
    if signals.ndim != 3 or not signals.is_floating_point():
        raise ValueError(
            f"signals have shape {tuple(signals.shape)} and type {signals.dtype}; accepted is "
            "(batch, lead, time), floating point"
        )
    if valid is None:
        return
    check_tensor("valid", valid)
    if valid.shape != signals.shape or valid.dtype != torch.bool:
        raise ValueError(
            f"valid has shape {tuple(valid.shape)} and type {valid.dtype}, signals "
            f"{tuple(signals.shape)}; accepted is an equal shape, bool"
        )


def check_start(start: Tensor, signals: Tensor, *, bound: float | Tensor) -> None:
    """Raise a ValueError unless a starting perturbation fits the signals and the ε-ball."""
    check_tensor("start", start)
    if start.shape != signals.shape:
        raise ValueError(
            f"start has shape {tuple(start.shape)} and signals {tuple(signals.shape)}; accepted "
            "are equal shapes"
        )
    if not (start.abs() <= bound * (1 + 1e-6)).all():  # true of NaN as well
        epsilon = f"{bound:g}" if isinstance(bound, float) else "of its record or sample"
        raise ValueError(
            f"start reaches {start.abs().max().item():g}; accepted are values up to epsilon = "
            f"{epsilon}"
        )


def check_search(
    signals: Tensor,
    *,
    step_size: float | None,
    momentum: float,
    schedule: str,
    random_start: bool,
    restarts: int,
    generators: Sequence[torch.Generator] | None,
) -> None:
    """Raise a ValueError with one sentence for the first option of the search that cannot be."""
    if schedule not in SCHEDULES:
        raise ValueError(
            f"schedule is {schedule!r}; accepted are {', '.join(map(repr, SCHEDULES))}"
        )
    check_step_size(step_size)
    if not momentum >= 0:
        raise ValueError(f"momentum is {momentum}; accepted are values from 0")
    if schedule == "apgd" and (step_size is not None or momentum):
        raise ValueError(
            "the schedule 'apgd' sets step size and momentum itself; accepted is to name neither"
        )
    check_count("restarts", restarts, least=1)
    if (random_start or restarts > 1) and generators is None:
        raise ValueError("random starts need generators, one a record; see record_generators")
    if generators is not None:
        check_generators(generators, records=len(signals))


def check_step_size(step_size: float | None) -> None:
    """Raise a ValueError unless it is left to the attack or is a number above 0."""
    if step_size is None:
        return
    if not is_number(step_size) or not 0 < step_size < math.inf:
        raise ValueError(f"step_size is {step_size!r}; accepted are finite numbers above 0")
