"""Several models under the perturbations that were crafted on each of them."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dnalib.filters import FourierFilter, ring_filters
from dnalib.inference import Evaluator
from dnalib.runs import ComputingRun, Stage
from dnalib.signals import PackedSignals
from dnalib.stages.attacking import half_within
from dnalib.stages.ensembles import MEMBERS, PREPARATION, in_full
from dnalib.stages.members import load_member
from dnalib.stages.perturbations import ATTACKS, Load, logits_under_each, records_at

BANDS = ("h1", "h2")  # filters that a perturbation is projected on


def transfer_name(epsilon: float) -> str:
    """Name of the stage that shows all models the perturbations of each."""
    return f"transfer-{in_full(epsilon)}"


def transfer_stage(epsilon: float, *, crafted: Mapping[str, str]) -> Stage:
    """What all nine models answer under perturbations of each, at one ε.

    Args:
        epsilon: raw units.
        crafted: model -> the stage with the perturbations that were crafted on it.
    """
    return Stage(
        transfer_name(epsilon),
        ".safetensors",
        (*PREPARATION, "bands"),
        (*MEMBERS, *crafted.values()),
        partial(store_transfer, crafted=crafted, epsilon=epsilon),
        "attack",
    )


def everyone_stage(name: str, *, crafted: Mapping[str, str], load: Load) -> Stage:
    """What all models of a run, the rivals' too, answer under perturbations of each.

    Args:
        name: of the stage.
        crafted: model -> the stage with the perturbations that were crafted on it.
        load: gives any of them in evaluation mode by its name.
    """
    compute = partial(store_everyone, crafted=crafted, load=load)
    return Stage(
        name, ".safetensors", PREPARATION, (*crafted, *crafted.values()), compute, "attack"
    )


def store_everyone(
    run: ComputingRun, path: Path, *, crafted: Mapping[str, str], load: Load
) -> dict[str, Any]:
    """Logits of all models under each one's perturbations: (model, record, class), fp16.

    The file holds "<crafted on>/<attack>" and "positions".
    """
    length = run.settings.length
    evaluators = [Evaluator(load(run, model), length=length) for model in crafted]

    def show(model: str, made: Mapping[str, Tensor], signals: PackedSignals) -> dict[str, Tensor]:
        shown = {f"{model}/{attack}": made[attack] for attack in ATTACKS}
        return logits_under_each(shown, evaluators, signals)

    found = logits_of_each(run, crafted, show)
    save_file(found, path)
    return {"models": list(crafted), "attacked": len(found["positions"])}


def store_transfer(
    run: ComputingRun, path: Path, *, crafted: Mapping[str, str], epsilon: float
) -> dict[str, Any]:
    """Logits of all nine models under each one's perturbations: (model, record, class), fp16.

    The file holds "<crafted on>/<attack>", the same with "/h1" and "/h2" for a perturbation that
    was projected on a filter's bands and cut back to its record and to ε, and "positions".
    """
    settings = run.settings
    filters = {
        name: FourierFilter(mask, length=settings.length)
        for name, mask in zip(
            BANDS, ring_filters(bands=settings.bands, length=settings.length), strict=True
        )
    }
    evaluators = [Evaluator(load_member(run, model), length=settings.length) for model in MEMBERS]

    def show(model: str, made: Mapping[str, Tensor], signals: PackedSignals) -> dict[str, Tensor]:
        shown = {}
        for attack in ATTACKS:
            shown[f"{model}/{attack}"] = made[attack]
            for band, fourier_filter in filters.items():
                part = project(made[attack], fourier_filter, signals, epsilon=epsilon)
                shown[f"{model}/{attack}/{band}"] = part
        return logits_under_each(shown, evaluators, signals)

    found = logits_of_each(run, crafted, show)
    save_file(found, path)
    return {"models": list(MEMBERS), "attacked": len(found["positions"])}


def logits_of_each(
    run: ComputingRun, crafted: Mapping[str, str], show: Callable[..., dict[str, Tensor]]
) -> dict[str, Tensor]:
    """Logits under what was crafted on each of several models, a portion a model; and "positions".

    Args:
        run: whose stage it is.
        crafted: model -> the stage with the perturbations that were crafted on it.
        show: takes the model, its stage's tensors and their records; returns logits by name.

    Raises:
        OutOfTime: the run's minutes ended first; what is done stays for the next call.
    """

    def logits(model: str) -> dict[str, Tensor]:
        made = load_file(run.obtain(crafted[model]).path)
        signals, _ = records_at(run, made["positions"])
        found = show(model, made, signals)
        print(f"  shown what was crafted on {model}", flush=True)
        return found

    kept = run.portions().each(
        list(crafted),
        logits,
        made_for=run.contents(crafted.values()),
        done="models' perturbations are shown",
    )
    found = {name: one for model in crafted for name, one in kept[model].items()}
    (first, *_) = crafted.values()
    return {**found, "positions": load_file(run.obtain(first).path)["positions"]}


def project(
    perturbation: Tensor, fourier_filter: FourierFilter, signals: PackedSignals, *, epsilon: float
) -> Tensor:
    """What a filter passes of perturbations, on the record and within ε: (record, time), fp16."""
    passed = fourier_filter(perturbation.float().unsqueeze(1))  # (record, 1, time)
    valid = signals.valid(torch.arange(len(signals)))  # likewise
    return half_within((passed * valid).squeeze(1), epsilon)
