"""Every stage of a run by name, and the run that a notebook asks for."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from dnalib.dataset import load_dataset
from dnalib.ensemble import Ensemble
from dnalib.runs import (
    ComputingRun,
    ParameterError,
    RecordedRun,
    Run,
    Settings,
    Stage,
    load_profile,
    notebook_parameters,
    project_root,
)
from dnalib.runs.consistency import check_places, check_together
from dnalib.runs.folders import check_runs_folder
from dnalib.runs.settings import PLACES, RECORDED, SEEDS, accept, override
from dnalib.runs.values import accept_minutes, accept_path, read_several
from dnalib.stages.adaptive import adaptive_stages, shared_stages
from dnalib.stages.costs import cost_stage
from dnalib.stages.effects import effect_stages
from dnalib.stages.ensembles import ENSEMBLES, FURTHER, MEMBERS, PREPARATION
from dnalib.stages.members import load_member, member_stages
from dnalib.stages.noise import noise_stage
from dnalib.stages.perturbations import attack_stages, perturbation_name, store_examples
from dnalib.stages.rivals import TRAININGS, rival_stages
from dnalib.stages.sizes import attack_sizes_stage
from dnalib.stages.survey import survey
from dnalib.stages.sweeps import sweep_stages
from dnalib.training.processes import processes_of_launch


def open_run(variables: Mapping[str, Any]) -> Run:
    """The run that a notebook's parameters ask for.

    Args:
        variables: `globals()` of the notebook, after its parameters cell.

    Returns:
        A recorded run, only read, for a profile such as "recorded/small"; else one that computes.

    Raises:
        runs.ParameterError: an unknown parameter or profile, a value that is not accepted or does
            not go together with another, a place of records for a run that reads none, a
            `runs_folder` that is a file, a change to a recorded run, or another seed recorded
            beside one.
    """
    run = open_whole_or_seed(variables)
    if isinstance(run, RecordedRun):
        run.check_is_whole()
    return run


def open_whole_or_seed(variables: Mapping[str, Any]) -> Run:
    """As `open_run`, and a recorded run of another seed, which holds less, is opened too."""
    parameters = notebook_parameters(variables)
    if SEEDS in parameters:
        raise ParameterError(
            "this chapter shows one run; seeds is a parameter of chapter 8 and appendix A1 alone"
        )
    places = {name: parameters.pop(name, None) for name in PLACES}
    profile = str(places["profile"])
    max_minutes = accept_minutes(places["max_minutes"])
    data, split, runs_folder = (
        accept_path(name, places[name]) for name in ("data", "split", "runs_folder")
    )
    root = project_root()
    if profile.startswith(RECORDED):
        run = RecordedRun(root / "data" / profile, root=root, place=data, split=split)
        run.check_unchanged(parameters)
        return run
    settings = override(load_profile(profile), parameters)
    check_together(settings, names=parameters)
    return computing_run(
        settings,
        profile=profile,
        root=root,
        runs_folder=runs_folder,
        place=data,
        split=split,
        max_minutes=max_minutes,
    )


def open_seeds(variables: Mapping[str, Any]) -> list[Run]:
    """The runs of a chapter that shows several seeds: one for each, the first being the main one.

    Args:
        variables: as in `open_run`; `seeds` lists whole numbers, or is None: for one run, or for
            a recorded one with all that was recorded beside it, of which it is the first.

    Raises:
        runs.ParameterError: as `open_run` does; seeds that are none or named twice, that were not
            recorded, or beside a single `seed`.
    """
    seeds = accepted_seeds(variables)
    single = {**variables, SEEDS: None}
    first = open_run(single)
    if isinstance(first, RecordedRun) and variables.get("seed") is None:
        return list(first.with_seeds(seeds))
    if seeds is None:
        return [first]
    runs = [open_run({**single, "seed": seed}) for seed in seeds]
    for run in runs[1:]:
        if isinstance(run, ComputingRun) and isinstance(runs[0], ComputingRun):
            run.share_records(runs[0])
    return runs


def accepted_seeds(variables: Mapping[str, Any]) -> list[int] | None:
    """The seeds that a chapter is asked for; None if it is not asked for several."""
    given = variables.get(SEEDS)
    if given is None:
        return None
    listed = read_several(given)
    if listed == [given] or not listed:
        raise ParameterError(f"seeds is {given!r}; accepted is a list of whole numbers, each once")
    if variables.get("seed") is not None:
        raise ParameterError("seed and seeds are both given; accepted is one of them")
    seeds = [accept("seed", seed) for seed in listed]
    if len(set(seeds)) < len(seeds):  # 1 and 1.0 are one
        raise ParameterError(f"seeds is {given!r}; accepted is a list of whole numbers, each once")
    return seeds


def computing_run(
    settings: Settings,
    *,
    profile: str,
    root: Path,
    runs_folder: str | Path | None = None,
    place: str | Path | None = None,
    split: str | Path | None = None,
    max_minutes: float | None = None,
) -> ComputingRun:
    """A run that computes, with its artefacts in `<runs_folder>/<profile>`.

    Where `torchrun` started several processes, each of them opens the same runs, and asks them for
    the same stages, in the same order.

    Args:
        settings: its parameters.
        profile: its name.
        root: the project's folder.
        runs_folder: None for `data/runs` in the project's folder.
        place, split: where the real records and their split are, as in `load_dataset`.
        max_minutes: how long it may compute from now on; None for as long as it takes.

    Raises:
        runs.ParameterError: `place` or `split` is given and the run is on synthetic records, or
            `runs_folder` is a file, or below one.
    """
    check_places(settings, profile=profile, data=place, split=split)
    folder = Path(runs_folder).expanduser() if runs_folder else root / "data" / "runs"
    check_runs_folder(folder)
    return ComputingRun(
        profile=profile,
        settings=settings,
        folder=folder / profile,
        root=root,
        make_stages=all_stages,
        load_dataset=partial(load_dataset, place=place, split=split),
        max_minutes=max_minutes,
        processes=processes_of_launch(),
    )


def all_stages(settings: Settings) -> dict[str, Stage]:
    """Every stage of a run by name, in the order in which the chapters need them."""
    stages = [Stage("survey", ".json", PREPARATION, (), survey, "data"), *member_stages()]
    for epsilon in settings.epsilons:
        stages += [*attack_stages(epsilon), noise_stage(epsilon)]
    examples = tuple(perturbation_name("strip", epsilon) for epsilon in settings.epsilons)
    stages.append(Stage("examples", ".safetensors", ("epsilons",), examples, store_examples))
    stages.append(attack_sizes_stage(settings.epsilons))
    stages += effect_stages(max(settings.epsilons))
    stages += adaptive_stages(settings, ensembles=ENSEMBLES)
    stages += shared_stages(settings)
    stages += [*rival_stages(settings), cost_stage(settings)]
    stages += sweep_stages(settings)
    return {stage.name: stage for stage in stages}


def holds_weights(name: str) -> bool:
    """Whether a stage's artefact is what a training ends with: its weights.

    Trainings are those of the nine models, of further members, and of rivals. A network that was
    trained together with others is only cut out of their weights, and does not count.
    """
    return name in (*MEMBERS, *FURTHER, *TRAININGS)


def load_ensemble(profile: str, name: str) -> Ensemble:
    """A trained ensemble of a run, in evaluation mode, that takes records as its members did.

    Args:
        profile: "recorded/small", whose weights are committed, another seed recorded beside it,
            such as "recorded/small/seed-1", or one that computes (and trains what is missing).
        name: "cor", "dec", "fcor" or "fdec".

    Raises:
        ValueError: no such ensemble.
        runs.ParameterError: no such profile.
        FileNotFoundError: the current folder lies in no clone of the project, where runs are, nor
            was dnalib imported from one: run this inside a clone, or `pip install -e .` one, and it
            works from anywhere.
    """
    if name not in ENSEMBLES:
        raise ValueError(f"name is {name!r}; accepted are {', '.join(ENSEMBLES)}")
    run = open_whole_or_seed({"profile": profile})
    settings = run.settings
    members = [load_member(run, member) for member in ENSEMBLES[name]]
    return Ensemble(members, rate=settings.rate, length=settings.length, cut=settings.cut).eval()
