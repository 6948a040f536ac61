"""Where the project lies, whatever folder a notebook is run from, and where its runs can."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dnalib.runs.values import ParameterError

MARKS = ("_toc.yml", "book", "dnalib")


def project_root() -> Path:
    """The project's folder: the nearest one above the current folder, else the one dnalib lies in.

    Raises:
        FileNotFoundError: neither holds the book, as where dnalib was installed without its clone.
    """
    here, ours = Path.cwd().resolve(), Path(__file__).resolve().parents[2]
    candidates = [here, *here.parents, ours]
    for folder in candidates:
        if all((folder / mark).exists() for mark in MARKS):
            return folder
    raise FileNotFoundError(
        f"the book's folder is neither {here} nor above it, nor {ours}, from where dnalib was "
        "imported; run this inside a clone of the project, or `pip install -e .` one"
    )


def check_runs_folder(folder: Path) -> None:
    """Raise a ParameterError where a file has the place of a folder of runs, or of one above it."""
    # Path.exists raises an error below a folder that may not be searched.
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))
    if not there.is_dir():
        raise ParameterError(
            f"runs_folder is {str(folder)!r}, but {there} is a file; accepted is a folder, or a "
            "path where one can be made"
        )


@contextmanager
def written_in(folder: Path) -> Iterator[None]:
    """Within, files are made in a run's folder; what hinders that is told of `runs_folder`.

    It is found out by writing, not when a run is opened: one that is whole is read where it is,
    on a disk that is only read, too.

    Args:
        folder: of the run, in `runs_folder`.

    Raises:
        ParameterError: the operating system refused.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:  # not the system's, but this library's sentence on what it found
            raise
        raise ParameterError(
            f"runs_folder is {str(folder.parent)!r}, but nothing can be written in {folder} "
            f"({error.strerror or error}); accepted is a folder that can be written to"
        ) from error
