"""Profiles: the parameters of a run, and the notebooks' way to change one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from dnalib.runs.cells import made_by_a_chapter
from dnalib.runs.values import (
    ParameterError,
    accept_choice,
    accept_number,
    accept_several,
    read_value,
)

PROFILES = Path(__file__).resolve().parent.parent / "profiles"
RECORDED = "recorded/"
Rival = Literal["adversarial", "adversarial dec", "parallel", "dverge", "wide"]
# Parameters that say where things are and how long it may take; all others are settings.
PLACES = ("profile", "data", "split", "runs_folder", "max_minutes")
# Which values and seeds the chapters that compare some show; no number of another chapter changes.
COMPARED = ("swept_weights", "swept_dimensions", "swept_bands", "sweep_seeds", "most_members")
SEEDS = "seeds"  # the parameter of a chapter that shows several runs
NOTEBOOK_NAMES = ("In", "Out")


@dataclass(frozen=True)
class Settings:
    """Every parameter of a run that changes a number in it.

    Attributes:
        source: "synthetic" or "cinc2017".
        synthetic_records: how many synthetic records are made.
        data_seed: of the synthetic records, of a stratified split and of subsets.
        train_records, test_records: size of a stratified subset; 0, or more than there are, takes
            all.
        rate: Hz after decimation; divides 300.
        length: samples a record is padded or cut to, at `rate`.
        cut: part of longer records that is kept, "start" or "middle".
        width: factor on the channels of blocks 1–11.
        dropout: probability after each block.
        epochs: passes over the training rows.
        batch_size: rows a step for the base model.
        auxiliary_batch_size: likewise for the other members.
        learning_rate: Adam's step size, the peak with "one-cycle".
        schedule: "one-cycle" or "constant".
        precision: "auto", "32-true" or "bf16-mixed"; see `dnalib.training.Recipe`.
        seed: of weights, order of rows, dropout and projections.
        bands: equal bands of the spectrum that alternate between h₁ and h₂.
        decorrelation_weight: factor of the decorrelation loss.
        projected_dimension: columns of the random projection.
        epsilons: largest change of a sample, raw units (µV).
        pgd_steps, sap_steps: gradient steps; SAP's come after PGD's.
        attack_precision: "32-true", or "bf16-mixed" for an attack's products in bf16.
        attack_records: test records that are attacked at most; 0 takes all the base model gets
            right.
        adaptive_epsilons: largest change of a sample in attacks that know the defence, raw units.
        adaptive_records: records that these attack at most, of those attacked; 0 takes all.
        adaptive_precision: of these attacks, as `attack_precision`.
        rivals: ensembles by other methods that are trained, attacked and compared.
        adversarial_epsilon: largest change of a sample in the training of rivals, raw units (µV).
        adversarial_steps: gradient steps that such a change takes.
        parallel_weight: factor of the loss between networks that are trained together.
        swept_weights, swept_dimensions, swept_bands: values of `decorrelation_weight`,
            `projected_dimension` and `bands` that the chapters on them compare.
        sweep_seeds: trainings at each such value, with seeds from `seed` on.
        most_members: networks of the largest ensembles that are compared, 3 to 5.
    """

    source: Literal["synthetic", "cinc2017"]
    synthetic_records: int
    data_seed: int
    train_records: int
    test_records: int
    rate: int
    length: int
    cut: Literal["start", "middle"]
    width: float
    dropout: float
    epochs: int
    batch_size: int
    auxiliary_batch_size: int
    learning_rate: float
    schedule: Literal["one-cycle", "constant"]
    precision: Literal["auto", "32-true", "bf16-mixed"]
    seed: int
    bands: int
    decorrelation_weight: float
    projected_dimension: int
    epsilons: tuple[float, ...]
    pgd_steps: int
    sap_steps: int
    attack_precision: Literal["32-true", "bf16-mixed"]
    attack_records: int
    adaptive_epsilons: tuple[float, ...]
    adaptive_records: int
    adaptive_precision: Literal["32-true", "bf16-mixed"]
    rivals: tuple[Rival, ...]
    adversarial_epsilon: float
    adversarial_steps: int
    parallel_weight: float
    swept_weights: tuple[float, ...]
    swept_dimensions: tuple[int, ...]
    swept_bands: tuple[int, ...]
    sweep_seeds: int
    most_members: int

    def values(self, names: tuple[str, ...]) -> dict[str, Any]:
        """The named settings, as JSON can hold them."""
        chosen = {name: getattr(self, name) for name in names}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in chosen.items()}


def computing_profiles() -> list[str]:
    """Names of the profiles that compute."""
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def load_profile(name: str) -> Settings:
    """The settings of a profile.

    Raises:
        ParameterError: no such profile, a recorded run, which none computes, or a file that lacks a
            setting or holds a wrong one.
    """
    path = PROFILES / f"{name}.yaml"
    if name.startswith(RECORDED):  # whoever reads recorded runs does not ask for a profile's file
        raise ParameterError(
            f"profile is {name!r}, a recorded run, which is only read; accepted here are those "
            f"that compute: {', '.join(computing_profiles())}"
        )
    if not path.is_file():
        raise ParameterError(
            f"profile is {name!r}; accepted are {', '.join(computing_profiles())}, which compute, "
            f"and the recorded runs, such as '{RECORDED}small', which are only read"
        )
    try:
        values = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ParameterError(f"{path}: {' '.join(str(error).split())}; accepted is YAML") from error
    return settings_from(values, origin=str(path))


def settings_from(values: Any, *, origin: str) -> Settings:
    """Settings from a mapping that names every one of them.

    Raises:
        ParameterError: it is none, a name is missing or unknown, or a value is not accepted.
    """
    if not isinstance(values, Mapping):
        raise ParameterError(f"{origin} holds no settings; accepted is a line NAME: VALUE for each")
    names = setting_names()
    missing = sorted(set(names) - set(values))
    unknown = sorted(set(values) - set(names))
    if missing or unknown:
        raise ParameterError(f"{origin}: missing settings {missing}, unknown settings {unknown}")
    try:
        return Settings(**{name: accept(name, value) for name, value in values.items()})
    except ParameterError as error:
        raise ParameterError(f"{origin}: {error}") from error


def given_settings(pairs: Iterable[Sequence[str]]) -> dict[str, Any]:
    """Names and values as papermill's `-p` takes them: numbers and lists are read as such.

    Raises:
        ParameterError: a value is no YAML.
    """
    return {name: read_value(name, value) for name, value in pairs}


def setting_names() -> tuple[str, ...]:
    """Names of all settings."""
    return tuple(field.name for field in fields(Settings))


def override(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Settings with some values changed.

    Raises:
        ParameterError: an unknown name or a value that is not accepted.
    """
    for name in changes:
        if name not in setting_names():
            accepted = ", ".join(setting_names())
            raise ParameterError(f"there is no parameter {name!r}; accepted are {accepted}")
    return replace(settings, **{name: accept(name, value) for name, value in changes.items()})


