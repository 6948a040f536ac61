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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dnalib import stages
from dnalib.data import DataError
from dnalib.recording.contents import check_chapters_are_held, check_nothing_is_dropped
from dnalib.recording.keeping import keep_trainings, record
from dnalib.recording.restoring import restore
from dnalib.recording.showing import show
from dnalib.runs import (
    ArtefactError,
    ComputingRun,
    ParameterError,
    RecordedRun,
    Settings,
    load_profile,
    project_root,
)
from dnalib.runs.consistency import check_together
from dnalib.runs.settings import given_settings, override
from dnalib.workflow.variants import WorkflowError, parse_seeds


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
    show(recorded_run(arguments, root=root))


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


def make_parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = argparse.ArgumentParser(
        prog="python -m dnalib.recording", description=__doc__.splitlines()[0]
    )
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


if __name__ == "__main__":
    main()
