"""What lies beside a file of samples: the records in it, and the digest that tells it is sound."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnalib.files import written_beside

STORED = np.dtype("<i2")  # of samples in files, and of those that the digest is taken of


@dataclass(frozen=True)
class Index:
    """What a file of samples holds: record names, samples a record, sha256 of all samples."""

    names: list[str]
    lengths: list[int]
    digest: str


class DamagedError(Exception):
    """A file of samples, or its index, is not what was written; the message says in what."""


def digest_of(samples: NDArray[np.int16]) -> str:
    """Hexadecimal sha256 of samples end to end: (sample,)."""
    return hashlib.sha256(samples.astype(STORED, copy=False).data).hexdigest()


def index_path(path: Path) -> Path:
    """The index beside a file of samples."""
    return path.with_suffix(".json")


def write_index(path: Path, index: Index) -> None:
    """Write the index of a file of samples, last, for it is what says that the file is whole."""
    content = asdict(index)
    with written_beside(index_path(path)) as part:
        part.write_text(json.dumps(content | {"sha256": _own_digest(content)}))


def read_index(path: Path) -> Index:
    """Read the index beside a file of samples.

    Raises:
        FileNotFoundError: there is none.
        DamagedError: it is not readable, or differs from its own digest.
    """
    place = index_path(path)
    try:
        content = json.loads(place.read_bytes())
        stated = content.pop("sha256")
        index = Index(**content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"index {place.name} is not readable: {error}") from error
    if stated != _own_digest(content):
        raise DamagedError(f"index {place.name} differs from its own digest")
    return index


def _own_digest(content: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
