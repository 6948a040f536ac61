"""Files that take the places of others together, or not at all, however their making ends."""

import os
import shutil
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def replaced_together(root: Path) -> Iterator[Path]:
    """A hidden folder within another, whose files take their places there when all are made.

    An error, and a signal that ends the process, leaves everything as it was and nothing beside it.

    Args:
        root: the folder; a file `a/b` of the hidden one becomes its `a/b`.

    Raises:
        OSError: as the operating system tells it.
        SystemExit: a signal told this process to end, with 128 and its number.
    """
    stage = root / f".{uuid.uuid4().hex[:8]}.writing"
    with handlers_restored():
        raise_on_signals()
        try:
            stage.mkdir()
            yield stage
            with signals_wait():
                take_places(stage, root)
        finally:
            with signals_wait():
                shutil.rmtree(stage, ignore_errors=True)


def take_places(stage: Path, root: Path) -> None:
    """Move all files of a folder to the same places in another."""
    for path in [one for one in sorted(stage.rglob("*")) if one.is_file()]:
        target = root / path.relative_to(stage)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)


def raise_on_signals() -> None:
    """Let signals that would end this process at once raise SystemExit, so that it clears up.

    Of SIGINT Python makes a KeyboardInterrupt already.
    """
    for number in ENDING:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, leave)


def leave(number: int, frame: FrameType | None) -> None:
    """End this process as a signal would, by an exception."""
    raise SystemExit(128 + number)


@contextmanager
def signals_wait() -> Iterator[None]:
    """Within, signals that end this process wait for what must not be cut short.

    They are noted, not blocked: another thread, such as a notebook client has, would take them.
    """
    came: list[int] = []
    with handlers_restored():
        for number in ENDING:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda number, frame: came.append(number))
        yield
    if came:
        signal.raise_signal(came[0])


@contextmanager
def handlers_restored() -> Iterator[None]:
    """Afterwards, what signals that end this process do is what it was."""
    before = {number: signal.getsignal(number) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
