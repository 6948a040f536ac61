"""Training the members; their features, R² and logits on unperturbed records."""

import math
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dnalib import losses
from dnalib.filters import FourierFilter, ring_filters
from dnalib.inference import infer
from dnalib.model import Network
from dnalib.runs import ComputingRun, OutOfTime, Run, Settings, Stage
from dnalib.stages.ensembles import (
    ENSEMBLES,
    FURTHER,
    MEMBERS,
    PREPARATION,
    earlier_models,
    filter_index,
)
from dnalib.training import Recipe, Training, TrainingData, train
from dnalib.training.joint import JointNetwork
from dnalib.training.recipes import derived_seed, fastest_device
from dnalib.training.state import settle_precision

TRAINING = (
    *PREPARATION,
    "width",
    "dropout",
    "epochs",
    "learning_rate",
    "schedule",
    "precision",
    "seed",
)
DECORRELATION = ("decorrelation_weight", "projected_dimension")
FIRST_FURTHER = 200  # of the trainings of further members; the rivals' count from 100
SWAPPED = "-swapped"  # ends the name of a member that is trained as the journal's code does


def member_stages() -> list[Stage]:
    """The training of each member, then its features and its logits; R² within each ensemble."""
    stages = []
    for member in MEMBERS:
        stages.append(training_stage(member))
        stages.append(features_stage(member, load=partial(load_member, member=member)))
        stages.append(
            Stage(
                f"natural-{member}",
                ".safetensors",
                PREPARATION,
                (member,),
                partial(store_natural, member=member),
            )
        )
    stages += [r_squared_stage(ensemble, members) for ensemble, members in ENSEMBLES.items()]
    return stages


def training_stage(member: str, *, swap_persists: bool = False) -> Stage:
    """The training of one member, or of its variant with the swap of the journal's code."""
    batch_size = "batch_size" if member == "base" else "auxiliary_batch_size"
    settings: tuple[str, ...] = (*TRAINING, batch_size)
    if filter_index(member) is not None:
        settings += ("bands",)
    if earlier_models(member):
        settings += DECORRELATION
    inputs = tuple(f"features-{earlier}" for earlier in earlier_models(member))
    name = f"{member}{SWAPPED}" if swap_persists else member
    compute = partial(train_member, member=member, swap_persists=swap_persists)
    return Stage(name, ".safetensors", settings, inputs, compute, "training")


def features_stage(name: str, *, load: Callable[[Run], Network]) -> Stage:
    """The features of a trained network over the training records."""
    compute = partial(store_features, load=load)
    return Stage(f"features-{name}", ".safetensors", PREPARATION, (name,), compute)


def r_squared_stage(ensemble: str, members: tuple[str, ...]) -> Stage:
    """R² between the features of an ensemble's members."""
    inputs = tuple(f"features-{member}" for member in members)
    compute = partial(store_r_squared, members=members)
    return Stage(r_squared_name(ensemble), ".json", (), inputs, compute)


def r_squared_name(ensemble: str) -> str:
    """Name of the stage with R² within an ensemble."""
    return f"r_squared-{ensemble.replace(' ', '-')}"


def make_network(settings: Settings, *, member: str) -> Network:
    """An untrained member as the settings describe it."""
    index = filter_index(member)
    fourier_filter = None
    if index is not None:
        masks = ring_filters(bands=settings.bands, length=settings.length)
        fourier_filter = FourierFilter(masks[index], length=settings.length)
    return Network(width=settings.width, dropout=settings.dropout, fourier_filter=fourier_filter)


def load_member(run: Run, member: str) -> Network:
    """A trained member in evaluation mode, on the fastest device."""
    network = make_network(run.settings, member=member)
    load_weights(network, run.obtain(member).path)
    return network.to(fastest_device()).eval()


def load_weights(network: Network | JointNetwork, path: Path) -> None:
    """Fill a network with the weights of a file, in the network's own precision."""
    weights, own = load_file(path), network.state_dict()
    network.load_state_dict({name: value.to(own[name].dtype) for name, value in weights.items()})


def train_member(
    run: ComputingRun, path: Path, *, member: str, swap_persists: bool = False
) -> dict[str, Any]:
    """Train one member and store its weights, rounded to fp16; the history is the result.

    With `swap_persists` it is trained as the journal version's code does, all else alike.

    Raises:
        OutOfTime: the run's minutes ended first; the checkpoint stays for the next call.
    """
    name = f"{member}{SWAPPED}" if swap_persists else member
    training = member_training(run, member, swap_persists=swap_persists)
    return train_and_store(run, path, name=name, training=training)


def member_training(run: ComputingRun, member: str, *, swap_persists: bool = False) -> Training:
    """What the training of a member starts from, reads and follows."""
    settings = run.settings
    return Training(
        partial(make_network, settings, member=member),
        training_data(run, earlier=earlier_models(member)),
        member_recipe(
            settings,
            batch_size=settings.batch_size if member == "base" else settings.auxiliary_batch_size,
            number=training_number(member),
            swap_persists=swap_persists,
            **(settings.values(DECORRELATION) if earlier_models(member) else {}),
        ),
    )


def training_number(member: str) -> int:
    """The number of a member's training in its run, from which its seed follows."""
    return MEMBERS.index(member) if member in MEMBERS else FIRST_FURTHER + FURTHER.index(member)


