"""Keep a finished run for the book: artefacts, weights, executed notebooks, the README's numbers.

`python -m dnalib.recording small` does all of it; nothing is computed but what the run lacks. With
`-p epochs 8` it is the run of that many epochs. With `--report` it starts from `data/recorded`: for
whoever changed a chapter and has no run.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbclient import NotebookClient

from dnalib import plots, stages, tables
from dnalib.data.locations import DATA_VARIABLE, SPLIT_VARIABLE
from dnalib.dataset import describe
from dnalib.files import write_json
from dnalib.pages import headline, write_run_pages, write_speed_page
from dnalib.runs import Artefact, ComputingRun, RecordedRun, Run, load_profile, project_root
from dnalib.runs.run import MANIFEST
from dnalib.runs.settings import RECORDED, override
from dnalib.stages.members import SWAPPED
from dnalib.stages.perturbations import PERTURBATIONS

README_MARKS = ("<!-- numbers: begin -->", "<!-- numbers: end -->")
README_FIGURE = Path("book", "images", "sap.png")
KEPT_METADATA = "metadata.widgets"
DROPPED_METADATA = "metadata.papermill cell.metadata.papermill cell.metadata.execution"


def record(run: ComputingRun) -> Path:
    """Copy what the figures need to `data/recorded/<profile>`, and weights to `data/weights`.

    Returns:
        The recorded run's folder, with a manifest.
    """
    # Features, perturbations and the weights of a variant are large, and no figure reads them.
    large = ("features-", *PERTURBATIONS)
    names = [
        name for name in run.stages if not name.startswith(large) and not name.endswith(SWAPPED)
    ]
    artefacts = [run.obtain(name) for name in names]  # all of it before anything is replaced
    folder = run.root / "data" / "recorded" / run.profile
    weights = run.root / "data" / "weights" / run.profile
    for place in (folder, weights):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    entries = {}
    for artefact in artefacts:
        place = weights if artefact.name in stages.MEMBERS else folder
        entries[artefact.name] = keep(artefact, place, relative_to=folder)
    description = describe(run.dataset, profile=run.profile)
    write_json(folder / MANIFEST, {**description, "artefacts": entries})
    return folder


def keep(artefact: Artefact, place: Path, *, relative_to: Path) -> dict[str, Any]:
    """Copy one artefact's file; returns its entry in the manifest."""
    target = place / f"{artefact.name}{artefact.path.suffix}"
    shutil.copyfile(artefact.path, target)
    return {**artefact.sidecar, "file": os.path.relpath(target, relative_to)}


def execute_notebooks(root: Path, *, profile: str) -> None:
    """Make a recorded run the notebooks' default, execute them on it in place, and clean them."""
    for path in sorted((root / "book").glob("*.ipynb")):
        print(f"executing {path.name} on {profile}", flush=True)
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if "parameters" in cell.metadata.get("tags", []):
                cell.source = re.sub(r'profile = "[^"]*"', f'profile = "{profile}"', cell.source)
        NotebookClient(
            notebook, timeout=None, resources={"metadata": {"path": str(path.parent)}}
        ).execute()
        temporary = path.with_suffix(".tmp")
        nbformat.write(notebook, temporary)
        clean(temporary)
        os.replace(temporary, path)


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


def refresh_readme(run: Run, root: Path) -> None:
    """Write the README's table and figure from a recorded run."""
    figure = plots.robustness(
        tables.robustness_table(run, paddings=["strip"]),
        attack="sap",
        padding="strip",
        published=tables.paper_points(run, attack="sap"),
        majority=tables.majority_share(run),
    )
    (root / README_FIGURE).parent.mkdir(exist_ok=True)
    figure.savefig(root / README_FIGURE, dpi=110, metadata={"Software": None})
    readme = root / "README.md"
    before, rest = readme.read_text().split(README_MARKS[0])
    _, after = rest.split(README_MARKS[1])
    text = f"{README_MARKS[0]}\n{headline(run)}\n{README_MARKS[1]}"
    readme.write_text(before + text + after)


def given_settings(pairs: Iterable[Sequence[str]]) -> dict[str, Any]:
    """Names and values as papermill's `-p` takes them: numbers and lists are read as such."""
    return {name: yaml.safe_load(value) for name, value in pairs}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("profile", help="of a finished run, such as small")
    parser.add_argument("--data", help="archive or folder of the records")
    parser.add_argument("--split", help="random_permutation.npy")
    parser.add_argument(
        "--report", action="store_true", help="only refresh the book from what is recorded already"
    )
    parser.add_argument(
        "-p",
        action="append",
        nargs=2,
        default=[],
        metavar=("NAME", "VALUE"),
        help="a setting that the run has another value of than its profile",
    )
    arguments = parser.parse_args()
    if arguments.report and arguments.p:
        parser.error("-p is for a run that is recorded now; --report reads what was recorded")
    root = project_root()
    if not arguments.report:
        settings = override(load_profile(arguments.profile), given_settings(arguments.p))
        places = {"place": arguments.data, "split": arguments.split}
        record(stages.computing_run(settings, profile=arguments.profile, root=root, **places))
    # The notebooks draw a few real records; they run in the folder of the book.
    for variable, place in ((DATA_VARIABLE, arguments.data), (SPLIT_VARIABLE, arguments.split)):
        if place:
            os.environ[variable] = str(Path(place).expanduser().resolve())
    execute_notebooks(root, profile=RECORDED + arguments.profile)
    recorded = RecordedRun(root / "data" / "recorded" / arguments.profile, root=root)
    refresh_readme(recorded, root)
    write_run_pages(recorded, root / "book")
    write_speed_page(root / "benchmarks" / "results", root / "book" / "measured_speed.md")


if __name__ == "__main__":
    main()
