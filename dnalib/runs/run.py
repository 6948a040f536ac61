"""A run: what was computed with one set of parameters, and what is still missing."""

import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

from dnalib.runs import artefacts
from dnalib.runs.artefacts import Artefact
from dnalib.runs.folders import written_in
from dnalib.runs.portions import OutOfTime, Portions
from dnalib.runs.revisions import OtherCode
from dnalib.runs.settings import Settings, override
from dnalib.runs.turns import turn
from dnalib.runs.values import accept_minutes
from dnalib.training.processes import Alone, Processes

Kind = Literal["data", "training", "attack", "part"]


@dataclass(frozen=True)
class Stage:
    """One step of the computation.

    Attributes:
        name: also its artefact's.
        suffix: of the artefact's file.
        settings: names of the settings that change it.
        inputs: names of the stages that it reads.
        compute: called with the run and the path to write; returns the small results. That of a
            training is called in each of several processes, and writes in the first alone.
        kind: what it takes, for whoever distributes stages over machines; a "part" is small, and
            whoever needs it computes it.
    """

    name: str
    suffix: str
    settings: tuple[str, ...]
    inputs: tuple[str, ...]
    compute: Callable[["ComputingRun", Path], dict[str, Any]]
    kind: Kind = "part"


def identities(
    stages: Mapping[str, Stage], settings: Settings, *, records: str
) -> Callable[[str], str]:
    """The identity of each stage's artefact, by the stage's name.

    Args:
        stages: all stages of a run by name.
        settings: of the run.
        records: identity of its records; of artefacts that exist, the one that they name.
    """

    @cache
    def identity(name: str) -> str:
        stage = stages[name]
        return artefacts.identity_of(
            name=name,
            parameters=settings.values(stage.settings),
            inputs=inputs_of(stage, records=records, identity=identity),
        )

    return identity


def inputs_of(stage: Stage, *, records: str, identity: Callable[[str], str]) -> dict[str, str]:
    """Identities of what a stage reads; every stage reads the records."""
    return {"records": records, **{name: identity(name) for name in stage.inputs}}


class Run(Protocol):
    """What notebooks read from."""

    settings: Settings
    profile: str
    recorded: bool

    @property
    def origin(self) -> str:
        """Where its records come from, for people to read."""

    def obtain(self, name: str) -> Artefact:
        """The artefact of a stage: found, or made with all that it needs."""