def training_data(run: ComputingRun, *, earlier: Iterable[str] = ()) -> TrainingData:
    """The records of a run as a training reads them, with the features of earlier models."""
    dataset = run.dataset
    split = dataset.split
    return TrainingData(
        signals=dataset.packed(split.train),
        labels=dataset.labels(split.train),
        rows=torch.from_numpy(dataset.rows),
        test_signals=dataset.packed(split.test),
        test_labels=dataset.labels(split.test),
        earlier=tuple(
            load_file(run.obtain(f"features-{name}").path)["features"] for name in earlier
        ),
    )


def member_recipe(settings: Settings, *, batch_size: int, number: int, **changes: Any) -> Recipe:
    """The recipe of a run's settings.

    Args:
        settings: of the run.
        batch_size: rows a step.
        number: of the training in its run; each has a start and an order of rows of its own.
        changes: further attributes of `Recipe`; of the settings only those that the training's
            stage names, or a checkpoint would not go on under others.
    """
    return Recipe(
        epochs=settings.epochs,
        batch_size=batch_size,
        learning_rate=settings.learning_rate,
        schedule=settings.schedule,
        precision=settings.precision,
        seed=derived_seed(settings.seed, number) % 2**31,
        **changes,
    )


def train_and_store(
    run: ComputingRun,
    path: Path,
    *,
    name: str,
    training: Training,
) -> dict[str, Any]:
    """Train and store the weights, rounded to fp16; the history is the result.

    Of several processes that train together the first one stores, and the others return nothing.

    Raises:
        OutOfTime: the run's minutes ended first; the checkpoint stays for the next call.
        FloatingPointError: the training diverged, or its weights are too large for fp16.
    """
    checkpoint = run.checkpoint_folder(name)
    recipe = settle_precision(training.recipe, checkpoint, run.processes)
    network, history = train(
        training.make_network,
        training.data,
        recipe=recipe,
        checkpoint=checkpoint,
        max_minutes=run.minutes_left(),
        processes=run.processes,
    )
    if not run.processes.first:
        return {}
    if len(history) < recipe.epochs:
        raise OutOfTime(
            f"max_minutes is over: {name} has {len(history)} of {recipe.epochs} epochs; "
            "call again to go on"
        )
    save_file(round_weights(network), path)
    several = {"processes": run.processes.count} if run.processes.count > 1 else {}
    return {
        **several,
        "precision": recipe.precision,
        "history": history.astype(object).where(history.notna(), None).to_dict("list"),
    }


def round_weights(network: Network | JointNetwork) -> dict[str, Tensor]:
    """The state dict with parameters in fp16; running statistics, which exceed fp16, in float32.

    Raises:
        FloatingPointError: a number of it is not finite, or too large for fp16.
    """
    parameters, weights = dict(network.named_parameters()), network.state_dict()
    rounded = {
        name: (value.half() if name in parameters else value).contiguous()
        for name, value in weights.items()
    }
    for name, value in weights.items():
        check_rounded(rounded[name], value, name=name)
    return rounded


def in_fp16(values: Tensor, *, name: str) -> Tensor:
    """Logits as they are stored, in fp16.

    Args:
        values: floating point.
        name: what they are, for the message.

    Raises:
        FloatingPointError: fp16 cannot hold them.
    """
    rounded = values.half()
    check_rounded(rounded, values, name=name)
    return rounded


def check_rounded(rounded: Tensor, values: Tensor, *, name: str) -> None:
    """Raise a FloatingPointError if numbers that are to be stored are not finite."""
    if not rounded.isfinite().all():
        raise FloatingPointError(
            f"{name} reaches {values.abs().max().item():g}; accepted are finite numbers up to "
            f"{torch.finfo(torch.float16).max:g}, which fp16 holds: try a lower learning_rate"
        )


def store_features(
    run: ComputingRun, path: Path, *, load: Callable[[Run], Network]
) -> dict[str, Any]:
    """Features of one network over the training records, in evaluation mode: (record, 64)."""
    signals = run.dataset.packed(run.dataset.split.train)
    save_file({"features": infer(load(run), signals, with_features=True)}, path)
    return {}


def store_r_squared(run: ComputingRun, path: Path, *, members: tuple[str, ...]) -> dict[str, Any]:
    """R² between the members' features over the training rows, regressors in rows."""
    rows = torch.from_numpy(run.dataset.rows)
    features = {
        member: load_file(run.obtain(f"features-{member}").path)["features"][rows]
        for member in members
    }
    tables = {
        kind: [[finite(measure(features[x], features[y])) for y in members] for x in members]
        for kind, measure in (
            ("r_squared", losses.r_squared),
            ("adjusted", losses.adjusted_r_squared),
        )
    }
    path.write_text("{}\n")
    return {"members": list(members), "rows": len(rows), **tables}


def finite(value: float) -> float | None:
    """A number that JSON holds: None for the undefined R² of features that never change."""
    return value if math.isfinite(value) else None


def store_natural(run: ComputingRun, path: Path, *, member: str) -> dict[str, Any]:
    """Logits of one member on the unperturbed test records, (record, class) fp16, and labels."""
    test = run.dataset.split.test
    logits = infer(load_member(run, member), run.dataset.packed(test))
    logits = in_fp16(logits, name=f"the largest logit of {member}")
    save_file({"logits": logits, "labels": run.dataset.labels(test).to(torch.uint8)}, path)
    return {}
