"""Text that is generated from a run: which it is, its headline, and what it says."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from dnalib import metrics, tables
from dnalib.runs import RecordedRun, Run
from dnalib.stages.adaptive import adaptive_name
from dnalib.stages.rivals import rivals_of
from dnalib.tables import claims, effects, front, knowledge, noise, rival_costs, verdicts
from dnalib.workflow.chapters import SWEEP_CHAPTERS

WORDS = (
    "Four ensembles are compared: the conventional *cor*, the decorrelated *dec*, *fcor* with the "
    "spectrum split, and *fdec* with both. An ensemble *keeps* a record that at least one of its "
    "members gets right. In the paper, perturbations are searched for on the first member, the "
    "*base model* of all four, and shown to all members; ε bounds the change of each sample. The "
    "attack PGD moves every sample by itself, SAP smooths the change. A control, "
    f"*{metrics.CONTROL}*, is the base model beside two answers that never change, *always normal* "
    "and *always other*."
)
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
    parts = [banner, numbers(runs)]
    alone = f"What follows is of seed {runs[0].settings.seed} alone. " if len(runs) > 1 else ""
    parts.append(alone + noise.beside_headline(runs[0]))
    parts.append(against_knowledge(runs) if holds_attacks_on(runs[0], "fdec") else ELSEWHERE)
    if all(holds_attacks_on(runs[0], rival) for rival in rivals_of(runs[0].settings)):
        parts.append(rival_costs.beside_rivals(runs[0]))
    (folder / "run.md").write_text("\n\n".join(parts) + "\n")
    effects.write_effects(runs[0], folder / "measured_effects.md")


def numbers(runs: Sequence[Run]) -> str:
    """What the README and the first page begin with: the words, the headline, and what it says."""
    knowing = holds_attacks_on(runs[0], "fdec")
    glance = f"**In short.** {verdicts.at_a_glance(runs, knowing=knowing).markdown}"
    parts = (WORDS, glance, headline(runs, knowing=knowing), in_detail(runs, knowing=knowing))
    return "\n\n".join(parts)


def in_detail(runs: Sequence[Run], *, knowing: bool) -> str:
    """What the run says of the claim, a line each, decided by intervals alone."""
    chance = (
        "the draw of test records alone, not over the luck of training"
        if len(runs) == 1
        else f"{len(runs)} seeds and the draw of test records"
    )
    lines = [verdicts.under_the_papers_attack(runs).markdown]
    if knowing:
        lines.append(verdicts.under_the_attack_aimed_at_the_ensemble(runs).markdown)
        lines.append(verdicts.under_all_attacks(runs).markdown)
    return "\n".join(
        [
            "In detail, with differences in percentage points and 95 % intervals over "
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
        "Against an attacker who knows the ensemble, counting for each record the strongest attack "
        f"of [appendix A1](A1_adaptive_attacks), at ε = {epsilon:g} µV, "
        f"{claims.compared(alive)}; {claims.beside_cor(alive, names=['dec', 'fcor'])}."
    )


def headline(runs: Sequence[Run], *, knowing: bool) -> str:
    """The table that the book begins with, and how it is read, in Markdown."""
    table = front.front_table(runs, knowing=knowing)
    names = ["ensemble", *table.columns]
    lines = [
        how_it_is_read(runs, knowing=knowing),
        "",
        f"| {' | '.join(names)} |",
        f"|{'---|' * len(names)}",
        *(f"| {ensemble} | {' | '.join(row)} |" for ensemble, row in table.iterrows()),
    ]
    return "\n".join(lines)


def how_it_is_read(runs: Sequence[Run], *, knowing: bool) -> str:
    """What the columns of `front.front_table` are, and of which run."""
    settings = runs[0].settings
    trained, over = (
        ("one seed", "records")
        if len(runs) == 1
        else (f"the mean of {len(runs)} seeds", "seeds and records")
    )
    stronger = (
        "; *aimed SAP* is on each member and on all together, at ε = "
        f"{max(knowledge.epsilons(runs[0])):g} µV; *all attacks* are the strongest on each record, "
        f"at ε = {knowledge.middle(runs[0]):g} µV"
        if knowing
        else ""
    )
    return (
        "The table gives P(≥1), the share of records (%) that an ensemble keeps, of those that the "
        "base model gets right unperturbed. *Paper* and *ours* are under SAP on the base model at "
        f"ε = {max(settings.epsilons):g} µV, ours with an interval over {over}, and the same "
        f"with all *classes alike*; *PGD* is on the base model at the same ε{stronger}. *Accuracy* "
        "(%) is that of each member on all unperturbed test records. Ours is the run "
        f"`{runs[0].profile}`: {tables.whose_records(runs[0].origin)} at {settings.rate} Hz, "
        f"{settings.width:g} of the paper's width, {settings.epochs} epochs, {trained}."
    )


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
