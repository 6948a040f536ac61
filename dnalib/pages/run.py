"""Text that is generated from a run: which it is, its headline, and what it says."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import yaml

from dnalib import metrics, stages, tables
from dnalib.runs import RecordedRun, Run
from dnalib.stages.adaptive import adaptive_name
from dnalib.stages.rivals import rivals_of
from dnalib.tables import claims, effects, knowledge, noise, rival_costs, seeds, verdicts
from dnalib.workflow.chapters import SWEEP_CHAPTERS

ELSEWHERE = (
    "These perturbations are searched for on the base model alone. Attackers who know the "
    "ensemble are met in [appendix A1](A1_adaptive_attacks), on the run that it names."
)


def write_run_pages(runs: Sequence[Run], folder: Path) -> None:
    """Write what the pages include of a run, the first of its seeds.

    `run.md`: which run the book shows, on which records, its headline, and what it says;
    `measured_effects.md`: what the differences between text and code change.
    """
    banner = tables.banner(runs[0]).markdown
    parts = [banner, numbers(runs), claims.findings(runs).markdown]
    alone = f"What follows is of seed {runs[0].settings.seed} alone. " if len(runs) > 1 else ""
    parts.append(alone + noise.beside_headline(runs[0]))
    parts.append(against_knowledge(runs) if holds_attacks_on(runs[0], "fdec") else ELSEWHERE)
    if all(holds_attacks_on(runs[0], rival) for rival in rivals_of(runs[0].settings)):
        parts.append(rival_costs.beside_rivals(runs[0]))
    (folder / "run.md").write_text("\n\n".join(parts) + "\n")
    effects.write_effects(runs[0], folder / "measured_effects.md")


def numbers(runs: Sequence[Run]) -> str:
    """What the README and the first page begin with: the run in short, and its headline."""
    return f"{in_short(runs)}\n\n{headline(runs)}"


def in_short(runs: Sequence[Run]) -> str:
    """What the run says of the claim, a line each, decided by intervals alone."""
    chance = (
        "the draw of test records alone, not over the luck of training"
        if len(runs) == 1
        else f"{len(runs)} seeds and the draw of test records"
    )
    lines = [verdicts.under_the_papers_attack(runs).markdown]
    if holds_attacks_on(runs[0], "fdec"):
        lines.append(verdicts.under_the_attack_aimed_at_the_ensemble(runs).markdown)
        lines.append(verdicts.under_all_attacks(runs).markdown)
    return "\n".join(
        [
            "Four ensembles are compared: the conventional *cor*, the decorrelated *dec*, *fcor* "
            "with the spectrum split, and *fdec* with both. An ensemble *keeps* a record that at "
            "least one of its members gets right. Perturbations are searched for on the first "
            "member, the *base model* of all four, and shown to all members; ε bounds the change "
            "of each sample. The attack PGD moves every sample by itself, SAP smooths the change. "
            f"A control, *{metrics.CONTROL}*, is the base model beside two answers that never "
            "change, *always normal* and *always other*.",
            "",
            "In short, with differences in percentage points and 95 % intervals over "
            f"{chance} (at most about one such interval in twenty misses by chance; none is "
            "corrected for their number):",
            "",
            *lines,
        ]
    )


def holds_attacks_on(run: Run, ensemble: str) -> bool:
    """Whether a run has, or computes, the attacks on an ensemble that know it."""
    name = adaptive_name(ensemble, knowledge.middle(run))
    return not isinstance(run, RecordedRun) or name in run.manifest["artefacts"]


def against_knowledge(runs: Sequence[Run]) -> str:
    """What is left of it under attackers who know the ensemble, at the largest ε, in words."""
    epsilon = max(knowledge.epsilons(runs[0]))
    found = knowledge.summary(runs[0], epsilon=epsilon)[knowledge.ALL]
    alive = claims.surviving({knowledge.ALL: found})[knowledge.ALL]
    return (
        "The attacks above are made on the base model alone. Against an attacker who knows the "
        "ensemble, counting for each record the strongest attack of [appendix "
        f"A1](A1_adaptive_attacks), at ε = {epsilon:g} µV, "
        f"{claims.compared(alive)}; {claims.beside_cor(alive, names=['dec', 'fcor'])}."
    )


def headline(runs: Sequence[Run]) -> str:
    """The headline table in Markdown, from the artefacts of a run's seeds."""
    settings = runs[0].settings
    epsilon = max(settings.epsilons)
    records = tables.whose_records(runs[0].origin)
    trained = (
        "one seed"
        if len(runs) == 1
        else f"the mean of {len(runs)} seeds with an interval over seeds and records"
    )
    over = "" if len(runs) == 1 else ", the mean over the seeds"
    table = seeds.headline(runs).drop(columns="records")
    names = ["ensemble", *table.columns, "test accuracy of its members"]
    lines = [
        "Share of records (%) that at least one member still classifies right, of those that the "
        f"base model gets right unperturbed: under SAP at ε = {epsilon:g} µV, and, in the column "
        f"*{tables.UNDER_PGD}*, under PGD at the same ε. Ours is the run "
        f"`{runs[0].profile}`: {records} at {settings.rate} Hz, {settings.width:g} of the paper's "
        f"width, {settings.epochs} epochs, {trained}. The last column is the accuracy (%) of each "
        f"member on all unperturbed test records{over}.",
        "",
        f"| {' | '.join(names)} |",
        f"|{'---|' * len(names)}",
    ]
    for ensemble, row in table.iterrows():
        members = stages.ENSEMBLES.get(ensemble, ())
        accuracy = ", ".join(mean_accuracy(runs, member) for member in members) or "–"
        lines.append(f"| {ensemble} | {' | '.join(row)} | {accuracy} |")
    return "\n".join(lines)


def mean_accuracy(runs: Sequence[Run], member: str) -> str:
    """A member's accuracy on unperturbed test records in %, the mean over seeds."""
    each = [metrics.accuracy(*tables.natural(run, [member]))[0] for run in runs]
    return tables.percent(fmean(each))


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
