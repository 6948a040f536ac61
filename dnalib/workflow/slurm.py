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


def ask(command: Sequence[str]) -> str:
    """What a command of Slurm answers.

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
            f"the scheduler is unreachable: {name} gave no answer within {PATIENCE} seconds"
        ) from None
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split()) or f"status {error.returncode}"
        raise WorkflowError(f"the scheduler is unreachable: {name} says {reason}") from None
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


def queued_jobs(prefix: str, *, logs: Path) -> list[QueuedJob]:
    """The jobs whose name begins with a prefix: those that wait or run, and ended ones.

    Of ended ones squeue remembers the last minutes alone (Slurm's MinJobAge), sacct all. What a job
    was for stands in its comment, which most clusters' accounts drop (they keep it only with
    AccountingStoreFlags=job_comment); then the place of its log tells.

    Args:
        prefix: of the jobs' names.
        logs: folder of the logs that Snakemake's plugin has written.

    Raises:
        WorkflowError: the scheduler does not answer.
    """
    fields = "--format=%i|%T|%j|%k"
    answers = [ask(["squeue", "--noheader", "--states=all", fields])]
    if keeps_accounts():
        columns = "--format=JobIDRaw,State,JobName%120,Comment%300"
        since = "--starttime=now-7days"
        answers.append(ask(["sacct", "-X", "--noheader", "--parsable2", since, columns]))
    logged = work_by_number(logs)
    found: dict[str, QueuedJob] = {}
    for line in "\n".join(answers).splitlines():
        number, state, name, comment = (line.split("|", 3) + [""] * 3)[:4]
        if name.startswith(prefix):
            work = work_in(comment) or logged.get(number, "")
            # squeue comes first, and knows best what is running now.
            found.setdefault(number, QueuedJob(number, state.split()[0], work))
    return list(found.values())


def work_in(comment: str) -> str:
    """A job's wildcards out of the comment that Snakemake's plugin gives it:
    "rule_training_wildcards_dec1-0c5b382f35567bae"."""
    return comment.partition("_wildcards_")[2]


def work_by_number(logs: Path) -> dict[str, str]:
    """The wildcards of each job that began and did not succeed, by its number.

    The plugin names its logs `rule_<rule>/<wildcards>/<number>.log`; those of successes it removes.
    """
    return {path.stem: path.parent.name for path in logs.glob("rule_*/*/*.log")}
