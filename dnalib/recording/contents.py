"""Which stages of a run are recorded, and whether a run has them."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import nbformat

from dnalib.executing import shown_profile
from dnalib.runs import ComputingRun, Settings
from dnalib.runs.recorded import MANIFEST, seed_folder
from dnalib.runs.settings import RECORDED
from dnalib.stages import ENSEMBLES, MEMBERS, attacked_name
from dnalib.stages.adaptive import adaptive_name, epsilons_of_each_seed, middle_epsilon
from dnalib.stages.control import CONTROL_STAGE
from dnalib.stages.longer import longer_name
from dnalib.stages.longer_smooth import longer_smooth_name
from dnalib.stages.members import SWAPPED, r_squared_name
from dnalib.stages.perturbations import PERTURBATIONS
from dnalib.stages.rivals import PARTS
from dnalib.stages.sweeps import SWEPT_PADDING
from dnalib.workflow.chapters import appendix_stages, chapter_stages
from dnalib.workflow.variants import WorkflowError


def shown(run: ComputingRun) -> list[str]:
    """Names of the stages whose artefacts are recorded of a run.

    Features, perturbations and the weights of a variant are large, and no figure reads them.
    """
    return [name for name in run.stages if is_small(name)]


def shown_of_each_seed(settings: Settings) -> list[str]:
    """The stages whose artefacts chapters read of every seed; of the first they read more.

    Attacks that know the defence are shown of each seed at `epsilons_of_each_seed`, with more steps
    at one of them: all attacks at the middle one, SAP at the largest.
    """
    attacked_ones = (CONTROL_STAGE, *ENSEMBLES)
    bounds = epsilons_of_each_seed(settings)
    knowing = [adaptive_name(one, epsilon) for epsilon in bounds for one in attacked_ones]
    knowing += [longer_name(one, middle_epsilon(settings)) for one in attacked_ones]
    knowing += [longer_smooth_name(one, max(bounds)) for one in attacked_ones]
    return [
        *MEMBERS,
        *(f"natural-{member}" for member in MEMBERS),
        *(attacked_name(SWEPT_PADDING, epsilon) for epsilon in settings.epsilons),
        *knowing,
        *(r_squared_name(ensemble) for ensemble in ENSEMBLES),
    ]


def is_small(name: str) -> bool:
    """Whether a stage's artefact is recorded, by its name."""
    large = ("features-", *PERTURBATIONS)
    return not (name.startswith(large) or name.endswith(SWAPPED) or name in PARTS)


def needed(settings: Settings, *, without: Collection[str] = ()) -> set[str]:
    """Names of the stages that the chapters read, those of some appendices left out."""
    kept = {
        name
        for appendix, names in appendix_stages(settings).items()
        if appendix not in without
        for name in names
    }
    return {*chapter_stages(settings), *kept}


def absent_appendices(settings: Settings, *, is_held: Callable[[str], bool]) -> list[str]:
    """The appendices that a run lacks something of, by their notebooks; large stages aside."""
    return [
        appendix
        for appendix, names in appendix_stages(settings).items()
        if not all(is_held(name) for name in names if is_small(name))
    ]


def check_chapters_are_held(run: ComputingRun, *, further_seeds: Sequence[int]) -> list[str]:
    """The appendices that a run of these seeds lacks something of, by their notebooks.

    Raises:
        WorkflowError: it lacks something of chapters 1 to 8, or of an appendix that shows what is
            recorded of this profile already.
    """
    absent = absent_appendices(run.settings, is_held=lambda name: run.find(name) is not None)
    for appendix in absent:
        path = run.root / "book" / f"{appendix}.ipynb"
        if shown_profile(nbformat.read(path, as_version=4)) == RECORDED + run.profile:
            raise WorkflowError(
                f"{run.folder} lacks stages of {appendix}, which shows {RECORDED}{run.profile} "
                "and would have nothing left to show; --compute computes them here"
            )
    names = needed(run.settings, without=absent)
    for one in (run, *(run.variant({"seed": seed}) for seed in further_seeds)):
        wanted = shown(run) if one is run else shown_of_each_seed(one.settings)
        missing = [name for name in wanted if name in names and one.find(name) is None]
        if missing:
            raise WorkflowError(
                f"{run.folder} lacks {len(missing)} stages of seed {one.settings.seed} with these "
                f"settings, first {missing[0]}; execute the chapters first, or --compute "
                "computes them here"
            )
    return absent


def check_nothing_is_dropped(folder: Path) -> None:
    """Raise a WorkflowError if a recorded run has further seeds that recording anew would drop."""
    held = sorted(path.parent.name for path in folder.glob(f"{seed_folder('*')}/{MANIFEST}"))
    if held:
        raise WorkflowError(
            f"{folder} holds further seeds ({', '.join(held)}); accepted is --seeds with all that "
            "are to stay, such as 0-1, or with the run's alone"
        )
