"""Docstrings cite the book's numbered equations, and each equation is cited."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent


def numbered_equations() -> dict[str, str]:
    """Label -> chapter, of every numbered equation."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "book").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                for label in re.findall(r"^\$\$ \((eq-[a-z-]+)\)$", cell.source, re.MULTILINE):
                    assert label not in found, f"{label} names two equations"
                    found[label] = path.name.split("_")[0].lstrip("0")
    return found


def docstrings() -> Iterator[tuple[str, str]]:
    """Where and what, of every docstring of the library."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for path in sorted((ROOT / "dnalib").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, kinds) and (text := ast.get_docstring(node)):
                yield f"{path.name}: {getattr(node, 'name', 'module')}", text


def test_every_cited_equation_is_numbered_in_the_chapter_that_is_named() -> None:
    equations = numbered_equations()
    cited = set()
    for place, text in docstrings():
        for citation in re.finditer(r":eq:`([^`]+)`", text):
            label = citation.group(1)
            assert label in equations, f"{place} cites {label}"
            chapter = re.search(r"chapter\s+(A?\d)", text[citation.end() :])
            assert chapter and chapter.group(1) == equations[label], f"{place}: {label}"
            cited.add(label)
    assert cited == set(equations), "an equation that no docstring cites"


def test_chapters_refer_to_equations_that_exist() -> None:
    equations = numbered_equations()
    for path in (ROOT / "book").glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            for label in re.findall(r"\{eq\}`([^`]+)`", cell.source):
                assert label in equations, f"{path.name}: {label}"
