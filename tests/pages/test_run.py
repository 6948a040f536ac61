"""The pages that are written for one rendered book."""

import yaml

from dnalib.pages import leave_out_chapters
from dnalib.runs import project_root
from dnalib.workflow.chapters import SWEEP_CHAPTERS


def files_in(path):
    parts = yaml.safe_load(path.read_text())["parts"]
    return [one["file"] for part in parts for one in part["chapters"]]


def test_a_book_lists_the_comparisons_that_it_has(tmp_path):
    contents = tmp_path / "_toc.yml"
    contents.write_text((project_root() / "_toc.yml").read_text())
    before = files_in(contents)
    assert set(SWEEP_CHAPTERS.values()) < set(before)
    (tmp_path / "B2_bands.ipynb").touch()
    leave_out_chapters(tmp_path)
    left_out = set(SWEEP_CHAPTERS.values()) - {"B2_bands"}
    assert files_in(contents) == [name for name in before if name not in left_out]
