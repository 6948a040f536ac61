"""Snakemake: what it is told for this machine or a cluster, and how it ends."""

import argparse
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from dnalib.workflow import gpus, slurm
from dnalib.workflow.variants import WorkflowError

RETRIES = 2  # on a cluster, where machines fail
RETRIES_HERE = 1  # kernels that start at once may race for a port
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 60  # seconds that Snakemake has to cancel what it submitted


class ToldToEnd(BaseException):
    """A signal told this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def accept_cores(text: str) -> str:
    """How many of this machine's cores may be used, as Snakemake takes it.

    Raises:
        WorkflowError: it is neither "all" nor a whole number from 1.
    """
    if not re.fullmatch(r"all|[1-9][0-9]*", text):
        raise WorkflowError(f"CORES is {text!r}; accepted are all, or a whole number from 1")
    return text


def here(options: argparse.Namespace) -> list[str]:
    """Snakemake's options for this machine.

    A chapter whose minutes are over fails, and tried again it would have as many once more; so with
    a limit nothing is tried again.
    """
    retries = 0 if options.max_minutes else RETRIES_HERE
    return ["--cores", options.cores, "--retries", str(retries)]


def on_slurm(options: argparse.Namespace, *, jobs: int) -> list[str]:
    """Snakemake's options for a cluster: every job is submitted, and tried again where it fails.

    Args:
        options: of the command line.
        jobs: that may be in the scheduler's queue at a time.
    """
    accounting = slurm.keeps_accounts()
    words = ["--executor", "slurm", "--jobs", str(jobs), "--slurm-requeue"]
    words += ["--retries", str(RETRIES)]
    # Where nothing is kept of ended jobs, sacct never answers.
    words += ["--slurm-status-command", "sacct" if accounting else "squeue"]
    words += ["--slurm-jobname-prefix", job_prefix(options.profile)]
    words += ["--slurm-init-seconds-before-status-checks", str(options.seconds_between_checks)]
    words += ["--seconds-between-status-checks", str(options.seconds_between_checks)]
    words += [] if options.account else ["--slurm-no-account"]
    defaults = {"slurm_partition": options.partition, "slurm_account": options.account}
    chosen = [f"{name}={value}" for name, value in defaults.items() if value]
    return [*words, *(["--default-resources", *chosen] if chosen else [])]


def job_prefix(profile: str) -> str:
    """What the names of a profile's jobs begin with in the scheduler's queue."""
    return f"dnalib-{profile}"


def local_gpus() -> list[str]:
    """The GPUs of this machine that this process may use, by the names that CUDA has for them."""
    import torch

    count = torch.cuda.device_count()
    told = os.environ.get(gpus.VARIABLE)
    return told.split(",")[:count] if told else [str(number) for number in range(count)]


def run_snakemake(words: Sequence[str], *, root: Path) -> int:
    """Run Snakemake in the project's folder until it and all that it started have ended.

    Returns:
        Its status; 128 and the signal's number where a signal ended this process and so that one.
    """
    command = [sys.executable, "-m", "snakemake", "--quiet", "rules", "host"]
    # The turn in the run's folder is the lock; unlike Snakemake's it ends with the process.
    # Two profiles have no file in common: Snakemake's notes are one a file that is made.
    command += ["--rerun-incomplete", "--keep-going", "--nolock", *words]
    # Its jobs call python and papermill by name: those beside this interpreter, activated or not.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    with signals_raise() as let_raise:
        # In a session of its own, or the terminal would tell the jobs and Snakemake apart from us.
        process = subprocess.Popen(
            command, cwd=root, env={**os.environ, "PATH": path}, start_new_session=True
        )
        try:
            let_raise()
            return process.wait()
        except ToldToEnd as told:
            end(process)
            print(f"ended by {told}; the same call goes on", file=sys.stderr)
            return 128 + told.number


@contextmanager
def signals_raise() -> Iterator[Callable[[], None]]:
    """Raise `ToldToEnd` on the first signal that ends a process, but for those that it ignores.

    A process that is started meanwhile ignores none of them: what began in the background, where
    SIGINT is ignored, could not interrupt Snakemake else.

    Yields:
        What to call once there is a process to end: until then a signal is only remembered, or one
        that came while the process was started would leave it behind, known to nobody. (Blocked
        signals would do the same, but the process would inherit that.)
    """
    before = {number: signal.getsignal(number) for number in ENDING}
    told: list[int] = []
    raising = False

    def tell(number: int, frame: object) -> None:
        told.append(number)
        # A second one must not cut off what the first one began: processes would be left.
        if raising and len(told) == 1:
            raise ToldToEnd(number)

    def let_raise() -> None:
        nonlocal raising
        raising = True
        if told:
            raise ToldToEnd(told[0])

    def pass_over(number: int, frame: object) -> None:
        pass

    for number, handler in before.items():
        signal.signal(number, pass_over if handler is signal.SIG_IGN else tell)
    try:
        yield let_raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end(process: subprocess.Popen[bytes]) -> None:
    """End Snakemake with all that it started: jobs, their kernels, and what a cluster has of it.

    Kernels have sessions of their own, so no signal to a group of processes would reach them.
    """
    started = below(process.pid)
    # As if its user interrupted it: only then it cancels the jobs of a cluster, too.
    process.send_signal(signal.SIGINT)
    tell_all(started, signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        started += below(process.pid)
        process.kill()
        process.wait()
    tell_all(started, signal.SIGKILL)
    psutil.wait_procs(started, timeout=PATIENCE)


def below(number: int) -> list[psutil.Process]:
    """All processes that one started, and those that these did."""
    try:
        return psutil.Process(number).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def tell_all(processes: Sequence[psutil.Process], number: int) -> None:
    """Send a signal to processes, of which some may have ended meanwhile."""
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            one.send_signal(number)
