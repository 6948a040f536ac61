"""What a training changes, and how it is kept between calls."""

import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dnalib.files import file_sha256


@dataclass(frozen=True)
class TrainingState:
    """Everything that a training changes, and how it is kept between calls."""

    network: torch.nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler

    def save(self, folder: Path, history: Sequence[dict[str, float]]) -> None:
        """Write the state beside and rename it; the one before it stays until then."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {
            f"network.{name}": value for name, value in self.network.module.state_dict().items()
        }
        optimizer = self.optimizer.state_dict()
        for index, values in optimizer["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
        stem = folder / f"epoch{len(history)}"
        temporary = folder / f".{os.getpid()}.safetensors"
        save_file({name: value.contiguous() for name, value in tensors.items()}, temporary)
        description = {
            "sha256": file_sha256(temporary),
            "history": list(history),
            "groups": optimizer["param_groups"],
            "schedule": {
                name: value
                for name, value in self.schedule.state_dict().items()
                if isinstance(value, int | float | str | list)
            },
        }
        os.replace(temporary, stem.with_suffix(".safetensors"))
        temporary = folder / f".{os.getpid()}.json"
        temporary.write_text(json.dumps(description))
        os.replace(temporary, stem.with_suffix(".json"))
        for old in folder.glob("epoch*"):
            if int(old.stem.removeprefix("epoch")) < len(history) - 1:
                old.unlink()

    def restore(self, folder: Path) -> list[dict[str, float]]:
        """Load the newest intact state; returns its history, empty when there is none."""
        found = sorted(
            folder.glob("epoch*.json"), key=lambda path: int(path.stem[5:]), reverse=True
        )
        for path in found:
            weights = path.with_suffix(".safetensors")
            description = read_description(path)
            if (
                description is None
                or not weights.exists()
                or (file_sha256(weights) != description["sha256"])
            ):
                warnings.warn(
                    f"the checkpoint {weights} is damaged; the one before is used", stacklevel=2
                )
                continue
            self.load(load_file(weights), description)
            return description["history"]
        return []

    def load(self, tensors: dict[str, Tensor], description: dict) -> None:
        """Put the parts of a checkpoint back where they came from."""
        network, moments = {}, {}
        for name, value in tensors.items():
            part, rest = name.split(".", 1)
            if part == "network":
                network[rest] = value
            else:
                index, key = rest.split(".", 1)
                moments.setdefault(int(index), {})[key] = value
        self.network.module.load_state_dict(network)
        self.optimizer.load_state_dict({"state": moments, "param_groups": description["groups"]})
        self.schedule.load_state_dict(description["schedule"])


def read_description(path: Path) -> dict | None:
    """A checkpoint's description, or None where it cannot be read."""
    try:
        return json.loads(path.read_text())
    except ValueError:
        return None
