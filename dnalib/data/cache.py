"""The cache: all samples of a source in one plain file, and an index.

Reading 8,528 records through wfdb takes some ten seconds; from the cache a fraction of one. What is
read back is compared with the digest of the samples that wfdb gave, so a damaged cache is noticed
and made again, never served. Where bytes count more than time, the same samples make a packed
stream a quarter as large.
"""

from __future__ import annotations

import hashlib
import shutil
import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnalib.files import written_beside

from .index import (
    STORED,
    DamagedError,
    Index,
    digest_of,
    index_path,
    read_index,
    write_index,
)
from .locations import CACHE_VARIABLE, LABELS_NAME, PACKED_NAME, cache_name, find_labels
from .packed import PACKED_SUFFIX, read_packed, write_packed
from .reading import Source, open_source, with_progress
from .records import DataError, Records, labels_in_order, read_labels


class CacheError(DataError):
    """The cache of some records cannot be written; its cause is the operating system's error."""


def load_records(
    source: str | PathLike[str],
    *,
    cache: str | PathLike[str],
    labels: str | PathLike[str] | None = None,
    progress: bool = True,
) -> Records:
    """Load all records of an archive or folder, through a cache made on first use.

    Args:
        source: `training2017.zip`, another archive, a folder of WFDB records, or a packed stream
            (`.flac`, its index beside it), which is read as it is.
        cache: folder of the cache (two files a source, 166 MB for the challenge's records).
        labels: the labels file; None for `REFERENCE-v3.csv` beside the source. It is read every
            time and never cached.
        progress: show a progress bar while the cache is made.

    Returns:
        The records; samples are bit-identical to wfdb's.

    Raises:
        DataError: a record or label is missing, damaged or of another kind.
        CacheError: a DataError as well: the cache cannot be written; nothing is left of it.
    """
    source, cache = Path(source), Path(cache)
    labels = None if labels is None else Path(labels)
    if source.suffix == PACKED_SUFFIX:
        index, samples = read_packed(source)
        classes = _classes(source, index.names, labels)
    else:
        with open_source(source) as opened:
            classes = _classes(source, opened.names, labels)
            path = cache / cache_name(opened.fingerprint)
            content = _read_if_sound(path)
            if content is None:
                write_cache(opened, path, progress=progress)
                content = read_cache(path)
        index, samples = content
    return Records(
        names=tuple(index.names),
        samples=samples,
        lengths=np.array(index.lengths, dtype=np.int64),
        labels=classes,
        digest=index.digest,
    )


def export_packed(
    source: str | PathLike[str],
    folder: str | PathLike[str],
    *,
    cache: str | PathLike[str],
    progress: bool = True,
) -> Path:
    """Write the packed stream of a source, its index and its labels to a folder of their own.

    The folder stands for the records wherever a place of records is asked for.

    Args:
        source: as in `load_records`; it is read whole, and its labels are checked.
        folder: where the three files go (44 MB); made where it is missing.
        cache: as in `load_records`.
        progress: show a progress bar while the cache is made.

    Returns:
        The stream.

    Raises:
        DataError: as in `load_records`.
    """
    source, folder = Path(source), Path(folder)
    records = load_records(source, cache=cache, progress=progress)
    folder.mkdir(parents=True, exist_ok=True)
    stream = folder / PACKED_NAME
    shutil.copyfile(find_labels(source), folder / LABELS_NAME)
    index = Index(list(records.names), records.lengths.tolist(), records.digest)
    write_packed(stream, records.samples, index)
    read_packed(stream)  # whoever carries it away finds no fault too late
    return stream


def write_cache(source: Source, path: Path, *, progress: bool = True) -> None:
    """Write a source's samples end to end to one file, and beside it the index.

    Args:
        source: an open source.
        path: the file to make: 16-bit integers, little-endian, raw units. Both files appear whole
            or not at all.
        progress: show a progress bar.

    Raises:
        DataError: a record cannot be read or is refused.
        CacheError: there is no writing there.
    """
    lengths: list[int] = []
    digest = hashlib.sha256()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_beside(path) as part, part.open("wb") as file:
            for signal in with_progress(source, "Reading records", progress=progress):
                stored = signal.astype(STORED, copy=False)
                file.write(stored.data)
                digest.update(stored.data)
                lengths.append(len(signal))
        write_index(path, Index(list(source.names), lengths, digest.hexdigest()))
    except OSError as error:  # of writing: whatever befalls reading is a DataError
        raise CacheError(
            f"{path.parent}: the cache of the records cannot be written there "
            f"({error.strerror or error}); name a folder that can be written to by the environment "
            f"variable {CACHE_VARIABLE}."
        ) from error


def read_cache(path: Path) -> tuple[Index, NDArray[np.int16]]:
    """Read a cache and check every sample.

    Args:
        path: the file of samples; its index lies beside it.

    Returns:
        The index, and int16 (sample,), raw units: all records end to end, mapped and not to be
        written to, so that processes on a machine share one copy.

    Raises:
        DataError: it is damaged.
    """
    try:
        index = read_index(path)
        size, bytes_found = sum(index.lengths) * STORED.itemsize, path.stat().st_size
        if bytes_found != size:
            raise DamagedError(f"{bytes_found} bytes, not {size}")
        samples = np.asarray(np.memmap(path, STORED, mode="r"))  # (sample,)
        if digest_of(samples) != index.digest:
            raise DamagedError("its samples' digest differs")
    except DamagedError as error:
        raise DataError(f"{path}: the cache is damaged ({error}).") from error
    return index, samples.astype(np.int16, copy=False)


def _classes(source: Path, names: Sequence[str], labels: Path | None) -> NDArray[np.int64]:
    path = find_labels(source) if labels is None else labels
    return labels_in_order(names, read_labels(path), path=path)


def _read_if_sound(path: Path) -> tuple[Index, NDArray[np.int16]] | None:
    if not (path.is_file() and index_path(path).is_file()):
        return None
    try:
        return read_cache(path)
    except DataError as error:
        warnings.warn(f"{error} It is made again.", stacklevel=3)
        return None
