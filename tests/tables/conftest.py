"""Fewer resamples: tables are compared with the same functions, not with the binomial law."""

from collections.abc import Iterator

import pytest

from dnalib import intervals

RESAMPLED = (
    intervals.bootstrap_interval,
    intervals.paired_difference,
    intervals.resampled_records,
    intervals.resampled_interval,
)


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
