"""Attacks on one-dimensional classifiers and ensembles, in raw units.

An attack is a search (`pgd`, `sap`, `universal_perturbation`) for the perturbation that maximises a
loss: of one classifier (`losses`) or of an ensemble (`targets`). Its control is a random
perturbation of the same size (`noise`).

Imports go one way: losses, targets; ascent, arguments, restarts, smoothing; gradient, universal,
noise; size stands alone.
"""

from .arguments import PADDINGS, Padding, strip
from .ascent import SCHEDULES, Schedule
from .gradient import pgd, sap
from .losses import Loss, cross_entropy, difference_of_logits_ratio, margin
from .noise import random_signs, smooth_random_signs
from .restarts import record_generators
from .size import PerturbationSize, from_millivolts, perturbation_size
from .smoothing import SMOOTHING_SIGMAS, SMOOTHING_SIZES, smooth, smoothing_kernel
from .targets import (
    confidently_wrong,
    end_to_end,
    least_misled_member,
    log_mean_softmax,
    mean_of_members,
    most_misled_member,
)
from .universal import universal_perturbation

__all__ = [
    "PADDINGS",
    "SCHEDULES",
    "SMOOTHING_SIGMAS",
    "SMOOTHING_SIZES",
    "Loss",
    "Padding",
    "PerturbationSize",
    "Schedule",
    "confidently_wrong",
    "cross_entropy",
    "difference_of_logits_ratio",
    "end_to_end",
    "from_millivolts",
    "least_misled_member",
    "log_mean_softmax",
    "margin",
    "mean_of_members",
    "most_misled_member",
    "perturbation_size",
    "pgd",
    "random_signs",
    "record_generators",
    "sap",
    "smooth",
    "smooth_random_signs",
    "smoothing_kernel",
    "strip",
    "universal_perturbation",
]
