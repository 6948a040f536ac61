"""The pack's folder: records, code, wheels, and the one command that uses them."""

import io
import json
import os
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Callable, Collection
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat

from dnalib import data
from dnalib.data.locations import SPLIT_NAME
from dnalib.packing.unpack import CODE, CONTENTS, RECORDS, WHEELS, WORK
from dnalib.packing.wheels import PackError, fetch_wheels, needed_packages, needed_wheels
from dnalib.runs.revisions import REVISION, code_revision

HERE = Path(__file__).resolve().parent
# Recorded results and their tests are not needed to compute a run.
LEFT_OUT = ("data/recorded/", "data/weights/", "tests/", "book/images/")
CODE_FOLDERS = ("dnalib", "book", "benchmarks")
# The attack benchmark takes the records' lengths from the recorded survey.
KEPT = ("data/recorded/small/manifest.json", "data/recorded/small/survey.json")


def make_pack(
    folder: Path,
    *,
    root: Path,
    python: str,
    present: Collection[str] = (),
    place: str | Path | None = None,
    split: str | Path | None = None,
    fetch: Callable[..., list[Path]] = fetch_wheels,
) -> dict[str, int]:
    """Make the folder that a machine without a network needs, in place of an earlier one.

    Args:
        folder: what is made. Runs in it outlive an earlier pack.
        root: the project's folder, a git repository.
        python: the machine's version, such as "3.12".
        present: names of packages that the machine has besides PyTorch's.
        place, split: where the records and their split are, as in `data.locate` and
            `data.locate_split`. Where neither is asked for and none is found, the pack holds none.
        fetch: fetches the wheels.

    Returns:
        Bytes of each part.

    Raises:
        PackError: a wheel is missing, or the folder holds something else than a pack.
        data.DataError: the records that were asked for are missing or damaged.
    """
    versions = needed_wheels(root, python=python, present=present)
    folder = folder.resolve()  # beside a link's target, not beside the link
    if folder.exists() and any(folder.iterdir()) and not (folder / CONTENTS).is_file():
        raise PackError(f"{folder} holds something else than a pack; accepted is another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=".pack-") as temporary:
        part = Path(temporary) / "pack"
        part.mkdir()
        pack_records(part / RECORDS, root=root, place=place, split=split)
        pack_code(part / CODE, root=root)
        wheels = fetch(versions, part / WHEELS, python=python)
        for name in ("run", "unpack.py"):
            shutil.copy(HERE / name, part / name)
        (part / "run").chmod(0o755)
        contents = {
            "python": python,
            "needs": needed_packages(root, python=python),
            "wheels": [wheel.name for wheel in wheels],
        }
        (part / CONTENTS).write_text(json.dumps(contents, indent=1) + "\n")
        sizes = {path.name: size_of(path) for path in sorted(part.iterdir())}
        put_in_place(part, folder)
    return sizes


def put_in_place(part: Path, folder: Path) -> None:
    """Put a new pack where an earlier one may be, whose runs move into it.

    Whenever this is cut off, the runs lie in one of the two.
    """
    earlier = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
    if folder.exists():
        os.replace(folder, earlier)
    try:
        os.replace(part, folder)
    except OSError:
        if earlier.exists():
            os.replace(earlier, folder)
        raise
    if (earlier / WORK).is_dir():
        os.replace(earlier / WORK, folder / WORK)
    shutil.rmtree(earlier, ignore_errors=True)


def pack_records(
    folder: Path, *, root: Path, place: str | Path | None, split: str | Path | None
) -> None:
    """Copy the packed records, labels and split; say so where there are none.

    Raises:
        data.DataError: records or a split were asked for and are missing or damaged.
    """
    try:
        source = data.locate(place, root=root)
    except data.DataError as error:
        if place or split:
            raise
        print(f"Packed without records: only synthetic ones can be computed. {error}")
        return
    found = data.locate_split(source, split)
    data.export_packed(source, folder, cache=data.locate_cache(root=root))
    if found is None:
        print("Packed without the published split: a stratified one will be made.")
    else:
        shutil.copyfile(found, folder / SPLIT_NAME)


def pack_code(path: Path, *, root: Path) -> None:
    """Pack the work tree's tracked files, new ones of the code, and the revision they stand at."""
    new = ("--others", "--exclude-standard", "--", *CODE_FOLDERS)
    names = [
        name
        for name in (*listed_by_git(root), *listed_by_git(root, *new))
        if name in KEPT or not name.startswith(LEFT_OUT)
    ]
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            if name.endswith(".ipynb"):
                add_text(archive, name, without_outputs(root / name))
            elif (root / name).exists():
                archive.add(root / name, arcname=name, recursive=False)
        add_text(archive, REVISION, code_revision(root) + "\n")


def listed_by_git(root: Path, *options: str) -> list[str]:
    """Names of files that git lists."""
    command = ["git", "-C", str(root), "ls-files", "-z", *options]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [name for name in listed.split("\0") if name]


def without_outputs(path: Path) -> str:
    """A notebook's text without the pictures of the recorded run, which are most of it."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nbformat.writes(notebook)


def add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    """Add a file of that text to an archive."""
    content = text.encode()
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
