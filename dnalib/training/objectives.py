"""What one training step minimises, by the method of the recipe."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from dnalib.losses import Projections, mutual_decorrelation, projected_decorrelation
from dnalib.model import BLOCKS
from dnalib.training.adversarial import (
    adversarial_examples,
    distilled_examples,
    partners_of_another_class,
)
from dnalib.training.data import TrainingData
from dnalib.training.joint import networks_of, unwrapped
from dnalib.training.processes import rows_of_all, share
from dnalib.training.recipes import Method, Recipe

if TYPE_CHECKING:
    from lightning.fabric import Fabric


@dataclass(frozen=True)
class Step:
    """What a training step has at hand.

    Attributes:
        fabric: of this process.
        network: as Fabric set it up; its `module` is the plain one.
        data: on the device.
        records: (batch,), record of each row of the batch, of which each process takes a share.
        recipe: of the training.
        projections: of the epoch, where the recipe decorrelates from earlier models.
        number: of this step in its epoch, from 0.
    """

    fabric: "Fabric"
    network: torch.nn.Module
    data: TrainingData
    records: Tensor
    recipe: Recipe
    projections: Projections | None
    number: int

    @property
    def mine(self) -> Tensor:
        """(row,), record of each row of this process's share."""
        return share(self.records, self.fabric)

    @property
    def signals(self) -> Tensor:
        """(row, lead, time), float32, raw units."""
        return self.data.signals.batch(self.mine).float()

    @property
    def valid(self) -> Tensor:
        """(row, lead, time), bool, False on the padding."""
        return self.data.signals.valid(self.mine)

    @property
    def labels(self) -> Tensor:
        """(row,)."""
        return self.data.labels[self.mine]

    @property
    def attack(self) -> dict[str, Any]:
        """What the recipe says of inputs that are made by an attack."""
        return {
            "epsilon": self.recipe.adversarial_epsilon,
            "steps": self.recipe.adversarial_steps,
            "precision": self.recipe.precision,
        }


@dataclass(frozen=True)
class Losses:
    """What a step found.

    Attributes:
        cross_entropy: scalar, mean over the rows of this process, and over networks.
        decorrelation: scalar, of the whole batch.
        hits: scalar, rows of this process classified right; of several networks the mean.
    """

    cross_entropy: Tensor
    decorrelation: Tensor
    hits: Tensor


def alone(step: Step) -> Losses:
    """One network: its cross-entropy, and the decorrelation loss where there are earlier models.

    With `adversarial_epsilon` above 0 the network sees adversarial examples of itself alone, and
    their features are decorrelated from the earlier models' features of the natural records.

    Source: :eq:`eq-total` of chapter 4; with adversarial examples :eq:`eq-adversarial` of chapter
    A2, Madry et al. 2018.
    """
    signals, labels = step.signals, step.labels
    if step.recipe.adversarial_epsilon:
        (network,) = networks_of(unwrapped(step.network))
        signals = adversarial_examples(network, signals, labels, valid=step.valid, **step.attack)
    logits, features = step.network(signals, with_features=True)
    decorrelation = torch.zeros((), dtype=torch.float64, device=labels.device)
    if step.projections:
        together = rows_of_all(features, step.fabric, total=len(step.records))  # (batch, feature)
        decorrelation = mean_decorrelation(
            together,
            [matrix[step.records] for matrix in step.data.earlier],
            step.projections,
            step=step.number,
            swap_persists=step.recipe.swap_persists,
        )
    return Losses(
        functional.cross_entropy(logits.float(), labels),
        decorrelation,
        (logits.argmax(1) == labels).sum(),
    )


def parallel(step: Step) -> Losses:
    """Networks together: the mean of their cross-entropies, and what they share pair by pair.

    Source: :eq:`eq-parallel` of chapter A2; Wiedeman & Wang 2022, "Disrupting adversarial
    transferability in deep neural networks".
    """
    logits, features = step.network(step.signals)  # (member, row, class), (member, row, feature)
    together = [rows_of_all(one, step.fabric, total=len(step.records)) for one in features]
    return Losses(
        mean_cross_entropy(logits, step.labels),
        mutual_decorrelation(together),
        mean_hits(logits, step.labels),
    )


def dverge(step: Step) -> Losses:
    """Networks together: each learns the others' distilled inputs under the sources' true classes.

    A row is distilled by each network towards a row of another class, at a block drawn anew for the
    batch; every other network is then to call it what it looks like.

    Source: :eq:`eq-dverge` of chapter A2; Yang et al. 2020, equation 3 and Algorithm 1.
    """
    signals, labels = step.signals, step.labels
    targets = signals[partners_of_another_class(labels)]  # (row, lead, time)
    block = 1 + int(torch.randint(len(BLOCKS), ()))
    distilled = [
        distilled_examples(network, signals, targets, block=block, valid=step.valid, **step.attack)
        for network in networks_of(unwrapped(step.network))
    ]
    # (member, row · other member, lead, time): what each network is shown
    shown = torch.stack(
        [
            torch.cat([one for other, one in enumerate(distilled) if other != member])
            for member in range(len(distilled))
        ]
    )
    repeated = labels.repeat(len(distilled) - 1)  # (row · other member,)
    logits, _ = step.network(shown)
    return Losses(
        mean_cross_entropy(logits, repeated),
        torch.zeros((), dtype=torch.float64, device=labels.device),
        mean_hits(logits, repeated) / (len(distilled) - 1),
    )


OBJECTIVES: Mapping[Method, Callable[[Step], Losses]] = {
    "alone": alone,
    "parallel": parallel,
    "dverge": dverge,
}


def forward_and_backward(step: Step, optimizer: torch.optim.Optimizer) -> Losses:
    """A step's losses; their gradients take the place of the parameters' last ones."""
    losses = OBJECTIVES[step.recipe.method](step)
    optimizer.zero_grad()
    # Gradients are averaged over processes, whose shares may differ in size.
    weight = len(step.mine) * step.fabric.world_size / len(step.records)
    step.fabric.backward(
        weight * losses.cross_entropy + step.recipe.decorrelation_weight * losses.decorrelation
    )
    return losses


def mean_decorrelation(
    features: Tensor,
    earlier: list[Tensor],
    projections: Projections,
    *,
    step: int,
    swap_persists: bool,
) -> Tensor:
    """The decorrelation loss of a step; with `swap_persists`, of the terms with a gradient only."""
    if not swap_persists:
        return projected_decorrelation(features, earlier, projections, step=step)
    first = projections.until_swap(step)
    terms = len(first.current_is_regressor[0])
    loss = projected_decorrelation(features, earlier[:terms], first, step=0)
    return loss * (terms / len(earlier))  # the mean over all of them, as in that code


def mean_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over networks and rows; logits (member, row, class), labels (row,)."""
    return functional.cross_entropy(logits.flatten(0, 1).float(), labels.repeat(len(logits)))


def mean_hits(logits: Tensor, labels: Tensor) -> Tensor:
    """Rows classified right, on average over the networks; logits (member, row, class)."""
    return (logits.argmax(-1) == labels).sum() / len(logits)
