"""Settings and places that cannot go together, each fine by itself: found before anything runs."""

from collections.abc import Collection, Set
from pathlib import Path

from dnalib.model import FEATURES
from dnalib.runs.settings import Settings, setting_names
from dnalib.runs.values import ParameterError

SYNTHETIC = "synthetic"
# A fit on so many columns, and the one of ones, needs a row more than it has of them.
ROWS_BEYOND_COLUMNS = 2


def check_together(settings: Settings, *, names: Collection[str] | None = None) -> None:
    """Make sure that settings go together.

    Args:
        settings: of a run.
        names: settings that were changed; None for all, which all chapters follow. Lists that few
            chapters read count where they were changed themselves: a chapter that reads none is
            not refused for them.

    Raises:
        ParameterError: two of them do not.
    """
    changed = set(setting_names() if names is None else names)
    if settings.source == SYNTHETIC and not settings.synthetic_records:
        raise ParameterError("synthetic_records is 0, and the run's records are synthetic")
    length, rows = settings.length, settings.auxiliary_batch_size
    limits = {
        "bands": ("length", length, length // 2),
        "projected_dimension": ("auxiliary_batch_size", rows, rows - ROWS_BEYOND_COLUMNS),
    }
    found = {
        "bands": ("bands", [settings.bands]),
        "swept_bands": ("bands", settings.swept_bands),
        "projected_dimension": ("projected_dimension", [settings.projected_dimension]),
        "swept_dimensions": ("projected_dimension", settings.swept_dimensions),
    }
    for name, (parameter, values) in found.items():
        other, size, highest = limits[parameter]
        matters = name in changed or (name == parameter and other in changed)
        if matters and max(values) > highest:
            raise ParameterError(
                f"{name} has {max(values)}, and {other} is {size}; accepted are numbers up to "
                f"{highest} with that"
            )
    check_rivals(settings, changed)


def check_rivals(settings: Settings, changed: Set[str]) -> None:
    """Make sure that the rivals' trainings have what they need, where that was changed.

    Raises:
        ParameterError: parallel's batch is too small for a fit on all columns, or rivals that are
            trained on the results of an attack have none.
    """
    rows, least = settings.auxiliary_batch_size, FEATURES + ROWS_BEYOND_COLUMNS
    if "rivals" in changed and "parallel" in settings.rivals and rows < least:
        raise ParameterError(
            f"rivals has parallel, which needs an auxiliary_batch_size from {least}, and that is "
            f"{rows}"
        )
    attack = ("adversarial_epsilon", "adversarial_steps")
    attacking = [one for one in settings.rivals if one.startswith(("adversarial", "dverge"))]
    missing = [name for name in attack if not getattr(settings, name)]
    if changed & {"rivals", *attack} and attacking and missing:
        raise ParameterError(
            f"rivals has {attacking[0]}, which needs an {missing[0]} above 0, and that is 0"
        )


def check_places(settings: Settings, *, profile: str, **places: str | Path | None) -> None:
    """Make sure that whoever says where real records are gets a run on them.

    Args:
        settings: of a run.
        profile: its name.
        places: where the records, or their split, are, by the parameter that says so.

    Raises:
        ParameterError: the run is on synthetic records, and a place was named.
    """
    for name, place in places.items():
        if place and settings.source == SYNTHETIC:
            raise ParameterError(
                f"{name} is '{place}', but the profile {profile} makes its own synthetic ECGs and "
                f"reads no records; name a profile that reads them, such as small (`make "
                f"PROFILE=small`, `-p profile small`, `--profile small`), or leave {name} out"
            )
