"""The book on a recorded run: notebooks, generated pages, the README's numbers and figure."""

import os
from collections.abc import Sequence
from pathlib import Path

from dnalib import plots, tables
from dnalib.data.locations import DATA_VARIABLE, SPLIT_VARIABLE
from dnalib.executing import execute_notebooks
from dnalib.pages import numbers, write_run_pages
from dnalib.pages.bill import write_bill_page
from dnalib.pages.speed import write_speed_page
from dnalib.recording.contents import absent_appendices
from dnalib.recording.restoring import check_records
from dnalib.replacing import replaced_together
from dnalib.runs import RecordedRun, Run

README_MARKS = ("<!-- numbers: begin -->", "<!-- numbers: end -->")
README_FIGURE = Path("book", "images", "sap.png")


def show(run: RecordedRun) -> None:
    """Make a recorded run the one that the book shows: notebooks, README and pages.

    They are made beside the book and take its place together, so that whatever interrupts this
    leaves the book whole, on the run that it showed.

    Raises:
        DataError: the run is of real records, of which notebooks draw a few, and these are not
            here. Nothing is changed then.
    """
    check_records(run)
    # The notebooks run in the folder of the book.
    for variable, place in ((DATA_VARIABLE, run.place), (SPLIT_VARIABLE, run.split)):
        if place:
            os.environ[variable] = str(Path(place).expanduser().resolve())
    left = absent_appendices(run.settings, is_held=run.manifest["artefacts"].__contains__)
    if left:
        print(f"not in {run.profile}, and shown as before: {', '.join(left)}")
    root, recorded = run.root, run.with_seeds()
    results = root / "benchmarks" / "results"
    with replaced_together(root) as made:
        book = made / "book"
        book.mkdir()
        execute_notebooks(root, into=book, profile=run.profile, left=left)
        refresh_readme(recorded, root, into=made)
        write_run_pages(recorded, book)
        write_speed_page(results, book / "measured_speed.md")
        write_bill_page(results / "jobs", book / "measured_bill.md")


def refresh_readme(runs: Sequence[Run], root: Path, *, into: Path) -> None:
    """Write the README's table and figure from a recorded run, the first of its seeds.

    Args:
        runs: of each seed.
        root: the project's folder, with the README's text.
        into: the folder that both are written to, in the same places.
    """
    run = runs[0]
    table, *behind = [tables.robustness_table(one, paddings=["strip"]) for one in runs]
    figure = plots.robustness(
        table,
        attack="sap",
        padding="strip",
        behind=behind,
        published=tables.paper_points(run, attack="sap"),
        majority=tables.attacked_majority_share(run),
    )
    (into / README_FIGURE).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(into / README_FIGURE, dpi=110, metadata={"Software": None})
    before, rest = (root / "README.md").read_text().split(README_MARKS[0])
    _, after = rest.split(README_MARKS[1])
    text = f"{README_MARKS[0]}\n{numbers(runs)}\n{README_MARKS[1]}"
    (into / "README.md").write_text(before + text + after)
