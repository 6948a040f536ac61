"""Logits and features of many records, a batch at a time."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from dnalib.classifiers import check_network
from dnalib.memory import records_that_fit
from dnalib.model import Network, evaluation_mode
from dnalib.signals import PackedSignals, check_batches, check_leads, check_padded
from dnalib.trimming import TrimmedNetwork, folded

SIMILAR = 0.8  # of a batch's longest record


class Evaluator:
    """A network in evaluation mode, computed on as little of the padded axis as is exact.

    Args:
        network: float32, on any device; it is copied, and its mode does not matter.
        length: samples of the padded axis.

    Raises:
        ValueError: a network that is none of this library's, or not float32.
    """

    def __init__(self, network: Network, *, length: int) -> None:
        check_network("network", network)
        self.length = length
        self.trimmed: TrimmedNetwork | None = None
        with evaluation_mode(network):
            self.full = folded(network)
        if network.fourier_filter is None:
            self.trimmed = TrimmedNetwork(self.full, length=length)

    @property
    def trims(self) -> bool:
        """Whether there is any record, however short, of which it computes less than all."""
        middle = self.length // 2
        return self.choose(middle, middle + 1)[0] is not self.full

    @property
    def leads(self) -> int:
        """That a record has."""
        return self.full.leads

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.full.parameters()).device

    def choose(self, first: int, last: int) -> tuple[Network | TrimmedNetwork, int, int]:
        """The cheapest exact computation for records within samples `first` … `last` − 1.

        Returns:
            What computes, and the window of the padded axis that it takes.
        """
        window = None if self.trimmed is None else self.trimmed.window(first, last)
        if self.trimmed is None or window is None:
            return self.full, 0, self.length
        return self.trimmed, *window


def batches_by_length(signals: PackedSignals, *, batch_size: int) -> Iterator[Tensor]:
    """Positions of the records in batches of similar length, the longest first: (batch,).

    Nothing in a batch is shorter than four fifths of its longest record, which sets the window.

    Raises:
        ValueError: no record, or a batch size below 1.
    """
    check_batches(records=len(signals), batch_size=batch_size)
    order = signals.lengths.argsort(descending=True, stable=True)
    lengths = signals.lengths[order].tolist()
    first = 0
    for position in range(1, len(lengths) + 1):
        ended = position == len(lengths) or lengths[position] < SIMILAR * lengths[first]
        if ended or position - first == batch_size:
            yield order[first:position]
            first = position


def span(signals: PackedSignals, records: Tensor) -> tuple[int, int]:
    """The first sample that any of the records has on the padded axis, and one after the last."""
    starts = signals.starts[records]
    return int(starts.min()), int((starts + signals.lengths[records]).max())


@torch.no_grad()
def infer(
    network: Network | Evaluator,
    signals: Tensor | PackedSignals,
    *,
    batch_size: int | None = None,
    with_features: bool = False,
) -> Tensor:
    """Logits, or features, of many records, a batch at a time, in evaluation mode.

    Products are in float32, unless the caller's autocast says otherwise. Records are padded a batch
    at a time, and a network without a filter computes only where they are (`dnalib.trimming`). A
    record with a value that is not finite gets NaN, and leaves the others alone.

    Args:
        network: a `dnalib.model.Network`, float32, on any device; it is left as it is. Another
            model, or an ensemble, is called on batches of its own. For many calls, an `Evaluator`
            that is made once.
        signals: a tensor (record, lead, time), or (record, time) of one lead, int16 or floating
            point, raw units, or `PackedSignals`; on any device. Pad as in training: features are
            means over time, padding included, so that the same record on another axis has others.
        batch_size: records a forward pass; None for what fits into memory, 64 at most.
        with_features: return the features instead.

    Returns:
        (record, class) logits or (record, 64) features, float32, on the CPU, in the records' order.

    Raises:
        ValueError: signals that are neither, or of another length than the evaluator's or other
            leads than the network's; a network that is none of this library's or not float32; and
            as in `batches_by_length`.
    """
    if not isinstance(signals, PackedSignals):
        check_padded("signals", signals)
        signals = PackedSignals.pack(signals)
    evaluator = network
    if not isinstance(evaluator, Evaluator):
        evaluator = Evaluator(evaluator, length=signals.length)
    if signals.length != evaluator.length:
        raise ValueError(
            f"signals are padded to {signals.length} samples; accepted by this evaluator are "
            f"{evaluator.length}"
        )
    check_leads("signals", signals, leads=evaluator.leads)
    if batch_size is None:
        batch_size = fitting_batch(evaluator)
    order, parts = [], []
    for records in batches_by_length(signals, batch_size=batch_size):
        module, first, last = evaluator.choose(*span(signals, records))
        batch = signals.batch(records, first=first, last=last)
        inputs = batch.to(evaluator.device).float()  # (batch, lead, time)
        parts.append((module.features(inputs) if with_features else module(inputs)).float())
        order.append(records)
    answers = torch.cat(parts).cpu()
    return torch.empty_like(answers).index_copy_(0, torch.cat(order).cpu(), answers)


def fitting_batch(evaluator: Evaluator) -> int:
    """Records of full length that fit into memory together, gradients included."""
    example = torch.zeros(1, evaluator.leads, evaluator.length, device=evaluator.device)
    # Of a record that it takes, the trimmed computation keeps up to a quarter more.
    modules: list[nn.Module] = [evaluator.full]
    if evaluator.trimmed is not None and evaluator.trims:
        modules.append(evaluator.trimmed)
    return min(records_that_fit(module, example) for module in modules)
