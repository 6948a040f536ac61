"""Fetching the archive, the labels and the published split, and verifying what they hold.

The archive's own checksum depends on how it was packed, so the samples in it are verified.
A file has its final name only once it is verified: it grows as NAME.part (and is resumed from
there), waits as NAME.unverified, and is renamed last.
"""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import pooch
import requests
from tqdm import tqdm

from .locations import ARCHIVE_NAME, LABELS_NAME, SPLIT_NAME
from .reading import open_source, with_progress
from .records import DataError, labels_digest, read_labels
from .splits import PUBLISHED_SPLIT_SHA256

RECORDS_ADDRESS = "https://physionet.org/files/challenge-2017/1.0.0/"
SPLIT_ADDRESS = (
    "https://raw.githubusercontent.com/XintianHan/ADV_ECG/"
    "b841715e02c26a2d62f21e5bd12239b3c400deb5/data/"
)
TIMEOUT = 30.0  # seconds without an answer
BLOCK = 4096  # bytes; what a lost connection loses at most


@dataclass(frozen=True)
class Expected:
    """What the three files must hold; the defaults are the challenge's records, labels version 3.

    Attributes:
        records: number of records in the archive.
        samples: number of samples in all records.
        samples_sha256: of all samples in name order, little-endian int16.
        labels_sha256: of names and labels, see `labels_digest`.
        split_sha256: of the split's file.
    """

    records: int = 8_528
    samples: int = 83_141_521
    samples_sha256: str = "8a257fb08210697a26833c6fdff5205f4e29f89aa25f02d984f2d2052309705b"
    labels_sha256: str = "ae517e474b0bc89a7517ad876b5b4dadc6c94f680d0665c04746db9432df855b"
    split_sha256: str = PUBLISHED_SPLIT_SHA256


