"""How fast this machine is, measured once."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from dnalib.campaign.limits import Clock
from dnalib.campaign.pieces import LEDGER
from dnalib.files import write_json
from dnalib.runs.artefacts import device_name

BENCHMARKS = ("training", "decorrelation", "attacks")  # in benchmarks/, where they are
LONGEST = 75.0  # s, for one of them


def measure(root: Path, runs: Path, clock: Clock, *, device: str) -> dict[str, dict[str, Any]]:
    """Run the benchmarks that were not run on this kind of machine.

    A benchmark that fails or takes too long is said so, costs nothing but its number, and is not
    tried again.

    Args:
        root: the project's folder.
        runs: folder of the runs, where the numbers are kept.
        clock: of this call.
        device: "cuda" or "cpu".

    Returns:
        What each benchmark printed last, by its name; none of one that failed.
    """
    found = {}
    for name in BENCHMARKS:
        result = kept_result(runs, name)
        script = root / "benchmarks" / f"{name}.py"
        if result is None and script.is_file():
            had_its_time = clock.working() >= LONGEST
            result = run_benchmark(script, clock, device=device)
            if result is not None or had_its_time:  # what failed in vain would fail in every call
                keep_result(runs, name, result or {})
        if result:
            found[name] = result
    return found


def kept_result(runs: Path, name: str) -> dict[str, Any] | None:
    """A benchmark's numbers on this kind of machine; None where there are none."""
    for path in sorted((runs / LEDGER.parent).glob(f"benchmark-{name}-{machine()}-*.json")):
        return json.loads(path.read_text())
    return None


def keep_result(runs: Path, name: str, result: dict[str, Any]) -> None:
    """Keep a benchmark's numbers; another machine of the kind measures others, kept beside them."""
    digest = hashlib.sha256(json.dumps(result, sort_keys=True).encode()).hexdigest()[:8]
    path = runs / LEDGER.parent / f"benchmark-{name}-{machine()}-{digest}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, result)


def machine() -> str:
    """The device's name as part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", device_name().lower()).strip("-")


def run_benchmark(script: Path, clock: Clock, *, device: str) -> dict[str, Any] | None:
    """Run one benchmark; returns the JSON object of its last line, None where there is none."""
    seconds = min(LONGEST, clock.working())
    command = [sys.executable, str(script), "--device", device, "--quick"]
    # Under a safe path a script does not find the modules beside it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    try:
        done = subprocess.run(
            command,
            cwd=script.parents[1],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=seconds,
        )
        print(done.stdout, end="", flush=True)
        result = json.loads(done.stdout.strip().splitlines()[-1])
    except (subprocess.SubprocessError, OSError, ValueError, IndexError) as error:
        print(f"{script.name} gave no numbers: {type(error).__name__}: {error}", flush=True)
        return None
    return result if isinstance(result, dict) else None
