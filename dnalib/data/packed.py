"""The packed stream: all samples of a source in one lossless FLAC file, small enough to carry.

With its index and the labels beside it, it stands for the records on a machine that has no others.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from dnalib.files import written_beside
from dnalib.units import RATE

from .index import DamagedError, Index, digest_of, read_index, write_index
from .locations import PACKED_NAME
from .records import DataError

PACKED_SUFFIX = Path(PACKED_NAME).suffix
PARTS = 16  # of the stream, decoded side by side
THREADS = 4


def write_packed(stream: Path, samples: NDArray[np.int16], index: Index) -> None:
    """Write samples as a FLAC stream and its index; both appear whole or not at all.

    Args:
        stream: the file to make.
        samples: int16 (sample,), raw units, all records end to end.
        index: of these samples.
    """
    with written_beside(stream) as part:
        soundfile.write(part, samples, RATE, subtype="PCM_16", format="FLAC")
    write_index(stream, index)


def read_packed(stream: Path) -> tuple[Index, NDArray[np.int16]]:
    """Read a packed stream and check every sample.

    Args:
        stream: the FLAC file; its index lies beside it.

    Returns:
        The index, and int16 (sample,), raw units: all records end to end.

    Raises:
        DataError: the stream or its index is missing or damaged.
    """
    try:
        index = read_index(stream)
        samples = np.empty(sum(index.lengths), dtype=np.int16)  # (sample,)
        _decode(stream, samples)
        if digest_of(samples) != index.digest:
            raise DamagedError("its samples' digest differs")
    except FileNotFoundError as error:
        raise DataError(
            f"{stream}: there are not both the packed stream and its index "
            f"{stream.with_suffix('.json').name} beside it."
        ) from error
    except (soundfile.SoundFileError, DamagedError) as error:
        raise DataError(f"{stream}: the packed stream is damaged ({error}).") from error
    return index, samples


def _decode(stream: Path, samples: NDArray[np.int16]) -> None:
    """Fill `samples` from the stream, side by side: decoding releases Python's lock."""
    if not stream.exists():  # soundfile's own error would not tell this from a damaged one
        raise FileNotFoundError(stream)
    frames = soundfile.info(stream).frames
    if frames != len(samples):
        raise DamagedError(f"{frames} samples, not {len(samples)}")
    edges = np.linspace(0, len(samples), PARTS + 1).astype(int)
    parts = [samples[first:last] for first, last in zip(edges[:-1], edges[1:], strict=True)]
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(lambda first, part: _decode_part(stream, first, part), edges, parts):
            pass  # an error in one is raised here


def _decode_part(stream: Path, first: int, part: NDArray[np.int16]) -> None:
    if not part.size:
        return
    with soundfile.SoundFile(stream) as flac:
        flac.seek(int(first))
        read = flac.read(out=part, dtype="int16")
    if len(read) != len(part):
        raise DamagedError(f"the stream ends at sample {first + len(read)}")
