"""What trainings cost: steps of several, timed in turns in one process."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from dnalib.signals import PackedSignals
from dnalib.training.data import TrainingData, number_of_batches, signal_tensors
from dnalib.training.epoch import epoch_projections, set_up, train_step
from dnalib.training.loop import Training
from dnalib.training.processes import Alone
from dnalib.training.recipes import derived_seed
from dnalib.training.state import settle_precision


@dataclass(frozen=True)
class TrainingCost:
    """What one training takes on this machine.

    Attributes:
        steps: of the whole training.
        seconds: median time of a step, by the clock.
        processor_seconds: median time that all threads of the process spent on a step, on CPUs.
    """

    steps: int
    seconds: float
    processor_seconds: float


def training_costs(trainings: Mapping[str, Training], *, rounds: int) -> dict[str, TrainingCost]:
    """Time steps of several trainings in turns, so that a slow moment of the machine meets all.

    The times that a training's history holds are those of its own hour, other work on the machine
    included; these are comparable.

    Args:
        trainings: name -> training; each is begun anew and left after a few steps.
        rounds: timed steps of each, after one that warms up.

    Returns:
        Name -> cost. Evaluation after each epoch is not part of it.

    Raises:
        ValueError: no round, or as `training.train`.
    """
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}; accepted are whole numbers from 1")
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices):
        resident = ResidentSignals()
        steppers = {
            name: Stepper(training, resident, taken=rounds + 1)
            for name, training in trainings.items()
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in steppers}
        for number in range(rounds + 1):
            for name, stepper in steppers.items():
                taken = stepper.timed_step(number)
                if number > 0:
                    times[name].append(taken)
    return {
        name: TrainingCost(
            stepper.steps, *(statistics.median(one) for one in zip(*times[name], strict=True))
        )
        for name, stepper in steppers.items()
    }


class ResidentSignals:
    """The signals of several trainings, which are on a device together, the same ones once.

    Each training of a run packs a copy for itself: 17 of 166 MB would be moved.
    """

    def __init__(self) -> None:
        self._moved: list[tuple[PackedSignals, PackedSignals]] = []

    def move(self, data: TrainingData, device: torch.device) -> TrainingData:
        """The same data, resident on a device."""
        signals, test = (self._resident(one, device) for one in (data.signals, data.test_signals))
        return replace(data, signals=signals, test_signals=test).to(device)

    def _resident(self, signals: PackedSignals, device: torch.device) -> PackedSignals:
        for known, moved in self._moved:
            if same_signals(known, signals):
                return moved
        self._moved.append((signals, signals.to(device)))
        return self._moved[-1][1]


def same_signals(one: PackedSignals, other: PackedSignals) -> bool:
    """Whether the signals of the same records are packed twice, value by value."""
    return all(
        (a.dtype, a.device, a.shape) == (b.dtype, b.device, b.shape) and torch.equal(a, b)
        for a, b in zip(signal_tensors(one), signal_tensors(other), strict=True)
    )


class Stepper:
    """A training that takes one step at a time.

    Args:
        training: begun anew.
        resident: moves its data.
        taken: how many steps, which can be more than a short training has.
    """

    def __init__(self, training: Training, resident: ResidentSignals, *, taken: int) -> None:
        self.recipe = settle_precision(training.recipe, None, Alone())
        self.batches = number_of_batches(training.data, self.recipe)
        self.fabric = Alone().make_fabric(self.recipe.precision)
        torch.manual_seed(self.recipe.seed)
        self.state = set_up(
            self.fabric,
            training.make_network(),
            recipe=self.recipe,
            batches=max(self.batches, taken),  # the schedule must not end before
            compiled=None,
        )
        self.state.network.train()
        self.data = resident.move(training.data, self.fabric.device)
        generator = torch.Generator().manual_seed(derived_seed(self.recipe.seed, 0))
        order = torch.randperm(len(self.data.rows), generator=generator)
        self.batch_rows = self.data.rows[order.to(self.fabric.device)].tensor_split(self.batches)
        self.projections = epoch_projections(
            self.data, self.recipe, steps=self.batches, generator=generator
        )

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.batches * self.recipe.epochs

    def timed_step(self, number: int) -> tuple[float, float]:
        """One step on a batch of its own: seconds by the clock, and of all threads."""
        self.state.step = number % self.batches
        self.wait()
        begun = time.perf_counter(), time.process_time()
        train_step(
            self.fabric,
            self.state,
            self.data,
            self.batch_rows[self.state.step],
            recipe=self.recipe,
            projections=self.projections,
        )
        self.wait()
        return time.perf_counter() - begun[0], time.process_time() - begun[1]

    def wait(self) -> None:
        """Let a GPU finish what it was given."""
        if self.fabric.device.type == "cuda":
            torch.cuda.synchronize(self.fabric.device)
