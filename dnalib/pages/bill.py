"""The book's page on what jobs cost, generated from what the benchmarks measured and simulated."""

import json
import statistics
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dnalib.stages import MEMBERS
from dnalib.stages.rivals import TRAININGS

# Kinds of stages that are no trainings, by what their names begin with.
KINDS = {
    "perturbations-strip": "attacks on the base model, the padding stripped at the end",
    "perturbations-mask": "attacks on the base model, held to the record",
    "adaptive": "attacks on whole ensembles",
    "longer-smooth": "SAP on whole ensembles with up to ten times the steps, on what it left",
    "longer": "attacks on whole ensembles with five times the steps",
    "doubled": "attacks with ten times the steps, on what five times the steps leave",
    "crafted-on": "attacks on single other networks",
    "universal": "one perturbation for all records",
    "transfer": "all models under the perturbations crafted on each",
    "checks": "checks of whether an ensemble masks its gradient",
    "effect": "effects of differences between text and code",
}
REST = "everything else: features, answers, tables"
# Of the model's rows, those at which traffic is shown: one machine for a job that can run, or so.
SHOWN = ((1, 9), (10, 100), (1000, 200), (1000, 1000))
SLURM_JOBS = 500  # a second; Slurm's own figure, of simple jobs on a machine tuned for them
LINK_MEGABYTES = 1250  # a second, that a network link of 10 gigabits carries at most


def write_bill_page(folder: Path, path: Path) -> None:
    """Write what jobs cost, measured, and what many seeds would take, for each machine measured.

    Args:
        folder: of the JSON files that `benchmarks/workflow.py` and `benchmarks/bill.py` write.
        path: the Markdown file to write.
    """
    sections = [
        bill_section(json.loads(file.read_text())) for file in sorted(folder.glob("*.json"))
    ]
    path.write_text("\n\n".join(sections) + "\n")


def bill_section(result: Mapping[str, Any]) -> str:
    """One machine's tables in Markdown."""
    parts = (
        overhead_part,
        stage_part,
        path_part,
        model_part,
        traffic_part,
        splitting_part,
        planning_part,
    )
    return "\n\n".join("\n".join(part(result)) for part in parts)


def overhead_part(result: Mapping[str, Any]) -> list[str]:
    """What a job costs around its work."""
    job, chapters = result["job"], result["notebook"]["seconds"].values()
    files = result["files"]
    return [
        f"**{result['hardware']}**, {result['scheduler']}, {result['date']}; medians of "
        f"{job['jobs']} jobs and {len(chapters)} chapters of the profile `demo`.",
        "",
        "| around the work | seconds |",
        "|---|---|",
        f"| a job: the scheduler's start, and two starts of Snakemake | {job['engine']:.1f} |",
        f"| a job: start of Python, imports, the records | {job['start and records']:.1f} |",
        f"| a chapter: kernel, imports, loading, drawing | {statistics.median(chapters):.1f} |",
        f"| the book: rendering all pages, once | {result['rendering']:.1f} |",
        "",
        f"That seed of `demo` left {files['files']} files, artefacts and their provenance, of "
        f"{files['bytes'] / 1e6:.0f} MB together.",
    ]


def stage_part(result: Mapping[str, Any]) -> list[str]:
    """What the stages took: each training by its name, the others by their kind."""
    stages = result["stages"]
    lines = [
        origin(stages),
        "",
        f"| training of `{result['profile']}` | minutes | threads |",
        "|---|---|---|",
    ]
    trainings = {name: made for name, made in stages.items() if is_training(name)}
    for name, made in sorted(trainings.items(), key=lambda item: training_place(item[0])):
        lines.append(f"| {name} | {made['seconds'] / 60:.1f} | {threads(made)} |")
    lines += [
        "",
        "| other stages | number | minutes together | the longest | threads |",
        "|---|---|---|---|---|",
    ]
    for kind, several in by_kind(stages).items():
        minutes = [made["seconds"] / 60 for made in several]
        used = sorted({threads(made) for made in several})
        lines.append(
            f"| {kind} | {len(several)} | {sum(minutes):.1f} | {max(minutes):.1f} | "
            f"{', '.join(used)} |"
        )
    return lines


