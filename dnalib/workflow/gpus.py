"""`python -m dnalib.workflow.gpus 1 0,1,2 COMMAND`: run a command on GPUs that no other job holds.

Snakemake counts the GPUs of this machine and does not say which one a job has; on a cluster the
scheduler does.
"""

import getpass
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

VARIABLE = "CUDA_VISIBLE_DEVICES"  # names the GPUs that a process may use
PATIENCE = 2.0  # seconds between two looks, on average


def main(arguments: Sequence[str]) -> None:
    """Take some of the named GPUs, waiting for them, and become the command.

    Args:
        arguments: how many, their names with commas between them, and the command's words.
    """
    count, names, *command = arguments
    folder = Path(tempfile.gettempdir())
    while not (taken := take(int(count), names.split(","), folder=folder)):
        # Two that wait for the same must not keep in step.
        time.sleep(random.uniform(0, 2 * PATIENCE))
    os.environ[VARIABLE] = ",".join(taken)
    os.execvp(command[0], command)


def take(count: int, names: Sequence[str], *, folder: Path) -> list[str]:
    """Take GPUs that nobody holds; all that are asked for or none.

    Each is a lock of the operating system, which whatever this process becomes inherits: it ends
    with that, killed or not.

    Args:
        count: how many.
        names: among which, as CUDA takes them.
        folder: of the locks, which all jobs of a user on this machine share.

    Returns:
        Their names; empty where fewer are free.
    """
    import fcntl  # Windows has none, and may import this

    held: dict[str, int] = {}
    for name in names:
        file = f"dnalib-{getpass.getuser()}-gpu-{name.replace('/', '-')}.lock"
        descriptor = os.open(folder / file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        held[name] = descriptor
        if len(held) == count:
            for one in held.values():
                os.set_inheritable(one, True)
            return list(held)
    for one in held.values():
        os.close(one)
    return []


if __name__ == "__main__":
    main(sys.argv[1:])
