"""From records to arrays of one length: decimation, cutting and zero padding.

Source: the authors' code (DNA_ECG, ADV_ECG): 18,000 samples at 300 Hz, raw units, no scaling,
`(18000 - n) // 2` zeros on the left. Decimation and the middle cut are this library's own, for runs
on a CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy  # loads scipy.signal where it is used: that takes a second
from numpy.typing import NDArray

from dnalib.array_arguments import check_count, is_number
from dnalib.units import RATE

from .records import DataError, Records

CUTS = ("start", "middle")
LARGEST = 32767  # raw units that int16 holds on both sides of zero


@dataclass(frozen=True)
class PreparedRecords:
    """Records padded or cut to one length, in the order of `Records`.

    Attributes:
        signals: int16 (record, length), raw units (µV); zero outside each record.
        starts: int64 (record,), position of the first sample: the zeros on the left.
        lengths: int64 (record,), samples after decimation and cutting.
        labels: int64 (record,), classes.
        names: one a record.
        rate: samples a second, Hz.
    """

    signals: NDArray[np.int16]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    rate: float

    def __len__(self) -> int:
        return len(self.names)

    def valid_mask(self, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Where the records `indices` are, as opposed to padding: bool (record, length)."""
        time = np.arange(self.signals.shape[1])  # (length,)
        start = self.starts[indices, None]  # (record, 1)
        return (time >= start) & (time < start + self.lengths[indices, None])


def prepare(
    records: Records, *, length: int = 18_000, rate: int = RATE, cut: str = "start"
) -> PreparedRecords:
    """Bring all records to one length.

    Args:
        records: at 300 Hz.
        length: samples to bring them to, at the new rate.
        rate: Hz; divides 300. At 300 nothing is filtered and samples stay as they are.
        cut: of longer records, "start" keeps the first `length` samples (the paper's), "middle"
            the middle ones.

    Returns:
        The prepared records; 18,000 samples a record take 307 MB for all 8,528.

    Raises:
        ValueError: an option is not one of those.
    """
    check_options(length=length, rate=rate, cut=cut)
    signals = np.zeros((len(records), length), dtype=np.int16)
    starts = np.zeros(len(records), dtype=np.int64)
    lengths = np.zeros(len(records), dtype=np.int64)
    for index in range(len(records)):
        signals[index], starts[index], lengths[index] = prepare_signal(
            records.signal(index), length=length, rate=rate, cut=cut, source_rate=RATE
        )
    return PreparedRecords(signals, starts, lengths, records.labels, records.names, float(rate))


def prepare_signal(
    signal: NDArray[Any], *, length: int, rate: int, cut: str, source_rate: int
) -> tuple[NDArray[Any], int, int]:
    """Bring one signal to a length: decimate, cut, pad.

    Args:
        signal: (time,), or (lead, time), integers or floats, raw units (µV), finite.
        length: samples to bring it to, at the new rate.
        rate: Hz; divides `source_rate`.
        cut: "start" or "middle", as in `prepare`.
        source_rate: the signal's own rate, Hz, for nothing in it tells: 300 of CinC 2017's.

    Returns:
        (length,), or (lead, length), int16 from integers (where filtered, rounded and limited to
        ±32,767) and float32 from floats; the position of the first sample; the number of samples,
        of each lead, that are not padding.

    Raises:
        ValueError: an option is not one of those.
        DataError: the signal is not a finite, non-empty array of one or two dimensions, has more
            leads than samples, or an integer in it leaves int16.

    Source: :eq:`eq-padding` of chapter 1.
    """
    check_options(length=length, rate=rate, cut=cut, source_rate=source_rate)
    signal = _check_signal(np.asarray(signal))
    every = int(source_rate // rate)  # also of rates that are floats, as files state them
    kept = _cut(_decimate(signal, every), length, cut)  # (..., time), at most `length`
    samples = kept.shape[-1]
    padded = np.zeros((*kept.shape[:-1], length), dtype=kept.dtype)
    start = (length - samples) // 2
    padded[..., start : start + samples] = kept
    return padded, start, samples


def check_options(*, length: int, rate: int, cut: str, source_rate: int = RATE) -> None:
    """Raise a ValueError for the first of these options that `prepare_signal` does not take."""
    check_count("length", length, least=1)
    if not is_number(source_rate) or not source_rate > 0:  # NaN is not, either
        raise ValueError(f"source_rate is {source_rate!r} Hz; accepted: a number above 0.")
    if not is_number(rate) or rate <= 0 or source_rate % rate:
        raise ValueError(
            f"rate is {rate!r} Hz; accepted: a whole part of source_rate, {source_rate} Hz."
        )
    if cut not in CUTS:
        raise ValueError(f"cut is {cut!r}; accepted: {', '.join(CUTS)}.")


def _check_signal(signal: NDArray[Any]) -> NDArray[Any]:
    """The signal as int16 or float32."""
    if signal.ndim not in (1, 2) or not signal.size or signal.dtype.kind not in "iuf":
        raise DataError(
            f"The signal is an array of shape {signal.shape} and type {signal.dtype}; "
            "accepted: (time,) or (lead, time) of integers or floats, at least one sample."
        )
    if signal.ndim == 2 and len(signal) > signal.shape[1]:
        raise DataError(
            f"The signal is an array of shape {signal.shape}, of more leads than samples; "
            "accepted: (lead, time), as .T makes it of (time, lead)."
        )
    if signal.dtype == np.int16:
        return signal
    whole = signal.dtype.kind in "iu"
    limits = np.iinfo(np.int16) if whole else np.finfo(np.float32)
    # Compared rather than tested for NaN alone: a float64 may overflow float32 to infinity. And in
    # float64: as float16 the limits themselves would be infinite.
    low, high = np.float64(limits.min), np.float64(limits.max)
    outside = np.argwhere(~((signal >= low) & (signal <= high)))
    if outside.size:
        *lead, sample = outside[0].tolist()
        of_lead = f" of lead {lead[0]}" if lead else ""
        raise DataError(
            f"The signal's sample {sample}{of_lead} is {signal[*lead, sample]}; accepted: finite, "
            f"from {low:g} to {high:g}."
        )
    return signal.astype(np.int16 if whole else np.float32)


def _cut(signal: NDArray[Any], length: int, cut: str) -> NDArray[Any]:
    first = max(0, signal.shape[-1] - length) // 2 if cut == "middle" else 0
    return signal[..., first : first + length]


def _decimate(signal: NDArray[Any], factor: int) -> NDArray[Any]:
    """Every `factor`-th sample behind a zero-phase low-pass; the ends are extended, not zeroed."""
    if factor == 1:
        return signal
    filtered = scipy.signal.resample_poly(
        signal.astype(np.float64), 1, factor, axis=-1, window=_low_pass(factor), padtype="edge"
    )
    if signal.dtype == np.int16:
        filtered = np.clip(np.rint(filtered), -LARGEST, LARGEST)
    return filtered.astype(signal.dtype)


@lru_cache
def _low_pass(factor: int) -> NDArray[np.float64]:
    """A linear-phase filter, half power near the new Nyquist frequency, gain 1 at 0 Hz."""
    return scipy.signal.firwin(20 * factor + 1, 1 / factor, window=("kaiser", 5.0))
