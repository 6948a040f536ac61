"""Which code made an artefact, and a word to whoever edits the code and is served what it made."""

import hashlib
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

REVISION = "REVISION"  # a file beside code that was packed without its repository
LIBRARY = Path(__file__).resolve().parent.parent


class OtherCode:
    """Says once that a run serves what other code made, where the code is being edited.

    Nothing is made again for that: most edits change no number, and what was restored was made by
    older code on purpose.

    Args:
        root: the project's folder.
        folder: of the run.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._folder = folder
        self._told = False
        stamp(root)  # before anything is computed: that may take long, and the code be edited

    def tell(self, name: str, sidecar: dict[str, Any]) -> None:
        """Look at an artefact that is served, by its name and provenance."""
        if self._told or sidecar.get("code") == code_digest():
            return
        self._told = True
        if is_edited(self._root):
            print(
                f"{name} was made by other code than dnalib is now, with changes that are not "
                f"committed (revision {sidecar['revision']}), and there may be more of it: what "
                f"was computed is kept when code changes. To make it anew, remove {self._folder}",
                flush=True,
            )


@cache
def stamp(root: Path) -> dict[str, str]:
    """What artefacts say of the code: as it was when this was first asked, however it is edited."""
    return {"revision": code_revision(root), "code": code_digest()}


@cache
def code_digest() -> str:
    """Hash of the library's code as this process has it: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(LIBRARY.rglob("*.py")):
        digest.update(f"{path.relative_to(LIBRARY).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def code_revision(root: Path) -> str:
    """The commit that the code stands at, with a plus sign when it was changed since."""
    packed = root / REVISION
    if packed.is_file():
        return packed.read_text().strip()
    try:
        return git(root, "rev-parse", "HEAD") + ("+" if is_edited(root) else "")
    except (OSError, subprocess.CalledProcessError):
        return "no git repository"


def is_edited(root: Path) -> bool:
    """Whether the library has changes that are not committed; not where there is no repository."""
    try:
        return bool(git(root, "status", "--porcelain", "--", "dnalib"))
    except (OSError, subprocess.CalledProcessError):
        return False


def git(root: Path, *arguments: str) -> str:
    """What a git command prints in the project's folder."""
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