def changed_settings(profile: str, settings: Settings) -> dict[str, tuple[Any, Any]]:
    """Settings that a run has otherwise than its profile, each with its value and the profile's.

    Args:
        profile: of the run, which may be a recorded one.
        settings: of the run.

    Returns:
        Without the seed, which is of a training, and without what is compared; nothing where there
        is no such profile any more.
    """
    name = profile.removeprefix(RECORDED).partition("/")[0]
    if name not in computing_profiles():
        return {}
    before = load_profile(name)
    pairs = {one: (getattr(settings, one), getattr(before, one)) for one in setting_names()}
    return {
        one: pair
        for one, pair in pairs.items()
        if pair[0] != pair[1] and one not in ("seed", *COMPARED)
    }


def accept(name: str, value: Any) -> Any:
    """A setting's value in its own type.

    Raises:
        ParameterError: the value is of another kind, or none that makes sense there.
    """
    kind = get_type_hints(Settings)[name]
    if get_origin(kind) is Literal:
        return accept_choice(name, value, choices=get_args(kind))
    if get_origin(kind) is tuple:
        return accept_several(name, value, kind=get_args(kind)[0])
    return accept_number(name, value, kind=kind)


def notebook_parameters(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters among a notebook's variables: those of simple types, set to something.

    Papermill only warns of a parameter that a notebook does not have and runs on. This refuses it.
    What the chapter's cells made when they were executed before, in this kernel, is left out.

    Args:
        variables: `globals()` of a notebook that has run its parameters cell and imports.

    Returns:
        Names and values of the parameters that are not None.

    Raises:
        ParameterError: a name that is neither a setting, a place nor `SEEDS`.
    """
    simple = (str, int, float, bool, list, tuple, dict, type(None))
    no_parameters = {*NOTEBOOK_NAMES, *made_by_a_chapter(variables)}
    found = {
        name: value
        for name, value in variables.items()
        if not name.startswith("_") and name not in no_parameters and isinstance(value, simple)
    }
    for name in found:
        if name not in (*PLACES, SEEDS) and name not in setting_names():
            raise ParameterError(unknown_parameter(name))
    return {name: value for name, value in found.items() if value is not None}


def unknown_parameter(name: str) -> str:
    """One sentence about a name that is no parameter."""
    return f"there is no parameter {name!r}; accepted are {', '.join(PLACES + setting_names())}"
