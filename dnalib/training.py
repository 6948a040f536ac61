"""One training loop for every member of every ensemble, resumable at each epoch, on any device."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas
import torch
from torch import Tensor
from torch.nn import functional

from dnalib.checkpoints import TrainingState
from dnalib.inference import infer
from dnalib.losses import decorrelation_loss
from dnalib.model import Network
from dnalib.signals import PackedSignals

Schedule = Literal["one-cycle", "constant"]
Precision = Literal["auto", "32-true", "bf16-mixed"]


@dataclass(frozen=True)
class Recipe:
    """How one network is trained.

    Attributes:
        epochs: passes over the training rows.
        batch_size: rows a step.
        learning_rate: Adam's step size; with "one-cycle" the peak.
        schedule: "one-cycle" (rise and cosine fall) or "constant" (the paper's).
        precision: "32-true", "bf16-mixed", or "auto": bf16 where the device multiplies it in
            hardware.
        seed: of the weights' start, the order of rows, dropout and projections.
        decorrelation_weight: factor of the decorrelation loss.
        projected_dimension: columns of the random projection.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    schedule: Schedule
    precision: Precision
    seed: int
    decorrelation_weight: float = 0.2
    projected_dimension: int = 50


@dataclass(frozen=True)
class TrainingData:
    """What a training reads.

    Attributes:
        signals: all training records once, int16, raw units.
        labels: (record,), int64.
        rows: (row,), int64, record of each training row after oversampling.
        test_signals, test_labels: the test records, for the learning curve only.
        earlier: features (record, 64), float32, of each earlier model, in the records' order.
    """

    signals: PackedSignals
    labels: Tensor
    rows: Tensor
    test_signals: PackedSignals
    test_labels: Tensor
    earlier: tuple[Tensor, ...] = ()

    def to(self, device: torch.device) -> "TrainingData":
        """The same data, resident on a device."""
        moved = {
            name: getattr(self, name).to(device)
            for name in self.__dataclass_fields__
            if name != "earlier"
        }
        return TrainingData(**moved, earlier=tuple(matrix.to(device) for matrix in self.earlier))


def train(
    make_network: Callable[[], Network],
    data: TrainingData,
    *,
    recipe: Recipe,
    checkpoint: Path | None = None,
    report: Callable[[str], None] = print,
) -> tuple[Network, pandas.DataFrame]:
    """Train a network to the last epoch; nothing is chosen on the test records.

    Args:
        make_network: builds the network; called once, after the seed is set.
        data: training rows, test records and the features of earlier models. With earlier models
            the decorrelation loss is added.
        recipe: epochs, schedule, weights, seed.
        checkpoint: folder for the state after each epoch; a later call with the same recipe goes on
            from there. None keeps no state.
        report: receives one line an epoch.

    Returns:
        The network on the CPU in evaluation mode, and a row an epoch: epoch, train_loss,
        train_accuracy, decorrelation_loss, test_accuracy, learning_rate, seconds.

    Raises:
        ValueError: too few rows a batch for the decorrelation fit, or no rows.
        FloatingPointError: the loss stopped being finite.
    """
    from lightning.fabric import Fabric  # takes seconds to import, and only training needs it

    batches = number_of_batches(data, recipe)
    fabric = Fabric(devices=1, precision=resolve_precision(recipe.precision))
    data = data.to(fabric.device)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        network = make_network()
        optimizer = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, fused=True)
        network, optimizer = fabric.setup(network, optimizer)
        schedule = make_schedule(optimizer, recipe, steps=recipe.epochs * batches)
        state = TrainingState(network, optimizer, schedule)
        history = state.restore(checkpoint) if checkpoint else []
        for epoch in range(len(history), recipe.epochs):
            row = train_epoch(fabric, state, data, recipe=recipe, epoch=epoch, batches=batches)
            history.append(row)
            report(describe_epoch(row, epochs=recipe.epochs))
            if checkpoint:
                state.save(checkpoint, history)
    trained = network.module.cpu().eval()
    return trained, pandas.DataFrame(history)


