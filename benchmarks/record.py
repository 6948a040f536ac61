"""Run the benchmarks one after another and keep what they print, for the book's page on speed.

`python benchmarks/record.py NAME --device cpu --data training2017.zip --split
random_permutation.npy` writes `results/NAME.json`, with options passed on; `make report` then
refreshes the page. `--only-bf16` replaces in that file what bf16 does to attacks, and leaves the
rest.
"""

import argparse
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
SCRIPTS = ("training", "attacks", "decorrelation", "loading")
# Times faster that each is to reach, by device.
WANTED: dict[str, dict[str, float]] = {
    "cpu": {"training": 1.5, "pgd": 2, "sap": 2.5, "decorrelation": 5, "loading": 10},
    "cuda": {"training": 4, "pgd": 6, "sap": 6, "decorrelation": 5, "loading": 10},
}


def lines_of(script: str, options: list[str]) -> list[dict[str, Any]]:
    """The JSON lines that a benchmark prints."""
    command = [sys.executable, str(FOLDER / f"{script}.py"), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    print(done.stdout, end="", flush=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main() -> None:
    """The command line."""
    parser = made_parser()
    arguments = parser.parse_args()
    path = FOLDER / "results" / f"{arguments.name}.json"
    if arguments.only_bf16:
        if not arguments.data or not path.is_file():
            parser.error(f"--only-bf16 needs --data and the file that it changes, {path}")
        content = json.loads(path.read_text())
    else:
        content = speeds(arguments)
    content["bf16"] = effect_of_bf16(arguments) if arguments.data else None
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    print(f"wrote {path}")


def made_parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("name", help="of the file to write, such as cpu")
    made.add_argument("--device", choices=tuple(WANTED), default="cpu")
    made.add_argument("--data", help="archive or folder of the records")
    made.add_argument("--split", help="random_permutation.npy; else beside the records")
    made.add_argument("--records", help="attack only the first so many in bf16")
    made.add_argument("--only-bf16", action="store_true")
    made.add_argument("--quick", action="store_true")
    return made


def speeds(arguments: argparse.Namespace) -> dict[str, Any]:
    """What every benchmark of two sides prints, with the machine and the date."""
    options = ["--device", arguments.device, *(["--quick"] if arguments.quick else [])]
    found: list[dict[str, Any]] = []
    for script in SCRIPTS:
        data = ["--data", arguments.data] if arguments.data and script == "loading" else []
        found += lines_of(script, options + data)
    rows = [line for line in found if "ours_seconds" in line]
    for row in rows:
        row["wanted"] = WANTED[arguments.device][row["benchmark"].split(",")[0]]
    return {
        "hardware": rows[0]["hardware"],
        "torch": rows[0]["torch"],
        "date": datetime.now(UTC).date().isoformat(),
        "options": options,
        "rows": rows,
    }


def effect_of_bf16(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `bf16.py` prints: its rows, its own machine and date."""
    options = ["--data", arguments.data]
    for name in ("split", "records"):
        if getattr(arguments, name):
            options += [f"--{name}", getattr(arguments, name)]
    (line,) = lines_of("bf16", options)
    return {key: line[key] for key in ("rows", "hardware", "torch", "date")}


if __name__ == "__main__":
    main()
