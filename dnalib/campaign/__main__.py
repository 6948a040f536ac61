"""`python -m dnalib.campaign`: compute in short calls what takes long, and hand out what is new."""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import torch

from dnalib.campaign.estimates import estimates
from dnalib.campaign.handout import MEGABYTE, Limits, hand_out
from dnalib.campaign.limits import CampaignError, Clock
from dnalib.campaign.pieces import LEDGER
from dnalib.campaign.restoring import restore
from dnalib.campaign.steps import APPENDICES, Places, Step, finished_stages, parse_step, run_step
from dnalib.campaign.throughput import measure
from dnalib.runs import OutOfTime, ParameterError, project_root
from dnalib.runs.folders import MARKS
from dnalib.runs.settings import given_settings

STEPS = ("full:8", "full", "paper")
CARRYING = """
Each machine begins bare: --unpack comes first there. Where only so much travels at a time, cut what
there is into sets that fit: --minutes 0 --again --total-megabytes 14 --output PART1, then the same
without --again into PART2, until nothing is left; each is unpacked by itself. Chapters that one
machine executed to the end are not executed on the next.

A load that is carried again takes the place of its folder, and of the runs in `work` beside `run`:
keep them elsewhere on that machine, by DNALIB_WORK=FOLDER in the environment of every call.

The project's files (about 37 MiB) and its pack (50 MiB) together exceed a load of 64 MiB. The pack
needs none of those files; these commands leave all but two of them out, and bring them back:

    git sparse-checkout set --no-cone /.gitignore /Makefile    # before the load is carried
    git sparse-checkout disable                                # after it

The attacks are most of the last chapters' time: with -p attack_precision bf16-mixed they multiply
in bf16, and the book's page on speed says what that changes.
"""
STARTED_VARIABLE = "DNALIB_STARTED"  # set by the pack's command, seconds since 1970


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words after the program's name; None for those it was started with.

    Returns:
        0, also where the time ended first; 1 on an error (said on standard error).
    """
    options = parser().parse_args(arguments)
    # Unpacking the pack belongs to the call.
    clock = Clock(options.minutes, started=call_began())
    try:
        places = find_places(options)
        if options.unpack:
            report(restore(options.unpack, places.runs))
            return 0
        others = given_settings(options.p)
        steps = [parse_step(text, others=others) for text in options.steps]
        later = [parse_step(text, others=others) for text in options.appendices]
        limits = checked_limits(options)
        status = 0
        if options.minutes != 0:
            status = compute(
                steps,
                places,
                clock,
                later=later,
                device=options.device,
                measured=not options.unmeasured,
            )
        if options.output:
            if options.again:
                (places.runs / LEDGER).unlink(missing_ok=True)
            output = options.output.expanduser()
            large = options.minutes == 0
            report(hand_out(places.runs, output, limits=limits, split_large=large))
    except (CampaignError, ParameterError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"this call took {clock.seconds():.0f} s")
    return status


def call_began() -> float | None:
    """When the pack's command was started, seconds since 1970; None where it was not used."""
    stated = os.environ.get(STARTED_VARIABLE)
    return None if stated is None else float(stated)


def compute(
    steps: Sequence[Step],
    places: Places,
    clock: Clock,
    *,
    later: Sequence[Step],
    device: str,
    measured: bool = True,
) -> int:
    """Measure the machine, then execute the steps as far as the time lets them.

    Args:
        steps: whose chapters are executed, step by step: they hold every main figure.
        places: where things are.
        clock: of this call.
        later: steps whose appendices follow when all that is done.
        device: "auto", "cuda" or "cpu".
        measured: whether the machine's speed is measured first, which takes minutes.

    Returns:
        0, or 1 where a chapter failed; what was finished is handed out all the same.

    Raises:
        CampaignError: a GPU was asked for and there is none.
    """
    device = choose_device(device)
    before = finished_stages(places.runs)
    status = 0
    try:
        if measured:
            report(estimates(steps, measure(places.root, places.runs, clock, device=device)))
        for step in steps:
            run_step(step, places, clock)
        print(f"the chapters of all steps are done: {' '.join(step.name for step in steps)}")
        for step in later:
            run_step(step, places, clock, notebooks=APPENDICES)
        if later:
            print(f"the appendices are done: {' '.join(step.name for step in later)}")
    except OutOfTime as error:
        print(f"next: {error}")
    except CampaignError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 1
    except Exception:  # whatever it is, what was made is handed out
        traceback.print_exc()
        status = 1
    made = {
        path: seconds
        for path, seconds in finished_stages(places.runs).items()
        if path not in before
    }
    report([f"made {path.as_posix()} in {seconds:.1f} s" for path, seconds in made.items()])
    return status


