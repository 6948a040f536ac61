"""Processes that share a run's folder take turns, so that nothing is computed twice at once."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

TURNS = "turns"  # folder of empty files, one an artefact; the operating system locks them


@contextmanager
def turn(folder: Path, name: str, *, seconds: float | None = None) -> Iterator[bool]:
    """Hold a name of a run's folder alone; whoever else asks for it meanwhile waits.

    The lock is the operating system's: it ends with the process that holds it, killed or not, also
    on another machine that shares the folder, where the file system passes locks on.

    Args:
        folder: of the run.
        name: of what is computed, such as an artefact's with its identity.
        seconds: how long to wait at most; None for as long as it takes.

    Yields:
        Whether the turn came; False where another process still held it after that time.
    """
    place = lock_file(folder, name)
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place)
    try:
        acquire(lock, name=name, seconds=seconds)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def is_held(folder: Path, name: str) -> bool:
    """Whether a process holds a name of a run's folder, which is only read for it.

    Raises:
        OSError: as the operating system tells it, where the folder may not be read.
    """
    if os.name != "posix":  # a lock is asked about by taking it
        with turn(folder, name, seconds=0) as ours:
            return not ours
    import fcntl  # Windows has none, and may import this

    try:
        descriptor = os.open(lock_file(folder, name), os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # which of them, the file system decides
        return True
    finally:
        os.close(descriptor)
    return False


def lock_file(folder: Path, name: str) -> Path:
    """The file that the operating system locks for a name of a run's folder."""
    return folder / TURNS / f"{name}.lock"


def acquire(lock: FileLock, *, name: str, seconds: float | None) -> None:
    """Take a lock, saying so where it must wait for another process.

    Raises:
        filelock.Timeout: it was held for longer than `seconds`.
    """
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if seconds == 0:
            raise
        print(f"{name}: another process computes it; waiting", flush=True)
        lock.acquire(timeout=-1 if seconds is None else seconds)
