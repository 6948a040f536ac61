"""The book's chapters in their order, and the stages that must be there before one is executed."""

from collections.abc import Mapping, Sequence

from dnalib.runs import Settings, Stage
from dnalib.runs.values import SWEPT
from dnalib.stages import all_stages
from dnalib.stages.adaptive import adaptive_stages, shared_stages
from dnalib.stages.costs import COSTS
from dnalib.stages.ensembles import ENSEMBLES
from dnalib.stages.rivals import rival_stages
from dnalib.stages.sweeps import (
    further_members,
    seeds_of,
    sizes_name,
    sweep_name,
    sweep_stages,
    variants_of,
)

# Each chapter with those that come before it.
CHAPTERS: Mapping[str, Sequence[str]] = {
    "01_data": (),
    "02_base_model": ("01_data",),
    "03_cor": ("02_base_model",),
    "04_dec": ("02_base_model",),
    "05_fcor": ("02_base_model",),
    "06_fdec": ("02_base_model",),
    "07_attacks": ("03_cor", "04_dec", "05_fcor", "06_fdec"),
    "08_results": ("07_attacks",),
    "A1_adaptive_attacks": ("08_results",),
    "A2_rivals": ("A1_adaptive_attacks",),
}

# Chapters that compare several values of a parameter; a sweep over it executes its chapter.
SWEEP_CHAPTERS: Mapping[str, str] = {
    "decorrelation_weight": "B1_decorrelation_weight",
    "bands": "B2_bands",
    "most_members": "B3_members",
    "projected_dimension": "B4_projected_dimension",
}


def stages_before(chapter: str, stages: Mapping[str, Stage], settings: Settings) -> list[str]:
    """Names of the stages that a chapter reads and that may be jobs of their own.

    Args:
        chapter: one of `CHAPTERS`.
        stages: all stages of the run by name.
        settings: of the run.
    """
    ensemble = chapter.partition("_")[2]
    if chapter == "01_data":
        return ["survey"]
    if chapter == "02_base_model":
        return ["base"]
    if ensemble in ENSEMBLES:
        return list(ENSEMBLES[ensemble])
    others = {stage.name for stage in sweep_stages(settings)}
    if chapter != "A2_rivals":
        others |= {COSTS, *(stage.name for stage in rival_stages(settings))}
    return [name for name in stages if name not in others]


def appendix_stages(settings: Settings) -> dict[str, list[str]]:
    """Names of the stages that each appendix reads and chapters 1 to 8 do not, by its notebook."""
    ensembles = adaptive_stages(settings, ensembles=ENSEMBLES)
    knowing = [stage.name for stage in (*ensembles, *shared_stages(settings))]
    rivals = [stage.name for stage in rival_stages(settings)]
    found = {"A1_adaptive_attacks": knowing, "A2_rivals": [*knowing, *rivals, COSTS]}
    further = further_members(settings)
    for parameter, chapter in SWEEP_CHAPTERS.items():
        found[chapter] = (
            [sweep_name(changes) for changes in variants_of(settings, parameter)]
            if parameter in SWEPT
            else [*(sizes_name(settings, seed) for seed in seeds_of(settings)), *further]
        )
    return found


def chapter_stages(settings: Settings) -> dict[str, Stage]:
    """The stages that chapters 1 to 8 read, by name: all that no appendix alone does."""
    of_appendices = {name for names in appendix_stages(settings).values() for name in names}
    of_appendices |= {f"features-{name}" for name in further_members(settings)}
    return {
        name: stage for name, stage in all_stages(settings).items() if name not in of_appendices
    }