def choose_device(asked: str) -> str:
    """The device that is used; notebooks take the GPU where they see one.

    Raises:
        CampaignError: a GPU was asked for and there is none.
    """
    if asked == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    available = torch.cuda.is_available()
    if asked == "cuda" and not available:
        raise CampaignError("device is cuda and PyTorch finds no GPU; accepted are auto and cpu")
    return "cuda" if available else "cpu"


def find_places(options: argparse.Namespace) -> Places:
    """Where the project and its runs are: the notebooks go with the library that is imported."""
    beside = Path(__file__).resolve().parents[2]
    root = beside if all((beside / mark).exists() for mark in MARKS) else project_root()
    runs = options.runs_folder or root / "data" / "runs"
    return Places(root, runs.expanduser().resolve(), data=options.data, split=options.split)


def checked_limits(options: argparse.Namespace) -> Limits:
    """The limits on what is handed out.

    Raises:
        CampaignError: too few files, or too few bytes.
    """
    if options.files < 2:
        raise CampaignError(f"files is {options.files}; accepted are numbers from 2")
    if min(options.file_megabytes, options.total_megabytes) < 0.1:
        raise CampaignError("file and total megabytes are accepted from 0.1")
    sizes = (options.file_megabytes, options.total_megabytes)
    return Limits(options.files, *(int(size * MEGABYTE) for size in sizes))


def report(lines: Sequence[str]) -> None:
    """Print lines at once, for whoever reads a log of a call that is cut off."""
    for line in lines:
        print(line, flush=True)


def minutes(text: str) -> float:
    """The minutes of a call, from 0."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog="python -m dnalib.campaign",
        description=__doc__,
        epilog=CARRYING,
        # As it is laid out: elsewhere a command would be broken at a hyphen.
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--steps", nargs="+", default=STEPS, metavar="PROFILE[:EPOCHS]")
    made.add_argument(
        "--appendices",
        nargs="+",
        default=(),
        metavar="PROFILE[:EPOCHS]",
        help="steps whose appendices follow the chapters of all steps; else none",
    )
    made.add_argument(
        "-p",
        action="append",
        nargs=2,
        default=[],
        metavar=("NAME", "VALUE"),
        help="a setting that all steps have another value of than their profile",
    )
    made.add_argument("--minutes", type=minutes, help="of this call; 0 only hands out what is left")
    made.add_argument(
        "--output", type=Path, metavar="FOLDER", help="where what is new is handed out"
    )
    made.add_argument("--data", help="archive or folder of the records")
    made.add_argument("--split", help="random_permutation.npy")
    made.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto")
    made.add_argument(
        "--unmeasured", action="store_true", help="all of the call for chapters: no estimates"
    )
    made.add_argument("--runs-folder", type=Path, metavar="FOLDER", help="else data/runs")
    limits = Limits()
    made.add_argument("--files", type=int, default=limits.files, help="handed out a call, at most")
    for name, size in (("file", limits.file_bytes), ("total", limits.total_bytes)):
        made.add_argument(f"--{name}-megabytes", type=float, default=size / MEGABYTE)
    made.add_argument("--again", action="store_true", help="hand out also what was handed out")
    made.add_argument(
        "--unpack", nargs="+", type=Path, metavar="FILE", help="restore what calls handed out"
    )
    return made


if __name__ == "__main__":
    sys.exit(main())
