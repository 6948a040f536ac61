"""The Python that a page shows, to be run as it stands."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def python_blocks(page: str) -> list[str]:
    """The Python blocks of a Markdown file, named from the root of the repository, in order."""
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
