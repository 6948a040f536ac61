"""Reading and checking one WFDB record; wfdb parses the header and the signal.

Source: the WFDB header and signal formats (physionet.org, "WFDB Applications Guide").
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnalib.units import GAIN, RATE

from .records import DataError

INVALID = -32768  # what WFDB's format 16 stores where there is no value
PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


def read_record(folder: Path, name: str) -> NDArray[np.int16]:
    """Read and check one record.

    Args:
        folder: holds the header and the file that it names.
        name: the record's name, without a suffix.

    Returns:
        int16 (time,), raw units (µV) at 300 Hz.

    Raises:
        DataError: the header is missing or damaged, the signal file is truncated, or the record is
            not one channel of format 16 at 300 Hz, gain 1000/mV, baseline 0, all samples valid.
    """
    import wfdb  # here, not above: it brings pandas, which reading the cache does not need

    signal_path = folder / signal_file((folder / f"{name}.hea").read_bytes(), name)
    if not signal_path.is_file():
        raise DataError(f"Record {name}: its signal file {signal_path.name} is missing.")
    try:
        record = wfdb.rdrecord(str(folder / name), physical=False, return_res=16)
    except Exception as error:  # wfdb raises many kinds, by where a damaged file trips it
        _explain(folder, name, signal_path)
        raise DataError(f"Record {name}: wfdb cannot read it ({error}).") from error
    _check_header(record, name)
    _check_size(record, name, signal_path)
    signal = np.ascontiguousarray(record.d_signal[:, 0], dtype=np.int16)  # (time,)
    _check_samples(record, name, signal)
    return signal


def signal_file(header: bytes, name: str) -> str:
    """The file that a header's signal line names.

    wfdb would follow a name such as `../other.dat` out of the folder, so only a plain name passes.

    Args:
        header: the header file's content.
        name: the record's name.

    Raises:
        DataError: the header states no length (wfdb would take the file's, truncated or not), has
            not just one signal line, or names anything but a plain file.
    """
    lines = header.decode("ascii", errors="replace").splitlines()
    content = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    if len(content) < 2 or len(content[0]) < 4:
        raise DataError(
            f"Record {name}: its header {name}.hea is damaged "
            "(no record line with the number of samples, or no signal line)."
        )
    if "/" in content[0][0]:
        raise DataError(f"Record {name}: has several segments; accepted: one.")
    if len(content) > 2:
        raise DataError(f"Record {name}: channel count is {len(content) - 1}; accepted: 1.")
    file_name = content[1][0]
    if not PLAIN_NAME.fullmatch(file_name):
        raise DataError(
            f"Record {name}: its header names the signal file {file_name!r}; "
            "accepted: a name without a folder."
        )
    return file_name


def _explain(folder: Path, name: str, signal_path: Path) -> None:
    """Raise the error that says why wfdb could not read a record, if it is a known one."""
    import wfdb

    try:
        header = wfdb.rdheader(str(folder / name))
    except Exception as error:
        raise DataError(f"Record {name}: its header {name}.hea is damaged ({error}).") from error
    _check_header(header, name)
    _check_size(header, name, signal_path)


def _check_header(record: Any, name: str) -> None:
    wanted = {
        "record_name": ("name in the header", name),
        "n_sig": ("channel count", 1),
        "fs": ("sampling rate in Hz", RATE),
        "fmt": ("storage format", ["16"]),
        "samps_per_frame": ("samples a frame", [1]),
        "adc_gain": ("gain in raw units", [GAIN]),
        "units": ("unit", ["mV"]),
        "baseline": ("baseline", [0]),
    }
    for field, (words, accepted) in wanted.items():
        found = getattr(record, field)
        if found != accepted:
            found, accepted = (v[0] if isinstance(v, list) else v for v in (found, accepted))
            raise DataError(f"Record {name}: {words} is {found}; accepted: {accepted}.")
    if not record.sig_len:
        raise DataError(f"Record {name}: is empty.")


def _check_size(record: Any, name: str, signal_path: Path) -> None:
    """Format 16 stores two bytes a sample after the offset; anything else is a damaged file."""
    stored = (signal_path.stat().st_size - (record.byte_offset[0] or 0)) / 2
    if stored != record.sig_len:
        raise DataError(
            f"Record {name}: {signal_path.name} holds {stored:g} samples, "
            f"its header says {record.sig_len}."
        )


def _check_samples(record: Any, name: str, signal: NDArray[np.int16]) -> None:
    invalid = np.flatnonzero(signal == INVALID)
    if invalid.size:
        raise DataError(
            f"Record {name}: sample {invalid[0]} is not a finite value (stored as {INVALID}); "
            "only records without gaps are accepted."
        )
    # The challenge's own headers state 0, a place holder; wfdb's writer states the real sum.
    stated = record.checksum[0]
    found = int(signal.sum(dtype=np.int64))
    if stated and (found - stated) % 65536:
        raise DataError(
            f"Record {name}: its samples sum to {found % 65536} modulo 65536, "
            f"its header's checksum says {stated % 65536}."
        )
