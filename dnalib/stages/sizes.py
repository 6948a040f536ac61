"""How large the perturbations are that chapters 7 and 8 show, in numbers that are recorded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from dnalib.runs import ComputingRun, Stage
from dnalib.stages.adaptive import size_of
from dnalib.stages.ensembles import PREPARATION, in_full
from dnalib.stages.perturbations import ATTACKS, perturbation_name, records_at

ATTACK_SIZES = "attack-sizes"


def attack_sizes_stage(epsilons: Sequence[float]) -> Stage:
    """The stage that measures the perturbations of the base model, which are not recorded."""
    inputs = tuple(perturbation_name("strip", epsilon) for epsilon in epsilons)
    return Stage(ATTACK_SIZES, ".json", ("epsilons", *PREPARATION), inputs, measure)


def measure(run: ComputingRun, path: Path) -> dict[str, Any]:
    """`adaptive.size_of` by ε and attack, of the perturbations stripped from the padding."""
    sizes = {}
    for epsilon in run.settings.epsilons:
        crafted = load_file(run.obtain(perturbation_name("strip", epsilon)).path)
        signals, _ = records_at(run, crafted["positions"])
        sizes[in_full(epsilon)] = {attack: size_of(crafted[attack], signals) for attack in ATTACKS}
    path.write_text("{}\n")
    return {"sizes": sizes}
