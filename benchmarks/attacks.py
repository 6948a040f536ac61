"""PGD and SAP on records of the real lengths: ours against full length, parameter gradients on.

Seconds are those of one gradient step on all records. The lengths are those of the recorded
survey's histogram.
"""

import json
from functools import partial
from typing import Any

import numpy as np
import torch
from sides import PlainNetwork, alternate, parse, report, where_time_goes
from torch import Tensor
from torch.nn import functional

from dnalib import attacks
from dnalib.attacks import SMOOTHING_SIGMAS, SMOOTHING_SIZES
from dnalib.crafting import attack_records
from dnalib.model import Network
from dnalib.runs import load_profile
from dnalib.signals import PackedSignals
from dnalib.stages import open_run
from dnalib.training.recipes import keep_float32, resolve_precision

LENGTH = 18_000
EPSILON = 50.0
# Gradient steps of a measured attack, by device. What a call does once (folding, a look at the
# memory) is a good part of one step on a GPU and next to nothing of an attack's 20 or 40. On a CPU
# it is little of one step and counts against ours; the recorded ratios are of one.
STEPS = {"cpu": 1, "cuda": 5}


def lengths_of(count: int) -> list[int]:
    """Record lengths at even quantiles of the recorded histogram, samples."""
    survey = open_run({"profile": "recorded/small"}).obtain("survey").results
    counts = np.array(survey["length_counts"]).sum(axis=0)
    edges = np.array(survey["length_edges"])  # s
    position = (np.arange(count) + 0.5) / count * counts.sum()
    bins = np.searchsorted(counts.cumsum(), position)
    seconds = (edges[bins] + edges[bins + 1]) / 2
    return np.clip(seconds * 300, 2_714, LENGTH).astype(int).tolist()


