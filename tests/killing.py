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
CALLS = ("os.rename", "open", "os.remove")  # as Python's audit events name them


def main() -> None:
    folder, precision, seed, kills = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    torch.set_num_threads(1)  # and no thread may run before a fork
    recipe = dataclasses.replace(RECIPE, epochs=EPOCHS, precision=precision)
    wait(start(folder / "undisturbed", recipe, checkpoint=None))
    started = time.monotonic()
    wait(start(folder / "checkpointed", recipe, checkpoint=folder / "checkpointed" / "checkpoint"))
    attempts = kill_repeatedly(
        folder / "killed",
        recipe,
        kills=kills,
        longest=(time.monotonic() - started) / 3,
        choose=random.Random(seed),
    )
    print(json.dumps(attempts))


def kill_repeatedly(
    folder: Path, recipe: Recipe, *, kills: int, longest: float, choose: random.Random
) -> list[dict]:
    """Start a training until it ends by itself; tells of each attempt what it found and left.

    By turns a training is killed from outside after a random time of at most `longest` seconds, or
    once it has gone on by a step, and kills itself at a random one of the calls by which
    checkpoints are written and removed.
    """
    checkpoint = folder / "checkpoint"
    attempts = []
    while not attempts or attempts[-1]["killed"]:
        found, before = newest(checkpoint), being_written(checkpoint)
        number = len(attempts)
        inside = number < kills and number % 2 == 1
        last_call = (CALLS[number // 2 % len(CALLS)], choose.randint(2, 6)) if inside else None
        process = start(folder, recipe, checkpoint=checkpoint, last_call=last_call)
        if number < kills and not inside:
            deadline = time.monotonic() + choose.uniform(0, longest)
            while time.monotonic() < deadline and newest(checkpoint) == found:
                time.sleep(0.001)
            os.kill(process, signal.SIGKILL)
        attempts.append(
            {
                "killed": wait(process),
                "last_call": last_call,
                "found": found,
                "left": newest(checkpoint),
                "writing": bool(being_written(checkpoint) - before),
            }
        )
    return attempts


def kill_self_at(call: str, count: int, folder: Path) -> None:
    """End this process with SIGKILL just before a kind of call names the folder for that time."""
    remaining = count

    def watch(event: str, arguments: tuple) -> None:
        nonlocal remaining
        if event == call and str(arguments[0]).startswith(str(folder)):
            remaining -= 1
            if not remaining:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def start(
    folder: Path,
    recipe: Recipe,
    *,
    checkpoint: Path | None,
    last_call: tuple[str, int] | None = None,
) -> int:
    """Fork a process that trains and stores what comes out; returns its number."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        if last_call and checkpoint:
            kill_self_at(*last_call, checkpoint)
        data = make_data(earlier_models=2)
        trained, history = train(
            network,
            dataclasses.replace(data, rows=torch.arange(120).repeat(3)),  # 6 steps of 60
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
