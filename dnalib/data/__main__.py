"""`python -m dnalib.data fetch`: download the data set and verify it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .download import RECORDS_ADDRESS, SPLIT_ADDRESS, Expected, fetch
from .locations import ARCHIVE_NAME, DEFAULT_FOLDER, LABELS_NAME, SPLIT_NAME
from .records import DataError


def main(arguments: Sequence[str] | None = None, *, expected: Expected | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words after the program's name; None for those it was started with.
        expected: what the files must hold; None for the challenge's.

    Returns:
        0, or 1 where the download or its content failed (said on standard error).
    """
    options = _parser().parse_args(arguments)
    records, split = (f"{address.rstrip('/')}/" for address in (options.records, options.split))
    try:
        archive = fetch(
            options.folder,
            archive_url=records + ARCHIVE_NAME,
            labels_url=records + LABELS_NAME,
            split_url=split + SPLIT_NAME,
            progress=not options.quiet,
            expected=expected,
        )
    except (DataError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Verified: {archive}, with {LABELS_NAME} and {SPLIT_NAME} beside it.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dnalib.data")
    commands = parser.add_subparsers(required=True, metavar="command")
    command = commands.add_parser(
        "fetch",
        help="download the PhysioNet/CinC 2017 records, labels and published split; verify them",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    command.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="where the files go")
    command.add_argument(
        "--records",
        metavar="ADDRESS",
        default=RECORDS_ADDRESS,
        help=f"folder of {ARCHIVE_NAME} and {LABELS_NAME}, for a mirror",
    )
    command.add_argument(
        "--split", metavar="ADDRESS", default=SPLIT_ADDRESS, help=f"folder of {SPLIT_NAME}"
    )
    command.add_argument("--quiet", action="store_true", help="no progress bars")
    return parser


if __name__ == "__main__":
    sys.exit(main())
