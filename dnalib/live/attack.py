"""Attack one record of a run on demand, and ask every network before and after."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas
import torch
from numpy.typing import NDArray

from dnalib import stages
from dnalib.attacks import Padding
from dnalib.crafting import attack_records
from dnalib.data import RATE, Records, prepare_signal
from dnalib.inference import infer
from dnalib.metrics import softmax
from dnalib.runs import Run
from dnalib.signals import PackedSignals
from dnalib.stages.attacking import half_within
from dnalib.stages.perturbations import craft_batch
from dnalib.tables import by_names


@dataclass(frozen=True)
class Question:
    """One attack on one record.

    Attributes:
        record: its name.
        attack: "pgd" or "sap".
        epsilon: bound, raw units (µV).
        padding: "strip" or "mask", as attacks take it.
    """

    record: str
    attack: str
    epsilon: float
    padding: Padding


@dataclass(frozen=True)
class Answer:
    """What the attack does to the record, and the record to the networks.

    Attributes:
        question: what was asked.
        label: the record's class.
        signal: (time,), raw units, at the run's rate and length.
        perturbation: (time,), raw units.
        padded: whether the record is shorter than the networks' input.
        before, after: (member, class), probabilities without and under attack, members as in
            `stages.MEMBERS`.
    """

    question: Question
    label: int
    signal: NDArray[np.int16]
    perturbation: NDArray[np.float32]
    padded: bool
    before: NDArray[np.floating]
    after: NDArray[np.floating]


class AttackBench:
    """The networks of a run, loaded once, and its records.

    Args:
        run: one that computes makes what it lacks.
        records: at full length.
    """

    def __init__(self, run: Run, records: Records) -> None:
        self.settings = run.settings
        self.records = records
        self.examples: list[str] = run.obtain("examples").results["records"]
        self.networks = [stages.load_member(run, member) for member in stages.MEMBERS]

    def answer(self, question: Question) -> Answer:
        """Attack the base model at a record as the run did, and ask all members.

        Raises:
            data.DataError: no record of that name.
            ValueError: what the attack does not accept.
        """
        index = stages.record_position(self.records, question.record)
        label = int(self.records.labels[index])
        settings = self.settings
        signal, start, length = prepare_signal(
            self.records.signal(index),
            length=settings.length,
            rate=settings.rate,
            cut=settings.cut,
            source_rate=RATE,
        )
        packed = PackedSignals.pack(
            torch.from_numpy(signal)[None],  # (record, time), one record
            starts=torch.tensor([start]),
            lengths=torch.tensor([length]),
        )
        craft = partial(
            craft_batch, epsilon=question.epsilon, padding=question.padding, settings=settings
        )
        ((_, crafted),) = attack_records(
            craft,
            self.networks[0],
            packed,
            torch.tensor([label]),
            padding=question.padding,
            precision=settings.attack_precision,
        )
        # fp16 as the run stores it, so that its numbers are met exactly.
        # (1, 1, time)
        perturbation = half_within(crafted[question.attack], question.epsilon).float()
        return Answer(
            question=question,
            label=label,
            signal=signal,
            perturbation=perturbation[0, 0].numpy(),
            padded=length < settings.length,
            before=self._probabilities(packed),
            after=self._probabilities(packed.plus(perturbation)),
        )

    def _probabilities(self, packed: PackedSignals) -> NDArray[np.floating]:
        """Of all members for one record: (member, class)."""
        return softmax(np.stack([infer(network, packed)[0].numpy() for network in self.networks]))


def probability_table(answer: Answer) -> pandas.DataFrame:
    """Each ensemble's members, a column a class: % without attack → % under attack.

    The last column names the most probable class before and after, and whether that is right. An
    ensemble's mean is that of its members' probabilities.
    """
    rows = {}
    for ensemble, members in stages.ENSEMBLES.items():
        chosen = [stages.MEMBERS.index(member) for member in members]
        before, after = answer.before[chosen], answer.after[chosen]  # (member, class)
        for name, first, second in zip(members, before, after, strict=True):
            rows[ensemble, name] = probability_row(first, second, label=answer.label)
        rows[ensemble, "mean"] = probability_row(
            before.mean(axis=0), after.mean(axis=0), label=answer.label
        )
    return by_names(rows, ["ensemble", "model"])


def probability_row(
    before: NDArray[np.floating], after: NDArray[np.floating], *, label: int
) -> dict[str, str]:
    """One row of the table: (class,) probabilities before and after."""
    names = stages.SHORT_CLASS_NAMES
    cells = {
        name: f"{100 * first:.1f} → {100 * second:.1f}"
        for name, first, second in zip(names, before, after, strict=True)
    }
    chosen = int(after.argmax())
    verdict = "✓ right" if chosen == label else "✗ wrong"
    return {**cells, "answer": f"{names[int(before.argmax())]} → {names[chosen]} {verdict}"}
