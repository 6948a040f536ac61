"""One epoch: its steps, on any device and by several processes, and its row of the history."""

import math
import time
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dnalib.inference import infer
from dnalib.losses import Projections, draw_projections
from dnalib.model import Network
from dnalib.training.acceleration import (
    accelerate,
    awaits_proof,
    pass_through,
)
from dnalib.training.data import TrainingData, decorrelates
from dnalib.training.joint import JointNetwork, networks_of, unwrapped
from dnalib.training.objectives import Step, forward_and_backward, mean_hits
from dnalib.training.processes import (
    share,
    total_over_processes,
)
from dnalib.training.progress import pace_after
from dnalib.training.recipes import Recipe, derived_seed, make_schedule
from dnalib.training.state import Keeper, TrainingState

if TYPE_CHECKING:
    from lightning.fabric import Fabric


def set_up(
    fabric: "Fabric",
    network: Network | JointNetwork,
    *,
    recipe: Recipe,
    batches: int,
    compiled: bool | None,
) -> TrainingState:
    """The state before the first step, on the device that Fabric chose."""
    if compiled is None and fabric.world_size > 1:
        # Nobody tried it. The batch norms' sums over processes break the program into pieces, and
        # where one process fails to compile, the others would wait for it.
        compiled = False
    callable_network = accelerate(network, device=fabric.device, compiled=compiled)
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, fused=True)
    wrapped, optimizer = fabric.setup(callable_network, optimizer)
    return TrainingState(
        network=wrapped,
        optimizer=optimizer,
        schedule=make_schedule(optimizer, recipe, steps=recipe.epochs * batches),
        totals=torch.zeros(3, dtype=torch.float64, device=fabric.device),
    )


def train_epoch(
    fabric: "Fabric",
    state: TrainingState,
    data: TrainingData,
    *,
    recipe: Recipe,
    batches: int,
    keeper: Keeper,
) -> float:
    """What is left of the unfinished epoch; its row joins the history.

    The host only queues work for the device here: nothing waits for a step before the epoch's end.

    Returns:
        What the next epoch is expected to take, s.

    Raises:
        FloatingPointError: the loss, the weights or an answer stopped being finite.
    """
    # All that is random in an epoch follows from (seed, epoch): a call that goes on draws the order
    # and the projections again, and takes the state of the other random numbers where it was.
    seed = derived_seed(recipe.seed, len(state.history))
    generator = torch.Generator().manual_seed(seed)
    order = data.rows[torch.randperm(len(data.rows), generator=generator).to(data.rows.device)]
    projections = epoch_projections(data, recipe, steps=batches, generator=generator)
    if fabric.world_size > 1:
        # Each process drops other elements, so each draws from random numbers of its own.
        torch.manual_seed(derived_seed(seed, fabric.global_rank))
    elif state.step == 0:
        torch.manual_seed(seed)
    started = time.monotonic() - state.seconds
    state.network.train()
    for records in order.tensor_split(batches)[state.step :]:
        compiles, before = awaits_proof(state.network), time.monotonic()
        state.totals += train_step(
            fabric, state, data, records, recipe=recipe, projections=projections
        )
        state.step += 1
        if compiles:
            state.compiling += time.monotonic() - before
        state.seconds = time.monotonic() - started
        if state.step < batches and fabric.world_size == 1:
            keeper.save_when_due(state)
    row = summarise(fabric, state, data, recipe=recipe)
    row["seconds"] = time.monotonic() - started
    pace = pace_after(seconds=row["seconds"], compiling=state.compiling, batches=batches)
    state.history.append(row)
    state.step, state.seconds, state.compiling = 0, 0.0, 0.0
    state.totals.zero_()
    return pace


def epoch_projections(
    data: TrainingData, recipe: Recipe, *, steps: int, generator: torch.Generator
) -> Projections | None:
    """What chance decides in an epoch's decorrelation losses, on the device; None without them."""
    if not data.earlier:
        return None
    return draw_projections(
        steps=steps,
        models=len(data.earlier),
        features=data.earlier[0].shape[1],
        projected_dimension=recipe.projected_dimension,
        generator=generator,
    ).to(data.rows.device)


def train_step(
    fabric: "Fabric",
    state: TrainingState,
    data: TrainingData,
    records: Tensor,
    *,
    recipe: Recipe,
    projections: Projections | None,
) -> Tensor:
    """One step; returns sums over its rows of cross-entropy, hits, decorrelation loss: (3,).

    Of several processes each takes its share of the rows, and returns sums over them.
    """
    step = Step(fabric, state.network, data, records, recipe, projections, number=state.step)
    losses = pass_through(
        state.network,
        partial(forward_and_backward, step, state.optimizer),
        may_fail=fabric.world_size == 1,
    )
    state.optimizer.step()
    state.schedule.step()
    # The two losses are means over the batch; sums let batches of unequal size be averaged exactly.
    rows = len(step.mine)
    sums = (losses.cross_entropy * rows, losses.hits, losses.decorrelation * rows)
    return torch.stack([one.detach().double() for one in sums])


def summarise(
    fabric: "Fabric", state: TrainingState, data: TrainingData, *, recipe: Recipe
) -> dict[str, float]:
    """The finished epoch's row of the history, but for the time it took.

    Raises:
        FloatingPointError: the loss or a logit of the test records is not finite.
    """
    epoch = len(state.history) + 1
    totals = total_over_processes(state.totals, fabric)
    cross_entropy, correct, decorrelation = (totals / len(data.rows)).tolist()
    if not math.isfinite(cross_entropy + decorrelation):
        weight = f" or a decorrelation_weight below {recipe.decorrelation_weight:g}"
        raise FloatingPointError(
            f"the loss of epoch {epoch} is not finite; try a learning_rate below "
            f"{recipe.learning_rate:g}{weight if decorrelates(data, recipe) else ''}"
        )
    mine = share(torch.arange(len(data.test_labels), device=fabric.device), fabric)
    signals, labels = data.test_signals.select(mine), data.test_labels[mine].cpu()
    networks = networks_of(unwrapped(state.network))
    # Batches that training took fit, and unlike what fits at the moment they are always the same.
    with fabric.autocast():  # in float32 it would take a good part of an epoch on a GPU
        answers = [infer(network, signals, batch_size=recipe.batch_size) for network in networks]
    hits = finite_hits(torch.stack(answers), labels).to(fabric.device)
    right = total_over_processes(hits, fabric).item()
    if not math.isfinite(right):
        raise FloatingPointError(
            f"the logits of the test records after epoch {epoch} are not finite; try a "
            f"learning_rate below {recipe.learning_rate:g}"
        )
    return {
        "epoch": epoch,
        "train_loss": cross_entropy,
        "train_accuracy": correct,
        "decorrelation_loss": decorrelation if decorrelates(data, recipe) else math.nan,
        "test_accuracy": right / len(data.test_labels),
        "learning_rate": float(state.schedule.get_last_lr()[0]),
    }


def finite_hits(logits: Tensor, labels: Tensor) -> Tensor:
    """`mean_hits`, float64, or NaN if a logit is not finite: of it no class is the greatest.

    An error here would leave other processes waiting; in their sum all of them see the NaN.

    Args:
        logits: (member, row, class), on the CPU.
        labels: (row,).
    """
    if not logits.isfinite().all():
        return torch.tensor(math.nan, dtype=torch.float64)
    return mean_hits(logits, labels).double()
