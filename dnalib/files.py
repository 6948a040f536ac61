"""Small helpers for files that must never be half-written."""

import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import Any


def write_json(path: Path, content: Any, *, durable: bool = False) -> None:
    """Write a JSON file beside and rename it; of several writers at once the last one stays.

    Args:
        path: the file.
        content: what JSON holds.
        durable: bring it and its name down to the disk before returning.

    Raises:
        OSError: as the operating system tells it; nothing of it is left then.
    """
    # Numbers of processes are no names: machines that share a folder count alike.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
        if durable:
            synchronise(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        synchronise(path.parent)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file beside, down to the disk, and rename it: it is whole or absent at any time.

    A process that is killed may leave `.<name>.writing` behind; an error does not.

    Raises:
        OSError: as the operating system tells it, a full disk above all.
    """
    temporary = path.with_name(f".{path.name}.writing")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


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
