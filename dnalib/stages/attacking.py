"""Attack many records of a run a batch at a time, so that a call that ends loses no batch."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dnalib import attacks
from dnalib.attacks import Padding
from dnalib.attacks.arguments import within
from dnalib.crafting import attack_records
from dnalib.model import Network
from dnalib.runs import ComputingRun, Portions
from dnalib.signals import PackedSignals
from dnalib.training.data import describe_tensors, signal_tensors
from dnalib.training.recipes import derived_seed

RECORDS = "records"  # which a portion is of


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


def half_within(perturbation: Tensor, epsilon: float) -> Tensor:
    """A perturbation in fp16 that stays within ε, also where fp16 cannot hold ε itself."""
    bound = within(epsilon, torch.float16)
    return perturbation.half().clamp(-bound, bound)
