"""What the stages of a profile took to make, from what their artefacts say of themselves."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dnalib.runs import Settings
from dnalib.runs.run import identities
from dnalib.runs.settings import override
from dnalib.stages import all_stages

# A name and a number as `ensembles.in_full` writes it: "adaptive-cor" and "37.5" or "1e-05".
STRENGTH = re.compile(r"(.+?)-(\d+(?:\.\d+)?(?:e[-+]\d+)?)")
# Trained alike in all but which features are regressed on which, so for as long.
ALIKE = {"dec2-swapped": "dec2"}


@dataclass(frozen=True)
class Making:
    """How an artefact was made.

    Attributes:
        stage: whose it is.
        seed: of its run.
        seconds: by the clock.
        device: the processor, with the threads in use.
        date: when it was ready.
        bytes: that it has, with its provenance.
    """

    stage: str
    seed: int
    seconds: float
    device: str
    date: str
    bytes: int


def makings_of(folder: Path, settings: Settings, *, seeds: Sequence[int]) -> dict[str, Making]:
    """How each stage of a profile was made, by its name, as far as a run's folder tells.

    A stage that was made with none of the seeds is taken for as costly as one that does the same
    work: the slowest other strength of the same attack, or what `ALIKE` names.

    Args:
        folder: of the run.
        settings: of the profile.
        seeds: the first one with which a stage was made counts.

    Raises:
        ValueError: the folder holds no artefact, or results on several data sets.
    """
    found = read_sidecars(folder)
    records = {sidecar["inputs"]["records"] for sidecar, _ in found.values()}
    if len(records) != 1:
        raise ValueError(f"{folder} has results on {len(records)} data sets; one is needed")
    made: dict[str, Making] = {}
    for seed in seeds:
        changed = override(settings, {"seed": seed})
        stages = all_stages(changed)
        identity = identities(stages, changed, records=next(iter(records)))
        for name in stages:
            known = found.get((name, identity(name)))
            if known is not None and name not in made:
                made[name] = making(*known, seed=seed)
    for name in all_stages(settings):
        other = standing_in(name, made)
        if name not in made and other is not None:
            made[name] = other
    return made


def read_sidecars(folder: Path) -> dict[tuple[str, str], tuple[dict[str, Any], int]]:
    """The provenance of a folder's artefacts, and their bytes with it, by name and identity."""
    found = {}
    for path in folder.glob("*-*.json"):
        sidecar = json.loads(path.read_text())
        if "identity" in sidecar:
            size = path.stat().st_size + path.with_suffix("").stat().st_size
            found[sidecar["name"], sidecar["identity"]] = sidecar, size
    return found


def making(sidecar: dict[str, Any], size: int, *, seed: int) -> Making:
    """What an artefact's provenance says of its making."""
    return Making(
        stage=sidecar["name"],
        seed=seed,
        seconds=sidecar["seconds"],
        device=sidecar["device"],
        date=sidecar["created"].partition("T")[0],
        bytes=size,
    )


def standing_in(name: str, made: dict[str, Making]) -> Making | None:
    """The making of a stage that does the same work as one which nobody made."""
    attack = attack_of(name)
    if attack is not None:
        others = [one for other, one in made.items() if attack_of(other) == attack]
        return max(others, key=lambda one: one.seconds, default=None)
    return made.get(ALIKE.get(name, ""))


def attack_of(name: str) -> str | None:
    """The name of a stage without the number, such as ε, that ends it; None where none does."""
    found = STRENGTH.fullmatch(name)
    return found[1] if found else None
