"""Attack many records: batches of similar length, sized to memory, computed where records are."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from dnalib.attacks import Padding
from dnalib.attacks.arguments import check_padding
from dnalib.attacks.smoothing import SMOOTHING_REACH
from dnalib.classifiers import are_several, check_network
from dnalib.ensemble import Ensemble
from dnalib.inference import Evaluator, batches_by_length, fitting_batch, span
from dnalib.model import Network
from dnalib.precision import InPrecision, check_precision
from dnalib.signals import (
    PackedSignals,
    check_batches,
    check_generators,
    check_labels,
    check_leads,
    check_packed,
)


class Attack(Protocol):
    """What `attack_records` calls, a batch at a time.

    With the classifier or ensemble, inputs (batch, lead, time), float32, raw units, labels (batch,)
    and valid (batch, lead, time), bool; and, where `attack_records` was given generators, with
    those of the batch as `generators`. It returns perturbations by name, shaped like the inputs::

        def attack(model, inputs, labels, valid):
            options = {"epsilon": 50, "valid": valid, "padding": "mask"}
            return {"pgd": attacks.pgd(model, inputs, labels, **options)}
    """

    def __call__(
        self, model: nn.Module, inputs: Tensor, labels: Tensor, valid: Tensor, /, **options: object
    ) -> Mapping[str, Tensor]: ...


def attack_records(
    attack: Attack,
    network: Network | Sequence[Network],
    signals: PackedSignals,
    labels: Tensor,
    *,
    padding: Padding,
    precision: str = "32-true",
    batch_size: int | None = None,
    generators: Sequence[torch.Generator] | None = None,
) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """Run an attack over many records, a batch at a time, the longest records first.

    With `padding="mask"` the perturbation stays on the record, so that only the record and what it
    reaches are computed: the same gradients, up to rounding, for less work.

    Args:
        attack: see `Attack`. With "mask" it must leave the padding alone, as attacks do that are
            given `valid` and `padding="mask"`.
        network: the target, a `dnalib.model.Network` on the device that computes; it is left as
            it is. A sequence of them, such as an `Ensemble`'s `members`, is attacked as an
            ensemble: its logits are (member, batch, class). A network of one's own is attacked by
            calling `attack` on its batches.
        signals: the records as `PackedSignals`, on any device. Where each lies on its axis is part
            of them, which a padded tensor does not tell: see `PackedSignals.pack`.
        labels: a tensor (record,), int64.
        padding: as the attack takes it.
        precision: "32-true", or "bf16-mixed" for products in bf16.
        batch_size: records at once; None for what fits into memory, 64 at most.
        generators: one a record, for attacks that draw numbers (`attacks.record_generators`).

    Returns:
        An iterator that attacks a batch each time it is asked, over positions of the batch's
        records (batch,), and its perturbations by name: (batch, lead, time) over the whole padded
        axis, float32, on the CPU.

    Raises:
        ValueError: signals that are not packed or have other leads than a network, a network that
            is none of this library's or not float32, labels that are not a class for each record,
            an unknown padding or precision, no network, no record, a batch size below 1, or another
            number of generators than records. What the attack raises comes with its batch, and so
            does a ValueError for what it returns: no perturbations by name, another shape, or, with
            "mask", a change of the padding.
    """
    check_packed("signals", signals)
    networks = _checked_networks(network)
    for one in networks:
        check_leads("signals", signals, leads=one.leads)
    check_labels("labels", labels, records=len(signals))
    if generators is not None:
        check_generators(generators, records=len(signals))
    check_padding(padding)
    check_precision(precision)
    check_batches(records=len(signals), batch_size=1 if batch_size is None else batch_size)
    return _attacked_batches(
        attack,
        networks,
        signals,
        labels,
        together=not isinstance(network, Network),
        padding=padding,
        precision=precision,
        batch_size=batch_size,
        generators=generators,
    )


def _checked_networks(network: object) -> list[Network]:
    """The networks of one or a sequence; a ValueError for anything else."""
    named: dict[str, object] = {"network": network}
    if are_several(network):
        several = cast("Sequence[object]", network)
        named = {f"network[{place}]": one for place, one in enumerate(several)}
    if not named:
        raise ValueError("network is an empty sequence; an attack needs at least one")
    also = ", or a sequence of them, such as the members of an ensemble"
    return [check_network(name, one, also=also) for name, one in named.items()]


def _attacked_batches(
    attack: Attack,
    networks: Sequence[Network],
    signals: PackedSignals,
    labels: Tensor,
    *,
    together: bool,
    padding: Padding,
    precision: str,
    batch_size: int | None,
    generators: Sequence[torch.Generator] | None,
) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """What `attack_records` returns; `together` attacks the networks as an ensemble."""
    evaluators = [Evaluator(one, length=signals.length) for one in networks]
    device = evaluators[0].device
    if batch_size is None:
        # An ensemble keeps what each of its members needs for the backward pass.
        batch_size = max(1, min(map(fitting_batch, evaluators)) // len(evaluators))
    for records in batches_by_length(signals, batch_size=batch_size):
        modules, first, last = choose_together(
            evaluators, *reach(signals, records, padding=padding)
        )
        module = Ensemble(modules).eval() if together else modules[0]
        options = {}
        if generators is not None:
            options["generators"] = [generators[record] for record in records.tolist()]
        inputs = signals.batch(records, first=first, last=last)
        valid = signals.valid(records, first=first, last=last)
        found = attack(
            InPrecision(module, precision=precision),
            inputs.to(device).float(),
            labels[records.to(labels.device)].to(device),
            valid.to(device),
            **options,
        )
        check_perturbations(found, shape=tuple(inputs.shape))
        deltas = {name: delta.float().cpu() for name, delta in found.items()}
        if padding == "mask":
            check_padding_left(deltas, valid.cpu())
        margins = (first, signals.length - last)
        yield records.cpu(), {name: functional.pad(one, margins) for name, one in deltas.items()}


def check_perturbations(found: object, *, shape: tuple[int, ...]) -> None:
    """Raise a ValueError unless an attack gave perturbations of a shape by their names."""
    if not isinstance(found, Mapping):
        raise ValueError(
            f"attack gives a {type(found).__name__}; accepted are perturbations by name, such as "
            "{'pgd': perturbation}"
        )
    for name, delta in found.items():
        if not isinstance(delta, Tensor) or delta.shape != shape:
            what = f"has shape {tuple(delta.shape)}" if isinstance(delta, Tensor) else "is none"
            raise ValueError(
                f"attack's perturbation {name!r} {what}; accepted is a tensor shaped like the "
                f"inputs, {shape}"
            )


def check_padding_left(deltas: Mapping[str, Tensor], valid: Tensor) -> None:
    """Raise a ValueError if a perturbation by name, (batch, lead, time), changes the padding.

    It was made on part of the padding alone, so that what it is there means nothing.
    """
    for name, delta in deltas.items():
        if delta[~valid].any():
            raise ValueError(
                f"attack's perturbation {name!r} changes the padding; accepted with "
                "padding='mask' is an attack that leaves it alone, as those of dnalib.attacks that "
                "are given valid and padding='mask'"
            )


def reach(signals: PackedSignals, records: Tensor, *, padding: Padding) -> tuple[int, int]:
    """The samples of the padded axis that an attack on a batch acts on: first, one after the last.

    With `padding="mask"` these are the records and, to either side, what is smoothed onto their
    ends: there SAP's θ grows although the perturbation itself stays on the record.
    """
    if padding != "mask":
        return 0, signals.length
    first, last = span(signals, records)
    return max(0, first - SMOOTHING_REACH), min(signals.length, last + SMOOTHING_REACH)


def choose_together(
    evaluators: Sequence[Evaluator], first: int, last: int
) -> tuple[list[nn.Module], int, int]:
    """The cheapest exact computation of several networks on one and the same window.

    Returns:
        A module a network, and the window of the padded axis that all take: the whole axis as soon
        as one of them needs another window than the rest.
    """
    modules, firsts, lasts = zip(
        *(evaluator.choose(first, last) for evaluator in evaluators), strict=True
    )
    if len(set(firsts)) == len(set(lasts)) == 1:
        return list(modules), firsts[0], lasts[0]
    return [evaluator.full for evaluator in evaluators], 0, evaluators[0].length
