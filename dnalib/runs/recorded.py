"""A recorded run: what was committed of a run, to be read."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dnalib.files import file_sha256
from dnalib.runs.artefacts import Artefact, ArtefactError
from dnalib.runs.settings import RECORDED, accept, settings_from
from dnalib.runs.values import ParameterError

MANIFEST = "manifest.json"


def seed_folder(seed: int | str) -> str:
    """Name of the folder, within a recorded run, of the same run with another seed."""
    return f"seed-{seed}"


class RecordedRun:
    """A run that was committed: it is read, and nothing in it is ever computed.

    Args:
        folder: `data/recorded/<profile>`, with a manifest, or that of another seed within it.
        root: the project's folder.
        place, split: where the real records and their split are, for the figures that draw one;
            None for the usual places.

    Raises:
        ParameterError: no such run.
    """

    recorded = True

    def __init__(
        self,
        folder: Path,
        *,
        root: Path,
        place: str | Path | None = None,
        split: str | Path | None = None,
    ) -> None:
        if not (folder / MANIFEST).is_file():
            recorded = sorted(
                RECORDED + path.parent.name for path in folder.parent.glob(f"*/{MANIFEST}")
            )
            raise ParameterError(
                f"profile is '{RECORDED}{folder.name}'; "
                f"recorded are {', '.join(recorded) or 'none'}"
            )
        self.folder = folder
        self.root = root
        self.place = place
        self.split = split
        self.manifest = json.loads((folder / MANIFEST).read_text())
        self.settings = settings_from(self.manifest["settings"], origin=str(folder / MANIFEST))
        below = folder.name == seed_folder(self.settings.seed)
        # The run that this one was recorded with, of which only what differs by the seed is here.
        self.beside = RECORDED + folder.parent.name if below else None
        self.profile = f"{self.beside}/{folder.name}" if below else RECORDED + folder.name

    @property
    def origin(self) -> str:
        """Where the records that it was computed on come from."""
        return str(self.manifest["origin"])

    def with_seeds(self, seeds: Sequence[int] | None = None) -> list["RecordedRun"]:
        """This run and those recorded with it, which differ by their seed alone.

        Args:
            seeds: those wanted, in their order, this one's first; None for this one, then the
                others by their seeds.

        Raises:
            ParameterError: one of them was not recorded, or the first is another's.
        """
        others = [
            RecordedRun(path.parent, root=self.root, place=self.place, split=self.split)
            for path in self.folder.glob(f"{seed_folder('*')}/{MANIFEST}")
        ]
        others.sort(key=lambda run: run.settings.seed)
        held = {run.settings.seed: run for run in (self, *others)}
        absent = [seed for seed in seeds or () if seed not in held]
        if absent:
            recorded = ", ".join(map(str, held))
            raise ParameterError(
                f"seeds has {absent[0]}; recorded in {self.profile} are {recorded}; to compute, "
                "name a profile that does, such as `-p profile demo`"
            )
        own = self.settings.seed
        if seeds and seeds[0] != own:
            raise ParameterError(
                f"seeds begins with {seeds[0]}; accepted in {self.profile} are lists that "
                f"begin with {own}, since of the others only what chapters show of every seed "
                "was recorded"
            )
        return [held[seed] for seed in seeds or held]

    def check_is_whole(self) -> None:
        """Raise a ParameterError if this is only another seed, recorded beside a whole run."""
        if self.beside:
            raise ParameterError(
                f"profile is {self.profile!r}, of which only what chapters show of every seed was "
                f"recorded; accepted is {self.beside!r}, beside which chapter 8 and appendix A1 "
                "show it"
            )

    def check_unchanged(self, changes: Mapping[str, Any]) -> None:
        """Raise a ParameterError if a parameter asks for another value than was recorded."""
        for name, value in changes.items():
            held = getattr(self.settings, name)
            if accept(name, value) != held:
                raise ParameterError(
                    f"{name} is {value!r} but the run {self.profile} was recorded with {held!r} "
                    "and is only read; to compute, name a profile that does, such as "
                    "`-p profile demo`"
                )

    def obtain(self, name: str) -> Artefact:
        """A recorded artefact.

        Raises:
            ArtefactError: it was not recorded, or its file is missing or damaged.
        """
        entry = self.manifest["artefacts"].get(name)
        if entry is None:
            raise ArtefactError(
                f"the run {self.profile} holds no {name!r}; a profile that computes makes it, "
                "such as `-p profile demo`"
            )
        sidecar = {key: value for key, value in entry.items() if key != "file"}
        path = (self.folder / entry["file"]).resolve()
        if not path.is_file() or file_sha256(path) != sidecar["sha256"]:
            raise ArtefactError(f"{path} is missing or damaged; restore it with `git checkout`")
        return Artefact(name, path, sidecar["identity"], sidecar)
