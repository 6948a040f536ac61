"""A sweep on a real Slurm cluster: a job is killed, a node is lost, and nothing is missing after.

`dnalib.workflow.cluster` brings the cluster up on this machine; where that cannot be, this skips.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import yaml

from dnalib.files import file_sha256
from dnalib.workflow.cluster import Cluster, answer, copy_project, why_not
from dnalib.workflow.summaries import SUMMARY_CHAPTERS

REASON = why_not()
pytestmark = [pytest.mark.first, pytest.mark.skipif(REASON is not None, reason=str(REASON))]

SEEDS = (0, 1)
# The demo profile with less of everything, so that two seeds take minutes on two cores.
CHANGES = {
    "epochs": "2",
    "epsilons": "[50, 150]",
    "pgd_steps": "4",
    "sap_steps": "4",
    "adaptive_records": "4",
    "rivals": "[wide]",
}
# What a local run makes again to be compared: trainings, attacks, and answers under them.
COMPARED = ("base", "cor", "dec", "fcor", "fdec", "wide", "features", "natural", "perturbations")
COMPARED += ("attacked", "r_squared", "crafted")
PATIENCE = 900  # seconds
LOCAL_RUN = """
import json, pathlib, sys
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
def sweep(project):
    """The sweep's command, its answers on the way, and what it left; run once for all tests."""
    folder = Path(tempfile.mkdtemp(prefix="slurm", dir="/tmp"))
    log = project / "sweep.log"
    told = {"log": log, "status": "", "killed": "", "lost": ""}
    try:
        with contextlib.ExitStack() as stack, log.open("w") as output:
            try:
                cluster = stack.enter_context(Cluster(folder))
            except RuntimeError as error:  # daemons that this machine does not let run
                pytest.skip(f"no cluster could be started here: {error}")
            started = subprocess.Popen(
                [*command("sweep", "--seeds", "0-1", "--executor", "slurm"), *changes()],
                cwd=project,
                env=environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                told |= interfere(cluster, started, project)
                told["returncode"] = started.wait(timeout=PATIENCE)
            finally:
                started.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return told


def command(action, *words):
    return [sys.executable, "-m", "dnalib.workflow", action, "--profile", "demo", *words]


def changes():
    words = ["--seconds-between-checks", "3"]
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


def interfere(cluster, started, project):
    """Kill a training on one node, lose another node with all it runs, and look at the status."""
    number, _ = running_training(started, besides="")
    told = {"status": answer_in(project, command("status")), "killed": number}
    subprocess.run(["scancel", "--full", "--signal=KILL", number], check=True)
    number, node = running_training(started, besides=number)
    cluster.lose(node)
    return told | {"lost": number}


def running_training(started, *, besides):
    """Number and node of a training that the cluster runs, not a certain one."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert started.poll() is None, "the sweep ended early"
        for line in answer(["squeue", "--noheader", "--format=%i|%T|%N|%k"]).splitlines():
            number, state, node, comment = line.split("|", 3)
            if state == "RUNNING" and "rule_training" in comment and number != besides:
                return number, node
        time.sleep(0.3)
    raise AssertionError("the cluster ran no training")


def answer_in(project, words):
    done = subprocess.run(words, cwd=project, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def artefacts_of(folder):
    """Sidecars and files of a run's artefacts by name and identity."""
    found = {}
    for path in folder.glob("*-*.json"):
        sidecar = json.loads(path.read_text())
        if "identity" in sidecar:
            found[sidecar["name"], sidecar["identity"]] = (sidecar, path.with_suffix(""))
    return found


def test_the_sweep_ends_complete_though_a_job_was_killed_and_a_node_lost(sweep, project):
    assert sweep["returncode"] == 0, sweep["log"].read_text()[-5000:]
    assert sweep["killed"] and sweep["lost"] and sweep["killed"] != sweep["lost"]
    run = project / "data" / "runs" / "demo"
    plan = json.loads((run / "plan.json").read_text())
    assert len(plan["jobs"]) == 1 + 2 * 11, "data once; nine models, one variant, one rival a seed"
    reports = {}
    for name, job in plan["jobs"].items():
        reports[name] = json.loads((run / "jobs" / job["kind"] / f"{name}.json").read_text())
        assert (run / reports[name]["artefact"]).is_file()
    for name in plan["notebooks"]:
        notebook = json.loads((run / f"{name}.ipynb").read_text())
        assert notebook["metadata"]["papermill"]["exception"] is None, name
    assert len({report["node"] for report in reports.values()}) >= 3, "the jobs were distributed"


def test_no_artefact_is_lost_doubled_or_half_written(sweep, project):
    run = project / "data" / "runs" / "demo"
    found = artefacts_of(run)
    assert len(found) > 100
    for sidecar, path in found.values():
        assert file_sha256(path) == sidecar["sha256"], path.name
    known = {path.name for _, path in found.values()}
    assert {path.name for path in run.glob("*.safetensors")} <= known, "one has no sidecar"
    names = [name for name, _ in found]
    doubled = {name for name in names if names.count(name) > len(SEEDS)}
    assert not doubled
    assert names.count("survey") == 1, "both seeds read the same records"
    hidden = [path.name for path in run.rglob(".*") if path.is_file()]
    assert not hidden, "half-written files stayed"
    assert not list((run / "checkpoints").iterdir()), "a training was not ended"


def test_the_results_are_those_of_a_local_run(sweep, project, tmp_path):
    by_slurm = artefacts_of(project / "data" / "runs" / "demo")
    names = sorted({name for name, _ in by_slurm if name.startswith(COMPARED)})
    parameters = {name: yaml.safe_load(value) for name, value in CHANGES.items()}
    words = json.dumps([str(tmp_path), names, {**parameters, "seed": 1}])
    answer_in(project, [sys.executable, "-c", LOCAL_RUN, words])
    local = artefacts_of(tmp_path / "demo")
    assert len(local) >= len(names) > 50
    different = [
        key for key, (one, _) in local.items() if by_slurm[key][0]["sha256"] != one["sha256"]
    ]
    assert not different


def test_status_told_how_far_it_was(sweep):
    lines = sweep["status"].splitlines()
    assert lines[-1] == "a make works on it"
    rows = {line.split()[0]: [int(word) for word in line.split()[1:]] for line in lines[2:-1]}
    assert rows["survey"] == [1, 0, 0, 0, 0]
    once, thrice = ("survey", "01_data"), SUMMARY_CHAPTERS  # for both seeds together as well
    for name, row in rows.items():
        assert sum(row) == (1 if name in once else 3 if name in thrice else 2), name
    assert any(row[1] for row in rows.values()), "nothing ran"
    assert rows["08_results"] == [0, 0, 0, 0, 3]
