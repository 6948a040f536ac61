"""What a stage has computed so far, kept in portions: a call that is cut off loses one of them."""

import time
import warnings
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dnalib.digests import digest_of_tensors
from dnalib.files import synchronise, written_beside

SUFFIX = ".safetensors"
DIGEST, MADE_FOR = "sha256", "made_for"  # what a portion's metadata tells of it


class UnfitPortion(Exception):
    """A file that is no portion of what is being computed; the message completes "the file …"."""


class OutOfTime(RuntimeError):
    """The minutes of a call are over. What is finished is kept, and a later call goes on."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows in place of a traceback: this is no fault to look for."""
        return [f"{type(self).__name__}: {self}"]


def unlimited() -> float | None:
    """No limit of time."""
    return None


class Portions:
    """The portions of one stage, each a file of tensors with a name.

    Args:
        folder: theirs; None keeps nothing.
        minutes_left: how many the call may still compute; None for as many as it takes.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        minutes_left: Callable[[], float | None] = unlimited,
    ) -> None:
        self.folder = folder
        self.minutes_left = minutes_left
        self._began = time.monotonic()
        self._seconds: float | None = None  # that the last portion took

    def read(self, *, made_for: str) -> dict[str, dict[str, Tensor]]:
        """The portions that earlier calls kept, by name.

        One that is not what was written, or of something else, is reported and removed.

        Args:
            made_for: what portions must have been kept with: a digest of what they follow from.
        """
        found = {}
        paths = sorted(self.folder.glob(f"[!.]*{SUFFIX}")) if self.folder else []
        for path in paths:
            try:
                found[path.name.removesuffix(SUFFIX)] = read_portion(path, made_for=made_for)
            except UnfitPortion as unfit:
                warnings.warn(f"{path} {unfit}; it is made again", stacklevel=2)
                path.unlink()
        return found

    def keep(self, name: str, tensors: dict[str, Tensor], *, made_for: str) -> None:
        """Keep a portion that is whole, down to the disk.

        Args:
            name: no other portion's.
            tensors: on the CPU.
            made_for: as in `read`.

        Raises:
            OSError: it could not be written; nothing of it is left.
        """
        self._seconds = time.monotonic() - self._began
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            metadata = {MADE_FOR: made_for, DIGEST: names_and_digest(tensors)}
            with written_beside(self.folder / f"{name}{SUFFIX}", alone=True) as part:
                save_file(tensors, part, metadata=metadata)
                synchronise(part)
            synchronise(self.folder)
        self._began = time.monotonic()

    def each(
        self,
        names: Collection[str],
        make: Callable[[str], dict[str, Tensor]],
        *,
        made_for: str,
        done: str,
    ) -> dict[str, dict[str, Tensor]]:
        """A portion for each name, by name: kept by an earlier call, or made and kept now.

        Args:
            names: in the order in which they are made.
            make: takes a name; its portion, on the CPU.
            made_for: as in `read`.
            done: what portions are when they are made, for the message: "3 of 5 `done`".

        Raises:
            OSError: as in `keep`.
            OutOfTime: as in `check_time`.
        """
        kept = self.read(made_for=made_for)
        for number, name in enumerate(names):
            if name not in kept:
                self.check_time(f"{number} of {len(names)} {done}")
                kept[name] = make(name)
                self.keep(name, kept[name], made_for=made_for)
        return {name: kept[name] for name in names}

    def check_time(self, done: str) -> None:
        """Make sure that there is time for another portion, at the pace of this call's last.

        Args:
            done: what is, for the message.

        Raises:
            OutOfTime: there is not. A call has time for one portion at least.
        """
        left = self.minutes_left()
        if left is not None and self._seconds is not None and 60 * left < self._seconds:
            raise OutOfTime(f"max_minutes is over: {done}; call again to go on")


def read_portion(path: Path, *, made_for: str) -> dict[str, Tensor]:
    """The tensors of a portion, by name.

    Raises:
        UnfitPortion: it is not what was written, or was kept with another `made_for`.
        OSError: the system does not let it be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UnfitPortion("is damaged") from error
    if DIGEST not in metadata:
        raise UnfitPortion("has no digest, as those of older versions")
    # A power loss can leave the header and zeros behind it.
    if metadata[DIGEST] != names_and_digest(tensors):
        raise UnfitPortion("is damaged")
    if metadata.get(MADE_FOR) != made_for:
        raise UnfitPortion("was made of other records or models, or for another attack")
    return tensors


def names_and_digest(tensors: Mapping[str, Tensor]) -> str:
    """The names of tensors, and a digest of what they name."""
    names = sorted(tensors)
    return f"{', '.join(names)}: {digest_of_tensors(tensors[name] for name in names)}"
