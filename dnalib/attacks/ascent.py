"""Climbing a loss inside the ε-ball by the signs of its gradient, each record on its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from dnalib.attacks.losses import Loss, of_each
from dnalib.classifiers import logits_of

Schedule = Literal["constant", "apgd"]
SCHEDULES: tuple[Schedule, ...] = ("constant", "apgd")
APGD_MOMENTUM = 0.75  # weight of the new step, the rest being the last one's
APGD_SUCCESS = 0.75  # share of steps that must raise the loss, lest the step size be halved


@dataclass(frozen=True)
class Objective:
    """A loss of each record as a function of θ, where the input is `signals + change(θ)`.

    Attributes:
        model: classifier or ensemble in evaluation mode.
        signals: (batch, lead, time).
        labels: (batch,).
        loss: (model's logits, labels) -> (batch,).
        change: from θ, (batch, lead, time) or broadcastable to it, to what is added.
    """

    model: nn.Module
    signals: Tensor
    labels: Tensor
    loss: Loss
    change: Callable[[Tensor], Tensor]

    def gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of each record, (batch,), and its gradient in θ, shaped like θ.

        The gradient of a loss that is NaN is NaN: behind a cut it would be 0.

        Raises:
            ValueError: PyTorch keeps no gradients here, the loss does not depend on the signals, or
                what `logits_of` and `of_each` refuse.
        """
        check_gradients_exist()
        theta = theta.detach().requires_grad_(True)
        with torch.enable_grad(), frozen_parameters(self.model):
            logits = logits_of(self.model, self.signals + self.change(theta))
            values = of_each(self.loss, logits, self.labels)
            # The sum keeps each record's gradient independent of the batch that it stands in.
            gradient = gradient_of(values.sum(), theta)
            if gradient is None:
                cut = logits.requires_grad and not values.requires_grad
                raise ValueError(
                    f"the {'loss does' if cut else 'logits do'} not depend on the signals, or not "
                    "by what PyTorch differentiates; accepted are a model and a loss with a "
                    "gradient in its input"
                )
        lost = values.detach().isnan()[:, None, None]  # (batch, 1, 1)
        if len(theta) == 1:  # one θ for all records
            lost = lost.any(dim=0, keepdim=True)
        return values.detach(), gradient.masked_fill(lost, torch.nan)


def gradient_of(value: Tensor, theta: Tensor) -> Tensor | None:
    """The gradient of a number in θ; None if it does not depend on θ."""
    if not value.requires_grad:
        return None
    return torch.autograd.grad(value, theta, allow_unused=True)[0]


def climb(
    objective: Objective,
    *,
    start: Tensor,
    bound: float | Tensor,
    steps: int,
    step_size: float | None,
    momentum: float,
    schedule: Schedule,
) -> Tensor:
    """θ after `ascend` or, with the schedule "apgd", the best θ of `ascend_adaptively`.

    Raises:
        ValueError: the gradient of a record was NaN.
    """
    if schedule == "apgd":
        found = ascend_adaptively(objective, start=start, bound=bound, steps=steps)
    else:
        size = bound / 10 if step_size is None else step_size
        found = ascend(
            objective, start=start, bound=bound, steps=steps, step_size=size, momentum=momentum
        )
    check_numbers(found)
    return found


def project(theta: Tensor, bound: float | Tensor) -> Tensor:
    """The nearest values within the ε-ball, `|θ| ≤ ε`; NaN stays."""
    return theta.clamp(-bound, bound)  # type: ignore[arg-type]  # of either kind, says PyTorch


def ascend(
    objective: Objective,
    *,
    start: Tensor,
    bound: float | Tensor,
    steps: int,
    step_size: float | Tensor,
    momentum: float = 0.0,
) -> Tensor:
    """Steps of one size along the gradient's signs, `|θ| ≤ ε`.

    With momentum μ the direction is the sum of all gradients so far, each divided by its record's
    sum of absolute values and weighted by μ to the power of its age.

    Returns:
        θ after the last step, (batch, lead, time); NaN where a gradient was.

    Source: momentum as in Dong et al. 2018, "Boosting adversarial attacks with momentum".
    """
    theta = start.detach().clone()
    velocity = torch.zeros_like(theta)
    for _ in range(steps):
        _, direction = objective.gradient(theta)
        if momentum:
            size = direction.abs().sum(dim=(1, 2), keepdim=True)  # (batch, 1, 1)
            smallest = torch.finfo(size.dtype).tiny
            velocity = momentum * velocity + direction / size.clamp_min(smallest)
            direction = velocity
        theta = project(theta + step_size * signs(direction), bound)
    return theta


def ascend_adaptively(
    objective: Objective, *, start: Tensor, bound: float | Tensor, steps: int
) -> Tensor:
    """The ascent of APGD, whose step size, at first 2ε, is halved for a record that stalls.

    At each of a few checkpoints, ever closer together, a record's step is halved, and its search
    goes on from its best θ so far, if since the last checkpoint fewer than three quarters of the
    steps raised the loss, or if neither the step nor the best loss has changed.

    Returns:
        Each record's best θ, of all visited, the start included: (batch, lead, time); NaN for a
        record whose loss or gradient was, up to the last.

    Source: Croce & Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of
    diverse parameter-free attacks", Algorithm 1.
    """
    theta = previous = start.detach().clone()
    loss, gradient = objective.gradient(theta)
    best, best_loss, best_gradient = theta, loss, gradient
    checked_loss, halved = loss, torch.zeros_like(loss, dtype=torch.bool)
    checkpoints, checked = apgd_checkpoints(steps), 0
    step_size = 2 * bound * torch.ones_like(theta[:, :1, :1])  # (batch, 1 or lead, 1 or time)
    raised = torch.zeros_like(loss)
    for step in range(1, steps + 1):
        target = project(theta + step_size * signs(gradient), bound)
        weight = APGD_MOMENTUM if step > 1 else 1.0
        moved = theta + weight * (target - theta) + (1 - weight) * (theta - previous)
        previous, theta = theta, project(moved, bound)
        last_loss = loss
        loss, gradient = objective.gradient(theta)
        raised = raised + (loss > last_loss)
        better = (loss > best_loss) | loss.isnan()  # NaN stays to the end
        best_loss = torch.where(better, loss, best_loss)
        best, best_gradient = choose(better, (theta, gradient), (best, best_gradient))
        if step in checkpoints:
            stuck = ~halved & (best_loss <= checked_loss)
            halved = (raised < APGD_SUCCESS * (step - checked)) | stuck
            step_size = torch.where(halved[:, None, None], step_size / 2, step_size)
            theta, gradient = choose(halved, (best, best_gradient), (theta, gradient))
            loss = torch.where(halved, best_loss, loss)
            checked, checked_loss, raised = step, best_loss, torch.zeros_like(raised)
    return best.masked_fill(best_loss.isnan()[:, None, None], torch.nan)


def signs(direction: Tensor) -> Tensor:
    """-1, 0 and 1, but NaN for NaN, of which `sign` makes 0: a record would pass as robust."""
    return torch.where(direction.isnan(), direction, direction.sign())


def check_numbers(theta: Tensor) -> None:
    """Raise a ValueError if a perturbation (batch, lead, time) holds NaN, as after such gradients.

    A NaN stays where it came up, so that an ascent waits for its device once, at its end.
    """
    lost = theta.isnan().flatten(1).any(dim=1)  # (batch,)
    if lost.any():
        raise ValueError(
            f"the loss or its gradient is not a number for {int(lost.sum())} of {len(lost)} "
            f"perturbations, the first at place {int(lost.nonzero()[0])} of the batch; accepted "
            "are a model and a loss with numbers for every record"
        )


def check_gradients_exist() -> None:
    """Raise a ValueError in PyTorch's inference mode, which nothing inside it can leave."""
    if torch.is_inference_mode_enabled():
        raise ValueError(
            "torch.inference_mode() is on, which gives no gradients; accepted is torch.no_grad()"
        )


def choose(
    first_is_taken: Tensor, first: tuple[Tensor, ...], second: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """Per record, tensors (batch, lead, time) from the first tuple or from the second."""
    taken = first_is_taken[:, None, None]
    return tuple(torch.where(taken, a, b) for a, b in zip(first, second, strict=True))


def apgd_checkpoints(steps: int) -> list[int]:
    """After which steps APGD looks back, ascending.

    The first comes after 22 % of the steps; each gap is 3 points shorter than the one before it,
    but no shorter than 6 points.
    """
    percent, gap, found = 0, 22, []
    while percent + gap <= 100:
        percent += gap
        found.append(-(-percent * steps // 100))  # rounded up
        gap = max(gap - 3, 6)
    return sorted(set(found) - {0})


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
