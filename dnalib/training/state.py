"""Everything that a training changes from step to step, and how it is kept between calls."""

import dataclasses
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dnalib.model import Network
from dnalib.precision import PRECISIONS
from dnalib.training.checkpoints import CheckpointFolder
from dnalib.training.data import TrainingData, describe_tensors
from dnalib.training.joint import JointNetwork, networks_of, unwrapped
from dnalib.training.processes import Processes
from dnalib.training.recipes import Precision, Recipe, resolve_precision

FORMAT = 1  # of the checkpoints; another number is refused as another recipe is


@dataclass
class TrainingState:
    """Everything that a training changes from one step to the next.

    The states of PyTorch's generators, of the CPU and of the GPU in use, belong to it as well.
    Other generators are made anew for each epoch and drawn from before its first step only.

    Attributes:
        network: as Lightning Fabric set it up; its `module` is the plain one.
        optimizer, schedule: as they stand.
        totals: (3,), float64, on the device: sums over the rows of the unfinished epoch.
        history: a row for each finished epoch.
        step: steps taken in the unfinished epoch.
        seconds: time spent in the unfinished epoch, over all calls.
        compiling: of these, what steps took in which a program was compiled.
    """

    network: torch.nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    totals: Tensor
    history: list[dict[str, float]] = field(default_factory=list)
    step: int = 0
    seconds: float = 0.0
    compiling: float = 0.0

    def tensors(self) -> dict[str, Tensor]:
        """Weights, moments, random states and totals by name."""
        tensors = {"totals": self.totals}
        for name, value in unwrapped(self.network).state_dict().items():
            tensors[f"network.{name}"] = value
        for index, moments in self.optimizer.state_dict()["state"].items():
            for name, value in moments.items():
                tensors[f"optimizer.{index}.{name}"] = value
        tensors["random.cpu"] = torch.get_rng_state()
        if self.totals.is_cuda:
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.totals.device)
        return tensors

    def content(self) -> dict[str, Any]:
        """All but the tensors, as JSON holds it."""
        return {
            "history": [to_json(row) for row in self.history],
            "step": self.step,
            "seconds": self.seconds,
            "compiling": self.compiling,
            "groups": self.optimizer.state_dict()["param_groups"],
            "schedule": {
                name: value
                for name, value in self.schedule.state_dict().items()
                if isinstance(value, int | float | str | list)
            },
        }

    def load(self, tensors: Mapping[str, Tensor], content: dict[str, Any]) -> None:
        """Put everything back where it came from."""
        unwrapped(self.network).load_state_dict(below("network", tensors))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in below("optimizer", tensors).items():
            index, key = name.split(".", 1)
            moments.setdefault(int(index), {})[key] = value
        self.optimizer.load_state_dict({"state": moments, "param_groups": content["groups"]})
        match_layouts(self.optimizer)
        self.schedule.load_state_dict(content["schedule"])
        self.totals = tensors["totals"].to(self.totals.device)
        self.history = [from_json(row) for row in content["history"]]
        self.step, self.seconds = content["step"], content["seconds"]
        self.compiling = content.get("compiling", 0.0)  # older checkpoints do not tell
        torch.set_rng_state(tensors["random.cpu"])
        if self.totals.is_cuda and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], self.totals.device)


