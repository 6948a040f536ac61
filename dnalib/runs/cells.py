"""Which of a notebook's variables its own cells have made, told from the parameters."""

import ast
from collections.abc import Mapping, Sequence
from typing import Any

OPENINGS = ("open_run(", "open_seeds(")  # what opens a run, in a cell's source


def made_by_a_chapter(variables: Mapping[str, Any]) -> set[str]:
    """Names that only a chapter's own cells have bound, after it opened its run.

    A chapter may be executed again in one kernel, from a changed parameters cell on. What stands
    there then of the first time is no parameter. Parameters are bound before the run is opened, in
    the cell that opens it, or later by a cell of nothing but assignments.

    Args:
        variables: `globals()` of a notebook; IPython keeps the source of its cells under "In".

    Returns:
        Nothing where there are no such sources.
    """
    cells = list(variables.get("In", ()))
    opened = [place for place, cell in enumerate(cells) if any(word in cell for word in OPENINGS)]
    if not opened:
        return set()
    own: set[str] = set()
    given: set[str] = set()
    for place, cell in enumerate(cells):
        tree = parsed(cell)
        before = place <= opened[0] or place == len(cells) - 1
        (given if before or only_assigns(tree.body) else own).update(bound(tree))
    return own - given


def parsed(cell: str) -> ast.Module:
    """A cell's statements; none where it is not Python alone, as with IPython's magic words."""
    try:
        return ast.parse(cell)
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


def only_assigns(statements: Sequence[ast.stmt]) -> bool:
    """Whether a cell does nothing else, as a parameters cell."""
    return all(isinstance(one, ast.Assign | ast.AnnAssign) for one in statements)


def bound(tree: ast.Module) -> set[str]:
    """Names that a cell's statements give a value."""
    return {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
