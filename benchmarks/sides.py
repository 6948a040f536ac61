"""What the benchmarks share: two sides measured in turn, and the straightforward network."""

import argparse
import gc
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from limits import limits_of
from torch import Tensor, nn
from torch.autograd import DeviceType

from dnalib.model import BLOCKS, FEATURES
from dnalib.training.recipes import cpu_has_bf16


def parse(description: str) -> argparse.ArgumentParser:
    """The options that every benchmark takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="fewer repeats, smaller batches")
    return parser


def alternate(
    ours: Callable[[], Any], straightforward: Callable[[], Any], *, repeats: int, device: str
) -> tuple[float, float]:
    """Median seconds of both sides, run in turn after one warm-up each.

    Neither side pays for collecting what the other left behind.
    """
    seconds: tuple[list[float], list[float]] = ([], [])
    for repeat in range(repeats + 1):
        for side, times in zip((ours, straightforward), seconds, strict=True):
            gc.collect()
            started = time.perf_counter()
            side()
            if device == "cuda":
                torch.cuda.synchronize()
            if repeat:
                times.append(time.perf_counter() - started)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def report(name: str, *, ours: float, straightforward: float, device: str, **details: Any) -> None:
    """Print the medians, and last one line of JSON."""
    ratio = straightforward / ours
    print(f"{name}: straightforward {straightforward:.4g} s, ours {ours:.4g} s, {ratio:.2f} times")
    content = {
        "benchmark": name,
        "ratio": round(ratio, 3),
        "ours_seconds": ours,
        "straightforward_seconds": straightforward,
        "hardware": hardware(device),
        "torch": torch.__version__,
        **details,
    }
    print(json.dumps(content))


def where_time_goes(
    side: Callable[[], Any], *, device: str, most: int = 3
) -> dict[str, dict[str, float]]:
    """Profile a side: its costliest operations, and what limits it.

    Args:
        side: called twice, the second time under the profiler.
        device: "cuda" counts the time of kernels, "cpu" that of operations themselves.
        most: how many operations are named.

    Returns:
        "most_time": the costliest operations with their shares of all operations' time; "limits":
        as `limits_of` gives them.
    """
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    side()
    with torch.profiler.profile(activities=activities) as profile:
        started = time.perf_counter()
        side()
        if device == "cuda":
            torch.cuda.synchronize()
        wall = time.perf_counter() - started
    times = operation_seconds(profile.key_averages(), device=device)
    total = sum(times.values())
    costliest = sorted(times, key=times.__getitem__, reverse=True)[:most]
    return {
        "most_time": {name: round(times[name] / total, 3) for name in costliest},
        "limits": limits_of(times, wall=wall, kernels=device == "cuda"),
    }


def operation_seconds(events: Iterable[Any], *, device: str) -> dict[str, float]:
    """Seconds of each operation on a CPU, of each kernel on a GPU, by name.

    Operations hold their kernels' time too: on a GPU only the kernels count, or each would twice.
    """
    wanted = DeviceType.CUDA if device == "cuda" else DeviceType.CPU
    time_of = "self_device_time_total" if device == "cuda" else "self_cpu_time_total"
    times: dict[str, float] = {}
    for event in events:
        if event.device_type == wanted and not getattr(event, "is_user_annotation", False):
            times[event.key] = times.get(event.key, 0.0) + getattr(event, time_of) / 1e6
    return times


def hardware(device: str) -> str:
    """The device, and what decides how it multiplies.

    Of a GPU its name and whether its float32 convolutions use TF32; of a processor its model, its
    matrix units and the threads in use.
    """
    if device == "cuda":
        tf32 = "with" if torch.backends.cudnn.allow_tf32 else "without"
        return f"{torch.cuda.get_device_name()}, float32 {tf32} TF32"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.processor()
    capability = torch.backends.cpu.get_cpu_capability()
    units = " and bf16" if cpu_has_bf16() else ""
    return f"{model} with {capability}{units}, {torch.get_num_threads()} threads"


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
