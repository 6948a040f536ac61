"""A project that Snakemake makes in seconds: its commands only say that they were called."""

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["index", "reproduction", "checks", "glossary", "speed", "measured_speed", "bill"]
PAGES += ["measured_bill", "own_signals", "api"]
# Bash reads this first, and takes a function for a command of that name.
COMMANDS = """
papermill() {
    { printf "%q " "$@"; echo; } >> calls
    if [ -e "hold" ] && [ "${1##*/}" = "02_base_model.ipynb" ]; then setsid sleep 600; fi
    if [ -e "fail" ] && [ "${1##*/}" = "02_base_model.ipynb" ]; then return 1; fi
    if [ -e "late" ] && [ "${1##*/}" = "02_base_model.ipynb" ]; then cp late "$2"; return 1; fi
    cp "$1" "$2"
}
python() { :; }
jupyter-book() { mkdir -p "$4/_build/html" && touch "$4/_build/html/index.html"; }
"""


def make_toy_project(folder: Path, chapters: list[str]) -> Path:
    """The Snakefile of this project in a folder, with all that it names, and nothing to compute.

    A file `hold` in it keeps chapter 2 from ending, a file `fail` lets it fail, one named `late` as
    well, and is the notebook that is left of it. `calls` has a
    line for each chapter that was executed: papermill's arguments.

    Returns:
        A file for Bash (BASH_ENV) that makes the commands of jobs do that.
    """
    shutil.copyfile(ROOT / "Snakefile", folder / "Snakefile")
    for name in ("book/_static", "dnalib/profiles"):
        (folder / name).mkdir(parents=True)
    for profile in ("demo", "small"):
        (folder / "dnalib" / "profiles" / f"{profile}.yaml").touch()
    names = ["_toc.yml", "_config.yml", "book/references.bib", "book/_static/book.css"]
    names += ["book/_static/icon.svg", *(f"book/{page}.md" for page in PAGES)]
    for name in (*names, *(f"book/{chapter}.ipynb" for chapter in chapters)):
        (folder / name).touch()
    commands = folder / "commands.sh"
    commands.write_text(COMMANDS)
    return commands
