"""What a chapter says of its run: the records, and what is changed."""

import dataclasses
from types import SimpleNamespace

from dnalib import stages, tables
from dnalib.dataset import CHALLENGE, MADE_UP
from dnalib.runs import ComputingRun, Run, load_profile


def test_banner_names_synthetic_records_first(tiny_run: ComputingRun) -> None:
    assert (
        tables.banner(tiny_run)._repr_markdown_().startswith("> **The data of this run are synth")
    )


def test_banner_names_the_records_that_were_read() -> None:
    settings = load_profile("small")
    run = SimpleNamespace(settings=settings, profile="small", recorded=False, origin=CHALLENGE)
    assert "computes a run on the real records of the CinC 2017 challenge (" in said_of(run)
    for origin, words in (
        (MADE_UP, "> **The data of this run are synthetic.** No patient"),
        ("30 records of mine", "> **The data of this run are not those of the CinC 2017 challenge"),
    ):
        run.origin = origin
        assert said_of(run).startswith(words) and "real records" not in said_of(run)
    assert "computes a run on 30 records of mine (" in said_of(run)


def said_of(run: Run) -> str:
    return tables.banner(run).markdown


def test_banner_says_what_a_run_changes_of_its_profile(tiny_run: ComputingRun) -> None:
    demo = stages.open_run({"profile": "demo"})
    given = {"bands": 20, "epsilons": [20, 50.5], "seed": 3, "swept_bands": [4, 20]}
    changed = stages.open_run({"profile": "demo", **given})
    assert tables.banner(changed).markdown.endswith(
        "seed 3.) **Changed against the profile:** `bands` 20 instead of 10; "
        "`epsilons` 20, 50.5 instead of 10, 50, 75, 100, 150."
    )
    recorded = stages.open_run({"profile": "recorded/small"})
    shown = dataclasses.replace(recorded.settings, rate=50)
    assert tables.changes(SimpleNamespace(profile="recorded/small/seed-1", settings=shown)) == (
        " **Changed against the profile:** `rate` 50 instead of 100."
    )
    for unchanged in (demo, recorded, tiny_run):
        assert "Changed" not in tables.banner(unchanged).markdown
