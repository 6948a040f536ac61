"""Attacks of another library on our models: the Adversarial Robustness Toolbox (ART), adapted.

An error of our own attacks would make every network look robust. Here others' PGD and a
gradient-free attack run on the same models and records, in the same raw units. Importing ART makes
its settings folder, `.art` in the home folder.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

import numpy as np
import torch
from torch import Tensor, nn

from dnalib.attacks.arguments import as_bound, check_arguments
from dnalib.attacks.ascent import check_gradients_exist, frozen_parameters
from dnalib.attacks.losses import check_reach
from dnalib.classifiers import classifier_logits

try:
    from art.attacks.evasion import ProjectedGradientDescentPyTorch, SquareAttack
    from art.estimators.classification import PyTorchClassifier
except ImportError as error:
    raise ImportError(
        "dnalib.independent needs adversarial-robustness-toolbox, which the extra dnalib[rigour] "
        f"installs: {error}"
    ) from error

RAW_INTERVAL = (-32768.0, 32767.0)  # what a sample of 16 bits can hold, raw units


def art_classifier(
    model: nn.Module,
    *,
    shape: tuple[int, ...],
    interval: tuple[float, float] = RAW_INTERVAL,
    device: torch.device | str = "cpu",
) -> PyTorchClassifier:
    """A model of ours as ART takes it: cross-entropy on logits, inputs in raw units.

    ART moves, switches and clears nothing of the model: it sees a module without parameters.

    Args:
        model: classifier in evaluation mode, (batch, lead, time), float32 -> logits (batch, class).
        shape: of one input, such as (lead, time).
        interval: least and largest sample that an attack may make, raw units.
        device: where the model is: the CPU, or the current CUDA device.

    Raises:
        ValueError: the model does not take float32, gives no logits, those of a single class, or
            an ensemble's: ART would take its members for the records.
    """
    with torch.no_grad():
        classes = classifier_logits(model, torch.zeros(1, *shape, device=device)).shape[1]
    return PyTorchClassifier(
        _Caller(model),
        # The sum keeps each record's gradient independent of the batch that it stands in.
        loss=nn.CrossEntropyLoss(reduction="sum"),
        input_shape=shape,
        nb_classes=classes,
        clip_values=interval,
        device_type="cpu" if torch.device(device).type == "cpu" else "gpu",
    )


def pgd(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    steps: int = 20,
    step_size: float | None = None,
    valid: Tensor | None = None,
    interval: tuple[float, float] = RAW_INTERVAL,
) -> Tensor:
    """ART's projected gradient descent from the record itself, held to the record by its mask.

    The counterpart of `dnalib.attacks.pgd` with `padding="mask"`.

    Args:
        model: classifier in evaluation mode, (batch, lead, time) -> logits (batch, class).
        signals: (batch, lead, time), float32, raw units.
        labels: (batch,), int64, the classes to lead away from.
        epsilon: largest change of a sample, raw units (µV for CinC 2017).
        steps: number of gradient steps.
        step_size: α in raw units; `epsilon / 10` when None.
        valid: (batch, lead, time), bool; False marks zero padding. None: no padding.
        interval: least and largest sample that the attack may make, raw units.

    Returns:
        Perturbation (batch, lead, time), float32, `|δ| ≤ ε`, zero on the padding.

    Raises:
        ValueError: as `dnalib.attacks.pgd`; signals that are not float32 or leave the interval.

    Source: Madry et al. 2018; Nicolae et al. 2018 (ART).
    """
    _check(model, signals, labels, valid=valid, epsilon=epsilon, steps=steps, interval=interval)
    if steps == 0:  # ART wants one at least
        return torch.zeros_like(signals)
    check_gradients_exist()
    classifier = art_classifier(
        model, shape=tuple(signals.shape[1:]), interval=interval, device=signals.device
    )
    check_reach(labels, classes=classifier.nb_classes)
    attack = ProjectedGradientDescentPyTorch(
        classifier,
        norm=np.inf,
        eps=float(epsilon),
        eps_step=float(epsilon / 10 if step_size is None else step_size),
        max_iter=steps,
        batch_size=len(signals),
        verbose=False,
    )
    mask = None if valid is None else valid.cpu().numpy()
    with frozen_parameters(model), torch.random.fork_rng(devices=[]):
        found = attack.generate(signals.cpu().numpy(), labels.cpu().numpy(), mask=mask)
    return _perturbation(found, signals, epsilon=epsilon)


def square(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    steps: int = 300,
    valid: Tensor | None = None,
    interval: tuple[float, float] = RAW_INTERVAL,
    generator: torch.Generator,
) -> Tensor:
    """ART's Square attack: random search that asks for logits and never for a gradient.

    Square wants a picture and knows no mask. So the samples of a record are laid out as a square
    picture, column by column, without the padding; records with the same padding go together.

    Args:
        model, signals, labels, epsilon, valid, interval: as in `pgd`.
        steps: proposals a record; each asks the model three times.
        generator: source of the random search, on the CPU. The state of NumPy and PyTorch is left
            as it was.

    Returns:
        Perturbation (batch, lead, time), float32, `|δ| ≤ ε`, zero on the padding; zero for records
        that the model gets wrong as they are.

    Raises:
        ValueError: as in `pgd`; signals that are not zero on the padding, which is left out of the
            picture.

    Source: Andriushchenko et al. 2020; Nicolae et al. 2018 (ART).
    """
    _check(model, signals, labels, valid=valid, epsilon=epsilon, steps=steps, interval=interval)
    if valid is not None and signals[~valid].any():
        raise ValueError(
            "signals are not zero where valid is False; Square takes zero padding alone"
        )
    delta = torch.zeros_like(signals)
    if steps == 0:  # ART wants one at least
        return delta
    masks = torch.ones_like(signals, dtype=torch.bool) if valid is None else valid
    unlike, group = masks.flatten(1).unique(dim=0, return_inverse=True)  # (mask, lead * time)
    with frozen_parameters(model), _seeded(generator), torch.random.fork_rng(devices=[]):
        for number, mask in enumerate(unlike):
            records = torch.nonzero(group == number).squeeze(1)  # (record,)
            layout = _Layout(model, mask.view(signals.shape[1:]))
            classifier = art_classifier(
                layout, shape=layout.shape, interval=interval, device=signals.device
            )
            check_reach(labels, classes=classifier.nb_classes)
            attack = SquareAttack(
                classifier,
                norm=np.inf,
                eps=float(epsilon),
                max_iter=steps,
                batch_size=len(records),
                verbose=False,
            )
            pictures = layout.pictures(signals[records]).cpu().numpy()
            found = attack.generate(pictures, labels[records].cpu().numpy())
            changed = layout.signals(torch.from_numpy(found).to(signals.device))
            delta[records] = _perturbation(changed, signals[records], epsilon=epsilon)
    return delta


def agreement(
    first: Tensor, second: Tensor, *, epsilon: float, valid: Tensor | None = None
) -> float:
    """Share of the samples in which two perturbations are equal, up to the rounding of raw units.

    Args:
        first, second: perturbations (batch, lead, time), raw units.
        epsilon: of both; differences up to ε/1000 count as rounding.
        valid: (batch, lead, time), bool: the samples to compare. None: all.

    Returns:
        Between 0 and 1.

    Raises:
        ValueError: shapes that differ.
    """
    if not first.shape == second.shape == (first if valid is None else valid).shape:
        shapes = [tuple(one.shape) for one in (first, second, valid) if one is not None]
        raise ValueError(f"perturbations have shapes {shapes}; accepted is one and the same")
    equal = (first - second).abs() <= epsilon / 1000
    return (equal if valid is None else equal[valid]).double().mean().item()


class _Caller(nn.Module):
    """Calls a model without owning it, so that ART finds no parameters and no modes to change."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.call = (model,)  # in a tuple, which registers nothing

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, …) -> logits (batch, class)."""
        return self.call[0](inputs)


class _Layout(nn.Module):
    """A model whose inputs are pictures of the samples that a mask allows, column by column.

    A column is then a stretch of the record, and Square's tiles are several short stretches.
    """

    def __init__(self, model: nn.Module, mask: Tensor) -> None:
        super().__init__()
        self.model = model
        self.mask = mask  # (lead, time)
        self.samples = int(mask.sum())
        self.side = max(5, ceil(self.samples**0.5))  # Square's first tile leaves room from 5 on
        self.shape = (1, self.side, self.side)

    def pictures(self, signals: Tensor) -> Tensor:
        """(batch, lead, time) -> (batch, 1, row, column); the last pixels stay unused."""
        pictures = signals.new_zeros(len(signals), self.side**2)
        pictures[:, : self.samples] = signals[:, self.mask]
        return pictures.view(-1, *self.shape).transpose(2, 3).contiguous()

    def signals(self, pictures: Tensor) -> Tensor:
        """(batch, 1, row, column) -> (batch, lead, time), zero where the mask forbids."""
        signals = pictures.new_zeros(len(pictures), *self.mask.shape)
        flat = pictures.transpose(2, 3).flatten(1)  # (batch, pixel)
        signals[:, self.mask] = flat[:, : self.samples]
        return signals

    def forward(self, pictures: Tensor) -> Tensor:
        """(batch, 1, row, column) -> logits (batch, class)."""
        return self.model(self.signals(pictures))


@contextmanager
def _seeded(generator: torch.Generator) -> Iterator[None]:
    """NumPy's global state, which ART draws from, set by a generator inside and put back after."""
    before = np.random.get_state()
    np.random.seed(int(torch.randint(2**32, (), generator=generator)))
    try:
        yield
    finally:
        np.random.set_state(before)


