"""A number in prose is published and quoted rightly, a default, or from an artefact of a run."""

import inspect
import re
from pathlib import Path

import nbformat
import pytest

from dnalib import checks, published
from dnalib.recording.showing import README_MARKS
from dnalib.tables import noise

ROOT = Path(__file__).resolve().parent.parent
GENERATED = ("run.md", "measured_effects.md", "measured_speed.md", "measured_bill.md")
LEVEL = "95"  # of every interval


def proses() -> dict[str, str]:
    """What people wrote, by file: pages, the notebooks' Markdown, and the README."""
    found = {
        path.name: path.read_text()
        for path in (ROOT / "book").glob("*.md")
        if path.name not in GENERATED
    }
    for path in (ROOT / "book").glob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        found[path.name] = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    before, rest = (ROOT / "README.md").read_text().split(README_MARKS[0])
    found["README.md"] = before + rest.split(README_MARKS[1])[1]
    return found


def quotable() -> set[str]:
    """The published shares in %, to one decimal."""
    best = [accuracy.max() for accuracy in published.accuracy_histories().values()]
    values = [*published.SAP.values(), *best, *published.PGD.values()]
    return {f"{100 * value:.1f}" for value in values}


def thresholds(text: str) -> set[str]:
    """The default thresholds, in %, of the checks that a page links to."""
    names = re.findall(r"\{py:func\}`dnalib\.checks\.(\w+)`", text)
    defaults = [inspect.signature(getattr(checks, name)).parameters["threshold"] for name in names]
    return {f"{100 * parameter.default:g}" for parameter in defaults}


@pytest.mark.parametrize("name", sorted(proses()))
def test_every_percentage_in_prose_has_its_source(name: str) -> None:
    text = proses()[name]
    accepted = quotable() | thresholds(text) | {LEVEL}
    for number in re.findall(r"(\d[\d.,]*)\s?%", text):
        assert number in accepted, f"{name}: {number} %"


def said(chapter: str) -> str:
    """All that a chapter says in words, in one line: Markdown, captions, and alternative texts."""
    cells = nbformat.read(ROOT / "book" / f"{chapter}.ipynb", as_version=4).cells
    words = [cell.source for cell in cells if cell.cell_type == "markdown"]
    for shown in (cell.metadata.mystnb for cell in cells if "mystnb" in cell.metadata):
        words += [f"caption: {shown.figure.caption}", f"alternative: {shown.image.alt}"]
    return " ".join(" ".join(words).split())


def test_how_near_in_strength_noise_counts_as_equal_is_said() -> None:
    assert f"if it is within {noise.ALIKE:g} dB" in said("07_attacks")
