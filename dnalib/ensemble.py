"""Several classifiers together: probabilities, votes and how much the members disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dnalib.classifiers import are_several, classifier_logits
from dnalib.data import RATE, check_options, prepare_signal, raw_units, read_physical
from dnalib.data.physical import check_rate, listed_leads
from dnalib.metrics import softmax
from dnalib.model import Network, evaluation_mode
from dnalib.uncertainty import mutual_information
from dnalib.units import GAIN, check_gain

if TYPE_CHECKING:
    import wfdb


@dataclass(frozen=True)
class Prediction:
    """What an ensemble says of one record.

    The classes are those that its members were trained on, in their order. Of the book's networks
    they are 0: N, normal rhythm; 1: A, atrial fibrillation; 2: O, another rhythm; 3: ~, noise
    (`dnalib.data.SHORT_CLASS_NAMES` and `CLASS_NAMES`).

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
        members: networks (batch, lead, time) -> logits (batch, class), in evaluation mode: any
            modules, of one number of leads and of classes.
        rate, length, cut: what `predict` brings a record to, and nothing else uses: samples a
            second that the members were trained at, Hz; samples that they take at that rate; and
            the part of longer records that is kept, "start" or "middle".
        source_rate: samples a second that the training records had before they were prepared, Hz,
            of which `rate` is a whole part; `predict` brings a record to it first.
        gain: raw units a mV of the training records; those of CinC 2017, µV, by default, and 1 for
            members that were trained on mV.

    Raises:
        ValueError: no sequence of modules, or what `dnalib.data.prepare_signal` does not take.

    Source: Wiedeman & Wang, section "Ensembles".
    """

    def __init__(
        self,
        members: Sequence[nn.Module],
        *,
        rate: int = RATE,
        length: int = 18_000,
        cut: str = "start",
        source_rate: int = RATE,
        gain: float = GAIN,
    ) -> None:
        super().__init__()
        check_members(members)
        check_options(length=length, rate=rate, cut=cut, source_rate=source_rate)
        check_rate("source_rate", source_rate)
        check_gain(gain)
        self.members = nn.ModuleList(members)
        self.rate = rate
        self.length = length
        self.cut = cut
        self.source_rate = source_rate
        self.gain = gain

    def forward(self, signals: Tensor) -> Tensor:
        """Signals (batch, lead, time), raw units -> logits (member, batch, class).

        Raises:
            ValueError: a member does not take the signals, or gives no logits (batch, class), those
                of a single class, or of other classes than the first.
        """
        each = [
            classifier_logits(member, signals, name=f"members[{place}]")
            for place, member in enumerate(self.members)
        ]
        for place, logits in enumerate(each):
            if logits.shape != each[0].shape:
                raise ValueError(
                    f"members[{place}] tells {logits.shape[1]} classes apart and members[0] "
                    f"{each[0].shape[1]}; accepted are members of the same classes"
                )
        return torch.stack(each)

    @torch.no_grad()
    def predict(
        self,
        record: str | PathLike[str] | wfdb.Record,
        *,
        lead: int | str | Sequence[int | str] = 0,
    ) -> Prediction:
        """Classify one record, in evaluation mode, by the leads that its members were trained on.

        The record may have any rate and any number of leads. It is brought to raw units, and to
        `source_rate` where it has another, then decimated, cut and padded as the training records
        were.

        An array `signal` (time,), in mV at 500 Hz, is made a record by
        `wfdb.Record(p_signal=signal[:, None], fs=500, units=["mV"], sig_name=["II"])`.

        Args:
            record: a `wfdb.Record` of V, mV or uV, or the path of one, with or without the suffix
                .hea; of one second at least, for a shorter one need not hold a heart beat.
            lead: which of its leads, by position, from 0 on, or by name, such as "II"; for members
                of several leads a sequence of them, in the order of the training.

        Returns:
            Probabilities, votes and mutual information.

        Raises:
            data.DataError: the record is none or cannot be read, has no such lead, is not in volts,
                holds a value that is not finite, or lasts less than a second.
            ValueError: another number of leads than the members take, and as in `forward`.
        """
        self._check_leads(lead)
        if isinstance(record, str | PathLike):
            record = read_physical(record)
        signal = raw_units(record, lead=lead, rate=self.source_rate)  # (time,) or (lead, time)
        padded, _, _ = prepare_signal(
            signal,
            length=self.length,
            rate=self.rate,
            cut=self.cut,
            source_rate=self.source_rate,
        )
        inputs = torch.from_numpy(padded).float().view(1, -1, self.length)  # (1, lead, time)
        inputs = inputs * (self.gain / GAIN)
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

    def _check_leads(self, lead: object) -> None:
        """Raise a ValueError for another number of leads than a network of this library takes."""
        number = len(listed_leads(lead))
        for place, member in enumerate(self.members):
            if isinstance(member, Network) and member.leads != number:
                raise ValueError(
                    f"lead is {lead!r} and members[{place}] takes {member.leads} leads; accepted "
                    "are as many as it takes, in the order of the training"
                )


def check_members(members: object) -> None:
    """Raise a ValueError unless these are modules, one at least, in a sequence."""
    if not are_several(members):
        raise ValueError(
            f"members is of type {type(members).__name__}; accepted is a sequence of networks, "
            "such as a list"
        )
    members = list(cast("Sequence[object]", members))
    if not members:
        raise ValueError("members is empty; an ensemble needs at least one")
    for place, member in enumerate(members):
        if not isinstance(member, nn.Module):
            raise ValueError(
                f"members[{place}] is of type {type(member).__name__}; accepted is a "
                "torch.nn.Module"
            )
