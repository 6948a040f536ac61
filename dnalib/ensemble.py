"""Several classifiers together: probabilities, votes and how much the members disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dnalib.data import RATE, check_options, prepare_signal, raw_units, read_physical
from dnalib.metrics import softmax
from dnalib.model import evaluation_mode
from dnalib.uncertainty import mutual_information

if TYPE_CHECKING:
    import wfdb


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
        if isinstance(record, str | PathLike):
            record = read_physical(Path(record))
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
