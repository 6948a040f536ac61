"""Keep a finished run for the book: artefacts, weights, executed notebooks, the README's numbers.

`python -m dnalib.recording small` does all of it. With `-p epochs 8` it is the run of that many
epochs. With `--report` it starts from `data/recorded`: for whoever changed a chapter and has no
run.

Nothing is computed unless `--compute` is given. Chapters 1 to 8 must be there; an appendix that the
run did not compute is left out, and its notebook goes on showing the recorded run that it showed.

With `--compute`, what the run lacks is computed first, appendices too. Values of the comparisons B1
to B4 are trained then; with `-p swept_weights '[0.2]' -p swept_bands '[10]'
-p swept_dimensions '[50]' -p most_members 3` they are those of the nine models. With `--seeds 0-2`,
three seeds are recorded, of the further ones what chapters show of every seed.

`--restore` goes the other way: what is recorded becomes a run that computes on, so that one changed
value or one chapter more need not train everything again. `--trainings` only adds the finished
trainings of a run that is not finished, so that they outlive this machine.
"""

import argparse
import json
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from dnalib import plots, stages, tables
from dnalib.data import DataError
from dnalib.data.locations import DATA_VARIABLE, SPLIT_VARIABLE
from dnalib.dataset import describe
from dnalib.executing import execute_notebooks
from dnalib.files import write_json
from dnalib.pages import numbers, write_run_pages
from dnalib.pages.bill import write_bill_page
from dnalib.pages.speed import write_speed_page
from dnalib.recorded_stages import (
    absent_appendices,
    check_chapters_are_held,
    check_nothing_is_dropped,
    needed,
    shown,
    shown_of_each_seed,
)
from dnalib.replacing import replaced_together
from dnalib.restoring import check_records, restore
from dnalib.runs import (
    Artefact,
    ArtefactError,
    ComputingRun,
    ParameterError,
    RecordedRun,
    Run,
    Settings,
    load_profile,
    project_root,
)
from dnalib.runs.consistency import check_together
from dnalib.runs.recorded import MANIFEST, seed_folder
from dnalib.runs.settings import given_settings, override
from dnalib.stages.rivals import trainings_of
from dnalib.stages.sweeps import further_members
from dnalib.workflow.variants import WorkflowError, parse_seeds

README_MARKS = ("<!-- numbers: begin -->", "<!-- numbers: end -->")
README_FIGURE = Path("book", "images", "sap.png")


def record(
    run: ComputingRun, *, further_seeds: Sequence[int] = (), without: Collection[str] = ()
) -> Path:
    """Copy what the figures need to `data/recorded/<profile>`, and weights to `data/weights`.

    Args:
        run: the run; what it lacks is computed.
        further_seeds: of these, what chapters show of every seed is recorded as well, each in a
            folder within these two.
        without: appendices that are left out, by their notebooks.

    Returns:
        The recorded run's folder, with a manifest.
    """
    further = [run.variant({"seed": seed}) for seed in further_seeds]
    names = needed(run.settings, without=without)
    # All of it before anything is replaced.
    of_run = [run.obtain(name) for name in shown(run) if name in names]
    of_further = [
        [one.obtain(name) for name in shown_of_each_seed(one.settings) if name in names]
        for one in further
    ]
    folder, weights = recorded_folders(run)
    for place in (folder, weights):
        shutil.rmtree(place, ignore_errors=True)
    write_recorded(run, of_run, folder=folder, weights=weights)
    for one, kept in zip(further, of_further, strict=True):
        below = seed_folder(one.settings.seed)
        write_recorded(one, kept, folder=folder / below, weights=weights / below)
    return folder


def write_recorded(
    run: ComputingRun, kept: Sequence[Artefact], *, folder: Path, weights: Path
) -> None:
    """Copy artefacts of a run to its folder and weights to theirs, with a manifest of them all."""
    for place in (folder, weights):
        place.mkdir(parents=True)
    entries = {one.name: keep(one, folder=folder, weights=weights) for one in kept}
    description = describe(run.dataset, profile=run.profile, settings=run.settings)
    write_json(folder / MANIFEST, {**description, "artefacts": entries})


def recorded_folders(run: ComputingRun) -> tuple[Path, Path]:
    """Where a run is recorded: its results, and its weights."""
    data = run.root / "data"
    return data / "recorded" / run.profile, data / "weights" / run.profile


def keep(artefact: Artefact, *, folder: Path, weights: Path) -> dict[str, Any]:
    """Copy one artefact's file; returns its entry in the manifest."""
    place = weights if stages.holds_weights(artefact.name) else folder
    target = place / f"{artefact.name}{artefact.path.suffix}"
    shutil.copyfile(artefact.path, target)
    return {**artefact.sidecar, "file": os.path.relpath(target, folder)}


def keep_trainings(run: ComputingRun) -> list[str]:
    """Add finished trainings, of rivals and of further members, to what is recorded of the run.

    Returns:
        Their names. None of them is shown before the whole run is recorded.

    Raises:
        WorkflowError: nothing is recorded of the run.
    """
    folder, weights = recorded_folders(run)
    path = folder / MANIFEST
    if not path.is_file():
        raise WorkflowError(
            f"nothing is recorded of {run.profile} in {folder}; record the run before its trainings"
        )
    manifest = json.loads(path.read_text())
    names = [*trainings_of(run.settings), *further_members(run.settings)]
    found = [run.find(name) for name in names]
    entries = {
        artefact.name: keep(artefact, folder=folder, weights=weights)
        for artefact in found
        if artefact is not None
    }
    manifest["artefacts"] |= entries
    write_json(path, manifest)
    return list(entries)


