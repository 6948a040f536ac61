"""Attacks on the base model, and every member's logits under them."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dnalib import attacks
from dnalib.attacks import Padding
from dnalib.attacks.arguments import within
from dnalib.crafting import attack_records
from dnalib.inference import Evaluator, infer
from dnalib.model import Network
from dnalib.runs import ComputingRun, Portions, Settings, Stage
from dnalib.signals import PackedSignals
from dnalib.stages.ensembles import MEMBERS, PREPARATION, in_full
from dnalib.stages.members import in_fp16, load_member
from dnalib.training.data import describe_tensors, signal_tensors
from dnalib.training.recipes import derived_seed

Load = Callable[[ComputingRun, str], Network]  # a trained model in evaluation mode, by its name

ATTACKS = ("pgd", "sap")
PADDINGS: tuple[Padding, ...] = ("strip", "mask")
PERTURBATIONS = ("perturbations-", "crafted-on-")  # begin the names of stages that store these
RECORDS = "records"  # which a portion is of
EXAMPLES = 4  # attacked records that a recorded run keeps for the figures
ATTACK = (*PREPARATION, "pgd_steps", "sap_steps", "attack_precision", "attack_records")


def attack_stages(epsilon: float) -> list[Stage]:
    """Perturbations against the base model, and every member's logits under them, at one ε."""
    stages = []
    for padding in PADDINGS:
        name = perturbation_name(padding, epsilon)
        # A record without padding is attacked alike in both modes: the second copies the first.
        inputs = ("base",) if padding == "strip" else ("base", perturbation_name("strip", epsilon))
        stages.append(
            Stage(
                name,
                ".safetensors",
                ATTACK,
                inputs,
                partial(craft, padding=padding, epsilon=epsilon),
                "attack",
            )
        )
        stages.append(
            Stage(
                attacked_name(padding, epsilon),
                ".safetensors",
                PREPARATION,
                (name, *MEMBERS),
                partial(store_attacked, perturbations=name),
            )
        )
    return stages


def perturbation_name(padding: str, epsilon: float) -> str:
    """Name of the stage that crafts perturbations."""
    return f"perturbations-{padding}-{in_full(epsilon)}"


def attacked_name(padding: str, epsilon: float) -> str:
    """Name of the stage that stores logits under attack."""
    return f"attacked-{padding}-{in_full(epsilon)}"


def attacked_positions(run: ComputingRun, network: Network) -> Tensor:
    """Positions in the test part of the records to attack: those the base model gets right.

    Raises:
        ValueError: it gets none right.
    """
    test = run.dataset.split.test
    # fp16 as in the stored natural logits, so that both name the same records.
    predicted = infer(network, run.dataset.packed(test)).half().argmax(1)
    right = torch.nonzero(predicted == run.dataset.labels(test)).flatten()
    if not len(right):
        raise ValueError(
            f"the base model gets none of the {len(test)} test records right, so there is none to "
            "attack; train it for more epochs"
        )
    limit = run.settings.attack_records
    return right[:limit] if limit else right


def craft(run: ComputingRun, path: Path, *, padding: Padding, epsilon: float) -> dict[str, Any]:
    """PGD's and SAP's perturbations of the records that the base model gets right, fp16."""
    network = load_member(run, "base")
    if padding == "mask":
        stripped = load_file(run.obtain(perturbation_name("strip", epsilon)).path)
        positions = stripped["positions"]
    else:
        positions = attacked_positions(run, network)
    signals, labels = records_at(run, positions)
    shape = (len(signals), signals.length)
    found = {name: torch.zeros(shape, dtype=torch.float16) for name in ATTACKS}
    todo = torch.arange(len(signals))
    if padding == "mask":
        found = {name: stripped[name].clone() for name in ATTACKS}
        todo = torch.nonzero(signals.lengths < signals.length).flatten()
    if len(todo):
        made = craft_all(
            partial(craft_batch, epsilon=epsilon, padding=padding, settings=run.settings),
            network,
            signals.select(todo),
            labels[todo],
            epsilon=epsilon,
            padding=padding,
            precision=run.settings.attack_precision,
            portions=run.portions(),
        )
        for name, perturbations in made.items():
            found[name][todo] = perturbations
    save_file({**found, "positions": positions}, path)
    return {}


