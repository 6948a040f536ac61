"""What a call hands out: a set of a manifest and volumes, which together hold pieces of files.

The volumes of a set, end to end, are its pieces, end to end. A piece is a whole file, or a part of
one that is too large for a set.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dnalib.campaign.limits import CampaignError
from dnalib.files import file_sha256, write_json

FORMAT = 1  # of a set's manifest
LEDGER = Path("campaign", "ledger.json")  # below the runs: what need not be handed out
MEASURED = "benchmark-"  # beside the ledger: what was measured on machines
EXECUTED = "executed-"  # likewise: which chapters are done
PLAIN_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Piece:
    """Some bytes of a file.

    Attributes:
        path: of the file, below the runs, with forward slashes.
        offset: of the first byte in the file.
        bytes: how many.
        size: of the whole file.
        sha256: of the whole file.
    """

    path: str
    offset: int
    bytes: int
    size: int
    sha256: str


@dataclass(frozen=True)
class Volume:
    """One file of a set that holds pieces: its name, bytes and digest."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a set consists of."""

    volumes: tuple[Volume, ...]
    pieces: tuple[Piece, ...]

    def text(self) -> str:
        """As it is written beside the volumes."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n"


def read_manifest(path: Path) -> Manifest:
    """Read and check a set's manifest.

    Raises:
        CampaignError: it is damaged, of another format, or names a path outside the runs.
    """
    try:
        content = json.loads(path.read_text())
        stated = content["format"]
        volumes = tuple(Volume(**entry) for entry in content["volumes"])
        pieces = tuple(Piece(**entry) for entry in content["pieces"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CampaignError(f"{path.name} is damaged, or no manifest of a set") from error
    if stated != FORMAT:
        raise CampaignError(f"{path.name} has format {stated}; accepted is {FORMAT}")
    for piece in pieces:
        parts = PurePosixPath(piece.path).parts
        if len(parts) < 2 or not all(PLAIN_PART.fullmatch(part) for part in parts):
            raise CampaignError(f"{path.name} names {piece.path!r}, which is no file of a run")
    return Manifest(volumes, pieces)


class Ledger:
    """Which files were handed out, or came from a set, and so need not be handed out again.

    Args:
        runs: folder of the runs; the ledger lies in it.
    """

    def __init__(self, runs: Path) -> None:
        self._path = runs / LEDGER
        try:
            self._sent: dict[str, dict[str, Any]] = json.loads(self._path.read_text())
        except (OSError, ValueError):
            self._sent = {}  # at worst something is handed out twice

    def sent(self, path: str, *, sha256: str) -> int:
        """How many of a file's first bytes were handed out; 0 for a file of other content."""
        entry = self._sent.get(path)
        return entry["bytes"] if entry and entry["sha256"] == sha256 else 0

    def note(self, piece: Piece) -> None:
        """Note that a file was handed out up to the end of a piece."""
        self._sent[piece.path] = {"sha256": piece.sha256, "bytes": piece.offset + piece.bytes}

    def save(self) -> None:
        """Write it beside and rename it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self._path, self._sent)


def whole_piece(path: Path, *, runs: Path) -> Piece:
    """A file as one piece."""
    size = path.stat().st_size
    name = path.relative_to(runs).as_posix()
    return Piece(path=name, offset=0, bytes=size, size=size, sha256=file_sha256(path))
