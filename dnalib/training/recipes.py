"""How a network is trained: recipe, schedule of learning rates, precision and seeds."""

import hashlib
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch

from dnalib.array_arguments import check_count, is_number

Schedule = Literal["one-cycle", "constant"]
Precision = Literal["auto", "32-true", "bf16-mixed"]
Method = Literal["alone", "parallel", "dverge"]

CHOICES = {
    "schedule": get_args(Schedule),
    "precision": get_args(Precision),
    "method": get_args(Method),
}
# The least that is accepted of each whole number.
COUNTS = {"epochs": 1, "batch_size": 1, "projected_dimension": 1, "adversarial_steps": 0, "seed": 0}
# The one-cycle schedule: the share of the steps in which the step size rises to its peak, how often
# the peak holds those of start and end, and the least and the largest of Adam's β₁ meanwhile.
RISE = 0.3
PEAK_OVER_START, PEAK_OVER_END = 25, 250_000
LEAST_BETA, LARGEST_BETA = 0.85, 0.95
BF16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})  # of processors, as Linux names them


@dataclass(frozen=True)
class Recipe:
    """How one network is trained.

    Attributes:
        epochs: passes over the training rows.
        batch_size: rows a step.
        learning_rate: Adam's step size; with "one-cycle" the peak.
        schedule: "one-cycle" or "constant" (the paper's), see `make_schedule`.
        precision: "32-true", "bf16-mixed", or "auto": bf16 where the device of the machine
            that begins the training multiplies it in hardware.
        seed: from 0; of the weights' start, the order of rows, dropout and projections.
        decorrelation_weight: factor of the decorrelation loss.
        projected_dimension: columns of the random projection.
        swap_persists: leave out the decorrelation terms that have no gradient in the journal
            version's code (`losses.Projections.until_swap`); to measure what that changes.
        method: what a step minimises, see `dnalib.training.objectives`: "alone" trains one
            network, the others train several together.
        adversarial_epsilon: largest change of a sample in inputs that an attack makes for training,
            raw units; with "alone", 0 trains on natural records.
        adversarial_steps: gradient steps of that attack.

    Numbers and truth values of NumPy become Python's own, which the JSON of a checkpoint can hold.

    Raises:
        ValueError: a value that no training can follow, or "dverge", which learns from inputs that
            are made, without an attack to make them.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    schedule: Schedule
    precision: Precision
    seed: int
    decorrelation_weight: float = 0.2
    projected_dimension: int = 50
    swap_persists: bool = False
    method: Method = "alone"
    adversarial_epsilon: float = 0.0
    adversarial_steps: int = 0

    def __post_init__(self) -> None:
        for name, least in COUNTS.items():
            check_count(name, getattr(self, name), least=least)
            object.__setattr__(self, name, int(getattr(self, name)))
        for name in ("learning_rate", "decorrelation_weight", "adversarial_epsilon"):
            if not is_number(getattr(self, name)):
                raise ValueError(f"{name} is {getattr(self, name)!r}; accepted are numbers")
            object.__setattr__(self, name, float(getattr(self, name)))
        object.__setattr__(self, "swap_persists", bool(self.swap_persists))
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(
                f"learning_rate is {self.learning_rate}; accepted are finite values above 0"
            )
        for name in ("decorrelation_weight", "adversarial_epsilon"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; accepted are finite values from 0"
                )
        for name, accepted in CHOICES.items():
            if getattr(self, name) not in accepted:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; accepted are "
                    f"{', '.join(map(repr, accepted))}"
                )
        if self.method == "dverge" and not (self.adversarial_epsilon and self.adversarial_steps):
            raise ValueError(
                f"adversarial_epsilon is {self.adversarial_epsilon} and adversarial_steps is "
                f"{self.adversarial_steps}; accepted with the method 'dverge' are values above 0"
            )
        if self.adversarial_epsilon and not self.adversarial_steps:
            raise ValueError(
                f"adversarial_epsilon is {self.adversarial_epsilon} and adversarial_steps is 0: "
                "that would be training on noise; accepted are steps from 1 with it"
            )


def make_schedule(
    optimizer: torch.optim.Optimizer, recipe: Recipe, *, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """The schedule of a recipe over all its steps, of the step size and of Adam's β₁.

    "one-cycle" raises the step size from 1/25 of its peak to the peak in the first 30 % of the
    steps and lowers it to 1/250,000 of it in the others, each along a cosine; β₁, the decay rate of
    Adam's mean gradient, meanwhile falls from 0.95 to 0.85 and rises again. "constant" changes
    neither; β₁ stays at PyTorch's 0.9.

    Source: Smith & Topin 2018, "Super-convergence: very fast training of neural networks using
    large learning rates", with the cosine and the numbers of PyTorch.
    """
    if recipe.schedule == "one-cycle":
        # One step more than is taken: the schedule is stepped once after the last of them.
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=recipe.learning_rate,
            total_steps=steps + 1,
            pct_start=RISE,
            anneal_strategy="cos",
            div_factor=PEAK_OVER_START,
            final_div_factor=PEAK_OVER_END / PEAK_OVER_START,
            cycle_momentum=True,
            base_momentum=LEAST_BETA,
            max_momentum=LARGEST_BETA,
        )
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)


def resolve_precision(precision: Precision) -> Precision:
    """The precision that "auto" means on this machine: bf16 only where hardware multiplies it."""
    if precision != "auto":
        return precision
    if torch.cuda.is_available():
        return (
            "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
        )
    capable = torch.backends.cpu.get_cpu_capability() == "AVX512" and cpu_has_bf16()
    return "bf16-mixed" if capable else "32-true"


def keep_float32() -> None:
    """Multiply what is float32 as float32 in a GPU's convolutions too; cuDNN's default is TF32.

    Whatever sets up a device for the library calls this, so that "32-true" means the same
    everywhere. Matrix products are float32 by default.
    """
    with warnings.catch_warnings():
        # PyTorch warns that there is a newer name for it; versions before 2.9 know this one alone.
        warnings.simplefilter("ignore")
        torch.backends.cudnn.allow_tf32 = False


def fastest_device() -> torch.device:
    """The GPU where CUDA finds one, else the CPU; set up so that float32 is multiplied as such.

    Sums are kept in float64, which Apple's GPUs do not have.
    """
    keep_float32()
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def cpu_has_bf16() -> bool:
    """Whether the processor lists products in bf16, AMX or AVX-512 (Linux on x86; elsewhere no)."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return not BF16_FLAGS.isdisjoint(flags)


def derived_seed(seed: int, number: int) -> int:
    """A seed of its own for each number (of an epoch, or of a member)."""
    digest = hashlib.sha256(f"{seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:7], "little")
