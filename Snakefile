# The book as jobs. `python -m dnalib.workflow` makes the plan that is read here (`make book`, `make
# sweep`): which notebooks there are, and which stages are jobs of their own. Every chapter is a
# notebook that papermill executes with its variant's parameters; artefacts lie in data/runs.
import json
import shlex
from pathlib import Path

PLAN = json.loads(Path(config["plan"]).read_text())
PROFILE = PLAN["profile"]
RUN = f"data/runs/{PROFILE}"
JOBS = f"{RUN}/jobs"
LIBRARY = sorted(str(path) for path in Path("dnalib").rglob("*.py"))
PAGES = ["book/index.md", "book/reproduction.md", "book/checks.md", "book/glossary.md",
         "book/speed.md", "book/measured_speed.md", "book/bill.md", "book/measured_bill.md",
         "book/own_signals.md", "book/api.md", "book/references.bib",
         "_config.yml", "_toc.yml"]
LOOKS = ["book/_static/book.css", "book/_static/icon.svg"]
MARKS = f"{RUN}/marks"
# Where the records are, if that was said.
PLACES = PLAN.get("places", {})
# Each chapter and each job may compute that long; the next call goes on. Not among a rule's `params`:
# another limit is no reason to execute again what is done.
LIMIT = f"-p max_minutes {PLAN['max_minutes']}" if "max_minutes" in PLAN else ""


def parameters(changed={}):
    """Parameters as the library's commands take them, by name and value."""
    return " ".join(f"-p {name} {shlex.quote(text(value))}"
                    for name, value in {"profile": PROFILE, **PLACES, **changed}.items())


def text(value):
    return value if isinstance(value, str) else json.dumps(value)


def for_papermill(changed={}):
    """Parameters as papermill takes them, all at once: of single ones it reads no lists."""
    return "-y " + shlex.quote(json.dumps({"profile": PROFILE, **PLACES, **changed}))


def marked(mark, command, *, late):
    """A command that leaves word, for `make status`: that it runs, then that it failed, or none.

    Where it fails and the shell's command `late` does not, it was out of time.
    """
    file = f"{MARKS}/{mark}"
    last = f"if {late}; then word=OUT_OF_TIME; else word=FAILED; fi; echo $word > {file}"
    return (
        f"mkdir -p {MARKS}; trap '{last}' EXIT; echo RUNNING > {file}; "
        f"{command} && trap - EXIT && rm -f {file}"
    )


def job(wildcards):
    return PLAN["jobs"][wildcards.job]


def notebook(wildcards):
    return PLAN["notebooks"][f"{wildcards.variant}/{wildcards.chapter}"]


def reports(names):
    return [f"{JOBS}/{PLAN['jobs'][name]['kind']}/{name}.json" for name in names]


def executed(names):
    return [f"{RUN}/{name}.ipynb" for name in names]


def minutes(kind, attempt):
    return PLAN["resources"][kind]["minutes"] * attempt


def gpus(kind):
    """GPUs as a resource only where there are any: a cluster without them knows no such thing."""
    count = PLAN["resources"][kind]["gpus"]
    # Those of one job belong together.
    return {"gpu": count, **({"nodes": 1} if count > 1 else {})} if count else {}


def holding(resources):
    """What a command begins with to have GPUs of its own where others run beside it."""
    count, names = resources.get("gpu", 0), PLAN.get("gpus", [])
    return f"python -m dnalib.workflow.gpus {count} {','.join(names)} " if count and names else ""


def program(kind, resources, threads):
    """How a job's module is called: a training that has several GPUs in a process for each."""
    processes = resources.get("gpu", 0) if kind == "training" else 1
    if processes < 2:
        return f"OMP_NUM_THREADS={threads} {holding(resources)}python"
    launch = f"torchrun --standalone --nproc-per-node {processes}"
    return f"OMP_NUM_THREADS={max(1, threads // processes)} {holding(resources)}{launch}"


