"""Variants that show what it changes where the paper's text and the authors' code differ."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dnalib import attacks
from dnalib.inference import infer
from dnalib.losses import r_squared
from dnalib.runs import ComputingRun, Stage
from dnalib.stages.attacking import craft_all
from dnalib.stages.ensembles import EARLIER, MEMBERS, PREPARATION
from dnalib.stages.members import SWAPPED, finite, in_fp16, load_member, training_stage
from dnalib.stages.perturbations import ATTACK, logits_under, perturbation_name, records_at

FIT_EFFECT, STEPS_EFFECT, SWAP_EFFECT = "effect-fit", "effect-steps", "effect-swap"
SWAPPED_MEMBER = "dec2"  # the first that has two earlier members
FIT_PAIRS = (("base", "dec1"), ("dec1", "base"), ("base", "dec2"))  # regressor, regressand


def effect_stages(epsilon: float) -> list[Stage]:
    """The variants' stages; attacks are at one ε."""
    features = dict.fromkeys(f"features-{name}" for pair in FIT_PAIRS for name in pair)
    return [
        Stage(FIT_EFFECT, ".json", (), tuple(features), store_fit),
        Stage(
            STEPS_EFFECT,
            ".safetensors",
            ATTACK,
            (perturbation_name("strip", epsilon), *MEMBERS),
            partial(store_steps, epsilon=epsilon),
        ),
        training_stage(SWAPPED_MEMBER, swap_persists=True),
        Stage(
            SWAP_EFFECT,
            ".safetensors",
            PREPARATION,
            (
                f"{SWAPPED_MEMBER}{SWAPPED}",
                *(f"features-{name}" for name in EARLIER[SWAPPED_MEMBER]),
                perturbation_name("strip", epsilon),
            ),
            partial(store_swap, epsilon=epsilon),
        ),
    ]


def store_fit(run: ComputingRun, path: Path) -> dict[str, Any]:
    """R² as the authors' code takes it, and as the paper's text does: not centred, no constant."""
    rows = torch.from_numpy(run.dataset.rows)
    found = []
    for regressor, regressand in FIT_PAIRS:
        x, y = (
            load_file(run.obtain(f"features-{name}").path)["features"][rows].double()
            for name in (regressor, regressand)
        )
        residual = y - x @ torch.linalg.lstsq(x, y, driver="gelsd").solution
        found.append(
            {
                "regressor": regressor,
                "regressand": regressand,
                "text": finite((1 - residual.square().sum() / y.square().sum()).item()),
                "code": finite(r_squared(x, y)),
            }
        )
    path.write_text("{}\n")
    return {"pairs": found}


def store_steps(run: ComputingRun, path: Path, *, epsilon: float) -> dict[str, Any]:
    """All members' logits under SAP of as many steps as PGD takes, as the paper's text has it.

    The file holds "after PGD" (SAP goes on from PGD's perturbation) and "alone" (it starts at the
    record): (member, record, class), fp16.
    """
    positions = load_file(run.obtain(perturbation_name("strip", epsilon)).path)["positions"]
    signals, labels = records_at(run, positions)
    found = craft_all(
        partial(craft_short, epsilon=epsilon, steps=run.settings.pgd_steps),
        load_member(run, "base"),
        signals,
        labels,
        epsilon=epsilon,
        padding="strip",
        precision=run.settings.attack_precision,
        portions=run.portions(),
    )
    networks = [load_member(run, member) for member in MEMBERS]
    logits = {
        name: logits_under(perturbation, networks, signals) for name, perturbation in found.items()
    }
    save_file({**logits, "positions": positions}, path)
    return {"members": list(MEMBERS), "epsilon": epsilon, "steps": run.settings.pgd_steps}


def craft_short(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    valid: Tensor,
    *,
    epsilon: float,
    steps: int,
) -> dict[str, Tensor]:
    """SAP's perturbations of a batch, (record, 1, time), with and without PGD before it."""
    options: dict[str, Any] = {"epsilon": epsilon, "steps": steps, "valid": valid}
    starts = {
        "after PGD": attacks.pgd(model, inputs, labels, padding="keep", **options),
        "alone": torch.zeros_like(inputs),
    }
    return {
        name: attacks.sap(model, inputs, labels, padding="strip", start=start, **options)
        for name, start in starts.items()
    }


def store_swap(run: ComputingRun, path: Path, *, epsilon: float) -> dict[str, Any]:
    """Logits of the member that was trained with the swap, and R² with its earlier members.

    The file holds "natural", (test record, class), and "sap", (attacked record, class), fp16.
    """
    dataset = run.dataset
    network = load_member(run, f"{SWAPPED_MEMBER}{SWAPPED}")
    crafted = load_file(run.obtain(perturbation_name("strip", epsilon)).path)
    positions = crafted["positions"]
    signals, _ = records_at(run, positions)
    (attacked,) = logits_under(crafted["sap"], [network], signals)
    natural = in_fp16(
        infer(network, dataset.packed(dataset.split.test)),
        name=f"the largest logit of {SWAPPED_MEMBER}",
    )
    save_file({"natural": natural, "sap": attacked.clone(), "positions": positions}, path)
    rows = torch.from_numpy(dataset.rows)
    own = infer(network, dataset.packed(dataset.split.train), with_features=True)[rows]
    shared = {}
    for name in EARLIER[SWAPPED_MEMBER]:
        other = load_file(run.obtain(f"features-{name}").path)["features"][rows]
        shared[name] = {
            "predicts it": finite(r_squared(other, own)),
            "is predicted": finite(r_squared(own, other)),
        }
    return {"epsilon": epsilon, "r_squared": shared}
