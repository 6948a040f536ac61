"""What the benchmarks share: two sides measured in turn, and the straightforward network."""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dnalib.model import BLOCKS, FEATURES
from dnalib.runs.artefacts import device_name


def parse(description: str) -> argparse.ArgumentParser:
    """The options that every benchmark takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="fewer repeats, smaller batches")
    return parser


def alternate(
    ours: Callable[[], Any], straightforward: Callable[[], Any], *, repeats: int, device: str
) -> tuple[float, float]:
    """Median seconds of both sides, run in turn after one warm-up each."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for repeat in range(repeats + 1):
        for side, times in zip((ours, straightforward), seconds, strict=True):
            started = time.perf_counter()
            side()
            if device == "cuda":
                torch.cuda.synchronize()
            if repeat:
                times.append(time.perf_counter() - started)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def report(name: str, *, ours: float, straightforward: float, **details: Any) -> None:
    """Print the medians, and last one line of JSON."""
    ratio = straightforward / ours
    print(f"{name}: straightforward {straightforward:.4g} s, ours {ours:.4g} s, {ratio:.2f} times")
    content = {
        "benchmark": name,
        "ratio": round(ratio, 3),
        "ours_seconds": ours,
        "straightforward_seconds": straightforward,
        "hardware": hardware(),
        "torch": torch.__version__,
        **details,
    }
    print(json.dumps(content))


def hardware() -> str:
    """The GPU's name, or the processor's model and the threads in use."""
    if torch.cuda.is_available():
        return device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor()
    units = " with AMX" if "amx_bf16" in "".join(lines) else ""
    return f"{model}{units}, {torch.backends.cpu.get_cpu_capability()}, {device_name()}"


class PlainNetwork(nn.Module):
    """The 13 blocks as anyone would write them: one-dimensional layers, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for block in BLOCKS:
            layers += [
                nn.Conv1d(
                    channels,
                    block.channels,
                    block.kernel,
                    padding=block.padding,
                    dilation=block.dilation,
                ),
                nn.BatchNorm1d(block.channels),
                nn.ReLU(),
            ]
            if block.pool:
                layers.append(nn.MaxPool1d(2, 2, padding=1, dilation=2))
            layers.append(nn.Dropout(0.3))
            channels = block.channels
        self.blocks = nn.Sequential(*layers)
        self.fc = nn.Linear(FEATURES, 4)

    def forward(self, signals: Tensor) -> Tensor:
        """(batch, 1, time) -> logits (batch, 4)."""
        return self.fc(self.blocks(signals).mean(dim=2))
