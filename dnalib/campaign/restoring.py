"""Putting what calls handed out back into a folder of runs."""

import hashlib
import json
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dnalib.campaign.limits import CampaignError
from dnalib.campaign.pieces import Ledger, Manifest, Piece, read_manifest
from dnalib.files import file_sha256, write_durably

MADE = ("name", "identity", "parameters", "inputs", "sha256", "results")  # what a sidecar says
FILE_OF_A_SET = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}\.(json|part\d+)")


def restore(files: Sequence[Path], runs: Path) -> list[str]:
    """Restore the files of some sets. Nothing is written unless all sets are whole and sound.

    Args:
        files: manifests and volumes, of one set or several; a folder stands for those in it.
        runs: folder of the runs; files that are there already with the same content are left, and
            of two that say how the same artefact was made the one that is there.

    Returns:
        Lines for the person who waits: what was restored and what was not.

    Raises:
        CampaignError: a set is damaged or incomplete, or a file of other content is there.
    """
    pieces: dict[str, list[tuple[Piece, memoryview]]] = defaultdict(list)
    for piece, part in read_sets(flattened(files)):
        pieces[piece.path].append((piece, part))
    contents: dict[str, bytes] = {}
    lines: list[str] = []
    for path, parts in pieces.items():
        whole = joined(parts)
        if whole is None:
            lines.append(f"{path}: its rest is in a set that was not given; left out")
        elif is_free(runs / path, whole):
            contents[path] = whole
    ledger = Ledger(runs)
    for path, content in contents.items():
        (runs / path).parent.mkdir(parents=True, exist_ok=True)
        write_durably(runs / path, content)
        digest = hashlib.sha256(content).hexdigest()
        ledger.note(Piece(path, 0, len(content), len(content), digest))
    ledger.save()
    return [f"restored {len(contents)} files into {runs}", *lines]


def flattened(files: Sequence[Path]) -> list[Path]:
    """The files, and those of sets in folders.

    Raises:
        CampaignError: one does not exist, or is no file of a set.
    """
    found: list[Path] = []
    for path in files:
        if path.is_dir():
            found += sound_sets(path)
        elif not path.is_file():
            raise CampaignError(f"{path}: there is no such file or folder")
        elif not FILE_OF_A_SET.fullmatch(path.name):
            raise CampaignError(f"{path.name} is no file of a set; those end in .json and .partN")
        else:
            found.append(path)
    if not found:
        raise CampaignError("no set was found in what was given")
    return found


def sound_sets(folder: Path) -> list[Path]:
    """The files of the sets in a folder, without those that a call was killed over."""
    files = sorted(file for file in folder.iterdir() if FILE_OF_A_SET.fullmatch(file.name))
    # The manifest is written last: where there is none, the set was never whole.
    whole = {path.stem for path in files if path.suffix == ".json"}
    left = [path.name for path in files if path.stem not in whole]
    if left:
        warnings.warn(f"{folder} holds parts of a set without its manifest: {left}", stacklevel=2)
    return [path for path in files if path.stem in whole]


def read_sets(files: Sequence[Path]) -> Iterator[tuple[Piece, memoryview]]:
    """The pieces of all sets, each with its bytes.

    Raises:
        CampaignError: a set lacks its manifest or a volume, or one is damaged.
    """
    by_name = {path.name: path for path in files}
    manifests = {path: read_manifest(path) for path in files if path.suffix == ".json"}
    known = {volume.name for manifest in manifests.values() for volume in manifest.volumes}
    for path in files:
        if path.suffix != ".json" and path.name not in known:
            raise CampaignError(f"{path.name} came without its manifest {path.stem}.json")
    for path, manifest in manifests.items():
        content = read_volumes(manifest, by_name, name=path.name)
        for piece in manifest.pieces:
            yield piece, content[: piece.bytes]
            content = content[piece.bytes :]


def read_volumes(manifest: Manifest, files: dict[str, Path], *, name: str) -> memoryview:
    """The bytes of a set's volumes, end to end.

    Raises:
        CampaignError: one is missing or damaged.
    """
    parts = []
    for volume in manifest.volumes:
        if volume.name not in files:
            raise CampaignError(f"the set {name} is incomplete: {volume.name} was not given")
        path = files[volume.name]
        if path.stat().st_size != volume.bytes or file_sha256(path) != volume.sha256:
            raise CampaignError(f"{volume.name} is damaged: it differs from its digest")
        parts.append(path.read_bytes())
    content = b"".join(parts)
    if len(content) != sum(piece.bytes for piece in manifest.pieces):
        raise CampaignError(f"{name} is damaged: its pieces do not fill its volumes")
    return memoryview(content)


def joined(parts: Sequence[tuple[Piece, memoryview]]) -> bytes | None:
    """A file's bytes from its pieces; None where some are missing.

    Raises:
        CampaignError: two sets hold different files of that name, or its digest differs.
    """
    by_digest: dict[str, list[tuple[Piece, memoryview]]] = defaultdict(list)
    for piece, part in parts:
        by_digest[piece.sha256].append((piece, part))
    found = [content for same in by_digest.values() if (content := joined_one(same)) is not None]
    if any(not alike(found[0], other) for other in found[1:]):
        path = parts[0][0].path
        raise CampaignError(f"{path} differs between the sets given; restore one at a time")
    return found[0] if found else None


def joined_one(parts: Sequence[tuple[Piece, memoryview]]) -> bytes | None:
    """The bytes of one file from its pieces; None where some are missing.

    Raises:
        CampaignError: its digest differs.
    """
    first = parts[0][0]
    content = b""
    for piece, part in sorted(parts, key=lambda item: item[0].offset):
        if piece.offset > len(content):
            return None
        content += bytes(part[len(content) - piece.offset :])
    if len(content) < first.size:
        return None
    if hashlib.sha256(content).hexdigest() != first.sha256:
        raise CampaignError(f"{first.path} is damaged in its set: it differs from its digest")
    return content


def is_free(path: Path, content: bytes) -> bool:
    """Whether a file is to be written: it is not where the same lies already.

    Raises:
        CampaignError: a file of other content lies there.
    """
    if not path.exists():
        return True
    if not alike(path.read_bytes(), content):
        raise CampaignError(
            f"{path} is there already and differs; move it away if the set's is the one to keep"
        )
    return False


def alike(one: bytes, other: bytes) -> bool:
    """Whether two files are the same, or say how the same artefact was made on two machines.

    Machines that were lent one after the other make small things twice: the artefacts are equal to
    the byte, and what lies beside them tells another date and other seconds.
    """
    return one == other or (
        (said := what_was_made(one)) is not None and said == what_was_made(other)
    )


def what_was_made(sidecar: bytes) -> dict[str, Any] | None:
    """What a sidecar says but for the times; None for another file."""
    try:
        content = json.loads(sidecar)
        made = {name: content[name] for name in MADE}
    except (ValueError, KeyError, TypeError):
        return None
    return without_seconds(made)


def without_seconds(content: Any) -> Any:
    """The same without any entry of that name."""
    if isinstance(content, dict):
        kept = {name: value for name, value in content.items() if name != "seconds"}
        return {name: without_seconds(value) for name, value in kept.items()}
    return content
