"""Text that is generated from what the benchmarks measured: speeds, and what jobs cost."""

import json
import statistics
from pathlib import Path
from typing import Any

from dnalib.stages import MEMBERS
from dnalib.stages.rivals import TRAININGS

SEARCHES = {
    "perturbations": "attacks on the base model",
    "crafted": "attacks on other networks",
    "adaptive": "attacks on whole ensembles",
}


def write_speed_page(folder: Path, path: Path) -> None:
    """Write the measured speeds, a table for each machine.

    Args:
        folder: of the benchmarks' results, a JSON file for each machine: its hardware, the
            benchmarks' lines, and the effect of bf16 on attacks where it was measured.
        path: the Markdown file to write.
    """
    sections = [
        speed_section(json.loads(file.read_text())) for file in sorted(folder.glob("*.json"))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(sections) + "\n")


def speed_section(result: dict[str, Any]) -> str:
    """One machine's table in Markdown."""
    lines = [
        f"**{result['hardware']}**, PyTorch {result['torch']}, {result['date']}.",
        "",
        "| what | straightforward (s) | ours (s) | times faster | wanted |",
        "|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        lines.append(
            f"| {row['benchmark']} | {row['straightforward_seconds']:.3g} | "
            f"{row['ours_seconds']:.3g} | {row['ratio']:.1f} | {row['wanted']:g} |"
        )
    lines += ["", "Where ours spends its time, the costliest operations and their share:", ""]
    for row in result["rows"]:
        shares = sorted(row.get("most_time", {}).items(), key=lambda item: item[1], reverse=True)
        costliest = ", ".join(f"`{name}` {100 * share:.0f} %" for name, share in shares)
        lines.append(f"- {row['benchmark']}: {costliest or 'not profiled'}")
    if result.get("bf16"):
        lines += ["", *bf16_lines(result["bf16"])]
    return "\n".join(lines)


def bf16_lines(rows: list[dict[str, float]]) -> list[str]:
    """What bf16 products do to an attack, as a table in Markdown."""
    lines = [
        "| PGD at ε (µV), masked | records | right, float32 (%) | right, bf16 (%) |",
        "|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['epsilon']:g} | {row['records']} | {100 * row['32-true']:.1f} | "
            f"{100 * row['bf16-mixed']:.1f} |"
        )
    return lines


def write_bill_page(folder: Path, path: Path) -> None:
    """Write what jobs cost, measured, and what many seeds would take, for each machine measured.

    Args:
        folder: of the JSON files that `benchmarks/workflow.py` writes.
        path: the Markdown file to write.
    """
    sections = [
        bill_section(json.loads(file.read_text())) for file in sorted(folder.glob("*.json"))
    ]
    path.write_text("\n\n".join(sections) + "\n")


def bill_section(result: dict[str, Any]) -> str:
    """One machine's tables in Markdown."""
    job, chapters = result["job"], result["notebook"]["seconds"].values()
    lines = [
        f"**{result['hardware']}**, {result['scheduler']}, {result['date']}; medians of "
        f"{job['jobs']} jobs and {len(chapters)} chapters of the profile `demo`.",
        "",
        "| around the work | seconds |",
        "|---|---|",
        f"| a job: the scheduler's start, and Snakemake's, twice | {job['engine']:.1f} |",
        f"| a job: start of Python, imports, the records | {job['start and records']:.1f} |",
        f"| a chapter: kernel, imports, loading, drawing | {statistics.median(chapters):.1f} |",
        f"| the book: rendering all pages, once | {result['rendering']:.1f} |",
        "",
        f"Files left by one seed: {described_sizes(result['files'])} with `demo`, "
        f"{described_sizes(result['profile_files'])} with `{result['profile']}`.",
        "",
        f"| stages of `{result['profile']}` | number | minutes together | the longest |",
        "|---|---|---|---|",
        *(
            f"| {kind} | {len(minutes)} | {sum(minutes):.0f} | {max(minutes):.1f} |"
            for kind, minutes in stage_minutes(result["stages"]).items()
        ),
        "",
        "| seeds | machines | hours | machine-hours at work | machine-hours held | jobs | "
        "jobs a minute |",
        "|---|---|---|---|---|---|---|",
        *(model_line(row) for row in result["model"]),
    ]
    path = " → ".join(critical_jobs(result["model"]))
    hours = result["model"][0]["critical_hours"]
    largest = result["model"][-1]
    lines += [
        "",
        f"The critical path takes {60 * hours:.0f} minutes: {path}. The plan of "
        f"{largest['seeds']:,} seeds has {largest['plan_bytes'] / 1e6:.0f} MB.",
    ]
    return "\n".join(lines)


def described_sizes(sizes: dict[str, int]) -> str:
    """How many files, of how many bytes."""
    return f"{sizes['files']:,} files, {sizes['bytes'] / 1e6:.0f} MB"


def model_line(row: dict[str, Any]) -> str:
    """A number of seeds on a number of machines, as a row of the table."""
    rate = row["jobs"] / (60 * row["hours"])
    return (
        f"| {row['seeds']:,} | {row['machines']:,} | {row['hours']:,.1f} | "
        f"{row['busy_hours']:,.0f} | {row['held_hours']:,.0f} | {row['jobs']:,} | {rate:,.1f} |"
    )


def critical_jobs(rows: list[dict[str, Any]]) -> list[str]:
    """The stages and chapters on the critical path of one seed."""
    names = next(row["critical_path"] for row in rows if row["critical_path"])
    return [
        f"chapter {name.partition('/')[2]}" if "/" in name else name.rpartition("-")[0]
        for name in names
    ]


def stage_minutes(seconds: dict[str, float]) -> dict[str, list[float]]:
    """Minutes of the stages by what they are, the dearest kind first."""
    kinds: dict[str, list[float]] = {}
    for name, duration in seconds.items():
        if name in MEMBERS:
            kind = "trainings of the nine models"
        elif name in TRAININGS:
            kind = "trainings of the rivals"
        else:
            kind = SEARCHES.get(name.partition("-")[0], "everything else")
        kinds.setdefault(kind, []).append(duration / 60)
    return dict(sorted(kinds.items(), key=lambda item: sum(item[1]), reverse=True))
