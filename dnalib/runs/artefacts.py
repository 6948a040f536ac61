"""Files with an identity and a provenance: what made them, when, on what, out of what."""

import hashlib
import importlib.metadata
import json
import platform
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from dnalib.files import file_sha256, synchronise, write_durably, write_json, written_beside
from dnalib.runs.revisions import stamp

RESULTS_DIGEST = "results_sha256"  # in a sidecar
FORMAT = 1  # raise it when the meaning of stored artefacts changes
PACKAGES = ("torch", "numpy", "scipy", "wfdb", "lightning")


class ArtefactError(RuntimeError):
    """An artefact that is needed is missing or damaged and cannot be made here."""


@dataclass(frozen=True)
class Artefact:
    """A file of a run.

    Attributes:
        name: what it is, such as "dec1".
        path: the file.
        identity: hash of the parameters and inputs that made it.
        sidecar: provenance, and `results`: the small numbers that came with it.
    """

    name: str
    path: Path
    identity: str
    sidecar: dict[str, Any]

    @property
    def results(self) -> dict[str, Any]:
        """The small numbers that came with it."""
        return self.sidecar["results"]


def identity_of(*, name: str, parameters: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Hash of what makes an artefact: 16 hexadecimal digits."""
    content = {"format": FORMAT, "name": name, "parameters": parameters, "inputs": inputs}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def digest(results: Mapping[str, Any]) -> str:
    """Hexadecimal sha256 of an artefact's small numbers, of which many have no others."""
    return hashlib.sha256(json.dumps(results, sort_keys=True).encode()).hexdigest()


def find(folder: Path, *, name: str, suffix: str, identity: str) -> Artefact | None:
    """The intact artefact of that identity, or None. A damaged one is reported and not served."""
    path = artefact_path(folder, name=name, suffix=suffix, identity=identity)
    sidecar_path = path.with_name(path.name + ".json")
    if not path.is_file() or not sidecar_path.is_file():
        return None
    try:
        sidecar = json.loads(sidecar_path.read_text())
        intact = (
            sidecar["sha256"] == file_sha256(path)
            and sidecar["identity"] == identity
            # Older ones lack it.
            and sidecar.get(RESULTS_DIGEST, digest(sidecar["results"]))
            == digest(sidecar["results"])
        )
    except (ValueError, KeyError, TypeError):
        intact = False
    if not intact:
        warnings.warn(f"{path} is damaged; it is made again", stacklevel=2)
        return None
    return Artefact(name, path, identity, sidecar)


def make(
    folder: Path,
    *,
    name: str,
    suffix: str,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, str],
    compute: Callable[[Path], dict[str, Any]],
    root: Path,
) -> Artefact:
    """Compute an artefact; nothing appears under its name before it is whole.

    No other process may make the same one meanwhile (`dnalib.runs.turns`).
    """
    identity = identity_of(name=name, parameters=parameters, inputs=inputs)
    path = artefact_path(folder, name=name, suffix=suffix, identity=identity)
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with written_beside(path, alone=True) as part:
        results = compute(part)
        sidecar = {
            "name": name,
            "identity": identity,
            "parameters": dict(parameters),
            "inputs": dict(inputs),
            "sha256": file_sha256(part),
            "results": results,
            RESULTS_DIGEST: digest(results),
            **provenance(root, seconds=time.perf_counter() - started),
        }
        synchronise(part)
    write_json(path.with_name(path.name + ".json"), sidecar, durable=True)
    return Artefact(name, path, identity, sidecar)


def adopt(folder: Path, artefact: Artefact) -> None:
    """Copy an artefact that lies elsewhere into a run's folder, with its provenance."""
    path = artefact_path(
        folder, name=artefact.name, suffix=artefact.path.suffix, identity=artefact.identity
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(path, artefact.path.read_bytes())
    write_json(path.with_name(path.name + ".json"), artefact.sidecar)


def artefact_path(folder: Path, *, name: str, suffix: str, identity: str) -> Path:
    """Where an artefact of that identity lies: other parameters lie beside it, not over it."""
    return folder / f"{name}-{identity}{suffix}"


def provenance(root: Path, *, seconds: float) -> dict[str, Any]:
    """Date, device, versions, seconds, code revision and the digest of the code itself."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 2),
        "device": device_name(),
        "versions": {
            "python": platform.python_version(),
            **{package: importlib.metadata.version(package) for package in PACKAGES},
        },
        **stamp(root),
    }


def device_name() -> str:
    """The GPU's name, or the processor's with the number of threads in use."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    capability = torch.backends.cpu.get_cpu_capability()
    return f"CPU {platform.machine()} {capability}, {torch.get_num_threads()} threads"
