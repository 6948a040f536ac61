"""Questions to a Slurm cluster, each answered in seconds or by an error."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dnalib.workflow.variants import WorkflowError

PATIENCE = 30  # seconds for an answer
MOST_JOBS = 200  # in the queue at a time, unless a user asks for another number: others queue too
# From asking which jobs have ended to asking again; the plugin asks less often while none has.
SECONDS_BETWEEN_CHECKS = 20
NO_ACCOUNTING = "accounting_storage/none"
# States of jobs that ended without their work, as squeue and sacct name them.
FAILED = (
    "BOOT_FAIL",
    "CANCELLED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "TIMEOUT",
)
# What a job says of itself when its own minutes are over; to Slurm it is one that failed.
OUT_OF_TIME = "OUT_OF_TIME"
WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SUSPENDED")
RUNNING = ("RUNNING", "COMPLETING", "STAGE_OUT", "RESIZING", "SIGNALING")


@dataclass(frozen=True)
class QueuedJob:
    """A job as Slurm tells of it: its number, its state, and the work it was submitted for.

    The work is told by the wildcards of Snakemake's job, joined by underscores; "" where unknown.
    """

    number: str
    state: str
    work: str


def accept_jobs(text: str) -> int:
    """How many jobs may be in the queue at a time.

    Args:
        text: as a user wrote it; nothing for the default.

    Raises:
        WorkflowError: it is not a whole number from 1 to 999,999.
    """
    if not text:
        return MOST_JOBS
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
        raise WorkflowError(f"JOBS is {text!r}; accepted is a whole number from 1 to 999999")
    return int(text)


def ask(command: Sequence[str], *, of: str = "the scheduler") -> str:
    """What a command of Slurm answers.

    Args:
        command: its words.
        of: who answers it, as the error says.

    Raises:
        WorkflowError: there is no such command, or it fails, or does not answer.
    """
    name = command[0]
    try:
        answer = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=PATIENCE
        )
    except FileNotFoundError:
        raise WorkflowError(
            f"EXECUTOR is slurm, but this machine has no command {name}; submit from one that has"
        ) from None
    except subprocess.TimeoutExpired:
        raise WorkflowError(
            f"{of} is unreachable: {name} gave no answer within {PATIENCE} seconds"
        ) from None
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split()) or f"status {error.returncode}"
        raise WorkflowError(f"{of} is unreachable: {name} says {reason}") from None
    return answer.stdout


def check_scheduler(partition: str | None) -> None:
    """Make sure that jobs can be submitted.

    Args:
        partition: where to, one or several with commas between them, of which Slurm takes the
            first that has room; None for the cluster's default.

    Raises:
        WorkflowError: the scheduler does not answer, there is no such partition, or none was
            named and the cluster has no default.
    """
    listed = ask(["sinfo", "--noheader", "--format=%P"]).split()
    names = [name.removesuffix("*") for name in listed]
    if partition is None and not any(name.endswith("*") for name in listed):
        raise WorkflowError(
            f"this cluster has no default partition; name one of {', '.join(names)} by PARTITION"
        )
    for name in [] if partition is None else partition.split(","):
        if name not in names:
            raise WorkflowError(
                f"PARTITION has {name!r}; this cluster has {', '.join(names) or 'none'}"
            )


def keeps_accounts() -> bool:
    """Whether the cluster remembers ended jobs, which sacct tells of; without, it never answers."""
    for line in ask(["scontrol", "show", "config"]).splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "AccountingStorageType":
            return value.strip() not in (NO_ACCOUNTING, "(null)", "")
    return False


def queued_jobs(prefix: str, *, folder: Path, logs: Path) -> list[QueuedJob]:
    """This user's jobs that wait or run, and, of those that ended, the last minutes' (MinJobAge).

    What a job was for stands in its comment, and in the place of its log.

    Args:
        prefix: that the jobs' names begin with.
        folder: in which they run.
        logs: folder of the logs that Snakemake's plugin has written.

    Raises:
        WorkflowError: the scheduler does not answer.
    """
    fields = "--format=%i|%T|%j|%Z|%k"
    told = ask(["squeue", "--me", "--noheader", "--states=all", fields])
    return jobs_in(told, prefix, folder=folder, logs=logs)


def accounted_jobs(prefix: str, *, folder: Path, logs: Path) -> list[QueuedJob]:
    """This user's jobs of a week, ended ones too, as the cluster's accounts tell of them.

    Most accounts drop the comments (they keep them only with AccountingStoreFlags=job_comment);
    then the place of a job's log tells what it was for.

    Args:
        prefix: that the jobs' names begin with.
        folder: in which they run.
        logs: folder of the logs that Snakemake's plugin has written.

    Raises:
        WorkflowError: the accounts do not answer.
    """
    fields = "--format=JobIDRaw,State,JobName,WorkDir,Comment"
    command = ["sacct", "-X", "--noheader", "--parsable2", "--starttime=now-7days", fields]
    told = ask(command, of="the cluster's accounting")
    return jobs_in(told, prefix, folder=folder, logs=logs)


def known_jobs(prefix: str, *, folder: Path, logs: Path) -> tuple[list[QueuedJob], str | None]:
    """All that the cluster tells of a folder's jobs, arguments as in `queued_jobs`.

    Returns:
        The jobs, and a sentence on what is missing where there are accounts that do not answer.

    Raises:
        WorkflowError: the scheduler does not answer.
    """
    queued = queued_jobs(prefix, folder=folder, logs=logs)
    if not keeps_accounts():
        return queued, None
    try:
        accounted = accounted_jobs(prefix, folder=folder, logs=logs)
    except WorkflowError as error:
        return queued, f"{error}; jobs that failed some time ago are counted as to come"
    # squeue knows best what is running now.
    return list({job.number: job for job in (*accounted, *queued)}.values()), None


def jobs_in(told: str, prefix: str, *, folder: Path, logs: Path) -> list[QueuedJob]:
    """The jobs of a folder in lines of number, state, name, folder and comment."""
    logged = work_by_number(logs)
    found = []
    for line in told.splitlines():
        number, state, name, place, comment = (line.split("|", 4) + [""] * 4)[:5]
        if name.startswith(f"{prefix}_") and place == str(folder):
            work = work_in(comment) or logged.get(number, "")
            found.append(QueuedJob(number, state.split()[0], work))
    return found


def check_nothing_is_left(prefix: str, *, folder: Path, logs: Path) -> None:
    """Make sure that no job of an earlier make is queued or running; arguments as in `queued_jobs`.

    Raises:
        WorkflowError: one is, or the scheduler does not answer.
    """
    # A job that is completing has done its work, and is gone in seconds.
    at_work = [
        job.number
        for job in queued_jobs(prefix, folder=folder, logs=logs)
        if job.state in (*WAITING, *RUNNING) and job.state != "COMPLETING"
    ]
    if at_work:
        raise WorkflowError(
            f"a make that has ended left jobs queued or running in {folder}; wait for them, or end "
            f"them with `scancel {' '.join(at_work)}`, and call again"
        )


def work_in(comment: str) -> str:
    """A job's wildcards out of the comment that Snakemake's plugin gives it:
    "rule_training_wildcards_dec1-0c5b382f35567bae"."""
    return comment.partition("_wildcards_")[2]


def work_by_number(logs: Path) -> dict[str, str]:
    """The wildcards of each job that began and did not succeed, by its number.

    The plugin names its logs `rule_<rule>/<wildcards>/<number>.log`; those of successes it removes.
    """
    return {path.stem: path.parent.name for path in logs.glob("rule_*/*/*.log")}
