"""Is the gradient masked? What a run's checks of it say, in tables and in words."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas

from dnalib.runs import Run
from dnalib.stages import ENSEMBLES
from dnalib.stages.gradient_checks import checks_name
from dnalib.tables import Banner, percent, with_rows

CHECKED = ("base", *ENSEMBLES)


def checks(run: Run, *, models: Iterable[str] = CHECKED) -> pandas.DataFrame:
    """What each check of the gradient measures in %, a column a model, and whether it passes."""
    columns = {
        name: {one["name"]: verdict(one) for one in run.obtain(checks_name(name)).results["checks"]}
        for name in models
    }
    return with_rows(pandas.DataFrame(columns).fillna("–"), "check")


def verdict(result: Mapping[str, Any]) -> str:
    """The share that a check measured, in %, and a word for whether it passed."""
    return f"{percent(result['measured'])} {'passes' if result['passed'] else 'FIRES'}"


def checks_that_fire(run: Run, *, models: Iterable[str] = CHECKED) -> Banner:
    """What each check that did not pass says, an item each."""
    found = [
        f"- *{name}*, {one['name']}: {one['sentence']}"
        for name in models
        for one in run.obtain(checks_name(name)).results["checks"]
        if not one["passed"]
    ]
    return Banner("\n".join(found) or "No check fires.")


def check_in_words(run: Run, *, check: str, models: Iterable[str] = CHECKED) -> Banner:
    """What one check says of each model, an item each, whether it passes or fires."""
    found = [
        f"- *{name}*: {one['sentence']}"
        for name in models
        for one in run.obtain(checks_name(name)).results["checks"]
        if one["name"] == check
    ]
    return Banner("\n".join(found))


def agreement(run: Run, *, models: Iterable[str] = CHECKED) -> Banner:
    """How often PGD as others wrote it ends where ours does, in words."""
    shares = {name: run.obtain(checks_name(name)).results["agreement"] for name in models}
    listed = ", ".join(f"{percent(share)} % (*{name}*)" for name, share in shares.items())
    return Banner(
        "Share of the samples that PGD of the Adversarial Robustness Toolbox changes as ours does, "
        f"from the same start with the same steps: {listed}."
    )