def made_up_records(lengths: list[int]) -> PackedSignals:
    """Noise of those lengths, centred."""
    each = torch.tensor(lengths)
    padded = torch.randint(-300, 300, (len(lengths), LENGTH), dtype=torch.int16)
    return PackedSignals.pack(padded, starts=(LENGTH - each) // 2, lengths=each)


def smoothing_kernels(device: str) -> list[Tensor]:
    """The 25 kernels of SAP, one by one: (1, 1, size)."""
    kernels = []
    for size in SMOOTHING_SIZES:
        time = torch.arange(size, device=device, dtype=torch.float32) - size // 2
        for sigma in SMOOTHING_SIGMAS:
            kernel = torch.exp(-(time**2) / (2 * sigma**2))
            kernels.append((kernel / kernel.sum()).view(1, 1, -1))
    return kernels


def plain_attack(
    model: PlainNetwork, inputs: Tensor, labels: Tensor, valid: Tensor, *, smooth: bool, steps: int
) -> None:
    """Signed gradient steps with a backward pass through everything."""
    kernels = smoothing_kernels(str(inputs.device)) if smooth else []
    theta = torch.zeros_like(inputs)
    for _ in range(steps):
        theta = theta.detach().requires_grad_(True)
        change = theta * valid
        if kernels:
            parts = [functional.conv1d(theta, k, padding=k.shape[-1] // 2) for k in kernels]
            change = sum(parts) / len(parts) * valid
        functional.cross_entropy(model(inputs + change), labels).backward()
        assert theta.grad is not None
        theta = (theta + EPSILON / 10 * theta.grad.sign()).clamp(-EPSILON, EPSILON)


def our_attack(
    model: torch.nn.Module,
    inputs: Tensor,
    labels: Tensor,
    valid: Tensor,
    *,
    smooth: bool,
    steps: int,
    padding: attacks.Padding = "mask",
) -> dict[str, Tensor]:
    """The library's attack with the same number of gradients."""
    options: dict[str, Any] = {
        "epsilon": EPSILON,
        "steps": steps,
        "valid": valid,
        "padding": padding,
    }
    if not smooth:
        return {"found": attacks.pgd(model, inputs, labels, **options)}
    start = torch.zeros_like(inputs)
    return {"found": attacks.sap(model, inputs, labels, start=start, **options)}


def measure(
    name: str, network: Network, plain: PlainNetwork, signals: PackedSignals, labels: Tensor, *,
    steps: int, repeats: int, device: str, precision: str, profiled: bool,
) -> tuple[float, float]:  # fmt: skip
    """Seconds of a gradient step on all records, ours first, of both sides of one attack.

    Both take so many steps, and the seconds are divided by them; a line of JSON is printed.
    """
    smooth = name == "sap"

    def ours() -> None:
        attack = partial(our_attack, smooth=smooth, steps=steps)
        for _ in attack_records(
            attack, network, signals, labels, padding="mask", precision=precision
        ):
            pass

    def straightforward() -> None:
        for records in torch.arange(len(signals)).split(64 if device == "cuda" else 4):
            inputs = signals.batch(records).float().to(device)
            valid = signals.valid(records).to(device)
            plain_attack(
                plain, inputs, labels[records].to(device), valid, smooth=smooth, steps=steps
            )

    both = alternate(ours, straightforward, repeats=repeats, device=device)
    fast, slow = (seconds / steps for seconds in both)
    report(
        f"{name}, {precision}",
        ours=fast,
        straightforward=slow,
        device=device,
        records=len(signals),
        steps=steps,
        **(where_time_goes(ours, device=device) if profiled else {}),
    )
    return fast, slow


def strip_seconds(
    network: Network, signals: PackedSignals, labels: Tensor, *,
    steps: int, repeats: int, device: str, precision: str,
) -> float:  # fmt: skip
    """Seconds of one gradient step of PGD on all records at full length, as the paper attacks."""

    def ours() -> None:
        attack = partial(our_attack, smooth=False, steps=steps, padding="strip")
        for _ in attack_records(
            attack, network, signals, labels, padding="strip", precision=precision
        ):
            pass

    seconds, _ = alternate(ours, lambda: None, repeats=repeats, device=device)
    return seconds / steps


def sizes(device: str, *, quick: bool) -> tuple[int, tuple[str, ...]]:
    """How many records are attacked, and in which precisions.

    A quick call measures what a campaign's estimate asks for: the precision of its attacks, and on
    a GPU also the other one, which its command may ask for.
    """
    if quick:
        usual: str = load_profile("full").attack_precision
        if device == "cuda":
            return 64, tuple(dict.fromkeys((usual, "32-true", "bf16-mixed")))
        return 2, (usual,)
    precisions = dict.fromkeys(("32-true", resolve_precision("auto")))
    return (128 if device == "cuda" else 8), tuple(precisions)


def main() -> None:
    """The command line."""
    arguments = parse(__doc__.splitlines()[0]).parse_args()
    keep_float32()
    device = arguments.device
    count, precisions = sizes(device, quick=arguments.quick)
    torch.manual_seed(0)
    signals = made_up_records(lengths_of(count))
    labels = torch.randint(0, 4, (count,))
    network, plain = Network().eval().to(device), PlainNetwork().eval().to(device)
    options: dict[str, Any] = {
        "steps": STEPS[device],
        "repeats": 1 if arguments.quick else 3,
        "device": device,
    }
    # Under a profiler one step on a CPU takes as long as all the rest of a quick call.
    profiled = device == "cuda" or not arguments.quick
    ratios: dict[str, float] = {}
    gradient_seconds: dict[str, dict[str, float]] = {}  # of a record, for a campaign's estimate
    for precision in precisions:
        options["precision"] = precision
        for name in ("pgd", "sap"):
            fast, slow = measure(
                name, network, plain, signals, labels, profiled=profiled, **options
            )
            ratios[f"{name}, {precision}"] = slow / fast
            gradient_seconds.setdefault(precision, {"mask": fast / count})
        strip = strip_seconds(network, signals, labels, **options)
        gradient_seconds[precision]["strip"] = strip / count
    smallest = min(ratios.values())
    content = {"benchmark": "attacks", "ratio": smallest, "ratios": ratios}
    print(json.dumps({**content, "gradient_seconds": gradient_seconds}))


if __name__ == "__main__":
    main()
