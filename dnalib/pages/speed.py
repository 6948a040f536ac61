"""The page on speed, generated from what the benchmarks measured."""

import json
from pathlib import Path
from typing import Any

LIMITS = (
    "What limits ours, in shares of the wall time under a profiler: compute (convolutions, "
    "matrix products, factorisations, triangular solves), memory traffic (all other operations), "
    "and the gaps between them, in which Python runs and work is launched. On a GPU these are "
    "times of its kernels. On a CPU an operation's own overhead counts as its time, so that the "
    "true gaps are at least as large as given here."
)
UNMEASURED = "What products in bf16 do to the attacks' success was not measured on this machine."


def write_speed_page(folder: Path, path: Path) -> None:
    """Write the measured speeds, a table for each machine.

    Args:
        folder: of the benchmarks' results, a JSON file for each machine: its hardware, the
            benchmarks' lines, and the effect of bf16 on attacks where it was measured, with the
            hardware and date of that.
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
        "| what | straightforward (s) | ours (s) | times faster | aimed at |",
        "|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        lines.append(
            f"| {row['benchmark']} | {row['straightforward_seconds']:.3g} | "
            f"{row['ours_seconds']:.3g} | {row['ratio']:.1f} | {row['wanted']:g} |"
        )
    details = [
        f"- {row['benchmark']}: {', '.join(found)}"
        for row in result["rows"]
        if (found := details_of(row))
    ]
    if details:
        lines += ["", "What each was measured on, and its share of something larger:", "", *details]
    lines += ["", "Where ours spends its time, the costliest operations and their share:", ""]
    for row in result["rows"]:
        shares = sorted(row.get("most_time", {}).items(), key=lambda item: item[1], reverse=True)
        costliest = ", ".join(f"`{name}` {100 * share:.0f} %" for name, share in shares)
        lines.append(f"- {row['benchmark']}: {costliest or 'not profiled'}")
    limits = [
        f"- {row['benchmark']}: {shares_of(row)}" for row in result["rows"] if "limits" in row
    ]
    if limits:
        lines += ["", LIMITS, "", *limits]
    lines += ["", *bf16_lines(result.get("bf16"))]
    return "\n".join(lines)


def details_of(row: dict[str, Any]) -> list[str]:
    """What a benchmark's line says of its size and of its share of something larger."""
    found = []
    if "batch" in row:
        found.append(f"batches of {row['batch']} rows")
    if "records" in row:
        found.append(f"{row['records']:,} records")
    if "share_of_matrix_rate" in row:
        found.append(
            f"{100 * row['share_of_matrix_rate']:.0f} % of the rate of a large bf16 matrix product "
            f"({row['teraflop_a_second']:.3g} of {row['matrix_teraflop_a_second']:.3g} TFLOP/s)"
        )
    if "share_of_step" in row:
        found.append(
            f"{100 * row['share_of_step']:.2g} % of a full-size training step "
            f"({row['step_seconds']:.3g} s, scaled from one of {row['step_rows']} rows)"
        )
    return found


def shares_of(row: dict[str, Any]) -> str:
    """What limits one benchmark, the largest share first, in words."""
    shares = sorted(row["limits"].items(), key=lambda item: item[1], reverse=True)
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares)


def bf16_lines(effect: dict[str, Any] | None) -> list[str]:
    """What bf16 products do to attacks, as a table in Markdown, or that it was not measured."""
    if not effect:
        return [UNMEASURED]
    lines = [
        "Attacks with products in float32, as the run was attacked, and in bf16, made on "
        f"{effect['hardware']}, PyTorch {effect['torch']}, {effect['date']}:",
        "",
        "| attack, masked | ε (µV) | records | right, float32 (%) | right, bf16 (%) |",
        "|---|---|---|---|---|",
    ]
    for row in effect["rows"]:
        lines.append(
            f"| {row['attack'].upper()} | {row['epsilon']:g} | {row['records']} | "
            f"{100 * row['32-true']:.1f} | {100 * row['bf16-mixed']:.1f} |"
        )
    return lines
