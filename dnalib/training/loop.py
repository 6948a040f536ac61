"""One training loop for every member of every ensemble, on any device, resumable at any step."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas
import torch

from dnalib.classifiers import check_network
from dnalib.model import Network
from dnalib.training.acceleration import (
    lay_out_contiguous,
)
from dnalib.training.data import TrainingData, number_of_batches
from dnalib.training.epoch import set_up, train_epoch
from dnalib.training.joint import JointNetwork, networks_of
from dnalib.training.processes import (
    Processes,
    SynchronisedBatchNorm,
    TooManyProcessesError,
    processes_of_launch,
    set_batch_norms,
)
from dnalib.training.progress import end_epoch
from dnalib.training.recipes import Recipe
from dnalib.training.state import Keeper, agree, identify, settle_precision

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
