"""A sweep on a real Slurm cluster: a job is killed, a node is lost, and nothing is missing after.

`dnalib.workflow.cluster` brings the cluster up on this machine; where that cannot be, this skips.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
import yaml

from dnalib import stages
from dnalib.files import file_sha256
from dnalib.workflow.chapters import chapter_stages, stages_before
from dnalib.workflow.cluster import Cluster, answer, copy_project, why_not
from dnalib.workflow.following import LOGS
from dnalib.workflow.slurm import work_by_number, work_in

REASON = why_not()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.first,
    pytest.mark.skipif(REASON is not None, reason=str(REASON)),
]

SEED = 1  # one: a second would take some three minutes more, and test_engine.py has several
# What daemons say of a configuration that they cannot read; else it is this machine that does not
# let them run, as a container without the rights.
OUR_FAULT = re.compile(r"(?i)pars(e|ing)|unrecognized|no such (option|parameter)")
# The demo profile with less of everything, so that a sweep takes minutes on two cores.
CHANGES = {
    "synthetic_records": "160",
    "rate": "10",
    "length": "300",
    "width": "0.05",
    "epochs": "3",
    "epsilons": "[50]",
    "pgd_steps": "1",
    "sap_steps": "1",
    "adaptive_records": "4",
    "rivals": "[wide]",
}
PARAMETERS = {name: yaml.safe_load(value) for name, value in CHANGES.items()}
PATIENCE = 900  # seconds
LOCAL_RUN = """
import json, sys
from dnalib import stages
folder, names, parameters = json.loads(sys.argv[1])
run = stages.open_run({"profile": "demo", "runs_folder": folder, **parameters})
for name in names:
    run.obtain(name)
"""


@pytest.fixture(scope="module")
def project(root, tmp_path_factory):
    """A copy of the project: the sweep writes beside the code."""
    return copy_project(root, tmp_path_factory.mktemp("cluster") / "project")


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The same run in another folder: it tells what there must be, and makes it again."""
    folder = str(tmp_path_factory.mktemp("local"))
    given = {"profile": "demo", "runs_folder": folder, "seed": SEED}
    return stages.open_run({**given, **PARAMETERS})


@pytest.fixture(scope="module")
def sweep(project, local):
    """What was killed, what the cluster told of its jobs, and what the sweep left; run once."""
    folder = Path(tempfile.mkdtemp(prefix="slurm", dir="/tmp"))
    log = project / "sweep.log"
    told = {"log": log}
    words = ["--seeds", str(SEED), "--executor", "slurm", "--partition", "main,spare", *changes()]
    try:
        with contextlib.ExitStack() as stack, log.open("w") as output:
            try:
                cluster = stack.enter_context(Cluster(folder))
            except RuntimeError as error:
                if OUR_FAULT.search(str(error)):
                    raise
                pytest.skip(f"no cluster could be started here: {error}")
            started = subprocess.Popen(
                command("sweep", *words),
                cwd=project,
                env=environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                told |= interfere(cluster, started, Training(project, local))
                told["returncode"] = started.wait(timeout=PATIENCE)
                told["jobs"] = jobs_of_cluster()
            finally:
                with contextlib.suppress(ProcessLookupError):  # it has ended
                    os.killpg(started.pid, signal.SIGKILL)  # Snakemake with it
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return told


def command(action, *words):
    return [sys.executable, "-m", "dnalib.workflow", action, "--profile", "demo", *words]


def changes():
    words = ["--seconds-between-checks", "1"]
    for name, value in CHANGES.items():
        words += ["-p", name, value]
    return words


def environment():
    folder = Path(sys.executable).parent
    return {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": "",
    }


def interfere(cluster, started, training):
    """Kill one training in its midst, lose the node of another, and look at the status."""
    killed = training.in_its_midst(started)
    subprocess.run(["scancel", "--full", "--signal=KILL", killed["JobId"]], check=True)
    status = answer_in(training.project, command("status"))
    lost = training.in_its_midst(started, besides=name_of(killed))
    cluster.lose(lost["NodeList"])
    return {"killed": killed, "status": status, "lost": lost}


def jobs_of_cluster():
    """All jobs that the cluster remembers, ended ones too: what it tells of each, by name."""
    told = answer(["scontrol", "show", "job", "--oneliner"]).splitlines()
    jobs = [line for line in told if line.startswith("JobId=")]  # else "No jobs in the system"
    return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in jobs]


