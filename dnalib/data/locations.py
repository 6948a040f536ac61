"""Where the records, their labels and the published split are looked for, and their cache goes."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path

import pooch

from .index import index_path
from .records import DataError

ARCHIVE_NAME = "training2017.zip"
LABELS_NAME = "REFERENCE-v3.csv"
SPLIT_NAME = "random_permutation.npy"
PACKED_NAME = "records.flac"
CACHE_VERSION = 2  # of the cache's layout; part of the file name
CACHE_SUFFIX = ".int16"
DEFAULT_FOLDER = Path("data", "cinc2017")
CACHE_FOLDER = Path("data", "cache")
DATA_VARIABLE = "DNALIB_DATA"
SPLIT_VARIABLE = "DNALIB_SPLIT"
CACHE_VARIABLE = "DNALIB_CACHE"
HOW_TO_GET = (
    "run `python -m dnalib.data fetch`, or say where they are (`make DATA=...`, "
    f"papermill's `-p data ...`, or the environment variable {DATA_VARIABLE})"
)


def locate(path: str | Path | None = None, *, root: Path) -> Path:
    """Find the records: as asked, else as the environment says, else in the default folder.

    Args:
        path: an archive or a folder; None to look at the variable DNALIB_DATA, then at
            `data/cinc2017` under `root`.
        root: the project's folder.

    Returns:
        The archive, a folder that holds the records' headers, or a packed stream. A folder that
        holds `training2017.zip`, its unpacked folder `training2017`, or `records.flac` stands for
        that.

    Raises:
        DataError: nothing is there.
    """
    asked = path or os.environ.get(DATA_VARIABLE) or root / DEFAULT_FOLDER
    place = Path(asked).expanduser()
    if place.is_file():
        return place
    if (place / ARCHIVE_NAME).is_file():
        return place / ARCHIVE_NAME
    for folder in (place, place / Path(ARCHIVE_NAME).stem):
        if folder.is_dir() and any(folder.glob("*.hea")):
            return folder
    if (place / PACKED_NAME).is_file():
        return place / PACKED_NAME
    raise DataError(f"No ECG records at {place}: {HOW_TO_GET}.")


def locate_cache(*, root: Path) -> Path:
    """The folder of the records' cache: as the environment says, else the project's or the user's.

    Args:
        root: the project's folder; of one that is only read, a cache that is whole is used.

    Returns:
        What the variable DNALIB_CACHE says; else `data/cache` under `root`; where nothing can be
        written there, the folder for caches that the platform gives to each user.
    """
    asked = os.environ.get(CACHE_VARIABLE)
    if asked:
        return Path(asked).expanduser()
    ours = root / CACHE_FOLDER
    return ours if _can_be_written(ours) or _has_cache(ours) else Path(pooch.os_cache("dnalib"))


def cache_name(fingerprint: str) -> str:
    """The name of a source's cache, of the layout that this code reads."""
    return f"{fingerprint}-v{CACHE_VERSION}{CACHE_SUFFIX}"


def find_labels(source: str | PathLike[str]) -> Path:
    """The labels file (version 3) that goes with a source.

    Versions 1 and 2, which lie inside the archive, are never used in its place.

    Args:
        source: an archive (looked for beside it) or a folder (in it, then in its parent).

    Raises:
        DataError: none is there; the message lists where it was looked for.
    """
    source = Path(source)
    found = _beside(source, LABELS_NAME)
    if found is None:
        looked = " or ".join(str(folder) for folder in _folders(source))
        raise DataError(f"{source}: its labels, {LABELS_NAME}, are not in {looked}.")
    return found


def locate_split(source: Path, path: str | Path | None = None) -> Path | None:
    """The published split's file: as asked, else as the environment says, else beside the source.

    Args:
        source: the archive or folder of records.
        path: the file; None to look at the variable DNALIB_SPLIT, then beside `source`.

    Returns:
        The file, or None where neither is set and none lies beside the source.

    Raises:
        DataError: the file that was asked for, or that the variable names, does not exist.
    """
    asked = path or os.environ.get(SPLIT_VARIABLE)
    if not asked:
        return _beside(source, SPLIT_NAME)
    place = Path(asked).expanduser()
    if not place.is_file():
        raise DataError(f"{place}: there is no such split file.")
    return place


def _can_be_written(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder first."""
    # Path.exists raises an error below a folder that may not be searched.
    nearest = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    return os.access(nearest, os.W_OK | os.X_OK)


def _has_cache(folder: Path) -> bool:
    """Whether a cache is there: not what a killed process left of one, which has no index yet."""
    try:
        return any(index_path(path).is_file() for path in folder.glob(cache_name("*")))
    except PermissionError:  # it, or one above it, may not be searched
        return False


def _folders(source: Path) -> list[Path]:
    parent = source.absolute().parent
    return [source, parent] if source.is_dir() else [parent]


def _beside(source: Path, name: str) -> Path | None:
    found = (folder / name for folder in _folders(source))
    return next((path for path in found if path.is_file()), None)
