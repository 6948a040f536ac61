"""Train in one of several processes, or alone: `processes.py FOLDER TRAININGS`.

Trainings are JSON: by name rows, batch_size, earlier_models and learning_rate. The folder gets one
for each, with the checkpoint, history.json, and steps.json, each step's losses over its batch.
"""

import dataclasses
import json
import sys
from pathlib import Path

import torch
from trainings import RECIPE, make_data, quiet

from dnalib.model import Network
from dnalib.training import epoch, loop


def network() -> Network:
    """Without dropout, whose random numbers differ between processes."""
    return Network(width=0.02, dropout=0.0)


class Steps:
    """Takes each step as the library does, and notes its losses over the whole batch."""

    def __init__(self, step) -> None:
        self.step, self.losses = step, []

    def __call__(self, fabric, state, data, records, **options):
        sums = self.step(fabric, state, data, records, **options)
        losses = fabric.all_reduce(sums.clone(), reduce_op="sum") / len(records)
        self.losses.append([losses[0].item(), losses[2].item()])
        return sums


def main() -> None:
    torch.set_num_threads(1)
    step = epoch.train_step
    for name, options in json.loads(sys.argv[2]).items():
        epoch.train_step = steps = Steps(step)
        train(Path(sys.argv[1]) / name, steps, **options)


def train(
    folder: Path,
    steps: Steps,
    *,
    rows: int,
    batch_size: int,
    earlier_models: int,
    learning_rate: float,
) -> None:
    folder.mkdir(exist_ok=True)
    data = make_data(earlier_models=earlier_models)
    trained, history = loop.train(
        network,
        dataclasses.replace(data, rows=torch.arange(rows) % 120),
        recipe=dataclasses.replace(
            RECIPE, epochs=1, batch_size=batch_size, learning_rate=learning_rate
        ),
        checkpoint=folder / "checkpoint",
        report=quiet,
    )
    assert type(trained.bn1) is torch.nn.BatchNorm2d
    history.to_json(folder / "history.json", double_precision=15)
    (folder / "steps.json").write_text(json.dumps(steps.losses))


if __name__ == "__main__":
    main()
