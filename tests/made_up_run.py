"""A run whose logits are drawn at random, for tests of what is read from one."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from made_up_answers import made_up
from safetensors.numpy import load_file, save_file
from tiny import SETTINGS

from dnalib.runs import Artefact
from dnalib.stages import ATTACKS, ENSEMBLES, MEMBERS
from dnalib.stages.control import CONTROL_STAGE
from dnalib.stages.rivals import DVERGE_START, RIVALS, trainings_of

RECORDS, ATTACKED = 60, 40
LEFT = 8  # records that no attack but those with more steps takes from the wide network
WHOLE = (
    *(
        f"{target}/{attack}"
        for target in ("end to end", "least misled member")
        for attack in ATTACKS
    ),
    "mean of members/pgd",
    "least misled member/apgd",
    "most misled member/pgd",
    "confidently wrong/apgd",
)
EVERYONE = list(dict.fromkeys((*MEMBERS, *(one for names in RIVALS.values() for one in names))))
LONGER = ("end to end/apgd", "least misled member/apgd")


class MadeUpRun:
    """Holds what chapters A1 and A2 read; every logit is drawn at random, fp16 as stored."""

    profile = "made up"
    recorded = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = dataclasses.replace(SETTINGS, adaptive_epsilons=(50.0, 10.0, 150.0))
        self.labels = made_up(0, records=RECORDS)[1].astype(np.uint8)
        self.positions = np.arange(RECORDS)[-ATTACKED:]

    def obtain(self, name: str) -> Artefact:
        """The artefact of that name, made from a seed that hangs on the name."""
        seed = sum(name.encode())
        path = self.folder / f"{name}.safetensors"
        results: dict[str, Any] = {}
        rival = name.partition("-")[2].replace("-", " ")
        if name.startswith("natural-") and rival in RIVALS:
            networks = len(RIVALS[rival])
            logits = made_up(seed, members=networks, records=RECORDS)[0]
            save_file({"logits": logits.astype(np.float16)}, path)
            results["parameters"] = [1000 + number for number in range(networks)]
        elif name.startswith("natural-"):
            logits = made_up(seed, members=1, records=RECORDS)[0][0]
            save_file({"logits": logits.astype(np.float16), "labels": self.labels}, path)
        elif name.startswith("r_squared-"):
            plain = np.random.default_rng(seed).random((3, 3))
            results |= {"r_squared": plain.tolist(), "adjusted": (plain - 0.1).tolist()}
        elif name == "survey":
            results["test"] = np.bincount(self.labels, minlength=4).tolist()
        elif name == "training-costs":
            results |= self.costs()
        elif name in trainings_of(self.settings):
            results["history"] = {"epoch": [1, 2], "test_accuracy": [0.5, 0.6]}
        elif name.startswith("doubled-"):
            left = {"end to end": [4, seed % 4], "least misled member": [9, 3 + seed % 3]}
            results |= {"steps": [10, 20], "attacked": ATTACKED, "left": left}
        elif name.startswith("checks-"):
            results = self.checks(fires=name == "checks-dec")
        else:
            members, conditions = self.conditions(name)
            found = {
                one: self.attacked(seed + number, members) for number, one in enumerate(conditions)
            }
            if name.startswith("adaptive-wide-"):
                self.leave(found)
            save_file({**found, "positions": self.positions}, path)
            size = {"largest": 9.0, "median largest": 8.0, "median norm": 100.0}
            steps = [2, 10, 20] if name.startswith("longer-smooth-") else 10
            results |= {"steps": steps, "models": EVERYONE}
            results["sizes"] = {
                one: {**size, "median signal to noise": None if "apgd" in one else 20.0}
                for one in conditions
            }
        return Artefact(name, path, "identity", {"results": results})

    def leave(self, found: dict[str, np.ndarray]) -> None:
        """Make a single network right on the first records, so that something is left to take."""
        true = self.labels[self.positions][:LEFT]
        for logits in found.values():
            logits[0, np.arange(LEFT), true] += 20

    @staticmethod
    def attacked(seed: int, members: int) -> np.ndarray:
        """(member, attacked record, class), fp16."""
        return made_up(seed, members=members, records=ATTACKED)[0].astype(np.float16)

    @staticmethod
    def conditions(name: str) -> tuple[int, list[str]]:
        """How many models an artefact holds, and its conditions."""
        kind, *rest = name.split("-")
        if kind == "adaptive" and rest[0] == CONTROL_STAGE:
            return 1, [*WHOLE]
        if kind == "adaptive":
            members = (ENSEMBLES | RIVALS)[" ".join(rest[:-1])]
            crafted_on = dict.fromkeys(("base", *members))
            own = [f"{one}/{attack}" for one in crafted_on for attack in ATTACKS]
            return len(members), [*own, *WHOLE]
        if rest[0] == "smooth":
            models = {CONTROL_STAGE: ["base"], **ENSEMBLES}[rest[1]]
            return len(models), ["least misled member/sap"]
        if kind == "longer":
            models = {CONTROL_STAGE: ["base"], **ENSEMBLES, **RIVALS}[" ".join(rest[:-1])]
            return len(models), [*LONGER]
        if kind == "universal":
            return 9, ["base", *ENSEMBLES]
        if rest == ["rivals"]:
            return len(EVERYONE), [f"{model}/{attack}" for model in EVERYONE for attack in ATTACKS]
        endings = ("", "/h1", "/h2")
        return 9, [f"{m}/{a}{ending}" for m in MEMBERS for a in ATTACKS for ending in endings]

    def costs(self) -> dict[str, Any]:
        """Trainings of which each takes a second of two threads more than the one before."""
        trainings = (*MEMBERS, *trainings_of(self.settings))
        assert set(DVERGE_START) < set(trainings)
        return {
            "device": "cpu",
            "threads": 2,
            "trainings": {
                name: {"steps": 10, "seconds": number / 10, "processor_seconds": number / 5}
                for number, name in enumerate(trainings, start=1)
            },
        }

    @staticmethod
    def checks(*, fires: bool) -> dict[str, Any]:
        """Two checks, of which one may fire."""
        common = {"measured": 0.5, "threshold": 0.1, "sentence": "Half of it."}
        return {
            "epsilon": 50.0,
            "records": 8,
            "agreement": 0.995,
            "checks": [
                {"name": "steps", "passed": not fires, **common},
                {"name": "planted", "passed": True, **common},
            ],
        }


def stored(run: MadeUpRun, name: str) -> dict[str, np.ndarray]:
    """The arrays of an artefact."""
    return load_file(run.obtain(name).path)
