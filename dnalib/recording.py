"""Keep a finished run for the book: artefacts, weights, executed notebooks, the README's numbers.

`python -m dnalib.recording small` does all of it; nothing is computed but what the run lacks. With
`-p epochs 8` it is the run of that many epochs. With `--report` it starts from `data/recorded`: for
whoever changed a chapter and has no run.

The comparisons B1 to B4 are part of a run, and their values are trained if it lacks them; with
`-p swept_weights '[0.2]' -p swept_bands '[10]' -p swept_dimensions '[50]' -p most_members 3` they
are those of the nine models.

`--restore` goes the other way: what is recorded becomes a run that computes on, so that one changed
value or one chapter more need not train everything again. `--trainings` only adds the finished
trainings of a run that is not finished, so that they outlive this machine.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from dnalib import plots, stages, tables
from dnalib.data.locations import DATA_VARIABLE, SPLIT_VARIABLE
from dnalib.dataset import describe
from dnalib.files import write_json
from dnalib.measurements import write_bill_page, write_speed_page
from dnalib.pages import headline, write_run_pages
from dnalib.runs import (
    Artefact,
    ComputingRun,
    RecordedRun,
    Run,
    artefacts,
    load_profile,
    project_root,
)
from dnalib.runs.run import MANIFEST
from dnalib.runs.settings import RECORDED, given_settings, override
from dnalib.stages.ensembles import FURTHER
from dnalib.stages.members import SWAPPED
from dnalib.stages.perturbations import PERTURBATIONS
from dnalib.stages.rivals import PARTS, TRAININGS, trainings_of
from dnalib.stages.sweeps import further_members

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
        name
        for name in run.stages
        if not (name.startswith(large) or name.endswith(SWAPPED) or name in PARTS)
    ]
    kept = [run.obtain(name) for name in names]  # all of it before anything is replaced
    folder, weights = recorded_folders(run)
    for place in (folder, weights):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    description = describe(run.dataset, profile=run.profile)
    entries = {artefact.name: keep(run, artefact) for artefact in kept}
    write_json(folder / MANIFEST, {**description, "artefacts": entries})
    return folder


def recorded_folders(run: ComputingRun) -> tuple[Path, Path]:
    """Where a run is recorded: its results, and its weights."""
    data = run.root / "data"
    return data / "recorded" / run.profile, data / "weights" / run.profile


def keep(run: ComputingRun, artefact: Artefact) -> dict[str, Any]:
    """Copy one artefact's file; returns its entry in the manifest."""
    folder, weights = recorded_folders(run)
    place = weights if artefact.name in (*stages.MEMBERS, *TRAININGS, *FURTHER) else folder
    target = place / f"{artefact.name}{artefact.path.suffix}"
    shutil.copyfile(artefact.path, target)
    return {**artefact.sidecar, "file": os.path.relpath(target, folder)}


def keep_trainings(run: ComputingRun) -> list[str]:
    """Add finished trainings, of rivals and of further members, to what is recorded of the run.

    Returns:
        Their names. None of them is shown before the whole run is recorded.
    """
    path = recorded_folders(run)[0] / MANIFEST
    manifest = json.loads(path.read_text())
    names = [*trainings_of(run.settings), *further_members(run.settings)]
    found = [run.find(name) for name in names]
    entries = {artefact.name: keep(run, artefact) for artefact in found if artefact is not None}
    manifest["artefacts"] |= entries
    write_json(path, manifest)
    return list(entries)


def restore(recorded: RecordedRun, run: ComputingRun) -> list[str]:
    """Put what is recorded into a run that computes, as far as the run would make the same.

    Returns:
        Names of what was restored; the rest was made with other settings or on other records.
    """
    names = [
        name
        for name, entry in recorded.manifest["artefacts"].items()
        if name in run.stages and run.identity(name) == entry["identity"]
    ]
    for name in names:
        artefacts.adopt(run.folder, recorded.obtain(name))
    return names


def execute_notebooks(root: Path, *, profile: str) -> None:
    """Make a recorded run the notebooks' default, execute them on it in place, and clean them."""
    for path in sorted((root / "book").glob("*.ipynb")):
        print(f"executing {path.name} on {profile}", flush=True)
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if "parameters" in cell.metadata.get("tags", []):
                cell.source = re.sub(r'profile = "[^"]*"', f'profile = "{profile}"', cell.source)
        NotebookClient(
            notebook,
            timeout=None,
            coalesce_streams=True,  # how often a cell wrote is no result
            resources={"metadata": {"path": str(path.parent)}},
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


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("profile", help="of a finished run, such as small")
    parser.add_argument("--data", help="archive or folder of the records")
    parser.add_argument("--split", help="random_permutation.npy")
    parser.add_argument("--runs-folder", help="where runs are kept; else data/runs")
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--report", action="store_true", help="only refresh the book from what is recorded already"
    )
    ways.add_argument(
        "--restore", action="store_true", help="only make what is recorded a run that computes on"
    )
    ways.add_argument(
        "--trainings",
        action="store_true",
        help="only add finished trainings of rivals and further members",
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
        run = stages.computing_run(
            override(load_profile(arguments.profile), given_settings(arguments.p)),
            profile=arguments.profile,
            root=root,
            runs_folder=arguments.runs_folder,
            place=arguments.data,
            split=arguments.split,
        )
        if arguments.restore:
            recorded = RecordedRun(recorded_folders(run)[0], root=root)
            print(f"restored into {run.folder}: {', '.join(restore(recorded, run))}")
            return
        if arguments.trainings:
            print(f"recorded: {', '.join(keep_trainings(run))}")
            return
        record(run)
    # The notebooks draw a few real records; they run in the folder of the book.
    for variable, place in ((DATA_VARIABLE, arguments.data), (SPLIT_VARIABLE, arguments.split)):
        if place:
            os.environ[variable] = str(Path(place).expanduser().resolve())
    execute_notebooks(root, profile=RECORDED + arguments.profile)
    recorded = RecordedRun(root / "data" / "recorded" / arguments.profile, root=root)
    refresh_readme(recorded, root)
    write_run_pages(recorded, root / "book")
    results = root / "benchmarks" / "results"
    write_speed_page(results, root / "book" / "measured_speed.md")
    write_bill_page(results / "jobs", root / "book" / "measured_bill.md")


if __name__ == "__main__":
    main()
