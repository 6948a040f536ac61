"""Notebooks that are executed for the book show the run that they are told, and are clean."""

from functools import partial
from pathlib import Path

import nbformat
import pytest

from dnalib.executing import execute_notebooks

pytestmark = pytest.mark.slow


def test_executed_notebook_is_clean_and_shows_the_named_run(tmp_path: Path) -> None:
    parameters = nbformat.v4.new_code_cell('profile = "recorded/other"')
    parameters.metadata["tags"] = ["parameters"]
    cells = [parameters, nbformat.v4.new_code_cell("import os; print(profile, os.getcwd())")]
    (tmp_path / "book").mkdir()
    path = tmp_path / "book" / "chapter.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    made, before = tmp_path / "made", path.read_bytes()
    made.mkdir()
    execute = partial(execute_notebooks, tmp_path, into=made, profile="recorded/this")
    execute(left=["chapter"])
    executed = nbformat.read(made / "chapter.ipynb", as_version=4)
    assert executed.cells[1].outputs[0].text == f"recorded/other {path.parent}\n"
    execute()
    executed = nbformat.read(made / "chapter.ipynb", as_version=4)
    assert executed.cells[1].outputs[0].text == f"recorded/this {path.parent}\n"
    assert not any("execution" in cell.metadata for cell in executed.cells)
    assert path.read_bytes() == before
    for folder in (made, path.parent):
        assert [file.name for file in folder.iterdir()] == ["chapter.ipynb"]
