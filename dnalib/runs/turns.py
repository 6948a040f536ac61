"""Processes that share a run's folder take turns, so that nothing is computed twice at once."""

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
    place = folder / TURNS
    place.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place / f"{name}.lock")
    try:
        acquire(lock, name=name, seconds=seconds)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


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
