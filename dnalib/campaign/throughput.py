"""How fast this machine is, measured once."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from dnalib.campaign.limits import Clock
from dnalib.campaign.pieces import LEDGER, MEASURED
from dnalib.files import write_json
from dnalib.runs.artefacts import device_name

# Seconds that each script in benchmarks/ may take, in the order in which they are run. Compiling a
# full-size training step takes a GPU's machine two or three minutes the first time; the
# decorrelation loss is measured beside the same step.
LONGEST = {"training": 240.0, "attacks": 120.0, "decorrelation": 240.0}
SHARE = 0.5  # at most, of the time left in a call, for one of them
ENOUGH = 0.6  # of what it may take, from which it is begun: most take less
TRIES = 2  # of one that was stopped: what it compiled the first time, it finds the second
STOPPED = "stopped_after_seconds"


def measure(root: Path, runs: Path, clock: Clock, *, device: str) -> dict[str, dict[str, Any]]:
    """Run the benchmarks that were not run on this kind of machine, as far as the call has time.

    A benchmark that fails is said so, costs nothing but its number, and is not tried again; one
    that took too long is, once, in a later call.

    Args:
        root: the project's folder.
        runs: folder of the runs, where the numbers are kept.
        clock: of this call.
        device: "cuda" or "cpu".

    Returns:
        What each benchmark printed last, by its name; none of one that failed or was stopped.
    """
    found = {}
    for name, longest in LONGEST.items():
        kept = kept_results(runs, name)
        stopped = [result for result in kept if STOPPED in result]
        results = [result for result in kept if STOPPED not in result]
        script = root / "benchmarks" / f"{name}.py"
        seconds = min(longest, SHARE * clock.working())
        has_time = seconds >= ENOUGH * longest
        if not results and len(stopped) < TRIES and script.is_file() and has_time:
            result = run_benchmark(script, device=device, longest=seconds)
            keep_result(runs, name, result)
            results = [result] if STOPPED not in result else []
        if results and results[0]:
            found[name] = results[0]
    return found


def kept_results(runs: Path, name: str) -> list[dict[str, Any]]:
    """What is kept of a benchmark on this kind of machine: numbers, nothing, or that it stopped."""
    paths = (runs / LEDGER.parent).glob(f"{MEASURED}{name}-{machine()}-*.json")
    return [json.loads(path.read_text()) for path in sorted(paths)]


def keep_result(runs: Path, name: str, result: dict[str, Any]) -> None:
    """Keep a benchmark's numbers; another machine of the kind measures others, kept beside them."""
    digest = hashlib.sha256(json.dumps(result, sort_keys=True).encode()).hexdigest()[:8]
    path = runs / LEDGER.parent / f"{MEASURED}{name}-{machine()}-{digest}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, result)


def machine() -> str:
    """The device's name as part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", device_name().lower()).strip("-")


def run_benchmark(script: Path, *, device: str, longest: float) -> dict[str, Any]:
    """Run one benchmark.

    Args:
        script: the benchmark's file.
        device: "cuda" or "cpu".
        longest: seconds after which it is stopped.

    Returns:
        The JSON object of its last line; an empty one where there is none; when it was stopped, one
        that says after how long and when.
    """
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
            timeout=longest,
        )
        print(done.stdout, end="", flush=True)
        result = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        print(f"{script.name} gave no numbers within {longest:g} s", flush=True)
        return {STOPPED: longest, "when": time.time()}
    except (subprocess.SubprocessError, OSError, ValueError, IndexError) as error:
        print(f"{script.name} gave no numbers: {type(error).__name__}: {error}", flush=True)
        return {}
    return result if isinstance(result, dict) else {}
