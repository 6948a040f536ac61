"""Executing the book's notebooks on a recorded run, and cleaning them."""

import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from dnalib.replacing import raise_on_signals

PROFILE = re.compile(r'profile = "([^"]*)"')  # in a cell of parameters
KEPT_METADATA = "metadata.widgets"
# A kernel may wait for a disk on which gigabytes were just installed, or for a cluster's.
KERNEL_START_SECONDS = 300
DROPPED_METADATA = "metadata.papermill cell.metadata.papermill cell.metadata.execution"


def execute_notebooks(root: Path, *, into: Path, profile: str, left: Collection[str] = ()) -> None:
    """Execute the notebooks on a recorded run, their default from now on, and clean them.

    Args:
        root: the project's folder; the kernels work in that of its book.
        into: the folder that the executed notebooks are written to; the book is only read.
        profile: the run, such as "recorded/small".
        left: notebooks whose default stays the run that it is.
    """
    for path in sorted((root / "book").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        shown = shown_profile(notebook) if path.stem in left else profile
        print(f"executing {path.name} on {shown}", flush=True)
        for cell in parameter_cells(notebook):
            cell.source = PROFILE.sub(f'profile = "{shown}"', cell.source)
        execute(notebook, folder=path.parent)
        nbformat.write(notebook, into / path.name)
        clean(into / path.name)


def execute(notebook: nbformat.NotebookNode, *, folder: Path) -> None:
    """Execute a notebook in a folder.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
        SystemExit: a signal told this process to end.
    """
    client = NotebookClient(
        notebook,
        timeout=None,
        startup_timeout=KERNEL_START_SECONDS,
        coalesce_streams=True,  # how often a cell wrote is no result
        resources={"metadata": {"path": str(folder)}},
    )
    try:
        client.execute()
    finally:
        raise_on_signals()  # the client had handlers of its own, and left none


def shown_profile(notebook: nbformat.NotebookNode) -> str | None:
    """The run that a notebook shows by default; None where it has no such parameter."""
    found = [PROFILE.search(cell.source) for cell in parameter_cells(notebook)]
    return next((match[1] for match in found if match), None)


def parameter_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The cells that papermill replaces parameters of."""
    return [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]


def clean(path: Path) -> None:
    """Remove timestamps and the like from an executed notebook; outputs stay."""
    keep = ["--keep-output", "--keep-count", "--keep-id", "--keep-metadata-keys", KEPT_METADATA]
    command = [
        sys.executable,
        "-m",
        "nbstripout",
        "--force",
        *keep,
        "--extra-keys",
        DROPPED_METADATA,
    ]
    subprocess.run([*command, str(path)], check=True)
