"""`python -m dnalib.packing`: make the folder that a machine without a network needs."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dnalib.data import DataError
from dnalib.packing import PackError, make_pack
from dnalib.packing.wheels import PYTHONS, listed_names
from dnalib.runs import project_root

MEBIBYTE = 2**20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words after the program's name; None for those it was started with.

    Returns:
        0, or 1 where the pack cannot be made (said on standard error).
    """
    options = parser().parse_args(arguments)
    root = project_root()
    folder = options.folder or root / "_build" / "pack"
    try:
        sizes = make_pack(
            folder,
            root=root,
            python=options.python,
            present=listed_names(options.present) if options.present else (),
            place=options.data,
            split=options.split,
        )
    except (PackError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, size in sizes.items():
        print(f"{size / MEBIBYTE:8.2f} MiB  {name}")
    wheels = len(list((folder / "wheels").glob("*.whl")))
    print(f"{sum(sizes.values()) / MEBIBYTE:8.2f} MiB  {folder}, with {wheels} wheels")
    return 0


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(prog="python -m dnalib.packing", description=__doc__)
    made.add_argument("--folder", type=Path, help="what is made; else _build/pack")
    made.add_argument("--data", help="archive or folder of the records")
    made.add_argument("--split", help="random_permutation.npy")
    made.add_argument("--python", default="3.12", help=f"the machine's: {', '.join(PYTHONS)}")
    made.add_argument(
        "--present", type=Path, metavar="FILE", help="names of packages it has, one a line"
    )
    return made


if __name__ == "__main__":
    sys.exit(main())
