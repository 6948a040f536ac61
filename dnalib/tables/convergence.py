"""Had the attacks converged? Answers under those with several times the steps."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from dnalib import metrics
from dnalib.runs import Run
from dnalib.stages import ENSEMBLES
from dnalib.stages.control import CONTROL_STAGE
from dnalib.stages.longer import longer_name
from dnalib.stages.longer_smooth import AIM, CONDITION, longer_smooth_name
from dnalib.tables import natural
from dnalib.tables.answers import Answers


def longer_conditions(
    run: Run, *, epsilon: float, ensembles: Mapping[str, Sequence[str]]
) -> dict[str, Answers]:
    """Answers under the attacks with more steps, each ensemble attacked by itself.

    Args:
        run: the run that attacked them.
        epsilon: one of the run's, raw units.
        ensembles: as in `knowledge.conditions`; the control stands beside those with the base
            model, and is attacked as they are.

    Returns:
        Name of the attack, "APGD of 100 steps, end to end" -> answers to the attacked records.
    """
    files = {ensemble: read(run, ensemble, epsilon=epsilon) for ensemble in ensembles}
    (first, members), *_ = ensembles.items()
    labels = natural(run, ["base"])[1][files[first]["positions"]]
    of_base = read(run, CONTROL_STAGE, epsilon=epsilon) if "base" in members else None
    found = {}
    for condition, name in longer_names(run, first, epsilon=epsilon).items():
        of_each: dict[str, NDArray[np.floating]] = {
            one: file[condition].astype(np.float64) for one, file in files.items()
        }
        if of_base is not None:
            alone = of_base[condition][0].astype(np.float64)  # (record, class)
            of_each[metrics.CONTROL] = metrics.with_constants(alone)
        found[name] = Answers(of_each, labels)
    return found


def longer_smooth_conditions(run: Run, *, epsilon: float) -> dict[str, Answers]:
    """Answers under the longest SAP on each ensemble, the control among them.

    It attacked what shorter ones left alone; elsewhere these are the answers under one of those.

    Returns:
        Name of the attack, "SAP of 400 steps, least misled member" -> answers.
    """
    found = {
        one: run.obtain(longer_smooth_name(one, epsilon)) for one in (*ENSEMBLES, CONTROL_STAGE)
    }
    files = {one: load_file(artefact.path) for one, artefact in found.items()}
    labels = natural(run, ["base"])[1][files[CONTROL_STAGE]["positions"]]
    of_each: dict[str, NDArray[np.floating]] = {
        one: files[one][CONDITION].astype(np.float64) for one in ENSEMBLES
    }
    alone = files[CONTROL_STAGE][CONDITION][0].astype(np.float64)  # (record, class)
    of_each[metrics.CONTROL] = metrics.with_constants(alone)
    steps = found[CONTROL_STAGE].results["steps"][-1]
    return {f"SAP of {steps} steps, {AIM}": Answers(of_each, labels)}


def longer_names(run: Run, ensemble: str, *, epsilon: float) -> dict[str, str]:
    """The conditions that are stored of an ensemble -> names of attacks, as in `knowledge`."""
    steps = run.obtain(longer_name(ensemble, epsilon)).results["steps"]
    found = {}
    for condition in read(run, ensemble, epsilon=epsilon).keys() - {"positions"}:
        target, attack = condition.split("/")
        found[condition] = f"{attack.upper()} of {steps} steps, {target}"
    return dict(sorted(found.items()))


def read(run: Run, ensemble: str, *, epsilon: float) -> dict[str, NDArray[np.generic]]:
    """The file of a run's attacks with more steps on an ensemble, or on the control."""
    return load_file(run.obtain(longer_name(ensemble, epsilon)).path)
