"""Any WFDB record, of any rate and voltage: leads of it in raw units, as networks take them.

What training reads is checked more strictly, by record_files.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
MISSED = 1e-3  # of a rate, by which resampling may miss it
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


def raw_units(
    record: wfdb.Record, *, lead: int | str | Sequence[int | str], rate: float = RATE
) -> NDArray[np.float32]:
    """Leads of a record in raw units (µV), at one rate.

    Args:
        record: a `wfdb.Record` of one second at least.
        lead: its position, from 0 on, or its name in `sig_name`; or a sequence or array of them,
            each once.
        rate: samples a second to bring it to, Hz; those of CinC 2017 by default.

    Returns:
        (time,), float32; of a sequence of leads (lead, time), in its order.

    Raises:
        DataError: no record, no such lead, no samples of one rate, no rate or one above 100 kHz or
            so far from the other that resampling would miss it, a unit that is not of voltage, a
            value that is not finite, or less than a second.
        ValueError: `rate` is no number above 0, 100 kHz at most.
    """
    check_rate("rate", rate)
    physical = _physical_signals(record)  # (time, lead)
    positions = _lead_positions(record, listed_leads(lead), leads=physical.shape[1])
    found = _resampled(record, _microvolts(record, physical, positions), rate=float(rate))
    return found if are_leads(lead) else found[0]


def are_leads(lead: object) -> bool:
    """Whether leads are given as a sequence or an array, and not one by itself."""
    if isinstance(lead, np.ndarray):
        return lead.ndim == 1
    return isinstance(lead, Sequence) and not isinstance(lead, str)


def listed_leads(lead: Any) -> list[Any]:
    """The leads that are given, of a single one that one."""
    return list(lead) if are_leads(lead) else [lead]


def check_rate(name: str, rate: Any) -> None:
    """Raise a ValueError unless something is a rate that a record may be brought to."""
    if not is_rate(rate):
        raise ValueError(f"{name} is {rate!r}; accepted is a rate above 0 Hz, {FASTEST} Hz at most")


def is_rate(rate: Any) -> bool:
    """Whether something is a rate that a record may have; NaN is none."""
    return is_number(rate) and not isinstance(rate, bool) and 0 < float(rate) <= FASTEST


def _microvolts(
    record: wfdb.Record, physical: NDArray[np.floating], positions: Sequence[int]
) -> NDArray[np.floating]:
    """Some leads of signals (time, lead) in µV: (lead, time)."""
    name, leads = _name(record), physical.shape[1]
    if not isinstance(record.units, Sequence) or len(record.units) != leads:
        raise DataError(
            f"{name}: units is {record.units!r}; accepted is a list of {leads}, a unit a lead, "
            f"each of {list(FACTORS)}"
        )
    for position in positions:
        unit = record.units[position]
        if unit not in FACTORS:
            raise DataError(
                f"{name}: the unit of lead {position} is {unit!r}; accepted are {list(FACTORS)}"
            )
    signals = np.stack(
        [physical[:, position] * FACTORS[record.units[position]] for position in positions]
    )
    outside = np.argwhere(~np.isfinite(signals))
    if outside.size:
        place, sample = outside[0].tolist()
        raise DataError(
            f"{name}: sample {sample} of lead {positions[place]} is {signals[place, sample]}; "
            "accepted are finite values only"
        )
    return signals


def _resampled(
    record: wfdb.Record, signals: NDArray[np.floating], *, rate: float
) -> NDArray[np.float32]:
    """A record's signals (lead, time) at another rate."""
    own, samples = _rate(record), signals.shape[1]
    if samples < own:
        raise DataError(
            f"{_name(record)}: the record lasts {samples / own:.3g} s; accepted is 1 s at least, "
            "as a shorter one need not hold a heart beat"
        )
    ratio = Fraction(rate / own).limit_denominator(LARGEST_DENOMINATOR)
    if abs(ratio * own - rate) > MISSED * rate:
        raise DataError(
            f"{_name(record)}: fs is {own:g} Hz, which is too far from the {rate:g} Hz it is to be "
            f"brought to; accepted is a rate that is not {LARGEST_DENOMINATOR} times as high"
        )
    if ratio != 1:
        # The ends are extended, as in decimation: zeros there would pull an offset down.
        signals = scipy.signal.resample_poly(
            signals, ratio.numerator, ratio.denominator, axis=1, padtype="edge"
        )
    return signals.astype(np.float32)


def _name(record: wfdb.Record) -> str:
    """What messages call a record: those made of arrays need not have a name."""
    return record.record_name or "the record"


def _rate(record: wfdb.Record) -> float:
    """Samples a second, Hz."""
    rate = record.fs
    if not is_rate(rate):
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
    if 0 < len(physical) < physical.shape[1]:
        raise DataError(
            f"{_name(record)}: its signal has shape {physical.shape}, of more leads than samples; "
            "accepted is (time, lead), as .T makes it of (lead, time)"
        )
    return physical


def _lead_positions(record: wfdb.Record, chosen: Sequence[int | str], *, leads: int) -> list[int]:
    """The positions of leads that are given so or by their names."""
    names = [str(name) for name in record.sig_name or []]
    by_name = f", or the names {', '.join(names)}" if names else ""
    accepted = f"accepted are 0 to {leads - 1}{by_name}, or a sequence of them, each once"
    if not chosen:
        raise DataError(f"{_name(record)}: lead is empty; {accepted}, one at least")
    positions: list[int] = []
    for lead in chosen:
        if isinstance(lead, str) and names.count(lead) > 1:
            raise DataError(
                f"{_name(record)}: lead is {lead!r}, a name that {names.count(lead)} leads have; "
                "accepted are their positions"
            )
        if isinstance(lead, str) and lead in names:
            position = names.index(lead)
        elif isinstance(lead, Integral) and not isinstance(lead, bool) and 0 <= lead < leads:
            position = int(lead)
        else:
            raise DataError(f"{_name(record)}: lead is {lead!r}; {accepted}")
        if position in positions:
            raise DataError(f"{_name(record)}: lead has {lead!r} twice; {accepted}")
        positions.append(position)
    return positions