def refresh_readme(runs: Sequence[Run], root: Path, *, into: Path) -> None:
    """Write the README's table and figure from a recorded run, the first of its seeds.

    Args:
        runs: of each seed.
        root: the project's folder, with the README's text.
        into: the folder that both are written to, in the same places.
    """
    run = runs[0]
    table, *behind = [tables.robustness_table(one, paddings=["strip"]) for one in runs]
    figure = plots.robustness(
        table,
        attack="sap",
        padding="strip",
        behind=behind,
        published=tables.paper_points(run, attack="sap"),
        majority=tables.attacked_majority_share(run),
    )
    (into / README_FIGURE).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(into / README_FIGURE, dpi=110, metadata={"Software": None})
    before, rest = (root / "README.md").read_text().split(README_MARKS[0])
    _, after = rest.split(README_MARKS[1])
    text = f"{README_MARKS[0]}\n{numbers(runs)}\n{README_MARKS[1]}"
    (into / "README.md").write_text(before + text + after)


def make_parser() -> argparse.ArgumentParser:
    """What the command line takes."""
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
    ways.add_argument(
        "--compute", action="store_true", help="compute first what the run lacks, appendices too"
    )
    parser.add_argument(
        "-p",
        action="append",
        nargs=2,
        default=[],
        metavar=("NAME", "VALUE"),
        help="a setting that the run has another value of than its profile",
    )
    parser.add_argument("--seeds", help="such as 0-4; the first is the run's, else its profile's")
    return parser


def chosen_seeds(
    arguments: argparse.Namespace, changes: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """The changes of the run's settings, its seed among them, and the further seeds.

    Raises:
        WorkflowError: seeds that cannot be, or beside a single one.
    """
    if not arguments.seeds:
        return dict(changes), ()
    if "seed" in changes:
        raise WorkflowError("seed and --seeds are both given; accepted is one of them")
    first, *further = parse_seeds(arguments.seeds)
    return {**changes, "seed": first}, tuple(further)


def main() -> None:
    """The command line."""
    parser = make_parser()
    arguments = parser.parse_args()
    if arguments.report and (arguments.p or arguments.seeds):
        parser.error("-p and --seeds are for what is recorded now; --report reads what was")
    try:
        follow(arguments, root=project_root())
    except (ArtefactError, DataError, ParameterError, WorkflowError) as error:
        parser.error(str(error))


def follow(arguments: argparse.Namespace, *, root: Path) -> None:
    """Do what a command line asks for.

    Raises:
        ArtefactError, DataError, ParameterError, WorkflowError: it cannot be.
    """
    if not arguments.report:
        changes, further_seeds = chosen_seeds(arguments, given_settings(arguments.p))
        settings = settings_of(arguments.profile, changes)
        anew = not (arguments.restore or arguments.trainings)
        if anew and not arguments.seeds:
            check_nothing_is_dropped(root / "data" / "recorded" / arguments.profile)
        run = run_of(arguments, settings, root=root)
        if arguments.restore:
            recorded = recorded_run(arguments, root=root)
            print(f"restored into {run.folder}: {', '.join(restore(recorded, run))}")
            return
        if arguments.trainings:
            print(f"recorded: {', '.join(keep_trainings(run))}")
            return
        held = not arguments.compute
        left = check_chapters_are_held(run, further_seeds=further_seeds) if held else []
        record(run, further_seeds=further_seeds, without=left)
    show(arguments, root=root)


def settings_of(profile: str, changes: Mapping[str, Any]) -> Settings:
    """The settings of a profile with some changed.

    Raises:
        ParameterError: there is no such profile, or a change that is not accepted.
    """
    settings = override(load_profile(profile), changes)
    check_together(settings, names=changes)
    return settings


def run_of(arguments: argparse.Namespace, settings: Settings, *, root: Path) -> ComputingRun:
    """The run of a profile with these settings.

    Raises:
        ParameterError: a place of records is named, and the run makes its own.
    """
    return stages.computing_run(
        settings,
        profile=arguments.profile,
        root=root,
        runs_folder=arguments.runs_folder,
        place=arguments.data,
        split=arguments.split,
    )


def recorded_run(arguments: argparse.Namespace, *, root: Path) -> RecordedRun:
    """What is recorded of a profile, with its records where they are named.

    Raises:
        ParameterError: nothing is.
    """
    return RecordedRun(
        root / "data" / "recorded" / arguments.profile,
        root=root,
        place=arguments.data,
        split=arguments.split,
    )


def show(arguments: argparse.Namespace, *, root: Path) -> None:
    """Make a recorded run the one that the book shows: notebooks, README and pages.

    They are made beside the book and take its place together, so that whatever interrupts this
    leaves the book whole, on the run that it showed.

    Raises:
        ParameterError: there is no such run; nothing is changed then, nor after the next one.
        DataError: the run is of real records, of which notebooks draw a few, and these are not
            here.
    """
    run = recorded_run(arguments, root=root)
    check_records(run)
    # The notebooks run in the folder of the book.
    for variable, place in ((DATA_VARIABLE, arguments.data), (SPLIT_VARIABLE, arguments.split)):
        if place:
            os.environ[variable] = str(Path(place).expanduser().resolve())
    left = absent_appendices(run.settings, is_held=run.manifest["artefacts"].__contains__)
    if left:
        print(f"not in {run.profile}, and shown as before: {', '.join(left)}")
    recorded, results = run.with_seeds(), root / "benchmarks" / "results"
    with replaced_together(root) as made:
        book = made / "book"
        book.mkdir()
        execute_notebooks(root, into=book, profile=run.profile, left=left)
        refresh_readme(recorded, root, into=made)
        write_run_pages(recorded, book)
        write_speed_page(results, book / "measured_speed.md")
        write_bill_page(results / "jobs", book / "measured_bill.md")


if __name__ == "__main__":
    main()
