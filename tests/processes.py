"""Train in one of several processes, or alone: `python processes.py FOLDER ROWS BATCH EARLIER`."""

import dataclasses
import sys
from pathlib import Path

import torch
from trainings import RECIPE, make_data, quiet

from dnalib.model import Network
from dnalib.training import train


def network() -> Network:
    """Without dropout, whose random numbers differ between processes."""
    return Network(width=0.02, dropout=0.0)


def main() -> None:
    folder = Path(sys.argv[1])
    rows, batch_size, earlier_models = (int(text) for text in sys.argv[2:5])
    torch.set_num_threads(1)
    data = make_data(earlier_models=earlier_models)
    trained, history = train(
        network,
        dataclasses.replace(data, rows=torch.arange(rows) % 120),
        recipe=dataclasses.replace(RECIPE, epochs=1, batch_size=batch_size, learning_rate=3e-4),
        checkpoint=folder / "checkpoint",
        report=quiet,
    )
    assert type(trained.bn1) is torch.nn.BatchNorm2d
    history.to_json(folder / "history.json", double_precision=15)


if __name__ == "__main__":
    main()
