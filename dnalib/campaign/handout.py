"""Handing out what is new, within limits on files and bytes, the most valuable first."""

import hashlib
import json
import re
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from dnalib.campaign.pieces import (
    EXECUTED,
    LEDGER,
    MEASURED,
    Ledger,
    Manifest,
    Piece,
    Volume,
    whole_piece,
)
from dnalib.files import write_durably
from dnalib.stages import holds_weights
from dnalib.stages.perturbations import PERTURBATIONS
from dnalib.training.checkpoints import CheckpointFolder

WEIGHTS, SMALL, FEATURES, CHECKPOINT = range(4)  # in the order in which they are handed out
BYTES_A_PIECE = 400  # of the manifest, at most
BYTES_A_MANIFEST = 2_000
MEGABYTE = 1_000_000
PART = "-part"  # what follows a checkpoint's name in the names of its tensors' files
PART_FILE = re.compile(rf"{PART}\d+of\d+\.safetensors$")


@dataclass(frozen=True)
class Limits:
    """What one call may hand out.

    Attributes:
        files: at most that many, the manifest among them; at least 2.
        file_bytes: of one file.
        total_bytes: of all.
    """

    files: int = 8
    file_bytes: int = 15 * MEGABYTE
    total_bytes: int = 67 * MEGABYTE  # a full-size checkpoint has 65.8; machines let out 64 MiB

    @property
    def room(self) -> int:
        """Bytes for pieces and what the manifest says of them."""
        return min(self.total_bytes, (self.files - 1) * self.file_bytes) - BYTES_A_MANIFEST


def hand_out(runs: Path, output: Path, *, limits: Limits, split_large: bool = False) -> list[str]:
    """Write a set of what was not handed out before, as far as the limits let it.

    Args:
        runs: folder of the runs.
        output: where the set's files go.
        limits: on them.
        split_large: begin a file that is larger than a whole set, and go on with it in the next
            call; for calls that compute nothing, since a training makes a new checkpoint.

    Returns:
        Lines for the person who waits: what was handed out and what was not.
    """
    ledger = Ledger(runs)
    chosen, waiting = choose(pending(runs, ledger), limits=limits, split_large=split_large)
    lines = []
    if chosen:
        name = write_set(chosen, runs, output, limits=limits)
        for piece in chosen:
            ledger.note(piece)
        ledger.save()
        size = sum(piece.bytes for piece in chosen)
        lines.append(f"handed out {len(chosen)} files, {size / MEGABYTE:.1f} MB, as set {name}")
    else:
        lines.append("nothing new to hand out")
    if waiting:
        size = sum(piece.bytes for piece in waiting)
        lines.append(
            f"not handed out for want of room: {len(waiting)} files, {size / MEGABYTE:.1f} MB, "
            f"first {waiting[0].path}; a call with --minutes 0 goes on with them"
        )
    return lines


def pending(runs: Path, ledger: Ledger) -> list[Piece]:
    """What was not handed out yet, the most valuable first, each file's rest as one piece."""
    found = [*artefact_files(runs), *campaign_files(runs), *checkpoint_files(runs)]
    rests = []
    for _, path in sorted(found, key=lambda item: item[0]):
        piece = whole_piece(path, runs=runs)
        sent = ledger.sent(piece.path, sha256=piece.sha256)
        if sent < piece.size:
            rests.append(replace(piece, offset=sent, bytes=piece.size - sent))
    return rests


def artefact_files(runs: Path) -> Iterator[tuple[tuple[int, float], Path]]:
    """Finished artefacts, each before its sidecar; perturbations are large and made again."""
    for sidecar in runs.glob("*/*.json"):
        path = sidecar.with_name(sidecar.name.removesuffix(".json"))
        name = artefact_name(sidecar)
        if name is None or name.startswith(PERTURBATIONS) or not path.is_file():
            continue
        kind = FEATURES if name.startswith("features-") else SMALL
        kind = WEIGHTS if holds_weights(name) else kind
        made = path.stat().st_mtime
        yield (kind, made), path
        yield (kind, made), sidecar


def artefact_name(sidecar: Path) -> str | None:
    """The name that a sidecar gives; None for another JSON file."""
    try:
        content = json.loads(sidecar.read_text())
        return content["name"] if "sha256" in content else None
    except (ValueError, KeyError, TypeError):
        return None


