"""What is asked of Slurm, by commands that answer in ways that a test cluster does not."""

import os
from pathlib import Path

import pytest

from dnalib.workflow import WorkflowError, slurm

CONFIG = "AccountingStorageType   = accounting_storage/{}\nClusterName = test"
SLURM = {
    "sinfo": "echo 'main*'; echo gpu",
    "scontrol": f"echo '{CONFIG.format('none')}'",
    # Without --me it would tell of everybody's.
    "squeue": '[ "$1" = --me ] || exit 1; '
    "echo '7|RUNNING|dnalib-demo_1|/ours|rule_training_wildcards_dec1-0a'; "
    "echo '8|PENDING|another|/ours|rule_x'; "
    "echo '9|PENDING|dnalib-demo_2|/elsewhere|rule_training_wildcards_dec1-0a'",
    "sacct": "echo 'Slurm accounting storage is disabled' >&2; exit 1",
}


OURS = Path("/ours")


def known(logs):
    """What is known of our jobs, by number, and what is missing."""
    jobs, missing = slurm.known_jobs("dnalib-demo", folder=OURS, logs=logs)
    return {job.number: (job.state, job.work) for job in jobs}, missing


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Writes commands that stand before the machine's own."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")

    def write(**changed):
        for name, script in {**SLURM, **changed}.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)

    return write


def test_a_partition_that_is_there_is_accepted(commands):
    commands()
    slurm.check_scheduler("gpu")
    slurm.check_scheduler("gpu,main")  # whichever has room first
    slurm.check_scheduler(None)


def test_a_partition_that_is_missing_ends_with_those_there_are(commands):
    commands()
    with pytest.raises(WorkflowError, match="PARTITION has 'long'; this cluster has main, gpu"):
        slurm.check_scheduler("gpu,long")
    with pytest.raises(WorkflowError, match="PARTITION has ''; this cluster has main, gpu"):
        slurm.check_scheduler("gpu,")
    commands(sinfo="echo main; echo gpu")
    with pytest.raises(WorkflowError, match="no default partition; name one of main, gpu by PART"):
        slurm.check_scheduler(None)


def test_a_scheduler_that_cannot_be_reached_ends_in_one_sentence(commands, monkeypatch):
    commands(sinfo="echo 'slurm_load_partitions: Unable to contact\n controller' >&2; exit 1")
    with pytest.raises(WorkflowError) as failure:
        slurm.check_scheduler(None)
    assert str(failure.value) == (
        "the scheduler is unreachable: sinfo says slurm_load_partitions: Unable to contact "
        "controller"
    )
    commands(sinfo="exec sleep 30")
    monkeypatch.setattr(slurm, "PATIENCE", 0.2)
    with pytest.raises(WorkflowError, match="sinfo gave no answer within 0.2 seconds"):
        slurm.check_scheduler(None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(WorkflowError, match="this machine has no command sinfo"):
        slurm.check_scheduler(None)


def test_without_accounting_sacct_is_not_asked(commands, tmp_path):
    commands(sacct="exec sleep 600")
    assert not slurm.keeps_accounts()
    assert known(tmp_path) == ({"7": ("RUNNING", "dec1-0a")}, None)


def test_with_accounting_ended_jobs_are_remembered(commands, tmp_path):
    commands(
        scontrol=f"echo '{CONFIG.format('slurmdbd')}'",
        sacct="echo '5|CANCELLED by 0|dnalib-demo_1|/ours|rule_training_wildcards_cor1-0b'; "
        "echo '6|FAILED|dnalib-demo_1|/elsewhere|rule_training_wildcards_cor1-0b'; "
        "echo '7|PENDING|dnalib-demo_1|/ours|rule_training_wildcards_dec1-0a'",
    )
    assert slurm.keeps_accounts()
    states = {"7": ("RUNNING", "dec1-0a"), "5": ("CANCELLED", "cor1-0b")}
    assert known(tmp_path) == (states, None)


def test_accounts_that_do_not_answer_leave_what_squeue_knows(commands, tmp_path):
    commands(
        scontrol=f"echo '{CONFIG.format('slurmdbd')}'",
        sacct="echo 'sacct: error: Sending PersistInit msg: Connection refused' >&2; exit 1",
    )
    states, missing = known(tmp_path)
    assert states == {"7": ("RUNNING", "dec1-0a")}
    assert missing == (
        "the cluster's accounting is unreachable: sacct says sacct: error: Sending PersistInit "
        "msg: Connection refused; jobs that failed some time ago are counted as to come"
    )


@pytest.mark.parametrize("state", ["RUNNING", "PENDING"])
def test_jobs_of_a_make_that_died_are_found(commands, tmp_path, state):
    commands(
        squeue=f"echo '7|{state}|dnalib-demo_1|/ours|'; echo '8|{state}|dnalib-demo_1|/ours|'; "
        f"echo '5|COMPLETING|dnalib-demo_1|/ours|'; echo '6|FAILED|dnalib-demo_1|/ours|'; "
        f"echo '9|{state}|dnalib-demo_1|/elsewhere|'; echo '3|{state}|another|/ours|'"
    )
    with pytest.raises(WorkflowError) as failure:
        slurm.check_nothing_is_left("dnalib-demo", folder=OURS, logs=tmp_path)
    assert str(failure.value) == (
        "a make that has ended left jobs queued or running in /ours; wait for them, or end them "
        "with `scancel 7 8`, and call again"
    )
    slurm.check_nothing_is_left("dnalib-small", folder=OURS, logs=tmp_path)
    # A profile whose name begins another's has no part in its jobs.
    slurm.check_nothing_is_left("dnalib-dem", folder=OURS, logs=tmp_path)


def test_accounts_without_comments_are_told_apart_by_their_logs(commands, tmp_path):
    commands(
        scontrol=f"echo '{CONFIG.format('slurmdbd')}'",
        squeue="",
        sacct="echo '5|FAILED|dnalib-demo_1|/ours|'; echo '6|TIMEOUT|dnalib-demo_1|/ours|'; "
        "echo '8|FAILED|dnalib-demo_1|/ours|'",
    )
    logs = tmp_path / "logs"
    for place in ("rule_training/cor1-0b/5", "rule_chapter/seed-0_02_base_model/6"):
        log = logs / f"{place}.log"
        log.parent.mkdir(parents=True)
        log.touch()
    works = {number: work for number, (_, work) in known(logs)[0].items()}
    assert works == {"5": "cor1-0b", "6": "seed-0_02_base_model", "8": ""}
