"""Records packed end to end, padded only when a batch is needed: small enough to stay on a GPU."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.nn import functional

from dnalib.array_arguments import check_count


@dataclass(frozen=True)
class PackedSignals:
    """Records without their padding, which a batch gets on the device that holds them.

    The 8,528 records of CinC 2017 take 166 MB as int16; padded to 18,000 samples they would take
    307 MB, and 614 MB in float32.

    Attributes:
        samples: (lead, sample), any dtype, raw units: all records end to end.
        offsets: (record,), int64, where each record begins in `samples`.
        starts: (record,), int64, where it begins on the padded axis: the zeros on its left.
        lengths: (record,), int64, its samples, as many of each lead.
        length: samples of the padded axis.
    """

    samples: Tensor
    offsets: Tensor
    starts: Tensor
    lengths: Tensor
    length: int

    @classmethod
    def pack(
        cls, padded: Tensor, *, starts: Tensor | None = None, lengths: Tensor | None = None
    ) -> "PackedSignals":
        """Pack records that are padded.

        Args:
            padded: a tensor (record, lead, time), or (record, time) of one lead.
            starts, lengths: tensors (record,), whole numbers, where each record lies; None: it
                fills the axis.

        Raises:
            ValueError: what is no tensor, places that are no whole numbers, a record that leaves
                the axis, or shapes that do not fit.
        """
        check_padded("padded", padded)
        starts = None if starts is None else as_places("starts", starts)
        lengths = None if lengths is None else as_places("lengths", lengths)
        padded = padded.unsqueeze(1) if padded.ndim == 2 else padded  # (record, lead, time)
        records, _, length = padded.shape
        device = padded.device
        starts = torch.zeros(records, dtype=torch.int64) if starts is None else starts
        starts = starts.to(device)
        lengths = length - starts if lengths is None else lengths.to(device)
        if starts.shape != (records,) or lengths.shape != (records,):
            raise ValueError(
                f"starts and lengths have shapes {tuple(starts.shape)} and "
                f"{tuple(lengths.shape)}; accepted is ({records},), one a record"
            )
        outside = (starts < 0) | (lengths < 1) | (starts + lengths > length)  # (record,)
        if outside.any():
            first = first_of(outside)
            raise ValueError(
                f"record {first} has {lengths[first]} samples from {starts[first]} on; accepted is "
                f"at least one, within the axis of {length}"
            )
        time = torch.arange(length, device=device)
        inside = (time >= starts[:, None]) & (time < (starts + lengths)[:, None])
        offsets = lengths.cumsum(0) - lengths
        return cls(padded.transpose(0, 1)[:, inside], offsets, starts, lengths, length)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def leads(self) -> int:
        """How many each record has."""
        return len(self.samples)

    def check_finite(self, name: str) -> None:
        """Raise a ValueError that names the first record with a value that is not finite.

        What is on a GPU was checked before it was moved: reading it would wait for the device.
        """
        if self.samples.device.type != "cpu" or not self.samples.is_floating_point():
            return
        lost = ~self.samples.isfinite().all(dim=0)  # (sample,)
        if lost.any():
            before = functional.pad(lost.cumsum(0), (1, 0))  # how many lie before each sample
            of_each = before[self.offsets + self.lengths] > before[self.offsets]  # (record,)
            if of_each.any():
                raise ValueError(
                    f"{name} hold a value that is not finite, in record {first_of(of_each)}; "
                    "accepted are finite numbers"
                )

    def to(self, device: torch.device | str) -> "PackedSignals":
        """The same records on a device."""
        tensors = [field.name for field in fields(self) if field.name != "length"]
        return replace(self, **{name: getattr(self, name).to(device) for name in tensors})

    def select(self, records: Tensor) -> "PackedSignals":
        """Some of the records; their samples are shared, not copied.

        Args:
            records: (chosen,), int64 positions, on the device of the records.
        """
        chosen = {name: getattr(self, name)[records] for name in ("offsets", "starts", "lengths")}
        return replace(self, **chosen)

    def batch(self, records: Tensor, *, first: int = 0, last: int | None = None) -> Tensor:
        """Records on the padded axis or a window of it: (batch, lead, time), zero on the padding.

        Args:
            records: (batch,), int64 positions, on the device of the records.
            first, last: the window's first sample and the one after its last; all by default.

        Raises:
            ValueError: the positions have another number of dimensions.
        """
        if records.ndim != 1:
            raise ValueError(
                f"records has shape {tuple(records.shape)}; accepted are positions (batch,)"
            )
        position, inside = self._positions(records, first=first, last=last)
        index = (self.offsets[records, None] + position).where(inside, 0)  # (batch, time)
        lead = torch.arange(self.leads, device=self.samples.device) * self.samples.shape[1]
        batch = self.samples.flatten()[index.unsqueeze(1) + lead[:, None]]  # (batch, lead, time)
        return batch.masked_fill(~inside.unsqueeze(1), 0)  # a product would spread NaN

    def plus(self, perturbation: Tensor) -> "PackedSignals":
        """The records with something added, float32.

        Args:
            perturbation: (record, lead, time) on the padded axis, raw units, zero on the padding.

        Raises:
            ValueError: no tensor, another shape, or a value on the padding, which would be lost.
        """
        check_tensor("perturbation", perturbation)
        if perturbation.shape != (len(self), self.leads, self.length):
            raise ValueError(
                f"perturbation has shape {tuple(perturbation.shape)}; accepted is "
                f"{(len(self), self.leads, self.length)}, (record, lead, time)"
            )
        added = PackedSignals.pack(perturbation, starts=self.starts, lengths=self.lengths)
        if added.samples.count_nonzero() != perturbation.count_nonzero():
            raise ValueError("perturbation is not zero on the padding of a record")
        every = torch.arange(added.samples.shape[1], device=added.samples.device)
        place = every - added.offsets.repeat_interleave(self.lengths)
        own = self.samples[:, self.offsets.repeat_interleave(self.lengths) + place]
        return replace(added, samples=own.float() + added.samples.float())

    def valid(self, records: Tensor, *, first: int = 0, last: int | None = None) -> Tensor:
        """Where a batch is record and not padding: (batch, lead, time), bool, alike in all leads.

        Arguments as in `batch`.
        """
        inside = self._positions(records, first=first, last=last)[1]  # (batch, time)
        return inside.unsqueeze(1).expand(-1, self.leads, -1)

    def _positions(self, records: Tensor, *, first: int, last: int | None) -> tuple[Tensor, Tensor]:
        """Position in its record of each place of the window, and whether it is in the record."""
        last = self.length if last is None else last
        time = torch.arange(first, last, device=self.samples.device)  # (time,)
        position = time - self.starts[records, None]  # (batch, time)
        return position, (position >= 0) & (position < self.lengths[records, None])


def first_of(chosen: Tensor) -> int:
    """The position of the first that is chosen, of (record,), bool."""
    return int(chosen.nonzero()[0])


def check_packed(name: str, signals: object) -> None:
    """Raise a ValueError unless records are packed."""
    if not isinstance(signals, PackedSignals):
        raise ValueError(
            f"{name} is of type {type(signals).__name__}; accepted is PackedSignals, which "
            "PackedSignals.pack makes of a tensor (record, lead, time) and of where each lies"
        )


def check_leads(name: str, signals: PackedSignals, *, leads: int, by: str = "the network") -> None:
    """Raise a ValueError unless packed records have so many leads, which something else has."""
    if signals.leads != leads:
        raise ValueError(
            f"{name} are of leads={signals.leads} and {by} of leads={leads}; accepted is the same "
            "number of leads for both"
        )


def check_tensor(name: str, value: object) -> None:
    """Raise a ValueError unless something is a tensor; an array has much of one, but not all."""
    if not isinstance(value, Tensor):
        raise ValueError(
            f"{name} is of type {type(value).__name__}; accepted is a tensor, as torch.from_numpy "
            "makes of an array"
        )


def check_generator(name: str, generator: object) -> None:
    """Raise a ValueError unless something is a generator: without one, PyTorch draws from its own.

    What is drawn on the CPU is the same on every machine.
    """
    if not isinstance(generator, torch.Generator):
        raise ValueError(
            f"{name} is of type {type(generator).__name__}; accepted is a torch.Generator"
        )
    if generator.device.type != "cpu":
        raise ValueError(f"{name} is on {generator.device}; accepted is one on the CPU")


def check_generators(generators: object, *, records: int) -> None:
    """Raise a ValueError unless these are generators, one a record."""
    if not isinstance(generators, Sequence):
        raise ValueError(
            f"generators is of type {type(generators).__name__}; accepted is a sequence, one "
            "torch.Generator a record"
        )
    if len(generators) != records:
        raise ValueError(
            f"there are {len(generators)} generators and {records} records; accepted is one "
            "generator a record"
        )
    for place, one in enumerate(generators):
        check_generator(f"generators[{place}]", one)


def check_padded(name: str, padded: Tensor) -> None:
    """Raise a ValueError unless records are a tensor (record, lead, time), or of one lead."""
    check_tensor(name, padded)
    if padded.is_complex():
        raise ValueError(f"{name} has type {padded.dtype}; accepted are real numbers")
    if padded.ndim not in (2, 3) or 0 in padded.shape[1:]:
        raise ValueError(
            f"{name} has shape {tuple(padded.shape)}; accepted is (record, lead, time), or "
            "(record, time) of one lead"
        )
    if padded.ndim == 3 and padded.shape[1] > padded.shape[2]:
        raise ValueError(
            f"{name} has shape {tuple(padded.shape)}, of more leads than samples; accepted is "
            "(record, lead, time), as .mT makes it of (record, time, lead)"
        )


def as_places(name: str, places: Tensor) -> Tensor:
    """Whole numbers as int64, in which sums of narrow ones do not overflow.

    Raises:
        ValueError: no tensor, or another type, such as floats: they are no positions.
    """
    check_tensor(name, places)
    if places.is_floating_point() or places.is_complex() or places.dtype == torch.bool:
        raise ValueError(f"{name} have type {places.dtype}; accepted are whole numbers, int64")
    return places.long()


def check_labels(name: str, labels: Tensor, *, records: int) -> None:
    """Raise a ValueError unless labels are a class for each record: a tensor (record,), int64.

    Which classes there are is not asked: that would make a GPU wait.
    """
    check_tensor(name, labels)
    if labels.shape != (records,):
        raise ValueError(
            f"{name} have shape {tuple(labels.shape)} for {records} records; accepted is one label "
            f"a record, ({records},)"
        )
    if labels.dtype != torch.int64:
        raise ValueError(f"{name} have type {labels.dtype}; accepted are classes as int64")


def check_batches(*, records: int, batch_size: int) -> None:
    """Raise a ValueError unless there are records, and room for one in a batch."""
    if records < 1:
        raise ValueError("signals hold no record; at least one is needed")
    check_count("batch_size", batch_size, least=1)