def origin(stages: Mapping[str, Mapping[str, Any]]) -> str:
    """Where the stages' seconds are from."""
    own = [made for name, made in stages.items() if made["stage"] == name]
    devices = Counter(made["device"] for made in own)
    dates = sorted(made["date"] for made in own)
    text = (
        f"The seconds of {len(own)} stages are by the clock, as recorded in their artefacts, "
        f"which were made from {dates[0]} to {dates[-1]}: "
        + ", ".join(f"{count} on `{device}`" for device, count in devices.most_common())
        + "."
    )
    later = {name: made["seed"] for name, made in stages.items() if made["seed"]}
    if later:
        named = ", ".join(f"`{name}` (seed {seed})" for name, seed in later.items())
        text += f" Made with another seed than 0: {named}."
    taken = {name: made["stage"] for name, made in stages.items() if made["stage"] != name}
    if taken:
        named = ", ".join(f"`{name}` as `{other}`" for name, other in taken.items())
        text += f" Not timed yet, and counted as a stage that does the same work: {named}."
    return text


def is_training(name: str) -> bool:
    """Whether a stage trains networks."""
    return name in MEMBERS or name in TRAININGS or name.endswith("-swapped")


def training_place(name: str) -> tuple[int, int]:
    """Where a training comes in the book: the nine models, their variant, the rivals."""
    if name in MEMBERS:
        return 0, list(MEMBERS).index(name)
    return (2, TRAININGS.index(name)) if name in TRAININGS else (1, 0)


def threads(made: Mapping[str, Any]) -> str:
    """The number of threads that a stage used, as its device says, or the device."""
    _, _, used = made["device"].rpartition(", ")
    return used.removesuffix(" threads") if used else made["device"]


