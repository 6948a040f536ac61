"""How large the perturbations are of attacks that know the defence, as its chapters show them."""

from typing import Any

import pandas

from dnalib.runs import Run
from dnalib.stages import ENSEMBLES
from dnalib.stages.adaptive import adaptive_name
from dnalib.tables import with_rows
from dnalib.tables.knowledge import Ensembles, attack_names, middle


def sizes(run: Run, *, ensemble: str) -> pandas.DataFrame:
    """How large the perturbations of each attack on an ensemble are, at the middle ε.

    Attacks go by their names in `knowledge`.
    """
    (found,) = sizes_of(run, {ensemble: ENSEMBLES[ensemble]}).values()
    rows = {
        name: {
            "largest ‖δ‖∞ (µV)": f"{size['largest']:.1f}",
            "median ‖δ‖∞ (µV)": f"{size['median largest']:.1f}",
            "median ‖δ‖₂ (µV)": f"{size['median norm']:.0f}",
            "median SNR (dB)": decibels(size["median signal to noise"]),
        }
        for name, size in found.items()
    }
    return with_rows(pandas.DataFrame.from_dict(rows, orient="index"), "attack")


def signal_to_noise(run: Run, *, ensembles: Ensembles = ENSEMBLES) -> pandas.DataFrame:
    """How faint the attacks on each ensemble are at the middle ε: median ratio to the record in dB.

    A row an aim and attack, as `knowledge` names them; a dash where an ensemble has no such member.
    """
    columns = {
        ensemble: {name: decibels(size["median signal to noise"]) for name, size in sizes.items()}
        for ensemble, sizes in sizes_of(run, ensembles).items()
    }
    return with_rows(pandas.DataFrame(columns).fillna("–"), "attack")


def norms(run: Run, *, ensembles: Ensembles = ENSEMBLES) -> pandas.DataFrame:
    """How large the attacks on each ensemble are at the middle ε: median ‖δ‖∞ and ‖δ‖₂ in µV.

    Rows as those of `signal_to_noise`.
    """
    columns = {
        ensemble: {
            name: f"{size['median largest']:.1f}, {size['median norm']:.0f}"
            for name, size in sizes.items()
        }
        for ensemble, sizes in sizes_of(run, ensembles).items()
    }
    return with_rows(pandas.DataFrame(columns).fillna("–"), "attack")


def sizes_of(run: Run, ensembles: Ensembles) -> dict[str, dict[str, Any]]:
    """Ensemble -> name of an attack on it -> how large it is, at the middle ε."""
    found = {}
    for ensemble, members in ensembles.items():
        stored = run.obtain(adaptive_name(ensemble, middle(run))).results["sizes"]
        names = attack_names(members).items()
        found[ensemble] = {name: stored[key] for name, key in names if key in stored}
    return found


def decibels(value: float | None) -> str:
    """A ratio with one decimal; a dash where nothing is perturbed."""
    return "–" if value is None else f"{value:.1f}".replace("-", "−")
