"""What a run computes: nine models, their features, the attacks, and the logits under them."""

from dnalib.data import CLASS_NAMES, SHORT_CLASS_NAMES
from dnalib.stages.catalogue import (
    all_stages,
    computing_run,
    holds_weights,
    load_ensemble,
    open_run,
    open_seeds,
)
from dnalib.stages.ensembles import EARLIER, ENSEMBLES, MEMBERS, filter_index
from dnalib.stages.members import load_member, make_network
from dnalib.stages.perturbations import ATTACKS, PADDINGS, attacked_name, perturbation_name
from dnalib.stages.survey import (
    Heartbeat,
    available_records,
    class_examples,
    heartbeat,
    named_signals,
    names_of_test_records,
    record_position,
)

__all__ = [
    "ATTACKS",
    "CLASS_NAMES",
    "EARLIER",
    "ENSEMBLES",
    "Heartbeat",
    "MEMBERS",
    "PADDINGS",
    "SHORT_CLASS_NAMES",
    "all_stages",
    "attacked_name",
    "available_records",
    "class_examples",
    "computing_run",
    "filter_index",
    "heartbeat",
    "holds_weights",
    "load_ensemble",
    "load_member",
    "make_network",
    "named_signals",
    "names_of_test_records",
    "open_run",
    "open_seeds",
    "perturbation_name",
    "record_position",
]
