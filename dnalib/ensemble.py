"""Several classifiers together: probabilities, votes and how much the members disagree."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from pathlib import Path

import numpy as np
import torch
import wfdb
from numpy.typing import NDArray
from scipy.signal import resample_poly
from torch import Tensor, nn

from dnalib.data import GAIN, RATE, DataError, check_options, prepare_signal
from dnalib.metrics import softmax
from dnalib.model import evaluation_mode
from dnalib.uncertainty import mutual_information


@dataclass(frozen=True)
class Prediction:
    """What an ensemble says of one record.

    Attributes:
        probabilities: (class,), mean of the members' softmax.
        member_probabilities: (member, class).
        votes: (class,), int64, members whose most probable class it is.
        mutual_information: nats; 0 when all members agree exactly.
    """

    probabilities: NDArray[np.floating]
    member_probabilities: NDArray[np.floating]
    votes: NDArray[np.int64]
    mutual_information: float


class Ensemble(nn.Module):
    """Members that see the same records.

    Args:
        members: networks (batch, 1, time) -> logits (batch, class), in evaluation mode.
        rate: samples a second that the members were trained at, Hz; divides 300.
        length: samples that the members take, at `rate`.
        cut: part of longer records that is kept, "start" or "middle".

    Raises:
        ValueError: no members, or what `dnalib.data.prepare_signal` does not take.

    Source: Wiedeman & Wang, section "Ensembles".
    """

    def __init__(
        self,
        members: Sequence[nn.Module],
        *,
        rate: int = RATE,
        length: int = 18_000,
        cut: str = "start",
    ) -> None:
        super().__init__()
        if not members:
            raise ValueError("members is empty; an ensemble needs at least one")
        check_options(length=length, rate=rate, cut=cut)
        self.members = nn.ModuleList(members)
        self.rate = rate
        self.length = length
        self.cut = cut

    def forward(self, signals: Tensor) -> Tensor:
        """Signals (batch, 1, time), raw units -> logits (member, batch, class)."""
        return torch.stack([member(signals) for member in self.members])

    @torch.no_grad()
    def predict(self, record: str | PathLike[str] | wfdb.Record, *, lead: int = 0) -> Prediction:
        """Classify one record, in evaluation mode.

        The record is brought to 300 Hz where it has another rate, then decimated, cut and padded as
        the training records were.

        Args:
            record: a WFDB record, or the path of one without its suffix.
            lead: which of its leads.

        Returns:
            Probabilities, votes and mutual information.

        Raises:
            data.DataError: the record cannot be read, has no such lead, is not in volts, or holds a
                value that is not finite.
        """
        if not isinstance(record, wfdb.Record):
            record = read_record(Path(record))
        signal = raw_units(record, lead=lead)  # (time,)
        padded, _, _ = prepare_signal(signal, length=self.length, rate=self.rate, cut=self.cut)
        inputs = torch.from_numpy(padded).float().view(1, 1, -1)
        inputs = inputs.to(next(self.parameters(), inputs).device)  # members may have none
        with evaluation_mode(self):
            logits = self(inputs)[:, 0].double().cpu().numpy()  # (member, class)
        probabilities = softmax(logits)  # (member, class)
        return Prediction(
            probabilities=probabilities.mean(axis=0),
            member_probabilities=probabilities,
            votes=np.bincount(logits.argmax(axis=1), minlength=logits.shape[1]),
            mutual_information=float(mutual_information(probabilities[:, None])[0]),
        )


def read_record(path: Path) -> wfdb.Record:
    """A WFDB record in physical units.

    Raises:
        DataError: it cannot be read, or its header holds other characters than ASCII outside of
            comments: wfdb leaves them out, and of "µV" remains "V".
    """
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
