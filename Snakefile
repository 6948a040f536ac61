# One rule a notebook: papermill executes it with the run's parameters; artefacts lie in data/runs.
import shlex
from pathlib import Path

PROFILE = config.get("profile", "demo")
RUN = f"data/runs/{PROFILE}"
SITE = f"_build/{PROFILE}"
CHAPTERS = {
    "01_data": [],
    "02_base_model": ["01_data"],
    "03_cor": ["02_base_model"],
    "04_dec": ["02_base_model"],
    "05_fcor": ["02_base_model"],
    "06_fdec": ["02_base_model"],
    "07_attacks": ["03_cor", "04_dec", "05_fcor", "06_fdec"],
    "08_results": ["07_attacks"],
    "A1_adaptive_attacks": ["08_results"],
    "A2_rivals": ["A1_adaptive_attacks"],
}
LIBRARY = sorted(str(path) for path in Path("dnalib").rglob("*.py"))
PAGES = ["book/index.md", "book/reproduction.md", "book/checks.md", "book/glossary.md",
         "book/speed.md", "book/measured_speed.md", "book/api.md", "book/references.bib",
         "_config.yml", "_toc.yml"]
LOOKS = ["book/_static/book.css", "book/_static/icon.svg"]


# Where the records are, if that was said; absolute, since notebooks may run elsewhere.
PLACES = {name: str(Path(config[name]).expanduser().resolve()) for name in ("data", "split")
          if config.get(name)}
PARAMETERS = " ".join(f"-p {name} {shlex.quote(value)}" for name, value in
                      {"profile": PROFILE, **PLACES}.items())
# Each chapter may compute that long; the next call goes on.
LIMIT = f" -p max_minutes {shlex.quote(str(config['max_minutes']))}" if config.get("max_minutes") else ""


rule all:
    input:
        f"{SITE}/_build/html/index.html",


for chapter, earlier in CHAPTERS.items():

    rule:
        name: chapter
        input:
            LIBRARY,
            f"dnalib/profiles/{PROFILE}.yaml",
            [f"{RUN}/book/{name}.ipynb" for name in earlier],
            notebook=f"book/{chapter}.ipynb",
        output:
            f"{RUN}/book/{chapter}.ipynb",
        params:
            parameters=PARAMETERS + LIMIT,
        # One notebook at a time, with every core: Snakemake limits a job's threads to this.
        threads: workflow.cores
        message: f"chapter {chapter}"
        shell:
            "papermill {input.notebook} {output} {params.parameters} --no-progress-bar --stdout-file /dev/stdout"


rule site:
    input:
        expand(f"{RUN}/book/{{chapter}}.ipynb", chapter=CHAPTERS),
        pages=PAGES,
        looks=LOOKS,
    output:
        f"{SITE}/_build/html/index.html",
    params:
        source=f"{RUN}/book",
        site=SITE,
        parameters=PARAMETERS,
    message: "building the pages"
    shell:
        "cp {input.pages} {params.source}/ && mkdir -p {params.source}/_static && "
        "cp {input.looks} {params.source}/_static/ && "
        "python -m dnalib.pages {params.source} {params.parameters} && "
        "jupyter-book build {params.source} --path-output {params.site} --all -q -n -W --keep-going"