def train_epoch(
    fabric, state: TrainingState, data: TrainingData, *, recipe: Recipe, epoch: int, batches: int
) -> dict[str, float]:
    """One pass over the rows in an order of its own; returns the row of the history."""
    started = time.perf_counter()
    # Every random number of an epoch follows from (seed, epoch): a resumed run repeats them.
    torch.manual_seed(derived_seed(recipe.seed, epoch))
    generator = torch.Generator().manual_seed(derived_seed(recipe.seed, epoch))
    order = data.rows[torch.randperm(len(data.rows), generator=generator).to(data.rows.device)]
    totals = torch.zeros(3, dtype=torch.float64, device=fabric.device)
    state.network.train()
    for records in order.tensor_split(batches):
        totals += train_step(fabric, state, data, records, recipe=recipe, generator=generator)
    cross_entropy, correct, decorrelation = (totals / len(order)).tolist()
    if not torch.isfinite(totals).all():
        raise FloatingPointError(
            f"the loss of epoch {epoch + 1} is not finite; try a learning_rate below "
            f"{recipe.learning_rate:g}"
        )
    logits = infer(state.network.module, data.test_signals)
    return {
        "epoch": epoch + 1,
        "train_loss": cross_entropy,
        "train_accuracy": correct,
        "decorrelation_loss": decorrelation if data.earlier else float("nan"),
        "test_accuracy": (logits.argmax(1) == data.test_labels.cpu()).double().mean().item(),
        "learning_rate": state.schedule.get_last_lr()[0],
        "seconds": time.perf_counter() - started,
    }


def train_step(
    fabric,
    state: TrainingState,
    data: TrainingData,
    records: Tensor,
    *,
    recipe: Recipe,
    generator: torch.Generator,
) -> Tensor:
    """One step; returns sums over its rows of cross-entropy, hits, decorrelation loss: (3,)."""
    signals = data.signals.batch(records).float().unsqueeze(1)  # (batch, 1, time)
    labels = data.labels[records]
    logits, features = state.network(signals, with_features=True)
    cross_entropy = functional.cross_entropy(logits.float(), labels)
    decorrelation = torch.zeros((), dtype=torch.float64, device=fabric.device)
    if data.earlier:
        decorrelation = decorrelation_loss(
            features,
            [matrix[records] for matrix in data.earlier],
            projected_dimension=recipe.projected_dimension,
            generator=generator,
        )
    state.optimizer.zero_grad()
    fabric.backward(cross_entropy + recipe.decorrelation_weight * decorrelation)
    state.optimizer.step()
    state.schedule.step()
    hits = (logits.argmax(1) == labels).sum()
    # The two losses are means over the batch; sums let batches of unequal size be averaged exactly.
    sums = torch.stack([cross_entropy * len(labels), hits, decorrelation * len(labels)])
    return sums.detach().double()


def number_of_batches(data: TrainingData, recipe: Recipe) -> int:
    """Batches an epoch. Rows are spread evenly, so that no short last batch spoils a fit.

    Raises:
        ValueError: no rows, or decorrelation with too few rows a batch.
    """
    rows = len(data.rows)
    if rows == 0 or recipe.batch_size < 2:
        raise ValueError(
            f"{rows} training rows at batch_size {recipe.batch_size}; accepted are at least one "
            "row and a batch_size of 2"
        )
    batches = -(-rows // recipe.batch_size)
    if data.earlier and rows // batches < recipe.projected_dimension + 2:
        raise ValueError(
            f"batch_size {recipe.batch_size} gives batches of {rows // batches} rows; "
            f"decorrelation with projected_dimension {recipe.projected_dimension} needs at least "
            f"{recipe.projected_dimension + 2}"
        )
    return batches


def resolve_precision(precision: Precision) -> str:
    """The precision that "auto" means on this machine: bf16 only where hardware multiplies it."""
    if precision != "auto":
        return precision
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    capable = torch.backends.cpu.get_cpu_capability() == "AVX512" and cpu_has_bf16()
    return "bf16-mixed" if capable else "32-true"


def cpu_has_bf16() -> bool:
    """Whether the processor lists matrix units for bf16 (Linux on x86; elsewhere no)."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def derived_seed(seed: int, number: int) -> int:
    """A seed of its own for each number (of an epoch, or of a member)."""
    digest = hashlib.sha256(f"{seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:7], "little")


def make_schedule(
    optimizer: torch.optim.Optimizer, recipe: Recipe, *, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """The learning-rate schedule of a recipe over all its steps.

    Raises:
        ValueError: an unknown schedule.
    """
    if recipe.schedule == "one-cycle":
        # One step more than is taken: the schedule is stepped once after the last of them.
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=recipe.learning_rate, total_steps=steps + 1
        )
    if recipe.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    raise ValueError(f"schedule is {recipe.schedule!r}; accepted are 'one-cycle' and 'constant'")


def describe_epoch(row: dict[str, float], *, epochs: int) -> str:
    """One line for the person who waits."""
    decorrelation = row["decorrelation_loss"]
    shared = "" if decorrelation != decorrelation else f"  decorrelation loss {decorrelation:.3f}"
    return (
        f"  epoch {row['epoch']:>3}/{epochs}  loss {row['train_loss']:.3f}{shared}  "
        f"train {row['train_accuracy']:.3f}  test {row['test_accuracy']:.3f}  "
        f"{row['seconds']:.1f} s"
    )