class Keeper:
    """Keeps a training's state: at each epoch's end, and after a step once enough time has passed.

    Args:
        folder: of the checkpoints; None keeps nothing.
        minutes: time after which a step is followed by a checkpoint.
        identity: what another call must have in common to go on, as `identify` tells it.
    """

    def __init__(self, folder: Path | None, *, minutes: float, identity: Mapping[str, Any]) -> None:
        self.checkpoints = CheckpointFolder(folder) if folder else None
        self.seconds = 60 * minutes
        self.identity = dict(identity)
        self.last = time.monotonic()

    def restore(self, state: TrainingState) -> None:
        """Load the newest intact checkpoint, if there is one.

        Raises:
            ValueError: it belongs to another recipe, network or data.
            CheckpointError: the system does not let it be read.
        """
        if self.checkpoints and (found := self.checkpoints.read()):
            tensors, content = found
            name = f"{self.checkpoints.newest} in {self.checkpoints.folder}"
            self.check(content["identity"], checkpoint=name)
            state.load(tensors, content)

    def check(self, found: Mapping[str, Any], *, checkpoint: str) -> None:
        """Raise a ValueError where a checkpoint's identity is not this training's."""
        for name in sorted(found.keys() | self.identity.keys()):
            theirs, ours = found.get(name, "none"), self.identity.get(name, "none")
            if theirs != ours:
                raise ValueError(
                    f"the checkpoint {checkpoint} was made with {name} {theirs} and this call has "
                    f"{ours}; accepted is the same recipe, network and data: name another folder, "
                    "or remove this one"
                )

    def save(self, state: TrainingState) -> None:
        """Write a checkpoint.

        Raises:
            FloatingPointError: the training has diverged; the last checkpoint before stays.
            CheckpointError: it could not be written; the one before it is intact.
        """
        if self.checkpoints:
            epoch, content = len(state.history), {"identity": self.identity, **state.content()}
            # A checkpoint goes to the CPU anyway, where no check waits for the device.
            tensors = {name: value.detach().cpu() for name, value in state.tensors().items()}
            check_convergence(tensors, where=f"after epoch {epoch}, step {state.step}")
            self.checkpoints.write(tensors, content, epoch=epoch, step=state.step)
            self.last = time.monotonic()

    def save_when_due(self, state: TrainingState) -> None:
        """Write a checkpoint if the last one is old enough."""
        if time.monotonic() - self.last >= self.seconds:
            self.save(state)


def settle_precision(recipe: Recipe, checkpoint: Path | None, processes: Processes) -> Recipe:
    """The recipe with a precision that holds for the whole training, in all its processes.

    "auto" becomes what the checkpoint that is gone on from was made with, if there is one: the
    machine that goes on may be of another kind than the one that began.

    Args:
        recipe: of the training.
        checkpoint: its folder, or None.
        processes: that train together; the first of them decides.
    """
    if recipe.precision != "auto":
        return recipe

    def precision() -> Precision:
        found = CheckpointFolder(checkpoint).described() if checkpoint else None
        begun = found["identity"].get("precision") if found else None
        return begun if begun in PRECISIONS else resolve_precision("auto")

    return dataclasses.replace(recipe, precision=processes.follow(precision))


def check_convergence(tensors: Mapping[str, Tensor], *, where: str) -> None:
    """Raise a FloatingPointError if a state's sums or its network hold what is not finite.

    Args:
        tensors: as `TrainingState.tensors` names them, on the CPU.
        where: the point of the training, for the message.
    """
    for name, value in tensors.items():
        kept = name == "totals" or name.startswith("network.")
        if kept and not value.isfinite().all():
            raise FloatingPointError(
                f"{name} {where} is not finite, so that no checkpoint is written; accepted are "
                "finite numbers: try a lower learning_rate"
            )


def agree(state: TrainingState, processes: Processes) -> None:
    """Let several processes go on from one point, where the sums so far count once.

    Raises:
        ValueError: this one found another checkpoint than the first did.
    """
    point = (len(state.history), state.step)
    first = processes.follow(lambda: point)
    if point != first:
        raise ValueError(
            f"one process goes on from epoch {point[0]}, step {point[1]}, and the first from epoch "
            f"{first[0]}, step {first[1]}; accepted is a folder of checkpoints that all see"
        )
    if not processes.first:
        state.totals.zero_()


def identify(network: Network | JointNetwork, data: TrainingData, recipe: Recipe) -> dict[str, Any]:
    """What must be the same for one training to go on with the state of another."""
    shapes = {
        f"the shape of {name}": list(value.shape) for name, value in network.state_dict().items()
    }
    networks = networks_of(network)
    filters = [one.fourier_filter for one in networks]
    masks = [one.mask for one in filters if one is not None]
    return {
        "format": FORMAT,
        **dataclasses.asdict(recipe),
        "dropout": networks[0].dropout.probability,
        "Fourier filter": describe_tensors(masks) if masks else "none",
        **data.digests(),
        **shapes,
    }


def match_layouts(optimizer: torch.optim.Optimizer) -> None:
    """Lay the moments out in memory like their parameters, which a fused step requires."""
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if value.shape == parameter.shape and value.stride() != parameter.stride():
                moments[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def below(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of one part, by their names in it."""
    prefix = f"{part}."
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def to_json(row: Mapping[str, float]) -> dict[str, float | None]:
    """A row of the history, with null for a loss that is not defined: JSON has no NaN."""
    return {name: None if math.isnan(value) else value for name, value in row.items()}


def from_json(row: Mapping[str, float | None]) -> dict[str, float]:
    """The row that `to_json` was given."""
    return {name: math.nan if value is None else value for name, value in row.items()}
