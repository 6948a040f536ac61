"""Checkpoints as safetensors in parts and one JSON: whole or noticed, the last two kept, no pickle.

The JSON of a checkpoint is written last and makes it exist. It names the parts with their sizes and
digests, and holds a digest over itself.
"""

import errno
import hashlib
import json
import re
import shutil
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from dnalib.files import synchronise, write_durably

OWN_FILE = re.compile(
    r"\.?(?P<name>epoch(?P<epoch>\d+)(-step(?P<step>\d+))?)(-part\d+of\d+)?"
    r"\.(json|safetensors)(\.writing)?"
)
ENTRY_BYTES = 200  # more than the safetensors header spends on a tensor, its name aside
SMALLEST_PART = 1024
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class CheckpointError(OSError):
    """A checkpoint could not be written; those before it are as they were."""


class DamagedCheckpoint(Exception):
    """The files of a checkpoint are not the ones that were written."""


class UnreadableCheckpoint(Exception):
    """The system does not let a file of a checkpoint be read, which may be whole all the same."""


class CheckpointFolder:
    """A folder that keeps the last two checkpoints of one training.

    Args:
        folder: made when the first checkpoint is written; one process at a time may write to it.
        part_bytes: size that no file of tensors exceeds; larger tensors are cut.

    Attributes:
        newest: name of the newest intact checkpoint, once one was read or written.

    Raises:
        ValueError: `part_bytes` below 1024.
    """

    def __init__(self, folder: str | Path, *, part_bytes: int = 15_000_000) -> None:
        if part_bytes < SMALLEST_PART:
            raise ValueError(
                f"part_bytes is {part_bytes}; accepted are {SMALLEST_PART} bytes and more"
            )
        self.folder = Path(folder)
        self.part_bytes = part_bytes
        self.newest: str | None = None

    def write(
        self, tensors: Mapping[str, Tensor], content: dict[str, Any], *, epoch: int, step: int = 0
    ) -> None:
        """Write a checkpoint, then remove all but it and the newest intact one before it.

        Args:
            tensors: any shapes and dtypes, on any device.
            content: what JSON holds: numbers that are finite, strings, lists, dicts.
            epoch, step: epochs completed, and steps after them: they name the checkpoint.

        Raises:
            CheckpointError: a file could not be written; the checkpoints before it are intact.
            ValueError: the newest checkpoint has this name already.
        """
        name = f"epoch{epoch}-step{step}" if step else f"epoch{epoch}"
        if name == self.newest:
            raise ValueError(f"{self.folder} has a checkpoint {name} already; name another step")
        files = make_files(name, tensors, content, part_bytes=self.part_bytes)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # What killed writes left behind may be the very room that this one needs.
            self.clean(kept=set(self.names()) - {name})
            for file_name, data in files.items():
                write_durably(self.folder / file_name, data)
            synchronise(self.folder)
        except OSError as error:
            self.remove(name)
            raise CheckpointError(self.explain(error, name, files)) from error
        before, self.newest = self.newest, name
        self.clean(kept={name, before})

    def read(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors, on the CPU, and content of the newest intact checkpoint; None without one.

        A damaged checkpoint is warned about and passed over.

        Raises:
            CheckpointError: the system does not let the newest that is not damaged be read. It may
                be whole, and a training that went on from the one before would remove it.
        """
        names = self.names()
        for name in names:
            try:
                found = read_checkpoint(self.folder, name)
            except DamagedCheckpoint as damage:
                warnings.warn(
                    f"the checkpoint {name} in {self.folder} is damaged: {damage}; the one before "
                    "is looked for",
                    stacklevel=2,
                )
                continue
            except UnreadableCheckpoint as unreadable:
                raise CheckpointError(
                    f"the checkpoint {name} in {self.folder} could not be read ({unreadable}), and "
                    "may be whole; the same call goes on once it can, or from the one before if "
                    "its files are removed"
                ) from unreadable
            self.newest = name
            return found
        if names:
            warnings.warn(
                f"no checkpoint in {self.folder} is intact; training starts again", stacklevel=2
            )
        return None

    def described(self) -> dict[str, Any] | None:
        """The content of the newest checkpoint whose description is intact; None without one.

        Its tensors are not read: whether they are intact is found out by `read`.
        """
        for name in self.names():
            with suppress(DamagedCheckpoint, UnreadableCheckpoint):
                return read_description(self.folder / f"{name}.json")["content"]
        return None

    def names(self) -> list[str]:
        """Names of the checkpoints that were completed, damaged ones among them, newest first."""
        found = {
            match["name"]: (int(match["epoch"]), int(match["step"] or 0))
            for path, match in self.own_files()
            if path.name == f"{match['name']}.json"
        }
        return sorted(found, key=found.__getitem__, reverse=True)

    def own_files(self) -> list[tuple[Path, re.Match[str]]]:
        """Every file of a checkpoint, whole or half-written, with what its name tells."""
        matches = [(path, OWN_FILE.fullmatch(path.name)) for path in self.folder.glob("*epoch*")]
        return [(path, match) for path, match in matches if match]

    def clean(self, *, kept: Collection[str | None]) -> None:
        """Remove the files of checkpoints that are not to be kept, and those half-written."""
        for path, match in self.own_files():
            if match["name"] not in kept or path.name.endswith(".writing"):
                path.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Remove what there is of one checkpoint, as far as the system lets."""
        for path, match in self.own_files():
            if match["name"] == name:
                # What stays, the next write removes; the error before is the one to tell.
                with suppress(OSError):
                    path.unlink()

    def explain(self, error: OSError, name: str, files: Mapping[str, bytes]) -> str:
        """One sentence for whoever must make room."""
        needed = sum(len(data) for data in files.values())
        existing = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        free = shutil.disk_usage(existing).free
        mended = "there is room" if error.errno in NO_ROOM else "it can be written to"
        before = (
            f"the last checkpoint, {self.newest}, is intact and the same call goes on from it"
            if self.newest
            else "there is none before it and the same call starts again"
        )
        return (
            f"the checkpoint {name} could not be written to {self.folder}: "
            f"{error.strerror or error} ({needed:,} bytes needed, {free:,} free); {before} once "
            f"{mended}"
        )


def make_files(
    name: str, tensors: Mapping[str, Tensor], content: dict[str, Any], *, part_bytes: int
) -> dict[str, bytes]:
    """The files of a checkpoint by name, in the order in which they must be written."""
    parts = [safetensors.torch.save(part) for part in pack(tensors, part_bytes=part_bytes)]
    files = {
        f"{name}-part{number}of{len(parts)}.safetensors": part
        for number, part in enumerate(parts, start=1)
    }
    description = {
        "parts": {
            file: {"bytes": len(part), "sha256": hashlib.sha256(part).hexdigest()}
            for file, part in files.items()
        },
        "shapes": {name: list(tensor.shape) for name, tensor in tensors.items()},
        "content": content,
    }
    return {**files, f"{name}.json": render(description)}


def pack(tensors: Mapping[str, Tensor], *, part_bytes: int) -> list[dict[str, Tensor]]:
    """Spread tensors, flat and on the CPU, over parts none of which exceeds a size as a file."""
    parts: list[dict[str, Tensor]] = []
    room = 0
    for name, piece in pieces(tensors, part_bytes=part_bytes):
        size = entry_bytes(name) + piece.nbytes
        if size > room:
            parts.append({})
            room = part_bytes
        parts[-1][name] = piece
        room -= size
    return parts


def pieces(tensors: Mapping[str, Tensor], *, part_bytes: int) -> Iterator[tuple[str, Tensor]]:
    """Each tensor flat and on the CPU, cut where it exceeds a part: its name and its place."""
    for name, tensor in tensors.items():
        flat = tensor.detach().cpu().reshape(-1)
        elements = (part_bytes - entry_bytes(name)) // flat.element_size()
        if elements < 1:
            raise ValueError(
                f"part_bytes is {part_bytes}; a tensor with the name {name} needs at least "
                f"{entry_bytes(name) + flat.element_size()}"
            )
        for number, piece in enumerate(flat.split(elements)):
            yield f"{name}/{number}", piece


def entry_bytes(name: str) -> int:
    """Bytes that a tensor of that name takes at most in a safetensors file beside its numbers."""
    return ENTRY_BYTES + len(json.dumps(name))


def read_checkpoint(folder: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and content of one checkpoint.

    Raises:
        DamagedCheckpoint: a file is missing or not what was written.
        UnreadableCheckpoint: the system does not let a file be read.
    """
    description = read_description(folder / f"{name}.json")
    cut: dict[str, list[tuple[int, Tensor]]] = {tensor: [] for tensor in description["shapes"]}
    for file, written in description["parts"].items():
        for label, piece in safetensors.torch.load(read_part(folder / file, written)).items():
            tensor, number = label.rsplit("/", 1)
            cut[tensor].append((int(number), piece))
    tensors = {}
    for tensor, shape in description["shapes"].items():
        ordered = [piece for _, piece in sorted(cut[tensor], key=lambda numbered: numbered[0])]
        tensors[tensor] = torch.cat(ordered).reshape(shape)
    return tensors, description["content"]


def read_part(path: Path, written: dict[str, Any]) -> bytes:
    """Content of a part, once it has the size and the digest that it was written with."""
    data = read_file(path)
    if len(data) != written["bytes"]:
        raise DamagedCheckpoint(f"{path.name} has {len(data)} bytes, not {written['bytes']}")
    if hashlib.sha256(data).hexdigest() != written["sha256"]:
        raise DamagedCheckpoint(f"{path.name} has another sha256 than was written")
    return data


def read_description(path: Path) -> dict[str, Any]:
    """The JSON of a checkpoint, once it is byte for byte what its content is written as."""
    data = read_file(path)
    try:
        description = json.loads(data)["checkpoint"]
        intact = render(description) == data
    except (ValueError, TypeError, KeyError):
        intact = False
    if not intact:
        raise DamagedCheckpoint(f"{path.name} is not what was written")
    return description


def read_file(path: Path) -> bytes:
    """Content of a file.

    Raises:
        DamagedCheckpoint: there is no such file.
        UnreadableCheckpoint: the system does not let it be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | IsADirectoryError)
        kind = DamagedCheckpoint if missing else UnreadableCheckpoint
        raise kind(f"{path.name}: {error.strerror or error}") from error


def render(description: dict[str, Any]) -> bytes:
    """The JSON of a checkpoint with a digest over itself."""
    text = json.dumps(description, indent=1, allow_nan=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'{{"sha256": "{digest}",\n"checkpoint": {text}}}\n'.encode()
