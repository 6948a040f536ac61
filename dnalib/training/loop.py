"""One training loop for every member of every ensemble, on any device, resumable at any step."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas
import torch
from torch import Tensor

from dnalib.classifiers import check_network
from dnalib.inference import infer
from dnalib.losses import Projections, draw_projections
from dnalib.model import Network
from dnalib.training.acceleration import (
    accelerate,
    awaits_proof,
    lay_out_contiguous,
    pass_through,
)
from dnalib.training.data import TrainingData, decorrelates, number_of_batches
from dnalib.training.joint import JointNetwork, networks_of, unwrapped
from dnalib.training.objectives import Step, forward_and_backward, mean_hits
from dnalib.training.processes import (
    Processes,
    SynchronisedBatchNorm,
    TooManyProcessesError,
    processes_of_launch,
    set_batch_norms,
    share,
    total_over_processes,
)
from dnalib.training.progress import end_epoch, pace_after
from dnalib.training.recipes import Recipe, derived_seed, make_schedule
from dnalib.training.state import Keeper, TrainingState, agree, identify, settle_precision

if TYPE_CHECKING:
    from lightning.fabric import Fabric

CHECKPOINTS_A_CALL = 4  # at least, where an epoch is longer than a call may take
LEAST_MINUTES = 0.5  # between two of these: a checkpoint of the full size takes a second


@dataclass(frozen=True)
class Training:
    """What one training starts from, reads and follows: the first three arguments of `train`."""

    make_network: Callable[[], Network | JointNetwork]
    data: TrainingData
    recipe: Recipe


def train(
    make_network: Callable[[], Network | JointNetwork],
    data: TrainingData,
    *,
    recipe: Recipe,
    checkpoint: Path | None = None,
    checkpoint_minutes: float = 10.0,
    max_minutes: float | None = None,
    compiled: bool | None = None,
    report: Callable[[str], None] = print,
    processes: Processes | None = None,
) -> tuple[Network | JointNetwork, pandas.DataFrame]:
    """Train a network to the last epoch; nothing is chosen on the test records.

    A call that is cut off, killed even, loses no more than the steps since its last checkpoint. The
    same call goes on from there and, on a CPU, ends with the very weights of an undisturbed one.

    Processes that `torchrun` started train one network together when all make the same call: they
    divide each batch, and the first one keeps the state, after epochs alone.

    Args:
        make_network: builds the network, or those that the recipe's method trains together; called
            once, after the seed is set.
        data: training rows, test records and the features of earlier models. With earlier models
            the decorrelation loss is added.
        recipe: epochs, schedule, weights, seed.
        checkpoint: folder for the state of this training alone; None keeps no state.
        checkpoint_minutes: the state is kept after each epoch and, once that much time has passed,
            after a step.
        max_minutes: the call ends at the end of an epoch if the next one would, at the pace of the
            last without its compiling, end after that time. A call completes at least one epoch; of
            one that is killed before, no more than a quarter of that time is lost. None: no limit.
        compiled: whether the forward and backward passes are compiled, of full batches; None: on a
            GPU, if PyTorch can there and one process trains alone. Where the first compiled step
            fails, one process alone warns and goes on uncompiled.
        report: receives one line an epoch.
        processes: that train together; None: those of the launch.

    Returns:
        The network on the CPU in evaluation mode, and a row an epoch: epoch, train_loss,
        train_accuracy (on the inputs that the method trained on), decorrelation_loss,
        test_accuracy, learning_rate (which the schedule has for the step after the epoch), seconds;
        of several networks the means. Where `max_minutes` ended the call, there are fewer rows than
        epochs.

    Raises:
        ValueError: too few rows a batch for the decorrelation fit, or no rows; a label that is no
            class of the network; times that make no sense; a network instead of what makes one, or
            another network than the recipe's method trains; a checkpoint of another recipe, network
            or data.
        TooManyProcessesError: some would have no row of a batch, or no test record.
        FloatingPointError: the loss, the weights or an answer stopped being finite; the checkpoint
            before that is intact.
        CheckpointError: a checkpoint could not be written, where the one before it is intact, or
            the newest could not be read.

    Source: :eq:`eq-cross-entropy` of chapter 2; with earlier models :eq:`eq-total` of chapter 4.
    """
    started = time.monotonic()
    check_maker(make_network)
    check_minutes(checkpoint, checkpoint_minutes=checkpoint_minutes, max_minutes=max_minutes)
    batches = number_of_batches(data, recipe)
    processes = processes or processes_of_launch()
    recipe = settle_precision(recipe, checkpoint, processes)
    fabric = processes.make_fabric(recipe.precision)
    # Any of them could say it; the first one does, for all.
    processes.follow(partial(check_processes, fabric, data, batches=batches))
    with torch.random.fork_rng(devices=[fabric.device] if fabric.device.type == "cuda" else []):
        torch.manual_seed(recipe.seed)
        network = make_network()
        check_method(network, recipe)
        for one in networks_of(network):
            data.check_fits(one)
        if fabric.world_size > 1:
            set_batch_norms(network, SynchronisedBatchNorm)
        identity = identify(network, data, recipe)
        state = set_up(fabric, network, recipe=recipe, batches=batches, compiled=compiled)
        if max_minutes is not None:
            often = max(LEAST_MINUTES, max_minutes / CHECKPOINTS_A_CALL)
            checkpoint_minutes = min(checkpoint_minutes, often)
        keeper = Keeper(checkpoint, minutes=checkpoint_minutes, identity=identity)
        keeper.restore(state)
        agree(state, processes)
        data = data.to(fabric.device)
        while len(state.history) < recipe.epochs:
            pace = train_epoch(fabric, state, data, recipe=recipe, batches=batches, keeper=keeper)
            ending = partial(end_epoch, state, keeper, started=started, max_minutes=max_minutes)
            if processes.follow(partial(ending, epochs=recipe.epochs, pace=pace, report=report)):
                break
    set_batch_norms(network, torch.nn.BatchNorm2d)
    network = network.cpu().eval()
    lay_out_contiguous(network)
    return network, pandas.DataFrame(state.history)


def check_maker(make_network: object) -> None:
    """Raise a ValueError unless something can be called for a network; a network itself cannot."""
    if isinstance(make_network, torch.nn.Module) or not callable(make_network):
        raise ValueError(
            f"make_network is of type {type(make_network).__name__}; accepted is a function "
            "without arguments that builds a network: it is called once the seed is set"
        )


def check_method(network: Network | JointNetwork, recipe: Recipe) -> None:
    """Raise a ValueError unless the network is one that the recipe's method trains."""
    wanted = Network if recipe.method == "alone" else JointNetwork
    if not isinstance(network, wanted):
        raise ValueError(
            f"make_network gives a {type(network).__name__}; accepted with the method "
            f"{recipe.method!r} is a {wanted.__name__} of dnalib"
        )
    for one in networks_of(network):
        check_network("the network of make_network", one)


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


def check_minutes(
    checkpoint: Path | None, *, checkpoint_minutes: float, max_minutes: float | None
) -> None:
    """Raise a ValueError unless the time limits make sense."""
    for name, minutes in (("checkpoint_minutes", checkpoint_minutes), ("max_minutes", max_minutes)):
        if minutes is not None and not minutes >= 0:
            raise ValueError(f"{name} is {minutes}; accepted are 0 and more")
    if max_minutes is not None and checkpoint is None:
        raise ValueError(
            f"max_minutes is {max_minutes} and checkpoint is None; a training that may end early "
            "needs a folder for its checkpoint"
        )


def check_processes(fabric: "Fabric", data: TrainingData, *, batches: int) -> None:
    """Raise TooManyProcessesError unless each has a row of every batch and a test record."""
    fewest = min(len(data.rows) // batches, len(data.test_labels))
    if fabric.world_size > fewest:
        raise TooManyProcessesError(
            f"{fabric.world_size} processes share batches of {len(data.rows) // batches} rows and "
            f"{len(data.test_labels)} test records; accepted are at most {fewest} processes"
        )