def fetch(
    folder: str | PathLike[str],
    *,
    archive_url: str = RECORDS_ADDRESS + ARCHIVE_NAME,
    labels_url: str = RECORDS_ADDRESS + LABELS_NAME,
    split_url: str = SPLIT_ADDRESS + SPLIT_NAME,
    progress: bool = True,
    retries: int = 3,
    expected: Expected | None = None,
) -> Path:
    """Download the data set into a folder and verify its content.

    Files that are there already and verify are not downloaded again; those that do not verify are
    removed, with a warning, and downloaded.

    Args:
        folder: made where it is missing.
        archive_url, labels_url, split_url: addresses of the three files.
        progress: show progress bars.
        retries: further attempts after a lost connection, each from where the last one ended if the
            server can do that.
        expected: what the files must hold; None for the challenge's.

    Returns:
        The archive's path; `REFERENCE-v3.csv` and `random_permutation.npy` lie beside it.

    Raises:
        DataError: a download failed, or its content is not the expected one. What arrived of a
            broken download stays as NAME.part for the next call; a wrong file is removed.
    """
    wanted = Expected() if expected is None else expected
    folder = Path(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    # The small files first: a wrong address shows at once.
    _fetch_file(
        folder / LABELS_NAME,
        labels_url,
        lambda path: verify_labels(path, wanted),
        progress=progress,
        retries=retries,
    )
    _fetch_file(
        folder / SPLIT_NAME,
        split_url,
        lambda path: verify_split(path, wanted),
        progress=progress,
        retries=retries,
        known_hash=wanted.split_sha256,
    )
    _fetch_file(
        folder / ARCHIVE_NAME,
        archive_url,
        lambda path: verify_archive(path, wanted, progress=progress),
        progress=progress,
        retries=retries,
    )
    return folder / ARCHIVE_NAME


def verify_labels(path: Path, expected: Expected) -> None:
    """Check that a labels file holds the expected names and labels.

    Raises:
        DataError: it does not.
    """
    _compare(path, "labels sha256", labels_digest(read_labels(path)), expected.labels_sha256)


def verify_split(path: Path, expected: Expected) -> None:
    """Check the sha256 of the split's file.

    Raises:
        DataError: it is another.
    """
    _compare(path, "sha256", pooch.file_hash(str(path)), expected.split_sha256)


def verify_archive(path: Path, expected: Expected, *, progress: bool = True) -> None:
    """Read every record of an archive and compare count, samples and their digest.

    Raises:
        DataError: a record is damaged, or the content is another.
    """
    samples = 0
    digest = hashlib.sha256()
    with open_source(path) as source:
        _compare(path, "number of records", len(source.names), expected.records)
        for signal in with_progress(source, f"Verifying {ARCHIVE_NAME}", progress=progress):
            digest.update(signal.astype("<i2", copy=False).data)
            samples += len(signal)
    _compare(path, "number of samples", samples, expected.samples)
    _compare(path, "sha256 of all samples", digest.hexdigest(), expected.samples_sha256)


class ResumingDownloader:
    """A downloader for pooch that goes on where a lost connection ended.

    Bytes are kept in `part` until the file is whole. A server that ignores the request for the
    rest sends everything, and the part is written anew.

    Attributes:
        part: the growing file.
        resumed: whether the file was put together from more than one answer.
    """

    def __init__(self, part: Path, *, progress: bool) -> None:
        self.part = part
        self.resumed = False
        self._progress = progress

    def __call__(self, url: str, output_file: str, caller: object) -> None:
        """Download `url` to `output_file`; pooch calls this and passes itself last.

        Raises:
            requests.RequestException: no answer, an error answer or a lost connection.
        """
        held = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Accept-Encoding": "identity"}  # ranges count the file's own bytes
        if held:
            headers["Range"] = f"bytes={held}-"
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if held and response.status_code == requests.codes.requested_range_not_satisfiable:
                self.part.unlink()  # as long as the file, or longer: of no use, so from the start
                return self(url, output_file, caller)
            response.raise_for_status()
            self.resumed = _resumes_at(response, held)
            self._receive(response, held if self.resumed else 0)
        os.replace(self.part, output_file)

    def _receive(self, response: requests.Response, held: int) -> None:
        announced = response.headers.get("Content-Length")
        total = None if announced is None else held + int(announced)
        name = self.part.name.removesuffix(".part")
        with (
            open(self.part, "ab" if held else "wb") as part,
            tqdm(
                desc=name,
                initial=held,
                total=total,
                unit="B",
                unit_scale=True,
                disable=not self._progress,
            ) as bar,
        ):
            for block in response.iter_content(BLOCK):
                part.write(block)
                bar.update(len(block))
        size = self.part.stat().st_size
        if total is not None and size != total:
            raise requests.ConnectionError(f"connection lost after {size} of {total} bytes")


def _fetch_file(
    path: Path,
    url: str,
    verify: Callable[[Path], None],
    *,
    progress: bool,
    retries: int,
    known_hash: str | None = None,
) -> None:
    if _is_verified(path, verify):
        return
    unverified = path.with_name(f"{path.name}.unverified")
    downloader = ResumingDownloader(path.with_name(f"{path.name}.part"), progress=progress)
    for last_attempt in (False, True):
        pieced = unverified.exists()  # left by a run that was stopped: nobody knows how it came
        _download(unverified, url, downloader, known_hash=known_hash, retries=retries)
        try:
            verify(unverified)
            os.replace(unverified, path)
            return
        except DataError as error:
            unverified.unlink()
            # Pieces may be of different versions of the file: then once more, in one piece.
            if last_attempt or not (pieced or downloader.resumed):
                raise DataError(f"{error} It came from {url} and was removed.") from error


def _is_verified(path: Path, verify: Callable[[Path], None]) -> bool:
    if not path.exists():
        return False
    try:
        verify(path)
    except DataError as error:
        warnings.warn(f"{error} It is removed and fetched again.", stacklevel=4)
        path.unlink()
        return False
    return True


def _download(
    path: Path, url: str, downloader: ResumingDownloader, *, known_hash: str | None, retries: int
) -> None:
    """Let pooch make `path`: its retries, and its check where the file's own hash is known."""
    registry = pooch.create(
        path=path.parent,
        base_url="",
        registry={path.name: known_hash},
        urls={path.name: url},
        retry_if_failed=retries,
    )
    try:
        registry.fetch(path.name, downloader=downloader)
    except requests.RequestException as error:
        raise DataError(
            f"{url}: the download failed ({error}); what arrived is kept, fetch again to go on."
        ) from error
    except ValueError as error:  # pooch's hash check, with the hash found and the one expected
        raise DataError(f"{url}: {error}") from error


def _resumes_at(response: requests.Response, held: int) -> bool:
    """Whether the answer is the rest of the file from byte `held`, rather than all of it."""
    if response.status_code != requests.codes.partial_content:
        return False
    stated = response.headers.get("Content-Range", "")
    if not re.match(rf"bytes {held}-", stated):
        raise requests.RequestException(f"asked for bytes from {held}, was sent {stated!r}")
    return True


def _compare(path: Path, words: str, found: object, expected: object) -> None:
    if found != expected:
        raise DataError(f"{path}: {words} is {found}; expected: {expected}.")
