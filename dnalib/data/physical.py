"""Any WFDB record, of any rate and voltage: one lead of it in raw units, as networks take it.

What training reads is checked more strictly, by record_files.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy  # loads scipy.signal where it is used: that takes a second
from numpy.typing import NDArray

from dnalib.array_arguments import is_number
from dnalib.units import GAIN, RATE

from .records import DataError

if TYPE_CHECKING:
    import wfdb

LARGEST_DENOMINATOR = 1000  # of the fraction by which a record is resampled
FASTEST = 100_000  # Hz; of a faster record such a fraction may miss 300 Hz, or be 0
FACTORS = {"V": 1000 * GAIN, "mV": GAIN, "uV": 1.0, "µV": 1.0}  # raw units that a unit holds


def read_physical(path: str | PathLike[str]) -> wfdb.Record:
    """A WFDB record in physical units.

    Args:
        path: its header, with or without the suffix .hea.

    Raises:
        DataError: it cannot be read, or its header holds other characters than ASCII outside of
            comments: wfdb leaves them out, and of "µV" remains "V".
    """
    import wfdb  # here, not above: it brings pandas and takes a second

    path = Path(path)
    if path.suffix == ".hea":
        path = path.with_suffix("")
    try:
        header = Path(f"{path}.hea").read_bytes().splitlines()
    except OSError:
        header = []  # wfdb says what is wrong
    if not all(line.isascii() for line in header if not line.lstrip().startswith(b"#")):
        raise DataError(
            f"{path}: its header holds characters that are not ASCII; accepted is ASCII, with the "
            "unit uV for microvolts"
        )
    try:
        return wfdb.rdrecord(str(path))
    except Exception as error:  # wfdb raises many types; each means that the record is unreadable
        raise DataError(f"{path}: cannot be read as a WFDB record ({error})") from error


def raw_units(record: wfdb.Record, *, lead: int | str) -> NDArray[np.float32]:
    """One lead of a record in raw units (µV) at 300 Hz: (time,), float32.

    Args:
        record: a `wfdb.Record` of one second at least.
        lead: its position, or its name in `sig_name`.

    Raises:
        DataError: no record, no such lead, no samples of one rate, no rate or one above 100 kHz, a
            unit that is not of voltage, a value that is not finite, or less than a second.
    """
    physical = _physical_signals(record)  # (time, lead)
    name, leads = _name(record), physical.shape[1]
    position = _lead_position(record, lead, leads=leads)
    if not isinstance(record.units, Sequence) or len(record.units) != leads:
        raise DataError(
            f"{name}: units is {record.units!r}; accepted is a list of {leads}, a unit a lead, "
            f"each of {list(FACTORS)}"
        )
    unit = record.units[position]
    if unit not in FACTORS:
        raise DataError(f"{name}: the unit is {unit!r}; accepted are {list(FACTORS)}")
    signal = physical[:, position] * FACTORS[unit]  # (time,), µV
    if not np.isfinite(signal).all():
        raise DataError(f"{name}: a value is not finite; accepted are finite ones only")
    rate = _rate(record)
    if len(signal) < rate:
        raise DataError(
            f"{name}: the record lasts {len(signal) / rate:.3g} s; accepted is 1 s at least, "
            "as a shorter one need not hold a heart beat"
        )
    ratio = Fraction(RATE / rate).limit_denominator(LARGEST_DENOMINATOR)
    if ratio != 1:
        # The ends are extended, as in decimation: zeros there would pull an offset down.
        signal = scipy.signal.resample_poly(
            signal, ratio.numerator, ratio.denominator, padtype="edge"
        )
    return signal.astype(np.float32)


def _name(record: wfdb.Record) -> str:
    """What messages call a record: those made of arrays need not have a name."""
    return record.record_name or "the record"


def _rate(record: wfdb.Record) -> float:
    """Samples a second, Hz."""
    rate = record.fs
    if not is_number(rate) or not 0 < float(rate) <= FASTEST:  # NaN is not, either
        raise DataError(
            f"{_name(record)}: fs is {rate!r}; accepted is a rate above 0 Hz, {FASTEST} Hz at most"
        )
    return float(rate)


def _physical_signals(record: wfdb.Record) -> NDArray[np.floating]:
    """All leads of a record in its own units: (time, lead)."""
    if not hasattr(record, "p_signal"):  # what wfdb's class is need not be imported to be told
        raise DataError(
            f"record is of type {type(record).__name__}; accepted are the path of a WFDB record "
            "and a wfdb.Record, which wfdb.Record(p_signal=..., fs=..., units=[...], "
            "sig_name=[...]) makes of an array (time, lead)"
        )
    if record.p_signal is None and record.d_signal is None:
        raise DataError(
            f"{_name(record)}: neither p_signal nor d_signal is there; accepted are records read "
            "with their samples, all leads at one rate"
        )
    physical = np.asarray(record.p_signal if record.p_signal is not None else record.dac())
    if physical.ndim != 2:
        raise DataError(
            f"{_name(record)}: its signal has shape {physical.shape}; accepted is (time, lead)"
        )
    return physical


def _lead_position(record: wfdb.Record, lead: int | str, *, leads: int) -> int:
    """The position of a lead that is given so or by its name."""
    names = [str(name) for name in record.sig_name or []]
    if lead in names:
        return names.index(str(lead))
    if isinstance(lead, Integral) and 0 <= lead < leads:
        return int(lead)
    by_name = f", or the names {', '.join(names)}" if names else ""
    raise DataError(f"{_name(record)}: lead is {lead!r}; accepted are 0 to {leads - 1}{by_name}")
