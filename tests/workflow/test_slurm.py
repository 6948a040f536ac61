"""What is asked of Slurm, by commands that answer in ways that a test cluster does not."""

import os

import pytest

from dnalib.workflow import WorkflowError, slurm

CONFIG = "AccountingStorageType   = accounting_storage/{}\nClusterName = test"
SLURM = {
    "sinfo": "echo 'main*'; echo gpu",
    "scontrol": f"echo '{CONFIG.format('none')}'",
    "squeue": "echo '7|RUNNING|dnalib-demo_1|rule_training_wildcards_dec1-0a'; "
    "echo '8|PENDING|another|rule_x'",
    "sacct": "echo 'Slurm accounting storage is disabled' >&2; exit 1",
}


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
    (job,) = slurm.queued_jobs("dnalib-demo", logs=tmp_path)
    assert job == slurm.QueuedJob("7", "RUNNING", "dec1-0a")


def test_with_accounting_ended_jobs_are_remembered(commands, tmp_path):
    commands(
        scontrol=f"echo '{CONFIG.format('slurmdbd')}'",
        sacct="echo '5|CANCELLED by 0|dnalib-demo_1|rule_training_wildcards_cor1-0b'; "
        "echo '7|PENDING|dnalib-demo_1|rule_training_wildcards_dec1-0a'",
    )
    assert slurm.keeps_accounts()
    jobs = slurm.queued_jobs("dnalib-demo", logs=tmp_path)
    states = {job.number: (job.state, job.work) for job in jobs}
    assert states == {"7": ("RUNNING", "dec1-0a"), "5": ("CANCELLED", "cor1-0b")}


def test_accounts_without_comments_are_told_apart_by_their_logs(commands, tmp_path):
    commands(
        scontrol=f"echo '{CONFIG.format('slurmdbd')}'",
        squeue="",
        sacct="echo '5|FAILED|dnalib-demo_1|'; echo '6|TIMEOUT|dnalib-demo_1|'; "
        "echo '8|FAILED|dnalib-demo_1|'",
    )
    logs = tmp_path / "logs"
    for place in ("rule_training/cor1-0b/5", "rule_chapter/seed-0_02_base_model/6"):
        log = logs / f"{place}.log"
        log.parent.mkdir(parents=True)
        log.touch()
    works = {job.number: job.work for job in slurm.queued_jobs("dnalib-demo", logs=logs)}
    assert works == {"5": "cor1-0b", "6": "seed-0_02_base_model", "8": ""}