class ComputingRun:
    """A run that computes what it does not hold.

    Args:
        profile: its name.
        settings: its parameters.
        folder: where its artefacts lie.
        root: the project's folder.
        make_stages: gives all stages by name for some settings.
        load_dataset: loads the records on first use; its answer has an `identity`.
        max_minutes: how long it may compute, counted from here; None for as long as it takes.
        processes: that compute it together, each with a run of its own; None: this one alone.

    Raises:
        ParameterError: `max_minutes` is not a number above 0.
    """

    recorded = False

    def __init__(
        self,
        *,
        profile: str,
        settings: Settings,
        folder: Path,
        root: Path,
        make_stages: Callable[[Settings], Mapping[str, Stage]],
        load_dataset: Callable[["ComputingRun"], Any],
        max_minutes: float | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.profile = profile
        self.settings = settings
        self.folder = folder
        self.root = root
        self.make_stages = make_stages
        self.stages = make_stages(settings)
        self._load_dataset = load_dataset
        self._dataset: Any = None
        self._max_minutes = accept_minutes(max_minutes)
        self._opened = time.monotonic()
        self.processes = processes or Alone()
        self._other_code = OtherCode(root, folder)
        self._making: str | None = None  # the stage that this one was copied to compute

    def minutes_left(self) -> float | None:
        """Minutes that this run may still compute, 0 when they are over; None without a limit."""
        if self._max_minutes is None:
            return None
        return max(0.0, self._max_minutes - (time.monotonic() - self._opened) / 60)

    @property
    def dataset(self) -> Any:
        """The records, loaded on first use."""
        if self._dataset is None:
            self._dataset = self._load_dataset(self)
        return self._dataset

    @property
    def origin(self) -> str:
        """Where the records come from; they are loaded for it."""
        return str(self.dataset.origin)

    def variant(self, changes: Mapping[str, Any]) -> "ComputingRun":
        """The run with some settings changed, none of which may choose other records.

        It lies in the same folder, where it finds what the change does not touch, and its minutes
        are those left to this one.
        """
        made = copy(self)
        made.settings = override(self.settings, changes)
        made.stages = self.make_stages(made.settings)
        made._making = None  # what this one computes is no stage of the variant's
        made.share_records(self)
        return made

    def share_records(self, other: "ComputingRun") -> None:
        """Read the records through another run, where the settings that choose them are alike."""
        self._load_dataset = lambda run: other.dataset

    def identity(self, name: str) -> str:
        """The identity that a stage's artefact has with these settings and records."""
        return identities(self.stages, self.settings, records=self.dataset.identity)(name)

    def find(self, name: str) -> Artefact | None:
        """The artefact of a stage if the run's folder holds it; nothing is computed."""
        return artefacts.find(
            self.folder, name=name, suffix=self.stages[name].suffix, identity=self.identity(name)
        )

    def obtain(self, name: str) -> Artefact:
        """The artefact of a stage, from the run's folder or computed now, with its inputs first.

        Where another process computes it already, this one waits and takes what that one made. Of
        processes that work together the first one looks, waits and writes, and all train.

        Raises:
            OutOfTime: it is not there and the minutes are over.
            ParameterError: it is not there and nothing can be written in the run's folder.
            FirstProcessError: the first of several processes failed, and has said why.
        """
        found = self.processes.follow(lambda: self.find(name))
        if found is not None:
            if self.processes.first:
                self._other_code.tell(name, found.sidecar)
            return found
        for needed in self.stages[name].inputs:
            self.obtain(needed)
        with ExitStack() as held:
            found = self.processes.follow(lambda: self.take_turn(name, held))
            return self.compute(name) if found is None else found

    def checkpoint_folder(self, name: str) -> Path:
        """Where a stage that trains keeps its state until its artefact is there."""
        return self.folder / "checkpoints" / f"{name}-{self.identity(name)}"

    def portions(self, part: str = "all") -> Portions:
        """Where the stage that is being computed keeps what it has of a part, until it is whole."""
        name = self._making
        folder = self.portions_folder(name) / part if name else None
        return Portions(folder, minutes_left=self.minutes_left)

    def contents(self, names: Iterable[str]) -> str:
        """What artefacts hold, as text that other contents change: what portions follow from."""
        return json.dumps({name: self.obtain(name).sidecar["sha256"] for name in names})

    def portions_folder(self, name: str) -> Path:
        """Where a stage that computes portion by portion keeps them until its artefact is there."""
        return self.folder / "portions" / f"{name}-{self.identity(name)}"

    def take_turn(self, name: str, held: ExitStack) -> Artefact | None:
        """Wait for the turn to compute a stage, and hold it as long as a stack does.

        Returns:
            The artefact, where whoever had the turn before made it.

        Raises:
            OutOfTime: it is not there and the minutes are over.
            ParameterError: nothing can be written in the run's folder.
        """
        minutes = self.minutes_left()
        seconds = None if minutes is None else 60 * minutes
        turns = turn(self.folder, f"{name}-{self.identity(name)}", seconds=seconds)
        with written_in(self.folder):
            ours = held.enter_context(turns)
        found = self.find(name)
        if found is None and (not ours or self.minutes_left() == 0):
            raise OutOfTime(f"max_minutes is over: {name} is not begun; call again to go on")
        return found

    def compute(self, name: str) -> Artefact:
        """Compute a stage whose inputs are there: a training together, all else in one process."""
        stage = self.stages[name]
        if stage.kind != "training":
            return self.processes.follow(lambda: self.alone().make(name))
        if not self.processes.first:
            stage.compute(self, self.folder)  # its share; the first one writes
        return self.processes.follow(lambda: self.make(name))

    def alone(self) -> "ComputingRun":
        """This run as one process computes it while the others wait."""
        made = copy(self)
        made.processes = Alone()
        return made

    def make(self, name: str) -> Artefact:
        """Compute a stage and keep what it made."""
        stage, working = self.stages[name], copy(self)
        working._making = name
        print(f"{name}: computing", flush=True)
        made = artefacts.make(
            self.folder,
            name=name,
            suffix=stage.suffix,
            parameters=self.settings.values(stage.settings),
            inputs=inputs_of(stage, records=self.dataset.identity, identity=self.identity),
            compute=lambda path: stage.compute(working, path),
            root=self.root,
        )
        # Only now: until the artefact has its provenance, these are all that is left of it.
        for folder in (self.checkpoint_folder(name), self.portions_folder(name)):
            shutil.rmtree(folder, ignore_errors=True)
        print(f"{name}: done in {made.sidecar['seconds']:.1f} s", flush=True)
        return made
