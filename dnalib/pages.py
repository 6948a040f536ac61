"""Text that is generated: what a run is, its headline, and what was measured of speed.

`python -m dnalib.pages FOLDER -p profile PROFILE` writes the passages that pages include.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from dnalib import claims, effects, knowledge, metrics, stages, tables
from dnalib.runs import Run
from dnalib.runs.settings import given_settings
from dnalib.stages.rivals import TRAININGS

SEARCHES = {
    "perturbations": "attacks on the base model",
    "crafted": "attacks on other networks",
    "adaptive": "attacks on whole ensembles",
}


def write_run_pages(run: Run, folder: Path) -> None:
    """Write what the pages include of a run.

    `run.md`: which run the book shows, on which records, its headline, and what it says;
    `measured_effects.md`: what the differences between text and code change.
    """
    parts = [tables.banner(run).markdown, headline(run), findings(run), against_knowledge(run)]
    (folder / "run.md").write_text("\n\n".join(parts) + "\n")
    effects.write_effects(run, folder / "measured_effects.md")


def findings(run: Run) -> str:
    """What the headline says in words, each number from the run's artefacts."""
    epsilon = max(run.settings.epsilons)
    under_sap = tables.selected(
        tables.robustness_table(run, paddings=["strip"]), attack="sap", epsilon=epsilon
    )
    share = {
        (row.measure, row.ensemble): f"{tables.percent(row.value)} %"
        for row in under_sap.itertuples()
    }
    one, balanced = "at least 1", "at least 1, class-averaged"
    control = metrics.CONTROL
    return (
        f"At least one member of fdec is right for {share[one, 'fdec']} of the records, of the "
        f"conventional ensemble cor for {share[one, 'cor']}; filters alone (fcor) give "
        f"{share[one, 'fcor']}, decorrelation alone (dec) {share[one, 'dec']}. The last row is a "
        'control that knows nothing of hearts, the base model beside two constants, "always '
        f'normal" and "always other": {share[one, control]}. Counting the four classes alike, '
        f"it falls to {share[balanced, control]}, against {share[balanced, 'fdec']} for fdec and "
        f"{share[balanced, 'cor']} for cor. The intervals cover the draw of test records, not the "
        "luck of training."
    )


def against_knowledge(run: Run) -> str:
    """What is left of it under attackers who know the ensemble, in words."""
    sentences = []
    for epsilon in (knowledge.middle(run), max(knowledge.epsilons(run))):
        found = knowledge.summary(run, epsilon=epsilon)[knowledge.ALL]
        alive = claims.surviving({knowledge.ALL: found})[knowledge.ALL]
        records = f"{len(found.labels)} records"
        sentences.append(f"at ε = {epsilon:g} µV, {claims.compared(alive)}")
    return (
        "All this is against an attacker who knows the base model alone. Against one who knows the "
        f"ensemble, counting for each of {records} the strongest attack of "
        f"[appendix A1](A1_adaptive_attacks): {'; '.join(dict.fromkeys(sentences))}."
    )


def headline(run: Run) -> str:
    """The headline table in Markdown, from a run's artefacts."""
    settings = run.settings
    epsilon = max(settings.epsilons)
    records = "synthetic ECGs" if settings.source == "synthetic" else "real records"
    lines = [
        f"Share of records (%) that at least one member still classifies right under SAP at "
        f"ε = {epsilon:g} µV, of those that the base model gets right unperturbed. Ours is the run "
        f"`{run.profile}`: {records} at {settings.rate} Hz, {settings.width:g} of the paper's "
        f"width, {settings.epochs} epochs, one seed.",
        "",
        "| ensemble | paper | ours | 95 % interval | test accuracy of its members |",
        "|---|---|---|---|---|",
    ]
    for name, row in tables.headline(run).iterrows():
        members = stages.ENSEMBLES.get(name, ())
        accuracy = tables.members_table(run, members)["test accuracy (%)"] if members else ["–"]
        lines.append(
            f"| {name} | {row['paper']} | {row['ours']} | {row['95 % interval']} | "
            f"{', '.join(accuracy)} |"
        )
    return "\n".join(lines)


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
        if name in stages.MEMBERS:
            kind = "trainings of the nine models"
        elif name in TRAININGS:
            kind = "trainings of the rivals"
        else:
            kind = SEARCHES.get(name.partition("-")[0], "everything else")
        kinds.setdefault(kind, []).append(duration / 60)
    return dict(sorted(kinds.items(), key=lambda item: sum(item[1]), reverse=True))


def main() -> None:
    """The command line: a folder to write to, and parameters as papermill takes them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-p", action="append", nargs=2, default=[], metavar=("NAME", "VALUE"))
    arguments = parser.parse_args()
    write_run_pages(stages.open_run(given_settings(arguments.p)), arguments.folder)


if __name__ == "__main__":
    main()
