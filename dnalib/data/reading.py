"""Reading all records of an archive or a folder.

An archive is never unpacked as a whole: the files of a few hundred records at a time go to a
temporary folder, since wfdb reads files, and are removed before the next ones.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from .record_files import PLAIN_NAME, read_record, signal_file
from .records import DataError

BATCH = 256  # records in the temporary folder at once: about 5 MB
RECORD_SUFFIXES = (".hea", ".mat", ".dat")


class Source(Protocol):
    """Records that can be listed cheaply and read one after the other.

    Attributes:
        names: the records' names, sorted.
        fingerprint: changes when the records' files change; computed without reading them.
    """

    names: tuple[str, ...]
    fingerprint: str

    def signals(self) -> Iterator[NDArray[np.int16]]:
        """Each record's samples in name order: int16 (time,), raw units."""
        ...


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open an archive or a folder of records for reading.

    Args:
        path: a zip archive whose records lie in one folder (or in none), or a folder. A record is
            `NAME.hea` with the file that it names, `NAME.mat` or `NAME.dat`.

    Raises:
        DataError: it is missing, empty, not a zip or damaged, a member's path leaves the archive,
            or a signal file has no header. Reading a record raises it too, naming the record.
    """
    if path.is_dir():
        yield _FolderSource(path)
        return
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such archive or folder.") from error
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DataError(_not_an_archive(path, error)) from error
    with archive:
        yield _ZipSource(path, archive)


def with_progress(source: Source, words: str, *, progress: bool) -> Iterator[NDArray[np.int16]]:
    """A source's signals, behind a progress bar where `progress`."""
    records = len(source.names)
    yield from tqdm(
        source.signals(), desc=words, total=records, unit=" records", disable=not progress
    )


class _FolderSource:
    def __init__(self, path: Path) -> None:
        self._path = path
        files = [entry for entry in path.iterdir() if _is_record_file(entry.name)]
        self.names = _record_names((entry.name for entry in files), where=path)
        states = sorted((entry.name, entry.stat()) for entry in files)
        self.fingerprint = _fingerprint(
            (name, state.st_size, state.st_mtime_ns) for name, state in states
        )

    def signals(self) -> Iterator[NDArray[np.int16]]:
        return (read_record(self._path, name) for name in self.names)


class _ZipSource:
    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        for name in archive.namelist():
            _check_member_path(path, name)
        # Names stay strings: Path objects take longer than reading the archive's directory.
        held = [member for member in archive.infolist() if _is_record_file(_base(member.filename))]
        folders = sorted({posixpath.dirname(member.filename) or "." for member in held})
        if len(folders) > 1:
            raise DataError(f"{path}: records lie in {' and '.join(folders[:2])}; one is accepted.")
        self._members = {_base(member.filename): member for member in held}
        if len(self._members) < len(held):
            raise DataError(f"{path}: holds two members of the same name.")
        self.names = _record_names(self._members, where=path)
        self.fingerprint = _fingerprint(
            (name, self._members[name].file_size, self._members[name].CRC)
            for name in sorted(self._members)
        )

    def signals(self) -> Iterator[NDArray[np.int16]]:
        with TemporaryDirectory() as temporary:
            for first in range(0, len(self.names), BATCH):
                folder = Path(temporary, str(first))
                folder.mkdir()
                for name in self.names[first : first + BATCH]:
                    self._extract(name, folder)
                    yield read_record(folder, name)
                shutil.rmtree(folder)

    def _extract(self, name: str, folder: Path) -> None:
        header = self._read(f"{name}.hea", record=name)
        file_name = signal_file(header, name)
        (folder / f"{name}.hea").write_bytes(header)
        (folder / file_name).write_bytes(self._read(file_name, record=name))

    def _read(self, file_name: str, *, record: str) -> bytes:
        member = self._members.get(file_name)
        if member is None:
            raise DataError(f"Record {record}: {self._path} holds no {file_name}.")
        try:
            return self._archive.read(member)  # checks the CRC
        except Exception as error:  # zipfile raises many kinds, by where the damage is
            raise DataError(
                f"Record {record}: {member.filename} in {self._path} cannot be read ({error})."
            ) from error


def _not_an_archive(path: Path, error: Exception) -> str:
    with open(path, "rb") as opened:
        start = opened.read(4)
    if start == b"PK\x03\x04":
        return f"{path}: the zip archive is truncated or damaged ({error})."
    return f"{path}: is not a zip archive."


def _check_member_path(path: Path, member: str) -> None:
    parts = re.split(r"[/\\]", member)
    if ".." in parts or parts[0] == "" or ":" in parts[0]:
        raise DataError(f"{path}: the path of member {member!r} leaves the archive's folder.")


def _base(member: str) -> str:
    """Name of a member without its folder; empty where the member is a folder."""
    return member.rpartition("/")[2]


def _is_record_file(name: str) -> bool:
    return name.endswith(RECORD_SUFFIXES) and not name.startswith(".")


def _record_names(files: Iterable[str], *, where: Path) -> tuple[str, ...]:
    present = set(files)
    names = sorted({posixpath.splitext(name)[0] for name in present})
    if not names:
        raise DataError(f"{where}: holds no records (no .hea files).")
    for name in names:
        if f"{name}.hea" not in present:
            raise DataError(f"Record {name}: {where} holds no header {name}.hea.")
        if not PLAIN_NAME.fullmatch(name):
            raise DataError(f"Record {name!r}: its name may hold letters, digits, _, . and - only.")
    return tuple(names)


def _fingerprint(entries: Iterable[tuple[str, int, int]]) -> str:
    """Digest of names, sizes and a third number (CRC or time of change) of all files."""
    text = "\n".join(f"{name}\t{size}\t{third}" for name, size, third in entries)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
