"""What a record is: constants of the data set, `Records`, and the labels file.

Raw units: see `dnalib.units`.

Source: Clifford et al., "AF classification from a short single lead ECG recording", Computing in
Cardiology 2017 (the PhysioNet/CinC Challenge 2017 training set).
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SHORT_CLASS_NAMES = ("N", "A", "O", "~")  # as written in the labels file; the position is the class
CLASS_NAMES = ("Normal", "Atrial fibrillation", "Other rhythm", "Noise")
ATRIAL_FIBRILLATION = SHORT_CLASS_NAMES.index("A")
NOISE = SHORT_CLASS_NAMES.index("~")


class DataError(ValueError):
    """Records, labels, a split or a download are not what they should be.

    The message is one sentence that names the file or record, what was found and what is accepted.
    """


@dataclass(frozen=True)
class Records:
    """All records of a source, in name order.

    Attributes:
        names: one a record, sorted.
        samples: int16 (sample,), raw units (µV) at 300 Hz; all records end to end.
        lengths: int64 (record,), samples a record.
        labels: int64 (record,), positions in `SHORT_CLASS_NAMES`.
        digest: sha256 (hexadecimal) of `samples` as little-endian int16.

    Raises:
        DataError: samples of another type, such as millivolts, of which int16 would leave nothing.
    """

    names: tuple[str, ...]
    samples: NDArray[np.int16]
    lengths: NDArray[np.int64]
    labels: NDArray[np.int64]
    digest: str

    def __post_init__(self) -> None:
        if self.samples.dtype != np.int16:
            raise DataError(
                f"samples have type {self.samples.dtype}; accepted are raw units (µV) as int16"
            )

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where each record begins in `samples` and ends, before the next: (record + 1,), int64."""
        return np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)

    def signal(self, index: int) -> NDArray[np.int16]:
        """One record as a view, not a copy: int16 (time,), raw units."""
        index = range(len(self))[index]  # IndexError beyond the end; -1 is the last record
        return self.samples[self.offsets[index] : self.offsets[index + 1]]


def read_labels(path: str | PathLike[str]) -> dict[str, int]:
    """Read a labels file with lines such as `A00001,N`.

    Args:
        path: a csv file of two columns, record name and label, without a heading.

    Returns:
        The class (a position in `SHORT_CLASS_NAMES`) of each record name.

    Raises:
        DataError: the file is missing, empty or not text, or a line is malformed, repeats a record
            or holds an unknown label.
    """
    try:
        with open(path, encoding="utf-8", newline="") as lines:
            rows = [row for row in csv.reader(lines) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a labels file ({error}).") from error
    table: dict[str, int] = {}
    for row in rows:
        if len(row) != 2:
            raise DataError(f"{path}: line {','.join(row)!r} is not 'record,label'.")
        name, label = (field.strip() for field in row)
        if label not in SHORT_CLASS_NAMES:
            accepted = ", ".join(SHORT_CLASS_NAMES)
            raise DataError(f"{path}: record {name} has label {label!r}; accepted: {accepted}.")
        if name in table:
            raise DataError(f"{path}: record {name} is listed twice.")
        table[name] = SHORT_CLASS_NAMES.index(label)
    if not table:
        raise DataError(f"{path}: holds no labels.")
    return table


def labels_in_order(
    names: Sequence[str], table: Mapping[str, int], *, path: Path
) -> NDArray[np.int64]:
    """The class of each record; every record must have one, and every label its record.

    Args:
        names: record names.
        table: what `read_labels` returned.
        path: the labels file, for the message.

    Returns:
        int64 (record,).

    Raises:
        DataError: a record has no label, or a label no record.
    """
    unlabelled = [name for name in names if name not in table]
    if unlabelled:
        raise DataError(f"{path}: no label for {_listed(unlabelled)}.")
    present = set(names)
    unrecorded = [name for name in table if name not in present]
    if unrecorded:
        raise DataError(f"{path}: labels {_listed(unrecorded)}, absent from the records.")
    return np.array([table[name] for name in names], dtype=np.int64)


def labels_digest(table: Mapping[str, int]) -> str:
    """sha256 (hexadecimal) of names and labels in name order; line endings do not matter."""
    lines = (f"{name},{SHORT_CLASS_NAMES[table[name]]}\n" for name in sorted(table))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"record{'s' if len(names) > 1 else ''} {shown}{more}"
