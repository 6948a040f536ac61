"""Small helpers for files that must never be half-written."""

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def written_beside(path: Path, *, alone: bool = False) -> Iterator[Path]:
    """A place for a file, which takes its name when whole; an error leaves nothing of it.

    Whatever wrote it, its permissions are those of any new file here, as the umask says.

    Args:
        path: the file; its folder is there.
        alone: nobody else writes that file meanwhile, so that what a killed process left behind is
            written over; else each writer has a name of its own, and the last one stays.

    Raises:
        OSError: as the operating system tells it; FileNotFoundError where nothing was written.
    """
    # Numbers of processes are no names: machines that share a folder count alike.
    own = "" if alone else f".{uuid.uuid4().hex[:8]}"
    part = path.with_name(f".{path.name}{own}.writing")
    try:
        part.unlink(missing_ok=True)
        part.touch()
        permissions = part.stat().st_mode
        part.unlink()
        yield part
        # safetensors, for one, lets nobody but the owner read what it wrote.
        if part.stat().st_mode != permissions:
            part.chmod(permissions)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, content: Any, *, durable: bool = False) -> None:
    """Write a JSON file beside and rename it; of several writers at once the last one stays.

    Args:
        path: the file.
        content: what JSON holds.
        durable: bring it and its name down to the disk before returning.

    Raises:
        OSError: as the operating system tells it; nothing of it is left then.
    """
    with written_beside(path) as part:
        part.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
        if durable:
            synchronise(part)
    if durable:
        synchronise(path.parent)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file beside, down to the disk, and rename it: it is whole or absent at any time.

    One process at a time may write it. One that is killed may leave `.<name>.writing` behind.

    Raises:
        OSError: as the operating system tells it, a full disk above all; nothing is left then.
    """
    with written_beside(path, alone=True) as part, part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def synchronise(path: Path) -> None:
    """Bring a file, or the names in a folder, down to the disk, where the system lets one do so."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_sha256(path: Path) -> str:
    """Digest of a file's content, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
