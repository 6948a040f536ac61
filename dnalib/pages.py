"""Text that is generated from a run: what it is, and its headline.

`python -m dnalib.pages FILE -p profile PROFILE` writes the passage that the first page includes.
"""

import argparse
from pathlib import Path

from dnalib import stages, tables
from dnalib.runs import Run


def write_run_page(run: Run, path: Path) -> None:
    """Write which run the book shows, on which records, and its headline."""
    path.write_text(f"{tables.banner(run).markdown}\n\n{headline(run)}\n")


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


def main() -> None:
    """The command line: a file to write, and parameters as papermill takes them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("-p", action="append", nargs=2, default=[], metavar=("NAME", "VALUE"))
    arguments = parser.parse_args()
    write_run_page(stages.open_run(dict(arguments.p)), arguments.file)


if __name__ == "__main__":
    main()