def by_kind(stages: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The stages that are no trainings by their kind, the dearest first."""
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for name, made in stages.items():
        if not is_training(name):
            found = (kind for start, kind in KINDS.items() if name.startswith(start))
            kinds.setdefault(next(found, REST), []).append(made)
    return dict(sorted(kinds.items(), key=lambda item: -sum(made["seconds"] for made in item[1])))


def path_part(result: Mapping[str, Any]) -> list[str]:
    """The critical paths of one seed, with the minutes of each step."""
    lines = [
        "| one seed | jobs and chapters | hours at work | critical path, minutes | "
        "with the checks, minutes | its steps |",
        "|---|---|---|---|---|---|",
    ]
    for path in result["paths"]:
        steps = " → ".join(
            f"{task_name(step['task'])} {step['seconds'] / 60:.1f}" for step in path["steps"]
        )
        lines.append(
            f"| {path['what']} | {path['jobs']} | {path['busy_hours']:.1f} | "
            f"{path['seconds'] / 60:.0f} | {path['checked_seconds'] / 60:.0f} | {steps} |"
        )
    checks = result["checks"]
    return [
        *lines,
        "",
        "When a job has ended, another begins only once Snakemake has asked Slurm. It asks "
        f"{checks['first']} s after it last asked, and waits {checks['more']} s longer each time "
        f"that no job had ended, up to {checks['most']} s. *With the checks*, each step waits for "
        "that, the last one too; so do all jobs in the next table.",
    ]


def task_name(name: str) -> str:
    """A job or chapter as people call it."""
    return f"chapter {name.partition('/')[2]}" if "/" in name else name.rpartition("-")[0]


def model_part(result: Mapping[str, Any]) -> list[str]:
    """So many seeds on so many machines, and what the number of jobs in the queue does to it."""
    rows, most = result["model"], result["most_jobs"]
    hours = {(row["seeds"], row["machines"]): row["hours"] for row in rows}
    seeds, machines = max(hours)
    return [
        "| seeds | machines | hours | machine-hours at work | machine-hours held | jobs |",
        "|---|---|---|---|---|---|",
        *(model_line(row) for row in rows),
        "",
        f"`make sweep` keeps at most {most} jobs in the queue, so machines beyond that number "
        f"stand idle: rows with more assume `JOBS={machines}`. Without it, {seeds:,} seeds on "
        f"{machines:,} machines take {hours[seeds, most]:,.1f} hours instead of "
        f"{hours[seeds, machines]:,.1f}.",
    ]


def model_line(row: Mapping[str, Any]) -> str:
    """A number of seeds on a number of machines, as a row of the table."""
    return (
        f"| {row['seeds']:,} | {row['machines']:,} | {row['hours']:,.1f} | "
        f"{row['busy_hours']:,.0f} | {row['held_hours']:,.0f} | {row['jobs']:,} |"
    )


def traffic_part(result: Mapping[str, Any]) -> list[str]:
    """What all jobs ask of the scheduler and of the shared file system in a second."""
    rows = {(row["seeds"], row["machines"]): row for row in result["model"]}
    shown = [rows[pair] for pair in SHOWN]
    last = shown[-1]
    share = last["jobs"] * 2 * last["plan_bytes"] / last["read"]
    return [
        "| seeds | machines | jobs per second | files made per job | MB written per job | "
        "MB read per job | files made per second | MB written per second | MB read per second |",
        "|---|---|---|---|---|---|---|---|---|",
        *(traffic_line(row) for row in shown),
        "",
        f"A job reads the records, {result['records_bytes'] / 1e6:.0f} MB, once and the "
        f"whole plan twice. At {last['seeds']:,} seeds the plan is "
        f"{last['plan_bytes'] / 1e6:.0f} MB, and its share of the {last['read'] / 1e12:.1f} TB "
        f"that all jobs read is {share:.2f}. "
        f"A training writes a checkpoint of {result['checkpoint_bytes'] / 1e6:.1f} MB an epoch, "
        "and removes it later.",
        "",
        nearness(last),
    ]


def traffic_line(row: Mapping[str, Any]) -> str:
    """A number of seeds on a number of machines, with what it asks for."""
    jobs, seconds = row["jobs"], 3600 * row["hours"]
    return (
        f"| {row['seeds']:,} | {row['machines']:,} | {jobs / seconds:.3f} | "
        f"{row['files'] / jobs:.0f} | {row['written'] / jobs / 1e6:.1f} | "
        f"{row['read'] / jobs / 1e6:.0f} | {row['files'] / seconds:.2f} | "
        f"{row['written'] / seconds / 1e6:.1f} | {row['read'] / seconds / 1e6:.1f} |"
    )


def nearness(row: Mapping[str, Any]) -> str:
    """How near a row comes to what a scheduler and a network link are said to bear."""
    seconds = 3600 * row["hours"]
    jobs, read = row["jobs"] / seconds, row["read"] / seconds / 1e6
    shares = {"reading": read / LINK_MEGABYTES, "the scheduler": jobs / SLURM_JOBS}
    first = max(shares, key=lambda name: shares[name])
    return (
        "Two of these can be set beside a published limit: reading over one network link, and "
        "the jobs that Slurm accepts. "
        f"With {row['seeds']:,} seeds on {row['machines']:,} machines, **of these two, {first} is "
        "nearer to its limit**. "
        f"{read:,.0f} MB are read in a second: {shares['reading']:.2f} of what one network link of "
        f"10 gigabits carries, {10 * shares['reading']:.1f} times what one of 1 gigabit does. The "
        f"scheduler is asked for {jobs:.1f} jobs a second, {shares['the scheduler']:.4f} of the "
        f"{SLURM_JOBS} that Slurm's guide gives."
    )


def splitting_part(result: Mapping[str, Any]) -> list[str]:
    """Whether several smaller sweeps, one after another, are better than the largest one."""
    rows = {(row["seeds"], row["machines"]): row for row in result["model"]}
    seeds, machines = max(rows)
    smaller = max(number for number, _ in rows if number < seeds)
    sweeps = seeds // smaller
    lines = [
        f"| machines | {seeds:,} seeds at once, hours | {sweeps} sweeps of {smaller:,}, hours | "
        "TB read, seeds at once | TB read, sweeps |",
        "|---|---|---|---|---|",
    ]
    for number in (result["most_jobs"], machines):
        whole, part = rows[seeds, number], rows[smaller, number]
        lines.append(
            f"| {number:,} | {whole['hours']:,.1f} | {sweeps * part['hours']:,.1f} | "
            f"{whole['read'] / 1e12:.1f} | {sweeps * part['read'] / 1e12:.1f} |"
        )
    return lines


def planning_part(result: Mapping[str, Any]) -> list[str]:
    """How long Snakemake plans before the first job, and what follows for the most seeds."""
    rows = result["planning"]
    before, last = rows[-2:]
    growth = (last["seconds"] - before["seconds"]) / (last["seeds"] - before["seeds"])
    seeds = max(row["seeds"] for row in result["model"])
    return [
        f"| seeds | processor seconds that Snakemake spends planning, {result['modelled']} |",
        "|---|---|",
        *(f"| {row['seeds']:,} | {row['seconds']:.1f} |" for row in rows),
        "",
        f"From {before['seeds']} seeds to {last['seeds']}, that is {growth:.2f} s more per "
        f"seed; {seeds:,} seeds were not measured, and at that rate would take "
        f"{(last['seconds'] + growth * (seeds - last['seeds'])) / 60:.1f} minutes, "
        "once, before the first job.",
    ]