class Training:
    """Finds trainings that the cluster is in the midst of."""

    def __init__(self, project, local):
        self.project, self.local = project, local
        self.folder = project / "data" / "runs" / "demo"

    def in_its_midst(self, started, *, besides=None):
        """A job whose training has kept an epoch and not ended, held so that it cannot end."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert started.poll() is None, "the sweep ended early"
            for job in jobs_of_cluster():
                found = job["JobState"] == "RUNNING" and "rule_training" in job["Comment"]
                if found and name_of(job) != besides and self.is_held_in_time(job):
                    return job
            time.sleep(0.1)
        raise AssertionError("the cluster was in the midst of no training")

    def is_held_in_time(self, job):
        """Hold the processes of a job, and let them go on if it has no epoch yet, or all."""
        plan = json.loads((self.folder / "plan.json").read_text())
        stage = plan["jobs"][name_of(job)]["stage"]
        artefact = expected(self.local)[stage]
        checkpoint = self.folder / "checkpoints" / Path(artefact).stem
        if not any(checkpoint.glob("*.json")):
            return False
        work = processes_of(job)
        for process in work:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        if work and not (self.folder / artefact).exists():
            return True
        for process in work:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
        return False


def processes_of(job):
    """The processes of a job on this machine."""
    work = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("SLURM_JOB_ID") == job["JobId"]:
                work.append(process)
    return work


def name_of(job):
    return work_in(job["Comment"])


def answer_in(project, words):
    done = subprocess.run(words, cwd=project, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def report_of(project, job):
    """What the last try of a training says of itself."""
    path = project / "data" / "runs" / "demo" / "jobs" / "training" / f"{name_of(job)}.json"
    return json.loads(path.read_text())


def expected(run):
    """The file of every artefact of the sweep, by its name."""
    return {
        name: f"{name}-{run.identity(name)}{run.stages[name].suffix}"
        for name in stages_before("A2_rivals", run.stages, run.settings)
    }


def made_again(run):
    """What is compared with a local run: every training, and what chapters 1 to 8 make of them."""
    chapters = chapter_stages(run.settings)
    names = stages_before("A2_rivals", run.stages, run.settings)
    return [name for name in names if name in chapters or run.stages[name].kind == "training"]


def sidecar_of(path):
    return json.loads(path.with_name(path.name + ".json").read_text())


def test_the_killed_job_ended_in_its_midst_and_was_submitted_again(sweep, project):
    killed = sweep["killed"]
    tries = {job["JobId"]: job for job in sweep["jobs"] if name_of(job) == name_of(killed)}
    first = tries.pop(killed["JobId"])
    assert first["JobState"] == "CANCELLED", "it was not the signal that ended it"
    (again,) = [job for job in tries.values() if job["JobState"] == "COMPLETED"]
    report = report_of(project, killed)
    assert report["scheduler_job"] == again["JobId"]
    assert not report["found"], "the first try had made it already"
    # By its log, status knows it where no comment is kept.
    assert work_by_number(project / LOGS)[killed["JobId"]] == name_of(killed)


def test_the_job_of_the_lost_node_was_started_again_on_another(sweep, project):
    lost = sweep["lost"]
    (job,) = [job for job in sweep["jobs"] if job["JobId"] == lost["JobId"]]
    assert lost["Restarts"] == "0" and job["Restarts"] == "1"
    assert job["JobState"] == "COMPLETED" and job["NodeList"] != lost["NodeList"]
    report = report_of(project, lost)
    assert report["scheduler_job"] == lost["JobId"] and report["node"] == job["NodeList"]
    assert not report["found"], "the first try had made it already"
    started = [job["StartTime"] for job in sweep["jobs"] if job["NodeList"] == lost["NodeList"]]
    assert max(started, default="") <= job["StartTime"], "the node was not lost"


def test_the_sweep_ends_complete(sweep, project):
    assert sweep["returncode"] == 0, sweep["log"].read_text()[-5000:]
    run = project / "data" / "runs" / "demo"
    plan = json.loads((run / "plan.json").read_text())
    assert len(plan["jobs"]) == 1 + 11, "data; nine models, one variant, one rival"
    reports = {}
    for name, job in plan["jobs"].items():
        reports[name] = json.loads((run / "jobs" / job["kind"] / f"{name}.json").read_text())
        assert (run / reports[name]["artefact"]).is_file()
    for name in plan["notebooks"]:
        text = (run / f"{name}.ipynb").read_text()
        assert json.loads(text)["metadata"]["papermill"]["exception"] is None, name
        # Else it would have waited for a training, or made one, that it does not come after.
        made = [job["stage"] for job in plan["jobs"].values()]
        assert not [stage for stage in made if f'"{stage}: computing' in text], name
    assert len({report["node"] for report in reports.values()}) >= 3, "the jobs were distributed"
    works = [name_of(job) for job in sweep["jobs"] if job["JobState"] == "COMPLETED"]
    wanted = [*plan["jobs"], *(name.replace("/", "_") for name in plan["notebooks"])]
    assert sorted(works) == sorted(wanted), "each succeeded once, under the name that status knows"


def test_no_artefact_is_lost_doubled_or_half_written(sweep, project, local):
    run = project / "data" / "runs" / "demo"
    names = set(expected(local).values())
    wanted = {"plan.json", *names, *(f"{name}.json" for name in names)}
    assert {path.name for path in run.iterdir() if path.is_file()} == wanted
    for name, file in expected(local).items():
        sidecar = sidecar_of(run / file)
        assert (sidecar["name"], sidecar["identity"]) == (name, local.identity(name))
        assert file_sha256(run / file) == sidecar["sha256"], file
    assert not list((run / "checkpoints").iterdir()), "a training was not ended"
    hidden = [path.name for path in run.rglob(".*") if path.is_file()]
    assert not hidden, "half-written files stayed"


def test_the_results_are_those_of_a_local_run(sweep, project, local):
    names = made_again(local)
    words = [str(local.folder.parent), names, {**PARAMETERS, "seed": SEED}]
    answer_in(project, [sys.executable, "-c", LOCAL_RUN, json.dumps(words)])
    by_slurm, different = project / "data" / "runs" / "demo", []
    every = expected(local)
    files = {every[name] for name in names}
    for victim in ("killed", "lost"):
        assert report_of(project, sweep[victim])["artefact"] in files
    for file in files:
        one, other = sidecar_of(by_slurm / file), sidecar_of(local.folder / file)
        if one["sha256"] != other["sha256"]:
            different.append(file)
    assert not different, sorted(different)


def test_status_told_how_far_it_was(sweep):
    lines = sweep["status"].splitlines()
    assert lines[-1] == "a make works on it"
    rows = {line.split()[0]: [int(word) for word in line.split()[1:]] for line in lines[2:-1]}
    assert rows["survey"] == [1, 0, 0, 0, 0, 0]
    assert {sum(row) for row in rows.values()} == {1}
    assert any(row[1] for row in rows.values()), "nothing ran"
    assert rows["08_results"] == [0, 0, 0, 0, 0, 1]