def craft_all(
    craft: Callable[..., dict[str, Tensor]],
    network: Network | Sequence[Network],
    signals: PackedSignals,
    labels: Tensor,
    *,
    epsilon: float,
    padding: Padding,
    precision: str,
    generators: Sequence[torch.Generator] | None = None,
    portions: Portions | None = None,
) -> dict[str, Tensor]:
    """Perturbations of many records by attack, (record, time), fp16; says how far it is.

    A sequence of networks and the generators are taken as by `attack_records`. Records that the
    portions hold are not attacked again, and those of a batch that is done join them. Portions of
    other records or networks do not count; portions of another `craft` need a folder of their own.

    Raises:
        OutOfTime: the portions' minutes ended first; they stay for the next call.
    """
    portions = portions or Portions()
    options = [epsilon, padding, precision]
    seeds = None if generators is None else [one.initial_seed() for one in generators]
    identity = identify_attack(network, signals, labels, chosen=[*options, seeds])
    found: dict[str, Tensor] = {}
    left = torch.ones(len(signals), dtype=torch.bool)
    for portion in portions.read(made_for=identity).values():
        place(portion, found, left)
    todo = left.nonzero().flatten()
    if not len(todo):
        return found
    batches = attack_records(
        craft,
        network,
        signals.select(todo),
        labels[todo],
        padding=padding,
        precision=precision,
        generators=None if generators is None else [generators[record] for record in todo.tolist()],
    )
    for batch, perturbations in batches:
        made = {  # (batch, time): the book's records have one lead
            name: half_within(delta.squeeze(1), epsilon) for name, delta in perturbations.items()
        }
        portion = {**made, RECORDS: todo[batch]}
        portions.keep(f"from-{todo[batch].min()}", portion, made_for=identity)
        place(portion, found, left)
        done = f"{len(left) - int(left.sum())} of {len(left)} records"
        print(f"  ε = {epsilon:g} µV, {padding}: {done}", flush=True)
        if left.any():
            portions.check_time(f"{done} are attacked")
    return found