def _perturbation(found: np.ndarray | Tensor, signals: Tensor, *, epsilon: float) -> Tensor:
    """What was added to the signals; the rounding of the sum may pass ε by a last bit."""
    delta = torch.as_tensor(found, device=signals.device) - signals
    return delta.clamp_(-epsilon, epsilon)


def _check(
    model: nn.Module,
    signals: Tensor,
    labels: Tensor,
    *,
    valid: Tensor | None,
    epsilon: float,
    steps: int,
    interval: tuple[float, float],
) -> None:
    """Raise a ValueError for the first argument that ART would take amiss."""
    check_arguments(model, signals, labels, valid=valid, steps=steps, padding="mask")
    as_bound(epsilon, signals)
    if isinstance(epsilon, Tensor) and epsilon.ndim:
        raise ValueError(f"epsilon has shape {tuple(epsilon.shape)}; ART takes one number for all")
    if not len(signals):
        raise ValueError("signals hold no record; at least one is needed")
    if signals.dtype != torch.float32:
        raise ValueError(f"signals have type {signals.dtype}; accepted is float32, ART's own")
    lowest, highest = signals.min().item(), signals.max().item()
    if not interval[0] <= lowest <= highest <= interval[1]:
        raise ValueError(
            f"signals reach from {lowest:g} to {highest:g}; accepted are samples in {interval}"
        )
