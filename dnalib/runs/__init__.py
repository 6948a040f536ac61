"""Profiles, run folders and artefacts with provenance."""

from dnalib.runs.artefacts import Artefact, ArtefactError
from dnalib.runs.folders import project_root
from dnalib.runs.portions import OutOfTime, Portions
from dnalib.runs.recorded import RecordedRun
from dnalib.runs.run import ComputingRun, Run, Stage
from dnalib.runs.settings import (
    Settings,
    computing_profiles,
    load_profile,
    notebook_parameters,
)
from dnalib.runs.values import ParameterError

__all__ = [
    "Artefact",
    "ArtefactError",
    "ComputingRun",
    "OutOfTime",
    "ParameterError",
    "Portions",
    "RecordedRun",
    "Run",
    "Settings",
    "Stage",
    "computing_profiles",
    "load_profile",
    "notebook_parameters",
    "project_root",
]
