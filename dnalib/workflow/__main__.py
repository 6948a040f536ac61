"""`python -m dnalib.workflow`: the book, sweeps over seeds and parameters, and how far they are."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dnalib.data import DataError
from dnalib.data.locations import locate
from dnalib.runs import ParameterError, Settings, load_profile, project_root
from dnalib.runs.consistency import SYNTHETIC, check_places, check_together
from dnalib.runs.settings import given_settings, override
from dnalib.runs.values import accept_minutes, read_value
from dnalib.workflow import slurm
from dnalib.workflow.engine import accept_cores, here, local_gpus, on_slurm
from dnalib.workflow.following import follow, is_followed, jobs_of, read_plan
from dnalib.workflow.parts import Resources, load_resources
from dnalib.workflow.plan import BOOK, make_plan
from dnalib.workflow.status import progress
from dnalib.workflow.variants import WorkflowError, make_variants, parse_seeds

EXECUTORS = ("local", "slurm")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words after the program's name; None for those it was started with.

    Returns:
        0; Snakemake's status where a job failed; 1 on an error (said on standard error).
    """
    options = parser().parse_args(arguments)
    try:
        return options.action(options)
    except (DataError, WorkflowError, ParameterError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def make_book(options: argparse.Namespace) -> int:
    """Execute every chapter of a profile here and render the book."""
    settings = load_profile(options.profile)
    accept_cores(options.cores)
    check_together(settings)
    check_records([settings], options)
    resources: dict[str, Resources] = {
        "chapter": {**load_resources(options.profile)["chapter"], "cpus": None}
    }
    plan = make_plan(
        settings,
        profile=options.profile,
        variants={BOOK: {}},
        resources=resources,
    )
    return follow(plan, here(options), executor="local", said=said_to_notebooks(options))


def make_sweep(options: argparse.Namespace) -> int:
    """Execute every chapter for each seed and value, here or on a cluster."""
    settings = load_profile(options.profile)
    jobs = slurm.accept_jobs(options.jobs)
    accept_cores(options.cores)
    check_engine(options)
    varied: dict[str, Sequence[Any]] = {}
    for name, values in pairs("VARY", options.vary, example="bands 4,10"):
        if name in (*varied, "seed"):
            wanted = "SEEDS=0-4" if name == "seed" else f'VARY="{name} 4,10" once, with all values'
            raise WorkflowError(f"VARY names {name}; accepted is {wanted}")
        varied[name] = [read_value(name, value) for value in values.split(",")]
    fixed = given_settings(pairs("SET", options.p, example="epochs 6"))
    if "seed" in fixed:
        raise WorkflowError("SET names seed; accepted is SEEDS=0-4")
    seeds = parse_seeds(options.seeds)
    variants = make_variants(settings, fixed=fixed, varied=varied | {"seed": seeds})
    check_records([override(settings, one) for one in variants.values()], options)
    plan = make_plan(
        settings,
        profile=options.profile,
        variants=variants,
        resources=load_resources(options.profile),
    )
    if options.executor == "slurm":
        slurm.check_scheduler(options.partition or None)
        engine = on_slurm(options, jobs=jobs)
    else:
        plan["gpus"] = local_gpus()
        engine = [*here(options), "--resources", f"gpu={len(plan['gpus'])}"]
    return follow(plan, engine, executor=options.executor, said=said_to_notebooks(options))


def check_records(variants: Iterable[Settings], options: argparse.Namespace) -> None:
    """Make sure that records are named only where they are read, and are there where they are.

    Raises:
        ParameterError: a variant is on synthetic records, and a place was named.
        WorkflowError: a place that was named is not there.
        DataError: a variant is on real records, and none are found.
    """
    for settings in variants:
        check_places(settings, profile=options.profile, DATA=options.data, SPLIT=options.split)
        if settings.source != SYNTHETIC:
            locate(places(options).get("data"), root=project_root())


def check_engine(options: argparse.Namespace) -> None:
    """Make sure that what was said of the engine goes together.

    Raises:
        WorkflowError: there is no such engine, or what only a cluster has is said of this machine.
    """
    if options.executor not in EXECUTORS:
        accepted = ", ".join(EXECUTORS)
        raise WorkflowError(f"EXECUTOR is {options.executor!r}; accepted are {accepted}")
    for name, value in (("PARTITION", options.partition), ("ACCOUNT", options.account)):
        if value and options.executor != "slurm":
            raise WorkflowError(f"{name} is {value!r}, which is accepted with EXECUTOR=slurm alone")


def pairs(what: str, given: Sequence[Sequence[str]], *, example: str) -> Sequence[Sequence[str]]:
    """Names with their values, each two words.

    Raises:
        WorkflowError: one of them is another number of words.
    """
    for words in given:
        if len(words) != 2:
            raise WorkflowError(
                f"{what} is {' '.join(words)!r}; accepted are a setting's name, a space, and what "
                f"it is to be, without spaces, such as {example!r}"
            )
    return given


def said_to_notebooks(options: argparse.Namespace) -> dict[str, Any]:
    """What notebooks are told beside a plan: places of the records, and a limit of minutes.

    Raises:
        WorkflowError: there is nothing at a place that was named.
        ParameterError: the minutes are no number above 0.
    """
    said: dict[str, Any] = {"places": places(options)}
    if options.max_minutes:
        said["max_minutes"] = read_minutes(options.max_minutes)
    return said


def read_minutes(text: str) -> float | None:
    """The minutes that a chapter may compute, as a user wrote them.

    Raises:
        ParameterError: they are no number above 0.
    """
    try:
        value: Any = float(text)
    except ValueError:
        value = text
    return accept_minutes(value)


def places(options: argparse.Namespace) -> dict[str, str]:
    """Where the records are, as far as that was said; absolute, as notebooks run elsewhere.

    Raises:
        WorkflowError: there is nothing at a place that was named.
    """
    said = {}
    for name, place in (("data", options.data), ("split", options.split)):
        if place:
            path = Path(place).expanduser().resolve()
            if not path.exists():
                raise WorkflowError(f"{name.upper()} is {place!r}; there is nothing at {path}")
            said[name] = str(path)
    return said


def show_status(options: argparse.Namespace) -> int:
    """Print how far the profile's last run or sweep is."""
    folder = project_root() / "data" / "runs" / options.profile
    plan = read_plan(folder, profile=options.profile)
    working = is_followed(folder)
    queue, missing = jobs_of(plan, folder, working=working)
    print(progress(plan, folder, queue=queue).to_string())
    if missing:
        print(missing)
    print("a make works on it" if working else "no make works on it")
    return 0


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(prog="python -m dnalib.workflow", description=__doc__)
    actions = made.add_subparsers(required=True, metavar="ACTION")
    for name, action, text in (
        ("book", make_book, "execute every chapter and render the book"),
        ("sweep", make_sweep, "execute every chapter for each of several seeds or values"),
        ("status", show_status, "how far the last run or sweep of a profile is"),
    ):
        one = actions.add_parser(name, help=text, description=text)
        one.set_defaults(action=action)
        one.add_argument("--profile", default="demo")
        if action is not show_status:
            add_run_options(one)
        if action is make_sweep:
            add_sweep_options(one)
    return made


def add_run_options(one: argparse.ArgumentParser) -> None:
    """Options of whatever computes."""
    one.add_argument("--data", default="", help="archive or folder of the records")
    one.add_argument("--split", default="", help="random_permutation.npy")
    one.add_argument("--max-minutes", default="", help="that a chapter may compute")
    one.add_argument("--cores", default="all", help="of this machine")


def add_sweep_options(one: argparse.ArgumentParser) -> None:
    """Options of a sweep."""
    one.add_argument("--seeds", default="0", help="such as 0-4 or 0,3,7")
    one.add_argument(
        "--vary",
        action="append",
        nargs="+",
        default=[],
        metavar=("NAME", "VALUES"),
        help="a setting and its values, with commas between them",
    )
    one.add_argument("-p", action="append", nargs="+", default=[], metavar=("NAME", "VALUE"))
    one.add_argument("--executor", default="local", help=" or ".join(EXECUTORS))
    one.add_argument("--partition", default="", help="of the cluster; else its default")
    one.add_argument("--account", default="", help="that the cluster's jobs are charged to")
    text = f"in the cluster's queue at a time; {slurm.MOST_JOBS} if it is not said"
    one.add_argument("--jobs", default="", help=text)
    one.add_argument(
        "--seconds-between-checks",
        type=int,
        default=slurm.SECONDS_BETWEEN_CHECKS,
        help="of the queue",
    )


if __name__ == "__main__":
    sys.exit(main())
