"""Settings and places that cannot go together, each fine by itself: found before anything runs."""

from collections.abc import Collection
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
        names: settings that are about to be used; None for all, as all chapters do.

    Raises:
        ParameterError: two of them do not; it names the one that is about to be used first.
    """
    used = setting_names() if names is None else names
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
        if name in used and max(values) > highest:
            raise ParameterError(
                f"{name} has {max(values)}; accepted with {other} {size} are numbers up to "
                f"{highest}"
            )
    if "rivals" in used and "parallel" in settings.rivals and rows < FEATURES + ROWS_BEYOND_COLUMNS:
        raise ParameterError(
            f"rivals has parallel, which needs an auxiliary_batch_size from "
            f"{FEATURES + ROWS_BEYOND_COLUMNS}, and that is {rows}"
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
