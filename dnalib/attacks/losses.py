"""What an attack maximises: losses of one classifier's logits, one value a record."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Tensor], Tensor]  # (logits, labels) -> (batch,), high where misled

SMALLEST_SPREAD = 1e-12  # of the three largest logits, in the denominator of the ratio


def of_each(loss: Loss, logits: Tensor, labels: Tensor) -> Tensor:
    """A loss of each record, (batch,).

    Raises:
        ValueError: the loss is no function, gives no tensor or another shape, such as a mean; or a
            label is of a class that the logits do not have, as seen on a CPU.
    """
    if not callable(loss):
        raise ValueError(
            f"loss is {loss!r}; accepted is a function of logits and labels, such as attacks.margin"
        )
    try:
        values = loss(logits, labels)
    except (IndexError, RuntimeError):
        # Asked for here alone: to ask at every step would make a GPU wait.
        check_reach(labels, classes=logits.shape[-1])
        raise
    if not isinstance(values, Tensor):
        raise ValueError(
            f"the loss gives a {type(values).__name__}; accepted is a tensor, one value a record, "
            "(batch,)"
        )
    if values.shape != labels.shape[:1]:
        raise ValueError(
            f"the loss gives shape {tuple(values.shape)} for {len(labels)} records; accepted is "
            "one value a record, (batch,), such as with reduction='none'"
        )
    return values


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """−log softmax of the true class, nats.

    Args:
        logits: (batch, class), floating point.
        labels: (batch,), int64.

    Returns:
        (batch,). Its gradient fades where the classifier is sure and right.

    Raises:
        ValueError: logits of another number of axes, as of an ensemble's members, or of a single
            class, of which every answer is right.
    """
    check_number_of_classes(logits, at_least=2, loss="the cross-entropy")
    return functional.cross_entropy(logits, labels, reduction="none")


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """The largest wrong logit less the true one: above 0 where the answer is wrong.

    Arguments and shapes as in `cross_entropy`; at least two classes.

    Source: Carlini & Wagner 2017, "Towards evaluating the robustness of neural networks".
    """
    check_number_of_classes(logits, at_least=2, loss="the margin")
    true = logits.gather(1, labels[:, None])  # (batch, 1)
    wrong = logits.scatter(1, labels[:, None], -torch.inf)  # (batch, class)
    return wrong.amax(dim=1) - true.squeeze(1)


def difference_of_logits_ratio(logits: Tensor, labels: Tensor) -> Tensor:
    """The margin over the spread of the three largest logits (DLR): no scale, no offset.

    (largest wrong z − true z) / (largest z − third largest z). Multiplying a classifier's logits, a
    way to make the gradients of the cross-entropy vanish, changes nothing here.

    Arguments and shapes as in `cross_entropy`.

    Raises:
        ValueError: fewer than three classes.

    Source: Croce & Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of
    diverse parameter-free attacks".
    """
    check_number_of_classes(logits, at_least=3, loss="the difference of logits ratio")
    largest = logits.topk(3, dim=1).values  # (batch, 3)
    spread = largest[:, 0] - largest[:, 2]
    return margin(logits, labels) / (spread + SMALLEST_SPREAD)


def cut(loss: Loss, *, largest_loss: float | None) -> Loss:
    """The loss up to a limit, beyond which a record's gradient is 0; itself where that is None.

    Raises:
        ValueError: a limit that is not above 0.
    """
    if largest_loss is None:
        return loss
    if not largest_loss > 0:
        raise ValueError(f"largest_loss is {largest_loss}; accepted are values above 0, or None")
    return lambda logits, labels: loss(logits, labels).clamp(max=largest_loss)


def check_reach(labels: Tensor, *, classes: int) -> None:
    """Raise a ValueError if a label is beyond a model's classes; waits for the labels' device."""
    if labels.numel() and labels.max() >= classes:
        raise ValueError(
            f"labels reach {labels.max().item()} and the model has {classes} classes; accepted are "
            f"classes from 0 to {classes - 1}"
        )


def check_number_of_classes(logits: Tensor, *, at_least: int, loss: str) -> None:
    """Raise a ValueError unless logits are (batch, class) with so many classes."""
    if logits.ndim != 2 or logits.shape[1] < at_least:
        raise ValueError(
            f"logits have shape {tuple(logits.shape)}; {loss} needs (batch, class) with at least "
            f"{at_least} classes. What an ensemble answers, (member, batch, class), takes a "
            "loss of the whole, such as attacks.end_to_end()"
        )
