"""Any WFDB record, of any rate and voltage: one lead of it in raw units, as networks take it.

What training reads is checked more strictly, by record_files.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from dnalib.units import GAIN, RATE

from .records import DataError

if TYPE_CHECKING:
    import wfdb


def read_physical(path: Path) -> wfdb.Record:
    """A WFDB record in physical units.

    Raises:
        DataError: it cannot be read, or its header holds other characters than ASCII outside of
            comments: wfdb leaves them out, and of "µV" remains "V".
    """
    import wfdb  # here, not above: it brings pandas and takes a second

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


def raw_units(record: wfdb.Record, *, lead: int) -> NDArray[np.float32]:
    """One lead of a record in raw units (µV) at 300 Hz: (time,), float32.

    Raises:
        DataError: no such lead, no samples of one rate, a unit that is not of voltage, or a value
            that is not finite.
    """
    if not 0 <= lead < record.n_sig:
        names = ", ".join(record.sig_name or [])
        raise DataError(
            f"{record.record_name}: lead is {lead}; accepted are 0 to {record.n_sig - 1} ({names})"
        )
    factors = {"V": 1000 * GAIN, "mV": GAIN, "uV": 1.0, "µV": 1.0}
    unit = record.units[lead]
    if unit not in factors:
        raise DataError(f"{record.record_name}: the unit is {unit!r}; accepted are {list(factors)}")
    if record.p_signal is None and record.d_signal is None:
        raise DataError(
            f"{record.record_name}: neither p_signal nor d_signal is there; accepted are records "
            "read with their samples, all leads at one rate"
        )
    physical = record.p_signal if record.p_signal is not None else record.dac()
    signal = physical[:, lead] * factors[unit]  # (time,), µV
    if not np.isfinite(signal).all():
        raise DataError(
            f"{record.record_name}: a value is not finite; accepted are finite ones only"
        )
    ratio = Fraction(RATE / record.fs).limit_denominator(1000)
    if ratio != 1:
        # The ends are extended, as in decimation: zeros there would pull an offset down.
        signal = resample_poly(signal, ratio.numerator, ratio.denominator, padtype="edge")
    return signal.astype(np.float32)
