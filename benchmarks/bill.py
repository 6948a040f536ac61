"""What many seeds of a profile take on many machines, from what was measured: for the book's bill.

Completes the file that `workflow.py` wrote, whose overhead and its date it leaves as they are: the
seconds of each stage come from the artefacts of a run's folder, or else from the file, and a
simulation of the plan's jobs gives the rest. Planning is measured in seconds of a processor, which
other work on the machine hardly changes.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dnalib.runs import Settings, load_profile
from dnalib.stages import all_stages
from dnalib.workflow import Plan, make_plan, make_variants
from dnalib.workflow.bill import (
    Checks,
    Overhead,
    Task,
    critical_path,
    simulate,
    tasks_of,
    until,
)
from dnalib.workflow.makings import Making, makings_of
from dnalib.workflow.parts import load_resources
from dnalib.workflow.slurm import MOST_JOBS
from dnalib.workflow.traffic import Sizes, traffic

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "jobs"
SEEDS, MACHINES = (1, 10, 100, 1000), (1, 9, 100, MOST_JOBS, 1000)
MADE_WITH = (0, 1, 2)  # seeds whose artefacts are looked for, the first one first
PLANNED = (1, 10, 100)
CHECKS = Checks()
LAST_OF_NINE = "A1_adaptive_attacks"  # the last chapter that reads no rival


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of the file to complete, such as cpu")
    parser.add_argument("--stages", type=Path, required=True, help="such as data/runs/small")
    parser.add_argument("--records", type=Path, required=True, help="folder of the cache")
    arguments = parser.parse_args()
    path = RESULTS / f"{arguments.name}.json"
    content = json.loads(path.read_text())
    profile = arguments.stages.name
    settings = load_profile(profile)
    wanted = planned_stages(settings, profile)
    makings = with_known(makings_of(arguments.stages, settings, seeds=MADE_WITH), content)
    makings = {name: made for name, made in makings.items() if name in wanted}
    content |= {
        "profile": profile,
        "stages": {name: asdict(made) for name, made in makings.items()},
        "records_bytes": size_of(arguments.records),
        "checkpoint_bytes": checkpoint_bytes(arguments.stages) or content["checkpoint_bytes"],
        "most_jobs": MOST_JOBS,
        "checks": asdict(CHECKS),
    }
    overhead = overhead_of(content)
    content["paths"] = paths(settings, profile, makings, overhead=overhead)
    content["model"] = model(settings, content, makings, overhead=overhead)
    content["planning"] = [planning(settings, profile, seeds=seeds) for seeds in PLANNED]
    content["modelled"] = datetime.now(UTC).date().isoformat()
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    print(f"wrote {path}")


def with_known(found: Mapping[str, Making], content: Mapping[str, Any]) -> dict[str, Making]:
    """How stages were made, with those that an earlier bill knows and the folder does not hold.

    A recorded run that was restored lacks what is large and made again: features, perturbations.
    """
    known = {name: Making(**made) for name, made in content.get("stages", {}).items()}
    own = {name: made for name, made in found.items() if made.stage == name}
    return {**found, **known, **own}


def plan_of(settings: Settings, profile: str, *, seeds: int) -> Plan:
    """The plan of a sweep over so many seeds."""
    return make_plan(
        settings,
        profile=profile,
        variants=make_variants(settings, fixed={}, varied={"seed": range(seeds)}),
        resources=load_resources(profile),
    )


def planned_stages(settings: Settings, profile: str) -> set[str]:
    """Names of all stages that a sweep computes."""
    nothing = dict.fromkeys(all_stages(settings), 0.0)
    plan = plan_of(settings, profile, seeds=1)
    tasks = tasks_of(plan, settings, seconds=nothing, overhead=Overhead(job=0, notebook=0))
    return {stage for task in tasks.values() for stage in task.stages}


def overhead_of(measured: Mapping[str, Any]) -> Overhead:
    """Seconds around jobs and chapters, as `workflow.py` measured them."""
    around = sum(measured["job"][part] for part in ("engine", "start and records"))
    chapter = statistics.median(measured["notebook"]["seconds"].values())
    return Overhead(job=around, notebook=measured["job"]["engine"] + chapter)


def timed_tasks(
    plan: Plan, settings: Settings, makings: Mapping[str, Making], *, overhead: Overhead
) -> dict[str, Task]:
    """The tasks of a plan, with the seconds that were measured."""
    seconds = {name: made.seconds for name, made in makings.items()}
    return tasks_of(plan, settings, seconds=seconds, overhead=overhead)


def paths(
    settings: Settings, profile: str, makings: Mapping[str, Making], *, overhead: Overhead
) -> list[dict[str, Any]]:
    """The critical paths of one seed: of the nine models, of dec with its attacks, and of all."""
    tasks = timed_tasks(plan_of(settings, profile, seeds=1), settings, makings, overhead=overhead)
    nine = until(tasks, [f"seed-0/{LAST_OF_NINE}"])
    attacks = [name for name in nine if name.startswith("adaptive-dec-")]
    return [
        described_path("the nine models", nine),
        described_path("dec, to the attacks on it", until(nine, attacks)),
        described_path("with the rivals", tasks),
    ]


def described_path(what: str, tasks: Mapping[str, Task]) -> dict[str, Any]:
    """The critical path of some tasks, with the seconds of each step, and how many tasks.

    The checked seconds are those until its last end is known, with a machine for each task.
    """
    seconds, path = critical_path(tasks)
    checked = simulate(tasks, machines=len(tasks), checks=CHECKS)
    return {
        "what": what,
        "jobs": len(tasks),
        "busy_hours": sum(task.seconds for task in tasks.values()) / 3600,
        "seconds": seconds,
        "checked_seconds": checked.seconds,
        "steps": [{"task": name, "seconds": tasks[name].seconds} for name in path],
    }


def model(
    settings: Settings,
    measured: Mapping[str, Any],
    makings: Mapping[str, Making],
    *,
    overhead: Overhead,
) -> list[dict[str, Any]]:
    """What so many seeds of the profile take on so many machines, simulated."""
    rows = []
    for seeds in SEEDS:
        plan = plan_of(settings, measured["profile"], seeds=seeds)
        tasks = timed_tasks(plan, settings, makings, overhead=overhead)
        sizes = Sizes(
            records=measured["records_bytes"],
            plan=len(json.dumps(plan)),
            checkpoint=measured["checkpoint_bytes"],
            artefacts={name: made.bytes for name, made in makings.items()},
        )
        moved = traffic(tasks, all_stages(settings), sizes=sizes, epochs=settings.epochs)
        for machines in MACHINES:
            most_jobs = max(machines, MOST_JOBS)
            bill = simulate(tasks, machines=machines, checks=CHECKS, most_jobs=most_jobs)
            rows.append(
                {
                    "seeds": seeds,
                    "machines": machines,
                    "hours": bill.seconds / 3600,
                    "busy_hours": bill.busy_seconds / 3600,
                    "held_hours": bill.held_seconds / 3600,
                    "jobs": bill.jobs,
                    "plan_bytes": sizes.plan,
                    **asdict(moved),
                }
            )
    return rows


def planning(settings: Settings, profile: str, *, seeds: int) -> dict[str, float]:
    """Seconds of a processor that Snakemake takes to plan a sweep, before its first job."""
    plan = plan_of(settings, profile, seeds=seeds)
    with tempfile.TemporaryDirectory(prefix="bill") as folder:
        path = Path(folder) / "plan.json"
        path.write_text(json.dumps(plan))
        command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "all", "--nolock"]
        command += ["--cores", "1", "--forceall", "--config", f"plan={path}"]
        before = children_seconds()
        subprocess.run(command, cwd=ROOT, env=environment(), check=True, capture_output=True)
    return {"seeds": seeds, "seconds": round(children_seconds() - before, 2)}


def children_seconds() -> float:
    """Seconds of a processor that ended child processes have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def environment() -> dict[str, str]:
    """This one's, with this Python's commands first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path}


def size_of(folder: Path) -> int:
    """Bytes of a folder's files."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def checkpoint_bytes(run: Path) -> int | None:
    """Bytes of a checkpoint of one network; None where no training is under way."""
    sizes: Sequence[int] = [
        path.stat().st_size + path.with_name(f"{path.stem}-part1of1.safetensors").stat().st_size
        for path in run.glob("checkpoints/*/epoch*.json")
        if path.with_name(f"{path.stem}-part1of1.safetensors").is_file()
    ]
    return max(sizes, default=None)


if __name__ == "__main__":
    main()
