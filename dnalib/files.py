"""Small helpers for files that must never be half-written."""

import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import Any


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file beside and rename it; of several writers at once the last one stays."""
    # Numbers of processes are no names: machines that share a folder count alike.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    os.replace(temporary, path)


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


def synchronise_folder(folder: Path) -> None:
    """Bring the renames in a folder down to the disk, where the system lets folders be opened."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_sha256(path: Path) -> str:
    """Digest of a file's content, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
