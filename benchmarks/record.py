"""Run the benchmarks one after another and keep what they print, for the book's page on speed.

`python benchmarks/record.py NAME --device cpu --data training2017.zip` writes `results/NAME.json`,
with options passed on; `make report` then refreshes the page.
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
WITH_DATA = ("attacks", "loading")
# Times faster that each is to reach, by device.
WANTED = {
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of the file to write, such as cpu")
    parser.add_argument("--device", choices=tuple(WANTED), default="cpu")
    parser.add_argument("--data", help="archive or folder of the records")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    options = ["--device", arguments.device, *(["--quick"] if arguments.quick else [])]
    found: list[dict[str, Any]] = []
    for script in SCRIPTS:
        data = ["--data", arguments.data] if arguments.data and script in WITH_DATA else []
        found += lines_of(script, options + data)
    rows = [line for line in found if "ours_seconds" in line]
    for row in rows:
        row["wanted"] = WANTED[arguments.device][row["benchmark"].split(",")[0]]
    effects = [line["bf16"] for line in found if line.get("bf16")]
    content = {
        "hardware": rows[0]["hardware"],
        "torch": rows[0]["torch"],
        "date": datetime.now(UTC).date().isoformat(),
        "options": options,
        "bf16": effects[0] if effects else None,
        "rows": rows,
    }
    path = FOLDER / "results" / f"{arguments.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