def campaign_files(runs: Path) -> Iterator[tuple[tuple[int, float], Path]]:
    """What was measured on machines, and which chapters are done."""
    for start in (MEASURED, EXECUTED):
        for path in (runs / LEDGER.parent).glob(f"{start}*.json"):
            yield (SMALL, path.stat().st_mtime), path


def checkpoint_files(runs: Path) -> Iterator[tuple[tuple[int, float], Path]]:
    """The newest state of each unfinished training, and its description."""
    for folder in runs.glob("*/checkpoints/*-*"):
        if (folder.parent.parent / f"{folder.name}.safetensors.json").is_file():
            continue
        names = CheckpointFolder(folder).names()  # newest first
        if names:
            description = folder / f"{names[0]}.json"
            made = description.stat().st_mtime
            for part in sorted(folder.glob(f"{names[0]}{PART}*.safetensors")):
                yield (CHECKPOINT, made), part
            yield (CHECKPOINT, made), description


def choose(
    pieces: list[Piece], *, limits: Limits, split_large: bool
) -> tuple[list[Piece], list[Piece]]:
    """Which pieces go into a set, and which wait for a later one.

    All of a checkpoint goes or none: a part of it is of use to nobody. Only what is larger than a
    whole set goes in parts, and only where `split_large` says so.
    """
    room = limits.room
    chosen: list[Piece] = []
    waiting: list[Piece] = []
    taken: list[Piece]
    left: list[Piece]
    for group in groups(pieces):
        misleading = any(describes(group[0].path, other.path) for other in waiting)
        if space(group) <= room and not misleading:
            taken, left = group, []
        elif split_large and space(group) > limits.room and not misleading:
            taken, left = divide(group, room=room)
        else:
            taken, left = [], group
        room -= space(taken)
        chosen += taken
        waiting += left
    return chosen, waiting


def groups(pieces: Iterable[Piece]) -> list[list[Piece]]:
    """The files of each checkpoint together, every other file alone, in the given order."""
    found: dict[str, list[Piece]] = {}
    for piece in pieces:
        whole = PART_FILE.sub("", piece.path)
        described = piece.path.removesuffix(".json")  # its parts come before a description
        name = whole if whole != piece.path else described if described in found else piece.path
        found.setdefault(name, []).append(piece)
    return list(found.values())


def space(pieces: Iterable[Piece]) -> int:
    """Bytes that pieces take of a set, with what the manifest says of them."""
    return sum(piece.bytes + BYTES_A_PIECE for piece in pieces)


def divide(pieces: Iterable[Piece], *, room: int) -> tuple[list[Piece], list[Piece]]:
    """The first bytes of pieces that have room, in order, and the rest of them."""
    taken: list[Piece] = []
    left: list[Piece] = []
    for piece in pieces:
        free = room - space(taken) - BYTES_A_PIECE
        if left or free <= 0:
            left.append(piece)
        elif piece.bytes <= free:
            taken.append(piece)
        else:
            taken.append(replace(piece, bytes=free))
            left.append(replace(piece, offset=piece.offset + free, bytes=piece.bytes - free))
    return taken, left


def describes(path: str, other: str) -> bool:
    """Whether a file is the JSON beside another one, and would be misleading without it."""
    stem = path.removesuffix(".json")
    whole = PART_FILE.sub("", other)
    return stem != path and stem in (other, whole)


def write_set(pieces: list[Piece], runs: Path, output: Path, *, limits: Limits) -> str:
    """Write volumes, and last the manifest, which says that they are whole; returns its name."""
    output.mkdir(parents=True, exist_ok=True)
    name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:4]}"
    volumes: list[Volume] = []
    for part in cut(read_pieces(pieces, runs), size=limits.file_bytes):
        digest = hashlib.sha256(part).hexdigest()
        volumes.append(Volume(f"{name}.part{len(volumes) + 1}", len(part), digest))
        write_durably(output / volumes[-1].name, part)
    manifest = Manifest(tuple(volumes), tuple(pieces))
    write_durably(output / f"{name}.json", manifest.text().encode())
    return name


def read_pieces(pieces: list[Piece], runs: Path) -> Iterator[bytes]:
    """The bytes of pieces, one piece at a time."""
    for piece in pieces:
        with (runs / piece.path).open("rb") as file:
            file.seek(piece.offset)
            yield file.read(piece.bytes)


def cut(stream: Iterable[bytes], *, size: int) -> Iterator[bytes]:
    """The same bytes in parts of that size; the last may be shorter."""
    content = b""
    for more in stream:
        content += more
        while len(content) >= size:
            yield content[:size]
            content = content[size:]
    if content:
        yield content
