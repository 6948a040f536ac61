"""`python -m dnalib.pages FOLDER -p profile PROFILE` writes the passages that pages include."""

import argparse
from pathlib import Path

from dnalib import stages
from dnalib.pages import leave_out_chapters, write_run_pages
from dnalib.runs.settings import given_settings


def main() -> None:
    """The command line: a folder to write to, and parameters as papermill takes them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-p", action="append", nargs=2, default=[], metavar=("NAME", "VALUE"))
    arguments = parser.parse_args()
    leave_out_chapters(arguments.folder)
    write_run_pages(stages.open_seeds(given_settings(arguments.p)), arguments.folder)


if __name__ == "__main__":
    main()
