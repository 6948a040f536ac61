"""A plan in its run's folder: Snakemake follows it, alone there, and what is known of its jobs."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dnalib.files import write_json
from dnalib.runs import project_root
from dnalib.runs.settings import computing_profiles
from dnalib.runs.turns import is_held, turn
from dnalib.workflow import slurm
from dnalib.workflow.engine import job_prefix, run_snakemake
from dnalib.workflow.parts import Plan
from dnalib.workflow.slurm import QueuedJob
from dnalib.workflow.status import end_of_minutes, marked_jobs, with_late
from dnalib.workflow.variants import WorkflowError

PLAN = "plan.json"
WORKFLOW = "workflow"  # what a make holds of a run's folder
LOGS = Path(".snakemake", "slurm_logs")  # Snakemake's plugin keeps them there


def follow(plan: Plan, engine: Sequence[str], *, executor: str, said: Mapping[str, Any]) -> int:
    """Let Snakemake do what a plan says; alone in the run's folder.

    Args:
        plan: which jobs there are.
        engine: Snakemake's options.
        executor: "local" or "slurm".
        said: what notebooks are told beside the plan: places of the records, a limit of minutes.

    Returns:
        Snakemake's status.

    Raises:
        WorkflowError: another process works on the same folder, or a cluster has jobs of one that
            does not any more.
    """
    root = project_root()
    folder = root / "data" / "runs" / plan["profile"]
    with turn(folder, WORKFLOW, seconds=0) as ours:
        if not ours:
            raise WorkflowError(
                f"another make works in {folder}; wait for it or end it, and call again"
            )
        if executor == "slurm":
            place, logs = root.resolve(), root / LOGS
            slurm.check_nothing_is_left(job_prefix(plan["profile"]), folder=place, logs=logs)
        write_json(folder / PLAN, {**plan, **said, "executor": executor})
        # All else is in that file: Snakemake reads a value given here as YAML, and cuts it at " #".
        plan_file = (folder / PLAN).relative_to(root)
        status = run_snakemake([*engine, "--config", f"plan={plan_file}"], root=root)
        late = end_of_minutes(marked_jobs(folder, since=folder / PLAN, working=False))
        if status and late:
            print(late, file=sys.stderr)
        return status


def is_followed(folder: Path) -> bool:
    """Whether a make works in a run's folder."""
    return is_held(folder, WORKFLOW)


def read_plan(folder: Path, *, profile: str) -> Plan:
    """The plan of a profile's last run or sweep, in its folder.

    Raises:
        WorkflowError: there is none, or not even such a profile.
    """
    try:
        plan: Plan = json.loads((folder / PLAN).read_text())
    except FileNotFoundError:
        if profile not in computing_profiles():
            accepted = ", ".join(computing_profiles())
            raise WorkflowError(f"profile is {profile!r}; accepted are {accepted}") from None
        raise WorkflowError(
            f"nothing was begun with profile {profile}: {folder / PLAN} is missing"
        ) from None
    return plan


def jobs_of(plan: Plan, folder: Path, *, working: bool) -> tuple[list[QueuedJob], str | None]:
    """All that is known of the jobs of a plan, and a sentence on what is missing.

    Args:
        plan: of the profile's last run or sweep.
        folder: of the run.
        working: whether a make works on it.
    """
    on_cluster = plan.get("executor") == "slurm"
    # What a make that has ended submitted to a cluster may still run there.
    marked = marked_jobs(folder, since=folder / PLAN, working=working or on_cluster)
    if not on_cluster:
        return marked, None
    root = project_root()
    prefix, place = job_prefix(plan["profile"]), root.resolve()
    try:
        queue, missing = slurm.known_jobs(prefix, folder=place, logs=root / LOGS)
    except WorkflowError as error:
        return marked, (
            f"{error}; this is what the jobs themselves left word of: those that wait are counted "
            "as to come, and those that were killed as running"
        )
    return with_late(queue, marked), missing
