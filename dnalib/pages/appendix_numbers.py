"""Sphinx extension: figures, tables and equations of appendix A1 are numbered A1.1, A1.2, ...

Sphinx itself counts them through over all pages that are not numbered as chapters are, so that
"(3)" would say nothing of where it stands.
"""

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

APPENDIX = re.compile(r"(?:.*/)?([A-Z]\d+)_")  # as the names of their pages begin
AFTER_SPHINX = 600  # whose own numbering has the priority 500


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx, which has this module among its extensions."""
    app.connect("env-get-updated", number_by_appendix, priority=AFTER_SPHINX)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def number_by_appendix(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Number what Sphinx has numbered of each appendix anew, within it, in the order it has there.

    Returns:
        The appendices that have any: pages that are to be written.
    """
    found = []
    numbered: dict[str, dict[str, dict[str, Any]]] = env.toc_fignumbers  # page, kind, label
    for page, kinds in numbered.items():
        appendix = APPENDIX.match(page)
        if appendix is None:
            continue
        found.append(page)
        for numbers in kinds.values():
            for count, label in enumerate(numbers, start=1):
                numbers[label] = (appendix[1], count)
    return found
