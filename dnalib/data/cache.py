"""The packed cache: all samples of a source in one lossless FLAC stream, and an index.

Reading 8,528 records through wfdb takes some ten seconds; from the cache well under one.
What is read back is compared with the digest of the samples that wfdb gave, so a damaged cache is
noticed and made again, never served. The same two files beside the labels stand for the records on
a machine that has no others.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from .locations import LABELS_NAME, PACKED_NAME, find_labels
from .reading import Source, open_source, with_progress
from .records import RATE, DataError, Records, labels_in_order, read_labels

VERSION = 1  # of the cache's layout; part of the file name
PACKED_SUFFIX = Path(PACKED_NAME).suffix
PARTS = 16  # of the stream, decoded side by side
THREADS = 4


@dataclass(frozen=True)
class Index:
    """What the stream holds: record names, samples a record, sha256 of all samples."""

    names: list[str]
    lengths: list[int]
    digest: str


class _DamagedCache(Exception):
    pass


def load_records(
    source: Path, *, cache: Path, labels: Path | None = None, progress: bool = True
) -> Records:
    """Load all records of an archive or folder, through a packed cache made on first use.

    Args:
        source: `training2017.zip`, another archive, a folder of WFDB records, or a packed stream
            (`.flac`, its index beside it), which is read as it is.
        cache: folder of the packed cache (two files a source, 44 MB for the challenge's records).
        labels: the labels file; None for `REFERENCE-v3.csv` beside the source. It is read every
            time and never cached.
        progress: show a progress bar while packing.

    Returns:
        The records; samples are bit-identical to wfdb's.

    Raises:
        DataError: a record or label is missing, damaged or of another kind; nothing is written.
    """
    if source.suffix == PACKED_SUFFIX:
        index, samples = _read_packed_source(source)
        classes = _classes(source, index.names, labels)
    else:
        with open_source(source) as opened:
            classes = _classes(source, opened.names, labels)
            stream = cache / f"{opened.fingerprint}-v{VERSION}{PACKED_SUFFIX}"
            content = _read_if_sound(stream)
            if content is None:
                pack(opened, stream, progress=progress)
                content = read_packed(stream)
        index, samples = content
    return Records(
        names=tuple(index.names),
        samples=samples,
        lengths=np.array(index.lengths, dtype=np.int64),
        labels=classes,
        digest=index.digest,
    )


def export_packed(source: Path, folder: Path, *, cache: Path, progress: bool = True) -> Path:
    """Copy the packed stream of a source, its index and its labels to a folder of their own.

    The folder stands for the records wherever a place of records is asked for.

    Args:
        source: as in `load_records`; it is read whole, and its labels are checked.
        folder: where the three files go; made where it is missing.
        cache: as in `load_records`.
        progress: show a progress bar while packing.

    Returns:
        The stream.

    Raises:
        DataError: as in `load_records`.
    """
    load_records(source, cache=cache, progress=progress)
    packed = source
    if source.suffix != PACKED_SUFFIX:
        with open_source(source) as opened:
            packed = cache / f"{opened.fingerprint}-v{VERSION}{PACKED_SUFFIX}"
    folder.mkdir(parents=True, exist_ok=True)
    stream = folder / PACKED_NAME
    shutil.copyfile(find_labels(source), folder / LABELS_NAME)
    shutil.copyfile(packed, stream)
    shutil.copyfile(packed.with_suffix(".json"), stream.with_suffix(".json"))
    return stream


def pack(source: Source, stream: Path, *, progress: bool = True) -> None:
    """Write a source's samples as one FLAC stream and, beside it, the index (`.json`).

    Args:
        source: an open source.
        stream: the FLAC file to make; both files appear whole or not at all.
        progress: show a progress bar.

    Raises:
        DataError: a record cannot be read or is refused.
    """
    stream.parent.mkdir(parents=True, exist_ok=True)
    lengths: list[int] = []
    digest = hashlib.sha256()
    with _written_beside(stream) as part:
        with soundfile.SoundFile(
            part, "w", samplerate=RATE, channels=1, subtype="PCM_16", format="FLAC"
        ) as flac:
            for signal in with_progress(source, "Packing records", progress=progress):
                flac.write(signal)
                digest.update(signal.astype("<i2", copy=False))
                lengths.append(len(signal))
    index = asdict(Index(list(source.names), lengths, digest.hexdigest()))
    # Last, for the index is what says that the stream is whole.
    with _written_beside(stream.with_suffix(".json")) as part:
        part.write_text(json.dumps(index | {"sha256": _index_digest(index)}))


def read_packed(stream: Path) -> tuple[Index, NDArray[np.int16]]:
    """Read a packed cache and check every sample.

    Args:
        stream: the FLAC file; its index lies beside it.

    Returns:
        The index, and int16 (sample,), raw units: all records end to end.

    Raises:
        FileNotFoundError: there is no such cache.
        DataError: it is damaged.
    """
    try:
        index = _read_index(stream.with_suffix(".json"))
        samples = np.empty(sum(index.lengths), dtype=np.int16)  # (sample,)
        found = _decode(stream, samples)
    except (soundfile.SoundFileError, _DamagedCache) as error:
        raise DataError(f"{stream}: the packed cache is damaged ({error}).") from error
    if found != index.digest:
        raise DataError(f"{stream}: the packed cache is damaged (its samples' digest differs).")
    return index, samples


def _classes(source: Path, names: Sequence[str], labels: Path | None) -> NDArray[np.int64]:
    path = find_labels(source) if labels is None else labels
    return labels_in_order(names, read_labels(path), path=path)


def _read_packed_source(stream: Path) -> tuple[Index, NDArray[np.int16]]:
    try:
        return read_packed(stream)
    except FileNotFoundError as error:
        raise DataError(
            f"{stream}: there are not both the packed stream and its index "
            f"{stream.with_suffix('.json').name} beside it."
        ) from error


def _read_if_sound(stream: Path) -> tuple[Index, NDArray[np.int16]] | None:
    if not (stream.is_file() and stream.with_suffix(".json").is_file()):
        return None
    try:
        return read_packed(stream)
    except DataError as error:
        warnings.warn(f"{error} It is made again.", stacklevel=3)
        return None


def _read_index(path: Path) -> Index:
    try:
        content = json.loads(path.read_bytes())
        stated = content.pop("sha256")
        index = Index(**content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _DamagedCache(f"index {path.name} is not readable: {error}") from error
    if stated != _index_digest(content):
        raise _DamagedCache(f"index {path.name} differs from its own digest")
    return index


def _index_digest(index: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()


def _decode(stream: Path, samples: NDArray[np.int16]) -> str:
    """Fill `samples` from the stream; returns the digest of what was read.

    Decoding and hashing both release Python's lock, so parts of the stream are decoded side by side
    and hashed in order as they arrive.
    """
    frames = soundfile.info(stream).frames
    if frames != len(samples):
        raise _DamagedCache(f"{frames} samples, not {len(samples)}")
    edges = np.linspace(0, len(samples), PARTS + 1).astype(int)
    parts = [samples[first:last] for first, last in zip(edges[:-1], edges[1:], strict=True)]
    digest = hashlib.sha256()
    with ThreadPoolExecutor(THREADS) as pool:
        decoded = pool.map(lambda first, part: _decode_part(stream, first, part), edges, parts)
        for part in decoded:
            digest.update(part.astype("<i2", copy=False))
    return digest.hexdigest()


def _decode_part(stream: Path, first: int, part: NDArray[np.int16]) -> NDArray[np.int16]:
    if not part.size:
        return part
    with soundfile.SoundFile(stream) as flac:
        flac.seek(int(first))
        read = flac.read(out=part, dtype="int16")
    if len(read) != len(part):
        raise _DamagedCache(f"the stream ends at sample {first + len(read)}")
    return part


@contextmanager
def _written_beside(path: Path) -> Iterator[Path]:
    """A file of a name of its own (several processes may pack at once), renamed when whole."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