CHAPTER = PLAN["resources"]["chapter"]
# A part is of no use: written once, not after each cell with all that is above it.
ONCE = "--no-request-save-on-cell-execute --autosave-cell-every 0"
PATIENT = "--start-timeout 300"  # seconds: a kernel may wait for a disk that all nodes share
KINDS = [kind for kind in PLAN["resources"] if kind != "chapter"]


localrules: all, site


rule all:
    input:
        executed(PLAN["notebooks"]),
        [f"_build/{site}/_build/html/index.html" for site in PLAN["sites"]],


for kind in KINDS:

    # The stages of a kind: one job each, shared by the variants that need the same.
    rule:
        name: kind
        input:
            lambda wildcards: reports(job(wildcards)["needs"]),
        output:
            f"{JOBS}/{kind}/{{job}}.json",
        params:
            stage=lambda wildcards: job(wildcards)["stage"],
            parameters=lambda wildcards: parameters(job(wildcards)["parameters"]),
            program=lambda wildcards, resources, threads, kind=kind: program(
                kind, resources, threads
            ),
        threads: PLAN["resources"][kind]["cpus"]
        resources:
            mem_mb=PLAN["resources"][kind]["memory"],
            runtime=lambda wildcards, attempt, kind=kind: minutes(kind, attempt),
            **gpus(kind),
        message: "stage {wildcards.job}"
        shell:
            marked(
                "{wildcards.job}",
                "{params.program} -m dnalib.workflow.job {params.stage} "
                "{params.parameters} {LIMIT} --report {output} --mark {MARKS}/{wildcards.job}",
                late="grep -qs OUT_OF_TIME {MARKS}/{wildcards.job}",
            )


rule chapter:
    input:
        LIBRARY,
        f"dnalib/profiles/{PROFILE}.yaml",
        lambda wildcards: reports(notebook(wildcards)["jobs"]),
        lambda wildcards: executed(notebook(wildcards)["notebooks"]),
        notebook="book/{chapter}.ipynb",
    output:
        f"{RUN}/{{variant}}/{{chapter}}.ipynb",
    wildcard_constraints:
        chapter="[0-9A-Z][^/]*",
        variant="(?!jobs/)[^/]+",
    params:
        parameters=lambda wildcards: for_papermill(notebook(wildcards)["parameters"]),
        part=lambda wildcards: f"{RUN}/{wildcards.variant}/.{wildcards.chapter}.ipynb",
        holding=lambda wildcards, resources: holding(resources),
    # Without a number in the plan, one notebook at a time with every core.
    threads: CHAPTER["cpus"] or workflow.cores
    resources:
        mem_mb=CHAPTER["memory"],
        runtime=lambda wildcards, attempt: minutes("chapter", attempt),
        **gpus("chapter"),
    message: "chapter {wildcards.chapter} of {wildcards.variant}"
    shell:
        marked(
            "{wildcards.variant}_{wildcards.chapter}",
            "rm -f {params.part}; "
            "OMP_NUM_THREADS={threads} {params.holding}papermill {input.notebook} {params.part} "
            "{params.parameters} {LIMIT} {ONCE} {PATIENT} --no-progress-bar --stdout-file - && "
            "mv {params.part} {output}",
            # What ended the notebook stands in it as a line `"ename": "OutOfTime",`.
            late='grep -qs "^ *.ename.: .OutOfTime." {params.part}',
        )


rule site:
    input:
        notebooks=lambda wildcards: executed(PLAN["sites"][wildcards.site]["notebooks"]),
        pages=PAGES,
        looks=LOOKS,
    output:
        "_build/{site}/_build/html/index.html",
    params:
        source=lambda wildcards: f"_build/{wildcards.site}/source",
        site=lambda wildcards: f"_build/{wildcards.site}",
        parameters=lambda wildcards: parameters(PLAN["sites"][wildcards.site]["parameters"]),
    message: "building the pages of {wildcards.site}"
    shell:
        "rm -rf {params.source} && mkdir -p {params.source}/_static && "
        "cp {input.notebooks} {input.pages} {params.source}/ && "
        "cp {input.looks} {params.source}/_static/ && "
        "python -m dnalib.pages {params.source} {params.parameters} && "
        "jupyter-book build {params.source} --path-output {params.site} --all -q -n -W --keep-going"
