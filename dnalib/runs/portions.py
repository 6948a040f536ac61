"""What a stage has computed so far, kept in portions: a call that is cut off loses one of them."""

import time
import warnings
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dnalib.files import written_beside

SUFFIX = ".safetensors"


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

    def read(self) -> dict[str, dict[str, Tensor]]:
        """The portions that earlier calls kept, by name; a damaged one is reported and removed."""
        found = {}
        paths = sorted(self.folder.glob(f"[!.]*{SUFFIX}")) if self.folder else []
        for path in paths:
            try:
                found[path.name.removesuffix(SUFFIX)] = load_file(path)
            except SafetensorError:
                warnings.warn(f"{path} is damaged; it is made again", stacklevel=2)
                path.unlink()
        return found

    def keep(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Keep a portion that is whole.

        Raises:
            OSError: it could not be written; nothing of it is left.
        """
        self._seconds = time.monotonic() - self._began
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            with written_beside(self.folder / f"{name}{SUFFIX}", alone=True) as part:
                save_file(tensors, part)
        self._began = time.monotonic()

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