def identify_attack(
    network: Network | Sequence[Network],
    signals: PackedSignals,
    labels: Tensor,
    *,
    chosen: Sequence[Any],
) -> str:
    """Digest of all that the perturbations of `craft_all` follow from, but for `craft` itself.

    `chosen` are its options, and the seeds of its generators, as JSON can hold them.
    """
    networks = [network] if isinstance(network, Network) else network
    parts = [
        *(describe_tensors(list(one.state_dict().values())) for one in networks),
        describe_tensors(signal_tensors(signals)),
        describe_tensors([labels]),
        chosen,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def place(portion: Mapping[str, Tensor], found: dict[str, Tensor], left: Tensor) -> None:
    """Put a portion's perturbations where they belong among those of all records.

    Args:
        portion: "records", (batch,), and perturbations by attack, (batch, time).
        found: perturbations by attack, (record, time); completed in place.
        left: (record,), which are still to be attacked; changed in place.
    """
    records = portion[RECORDS]
    for name, perturbations in portion.items():
        if name == RECORDS:
            continue
        if name not in found:
            found[name] = perturbations.new_zeros(len(left), perturbations.shape[1])
        found[name][records] = perturbations
    left[records] = False


def craft_masked(
    run: ComputingRun,
    craft: Callable[..., dict[str, Tensor]],
    network: Network | Sequence[Network],
    signals: PackedSignals,
    labels: Tensor,
    *,
    epsilon: float,
    generators: Sequence[torch.Generator] | None = None,
    part: str = "all",
) -> dict[str, Tensor]:
    """`craft_all` kept off the padding, in the precision of attacks that know the defence.

    A stage that calls it several times names each part.
    """
    return craft_all(
        craft,
        network,
        signals,
        labels,
        epsilon=epsilon,
        padding="mask",
        precision=run.settings.adaptive_precision,
        generators=generators,
        portions=run.portions(part),
    )


def generators_of(run: ComputingRun, positions: Tensor, *, epsilon: float) -> list[torch.Generator]:
    """One a record at these positions, for attacks that draw numbers; others at each ε."""
    seed = derived_seed(run.settings.seed, round(1000 * epsilon))
    return attacks.record_generators(positions.tolist(), seed=seed)


def craft_batch(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    valid: Tensor,
    *,
    epsilon: float,
    padding: Padding,
    settings: Settings,
    loss: attacks.Loss = attacks.cross_entropy,
) -> dict[str, Tensor]:
    """PGD's and SAP's perturbations of a batch, (record, 1, time); SAP goes on from PGD's state."""
    start = attacks.pgd(
        model,
        inputs,
        labels,
        epsilon=epsilon,
        steps=settings.pgd_steps,
        valid=valid,
        padding="mask" if padding == "mask" else "keep",
        loss=loss,
    )
    smooth = attacks.sap(
        model,
        inputs,
        labels,
        epsilon=epsilon,
        steps=settings.sap_steps,
        valid=valid,
        padding=padding,
        start=start,
        loss=loss,
    )
    return {"pgd": attacks.strip(start, valid), "sap": smooth}


def half_within(perturbation: Tensor, epsilon: float) -> Tensor:
    """A perturbation in fp16 that stays within ε, also where fp16 cannot hold ε itself."""
    bound = within(epsilon, torch.float16)
    return perturbation.half().clamp(-bound, bound)


def store_attacked(run: ComputingRun, path: Path, *, perturbations: str) -> dict[str, Any]:
    """Logits of all members under the stored perturbations: (member, record, class), fp16."""
    crafted = load_file(run.obtain(perturbations).path)
    positions = crafted["positions"]
    signals, _ = records_at(run, positions)
    networks = [load_member(run, member) for member in MEMBERS]
    logits = {name: logits_under(crafted[name], networks, signals) for name in ATTACKS}
    save_file({**logits, "positions": positions}, path)
    padded = int((signals.lengths < signals.length).sum())
    return {"members": list(MEMBERS), "attacked": len(signals), "with_padding": padded}


def records_at(run: ComputingRun, positions: Tensor) -> tuple[PackedSignals, Tensor]:
    """Records of the test part, packed, and their labels."""
    records = run.dataset.split.test[positions.numpy()]
    return run.dataset.packed(records), run.dataset.labels(records)


def logits_under(
    perturbation: Tensor, networks: Sequence[Network | Evaluator], signals: PackedSignals
) -> Tensor:
    """What several networks answer to perturbed records: (network, record, class), fp16.

    The perturbations are (record, time), as stages store them.
    """
    attacked = signals.plus(perturbation.unsqueeze(1))
    logits = torch.stack([infer(network, attacked) for network in networks])
    return in_fp16(logits, name="the largest logit under attack")


def logits_under_each(
    perturbations: Mapping[str, Tensor],
    networks: Sequence[Network | Evaluator],
    signals: PackedSignals,
) -> dict[str, Tensor]:
    """The same under each of several perturbations of the records, in common batches, by name."""
    every = torch.cat(list(perturbations.values()))  # (perturbation · record, time)
    repeated = torch.arange(len(signals)).repeat(len(perturbations))
    logits = logits_under(every, networks, signals.select(repeated))
    parts = logits.split(len(signals), dim=1)
    return {name: part.clone() for name, part in zip(perturbations, parts, strict=True)}


def store_examples(run: ComputingRun, path: Path) -> dict[str, Any]:
    """A few perturbations for the figures: (epsilon, example, time), fp16."""
    settings = run.settings
    crafted = [
        load_file(run.obtain(perturbation_name("strip", epsilon)).path)
        for epsilon in settings.epsilons
    ]
    positions = crafted[0]["positions"][:EXAMPLES]
    save_file(
        {name: torch.stack([item[name][:EXAMPLES] for item in crafted]) for name in ATTACKS}, path
    )
    records = run.dataset.split.test[positions.numpy()]
    return {
        "records": [run.dataset.records.names[index] for index in records],
        "epsilons": list(settings.epsilons),
    }
