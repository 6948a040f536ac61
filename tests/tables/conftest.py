"""A made-up run, and fewer resamples: tables are compared with the same functions."""

from collections.abc import Iterator

import pandas
import pytest
from made_up_run import MadeUpRun

from dnalib import intervals
from dnalib.intervals import resampling
from dnalib.tables import knowledge, rivalry
from dnalib.tables.answers import Answers

RESAMPLED = (intervals.resampled_records, resampling.resampled_interval)


@pytest.fixture(autouse=True, scope="module")
def few_resamples(request: pytest.FixtureRequest) -> Iterator[None]:
    """100 instead of 2,000, but where tables are compared with committed ones."""
    if request.module.__name__.endswith("test_effects"):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        for function in RESAMPLED:
            defaults = {**function.__kwdefaults__, "resamples": 100}
            patch.setattr(function, "__kwdefaults__", defaults)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> MadeUpRun:
    """A run whose logits are drawn at random."""
    return MadeUpRun(tmp_path_factory.mktemp("made up"))


@pytest.fixture(scope="module")
def known(run: MadeUpRun) -> pandas.DataFrame:
    """What all its ensembles keep, by what the attacker knows."""
    return rivalry.knowledge_table(run)


@pytest.fixture(scope="module")
def attacks(run: MadeUpRun) -> dict[str, Answers]:
    """What its ensembles answer under each attack on them at the middle bound."""
    return knowledge.conditions(run, epsilon=50)
