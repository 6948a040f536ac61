"""Where the project lies, whatever folder a notebook is run from."""

from pathlib import Path

MARKS = ("_toc.yml", "book", "dnalib")


def project_root() -> Path:
    """The project's folder: the nearest one above the current folder, else the one dnalib lies in.

    Raises:
        FileNotFoundError: neither holds the book.
    """
    here = Path.cwd().resolve()
    candidates = [here, *here.parents, Path(__file__).resolve().parents[2]]
    for folder in candidates:
        if all((folder / mark).exists() for mark in MARKS):
            return folder
    raise FileNotFoundError(
        f"the book's folder is neither {here} nor above it; run this inside a clone of the project"
    )
