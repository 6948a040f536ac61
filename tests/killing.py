"""Train while being killed again and again: `python killing.py FOLDER PRECISION SEED KILLS`.

A process with one thread imports everything and forks for each attempt, which saves an attempt the
seconds that the imports take. It prints what happened as JSON.
"""

import contextlib
import dataclasses
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import lightning.fabric  # noqa: F401 (imported before the first fork)
import torch
from safetensors.torch import save_file
from trainings import RECIPE, make_data, network, quiet

from dnalib.training import Recipe, train

EPOCHS = 5
STEPS = 6  # an epoch: 360 rows in batches of 60


def main() -> None:
    folder, precision, seed, kills = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    torch.set_num_threads(1)  # and no thread may run before a fork
    recipe = dataclasses.replace(RECIPE, epochs=EPOCHS, precision=precision)
    wait(start(folder / "undisturbed", recipe, checkpoint=None))
    rehearsal = rehearse(folder / "rehearsal", recipe)
    attempts = kill_repeatedly(
        folder / "killed", recipe, rehearsal=rehearsal, kills=kills, choose=random.Random(seed)
    )
    print(json.dumps({"rehearsal": rehearsal, "attempts": attempts}))


def rehearse(folder: Path, recipe: Recipe) -> dict[str, float]:
    """Seconds until a training writes its first checkpoint, and from there to its end."""
    started = time.monotonic()
    process = start(folder, recipe, checkpoint=folder / "checkpoint")
    while newest(folder / "checkpoint") == [0, 0]:
        time.sleep(0.001)
    begun = time.monotonic()
    wait(process)
    return {"start": begun - started, "training": time.monotonic() - begun}


def kill_repeatedly(
    folder: Path,
    recipe: Recipe,
    *,
    rehearsal: dict[str, float],
    kills: int,
    choose: random.Random,
) -> list[dict]:
    """Start a training until it ends by itself; tells of each attempt what it found and left.

    The delays before the kills are random; the more is left to train, the longer, so that they
    spread over the whole of it. Each second kill then waits for a file to be written.
    """
    checkpoint = folder / "checkpoint"
    attempts = []
    while not attempts or attempts[-1]["killed"]:
        found, before = newest(checkpoint), being_written(checkpoint)
        process = start(folder, recipe, checkpoint=checkpoint)
        if len(attempts) < kills:
            left = 1 - (STEPS * found[0] + found[1]) / (STEPS * EPOCHS)
            share = left * rehearsal["training"] / (kills - len(attempts) + 2)
            time.sleep(choose.uniform(0, rehearsal["start"] + 2 * share))
            deadline = time.monotonic() + rehearsal["start"]
            while len(attempts) % 2 and time.monotonic() < deadline:
                if being_written(checkpoint) - before:
                    break
            os.kill(process, signal.SIGKILL)
        attempts.append(
            {
                "killed": wait(process),
                "found": found,
                "left": newest(checkpoint),
                "writing": bool(being_written(checkpoint) - before),
            }
        )
    return attempts


def start(folder: Path, recipe: Recipe, *, checkpoint: Path | None) -> int:
    """Fork a process that trains and stores what comes out; returns its number."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        data = make_data(earlier_models=2)
        trained, history = train(
            network,
            dataclasses.replace(data, rows=torch.arange(120).repeat(3)),
            recipe=recipe,
            checkpoint=checkpoint,
            checkpoint_minutes=0,
            report=quiet,
        )
        folder.mkdir(parents=True, exist_ok=True)
        save_file(trained.state_dict(), folder / "weights.safetensors")
        history.drop(columns="seconds").to_json(folder / "history.json", double_precision=15)
        status = 0
    finally:
        os._exit(status)  # never back into the parent's code


def wait(process: int) -> bool:
    """Whether the process was killed; a RuntimeError where it failed."""
    _, status = os.waitpid(process, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError("a training failed; its traceback is above")
    return os.WIFSIGNALED(status)


def newest(checkpoint: Path) -> list[int]:
    """Epochs and steps of the newest checkpoint that is there; [0, 0] without one."""
    names = [path.stem.removeprefix("epoch") for path in checkpoint.glob("epoch*.json")]
    positions = [[int(part) for part in f"{name}-step0".split("-step")[:2]] for name in names]
    return max(positions, default=[0, 0])


def being_written(checkpoint: Path) -> set[tuple[str, int]]:
    """The files that are being written, or were when a kill came, with their time."""
    found = set()
    for path in checkpoint.glob("*.writing"):
        with contextlib.suppress(FileNotFoundError):  # it has its name by now
            found.add((path.name, path.stat().st_ctime_ns))
    return found


if __name__ == "__main__":
    main()
