"""One training step of the full-size network as the library takes it, for what measures one."""

from collections.abc import Callable

import torch
from lightning.fabric import Fabric
from torch import Tensor

from dnalib.model import Network
from dnalib.signals import PackedSignals
from dnalib.training import Recipe, TrainingData
from dnalib.training.epoch import set_up, train_step
from dnalib.training.processes import make_precision
from dnalib.training.recipes import keep_float32, resolve_precision

LENGTH = 18_000
ROWS_ON_A_GPU = 64  # of the training benchmark's step


def made_up_rows(count: int) -> tuple[Tensor, Tensor]:
    """Noise of full length, (row, time), int16, and a class for each."""
    samples = torch.randint(-500, 500, (count, LENGTH), dtype=torch.int16)
    return samples, torch.randint(0, 4, (count,))


def full_step(*, batch: int, device: str) -> Callable[[], None]:
    """A function that takes one step on so many made-up rows."""
    keep_float32()
    samples, labels = made_up_rows(2 * batch)
    rows = torch.arange(2 * batch)
    packed = PackedSignals.pack(samples)
    recipe = Recipe(1, batch, 1e-3, "constant", "auto", 0)
    precision = make_precision(resolve_precision("auto"), device=device)
    fabric = Fabric(accelerator=device, devices=1, plugins=[precision])
    data = TrainingData(packed, labels, rows, packed, labels).to(fabric.device)
    state = set_up(fabric, Network(), recipe=recipe, batches=2, compiled=None)
    state.network.train()
    records = rows[:batch].to(fabric.device)

    def step() -> None:
        train_step(fabric, state, data, records, recipe=recipe, projections=None)

    return step
