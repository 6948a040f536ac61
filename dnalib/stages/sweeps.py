"""Sweeps: the same run with another value of one parameter, and ensembles of other sizes.

What is stored of each variant is what its members answer, unperturbed and under the attacks on the
base model at the largest ε, and how much their features share; the rest is found in tables.
"""

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dnalib.inference import infer
from dnalib.losses import adjusted_r_squared
from dnalib.runs import ComputingRun, Settings, Stage
from dnalib.runs.values import SWEPT
from dnalib.stages.ensembles import ENSEMBLES, MEMBERS, PREPARATION, in_full, members_of
from dnalib.stages.members import (
    DECORRELATION,
    TRAINING,
    features_stage,
    finite,
    in_fp16,
    load_member,
    r_squared_name,
    training_stage,
)
from dnalib.stages.perturbations import (
    ATTACK,
    ATTACKS,
    attacked_name,
    logits_under,
    perturbation_name,
)

SIZES = "sweep-members"
SWEPT_PADDING = "strip"  # the paper's way
# All that trainings and the attacks on them hang on.
SWEPT_FROM = (
    *TRAINING,
    *DECORRELATION,
    *ATTACK,
    "bands",
    "batch_size",
    "auxiliary_batch_size",
    "epsilons",
)


def sweep_stages(settings: Settings) -> list[Stage]:
    """A stage for each variant of each swept parameter, and those of larger ensembles."""
    stages = [
        variant_stage(changes)
        for parameter in SWEPT
        for changes in variants_of(settings, parameter)
    ]
    members = further_members(settings)
    for member in members:
        stages.append(training_stage(member))
        stages.append(features_stage(member, load=partial(load_member, member=member)))
    attacked = perturbation_name(SWEPT_PADDING, max(settings.epsilons))
    inputs = (
        attacked,
        *MEMBERS,
        *members,
        *(f"features-{name}" for name in (*MEMBERS, *members)),
    )
    names = (*PREPARATION, "most_members")
    sizes = Stage(SIZES, ".safetensors", names, inputs, store_sizes)
    return [*stages, sizes, *(sizes_stage(seed) for seed in seeds_of(settings)[1:])]


def sizes_name(settings: Settings, seed: int) -> str:
    """Name of the stage that stores the answers of one seed's larger ensembles."""
    return SIZES if seed == settings.seed else f"{SIZES}-seed-{seed}"


def sizes_stage(seed: int) -> Stage:
    """The stage that stores what the larger ensembles of a further seed answer."""
    settings = dict.fromkeys((*SWEPT_FROM, "most_members"))
    given = tuple(name for name in settings if name != "seed")
    compute = partial(store_further_sizes, seed=seed)
    # Not of the run's own models either.
    return Stage(f"{SIZES}-seed-{seed}", ".safetensors", given, (), compute)


def further_members(settings: Settings) -> list[str]:
    """The members that the run's largest ensembles have beyond the nine models."""
    count = settings.most_members
    every = {name for ensemble in ENSEMBLES for name in members_of(ensemble, count)}
    return sorted(every - set(MEMBERS))


def sweep_name(changes: Mapping[str, Any]) -> str:
    """Name of the stage that stores what a variant answers, such as "sweep-bands-2-seed-0"."""
    words = [f"{name}-{in_full(value)}" for name, value in changes.items()]
    return "-".join(["sweep", *words])


def variant_stage(changes: Mapping[str, Any]) -> Stage:
    """The stage that stores what a variant answers, which is trained and attacked by it."""
    given = tuple(name for name in dict.fromkeys(SWEPT_FROM) if name not in changes)
    compute = partial(store_variant, changes=changes)
    # Not of the run's own models: the variant differs from them, and finds its own.
    return Stage(sweep_name(changes), ".safetensors", given, (), compute)


def variants_of(settings: Settings, parameter: str) -> list[dict[str, Any]]:
    """What each variant of a sweep changes: every value with every seed."""
    return [
        {parameter: value, "seed": seed}
        for value in getattr(settings, SWEPT[parameter])
        for seed in seeds_of(settings)
    ]


def seeds_of(settings: Settings) -> range:
    """The seeds that sweeps are trained with, the run's own first."""
    return range(settings.seed, settings.seed + settings.sweep_seeds)


def variant_stages(settings: Settings) -> list[str]:
    """The stages that a sweep reads of each variant."""
    return [
        attacked_name(SWEPT_PADDING, max(settings.epsilons)),
        *(f"natural-{member}" for member in MEMBERS),
        *(r_squared_name(ensemble) for ensemble in ENSEMBLES),
    ]


def store_variant(run: ComputingRun, path: Path, *, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What the nine models of a variant answer, unperturbed and under the attacks that are swept.

    Tensors "natural", "pgd" and "sap" (model, record, class), fp16; "positions" (attacked record,)
    in the test part; "labels" (record,). The results hold adjusted R² within each ensemble.
    """
    variant = run.variant(changes)
    natural = [load_file(variant.obtain(f"natural-{name}").path)["logits"] for name in MEMBERS]
    name = attacked_name(SWEPT_PADDING, max(run.settings.epsilons))
    attacked = load_file(variant.obtain(name).path)
    tensors = {
        "natural": torch.stack(natural),
        **{attack: attacked[attack] for attack in ATTACKS},
        "positions": attacked["positions"],
        "labels": labels_of(run),
    }
    save_file(tensors, path)
    adjusted = {
        ensemble: variant.obtain(r_squared_name(ensemble)).results["adjusted"]
        for ensemble in ENSEMBLES
    }
    return {"models": list(MEMBERS), "adjusted": adjusted}


def labels_of(run: ComputingRun) -> Tensor:
    """Classes of the test records: (record,), uint8."""
    return run.dataset.labels(run.dataset.split.test).to(torch.uint8)


def store_sizes(run: ComputingRun, path: Path) -> dict[str, Any]:
    """The answers of all members of the largest ensembles, and R² between them.

    Tensors as in `store_variant`, models in the order of `results["models"]`.
    """
    settings = run.settings
    names = [*MEMBERS, *further_members(settings)]
    networks = [load_member(run, name) for name in names]
    crafted = load_file(run.obtain(perturbation_name(SWEPT_PADDING, max(settings.epsilons))).path)
    test = run.dataset.split.test
    signals = run.dataset.packed(test[crafted["positions"].numpy()])
    natural = torch.stack([infer(network, run.dataset.packed(test)) for network in networks])
    save_file(
        {
            "natural": in_fp16(natural, name="the largest logit"),
            **{attack: logits_under(crafted[attack], networks, signals) for attack in ATTACKS},
            "positions": crafted["positions"],
            "labels": labels_of(run),
        },
        path,
    )
    rows = torch.from_numpy(run.dataset.rows)
    features = {
        name: load_file(run.obtain(f"features-{name}").path)["features"][rows] for name in names
    }
    adjusted = {}
    for ensemble in ENSEMBLES:
        members = members_of(ensemble, settings.most_members)
        adjusted[ensemble] = [
            [finite(adjusted_r_squared(features[x], features[y])) for y in members] for x in members
        ]
    return {"models": names, "adjusted": adjusted}


def store_further_sizes(run: ComputingRun, path: Path, *, seed: int) -> dict[str, Any]:
    """What `store_sizes` stores, of the same run with another seed."""
    stored = run.variant({"seed": seed}).obtain(SIZES)
    shutil.copyfile(stored.path, path)
    return stored.results
