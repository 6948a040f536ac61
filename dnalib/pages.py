"""Text that is generated from a run: which it is, its headline, and what it says.

`python -m dnalib.pages FOLDER -p profile PROFILE` writes the passages that pages include.
"""

import argparse
from pathlib import Path

import yaml

from dnalib import claims, effects, knowledge, metrics, stages, tables
from dnalib.runs import Run
from dnalib.runs.settings import given_settings
from dnalib.workflow.chapters import SWEEP_CHAPTERS


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


def leave_out_chapters(folder: Path) -> None:
    """Take the chapters that compare values off a book's contents where they are not in its folder.

    Of any other page that is missing, the book's builder says so.
    """
    path = folder / "_toc.yml"
    contents = yaml.safe_load(path.read_text())
    missing = {name for name in SWEEP_CHAPTERS.values() if not (folder / f"{name}.ipynb").exists()}
    for part in contents["parts"]:
        part["chapters"] = [one for one in part["chapters"] if one["file"] not in missing]
    path.write_text(yaml.safe_dump(contents, sort_keys=False))


def main() -> None:
    """The command line: a folder to write to, and parameters as papermill takes them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-p", action="append", nargs=2, default=[], metavar=("NAME", "VALUE"))
    arguments = parser.parse_args()
    leave_out_chapters(arguments.folder)
    write_run_pages(stages.open_run(given_settings(arguments.p)), arguments.folder)


if __name__ == "__main__":
    main()
