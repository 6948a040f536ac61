"""Every figure of the book, one function each.

Each function takes data as arguments, never loads any, and returns a matplotlib `Figure` that
pyplot does not hold: a notebook shows it as its cell's last value, `savefig` writes it.
"""

from dnalib.plots.confusion import confusion_matrices
from dnalib.plots.correlation import r_squared_diagram
from dnalib.plots.costs import costs
from dnalib.plots.deferral import deferral, risk_coverage
from dnalib.plots.differences import differences
from dnalib.plots.ecg import attacked_ecg, attacked_ecg_slider, ecg_paper, filtered_beat
from dnalib.plots.gains import remaining_gain
from dnalib.plots.knowledge import knowledge
from dnalib.plots.results import natural_accuracy, robustness
from dnalib.plots.schemes import frequency_responses, spectrum_partition, training_scheme
from dnalib.plots.style import drawn
from dnalib.plots.sweeps import sweep
from dnalib.plots.training import (
    class_counts,
    learning_curves,
    learning_curves_beside_published,
    record_lengths,
)
from dnalib.plots.transfer import transfer

__all__ = [
    "attacked_ecg",
    "attacked_ecg_slider",
    "class_counts",
    "confusion_matrices",
    "costs",
    "deferral",
    "differences",
    "drawn",
    "ecg_paper",
    "filtered_beat",
    "frequency_responses",
    "knowledge",
    "learning_curves",
    "learning_curves_beside_published",
    "natural_accuracy",
    "r_squared_diagram",
    "record_lengths",
    "remaining_gain",
    "risk_coverage",
    "robustness",
    "spectrum_partition",
    "sweep",
    "training_scheme",
    "transfer",
]
