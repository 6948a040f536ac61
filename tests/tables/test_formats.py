"""Numbers and intervals as they are shown."""

import numpy as np
import pandas
import pytest

from dnalib import tables
from dnalib.tables import formats


def test_intervals_below_zero_are_told_from_minus_signs() -> None:
    assert tables.between(0.1, 0.25) == "10.0–25.0"
    assert tables.between(-0.1, 0.25) == "−10.0 to 25.0"
    assert tables.between(-0.25, -0.1) == "−25.0 to −10.0"
    assert tables.between(-1e-12, 0.1) == "0.0–10.0"
    assert tables.between(float("nan"), float("nan")) == "–"
    assert tables.percent(-0.125) == "−12.5", "with a true minus sign"
    assert tables.percent(-1e-12) == "0.0" and tables.percent(float("nan")) == "–"
    assert tables.decimals(-0.0125) == "−0.013" and tables.decimals(0.5) == "0.500"
    assert tables.decimals(float("nan")) == "–" and tables.decimals(None) == "–"


def test_whole_ends_are_told_from_minus_signs():
    assert tables.narrow(0.725, 0.661, 0.789) == "72.5 (66–79)"
    assert tables.narrow(-0.2402, -0.312, -0.168) == "−24.0 (−31 to −17)"
    assert tables.narrow(0.004, 0.0, 0.013) == "0.4 (0–1)"
    assert tables.narrow(0.093, 0.002, 0.185) == "9.3 (0.2–18.5)", "beyond zero, not at it"
    assert tables.narrow(0.093, -0.002, 0.185) == "9.3 (−0.2 to 18.5)"
    # In whole numbers these ends would leave the share outside.
    assert tables.narrow(0.002, 0.0, 0.004) == "0.2 (0.0–0.4)"
    assert tables.narrow(0.5, float("nan"), float("nan")) == "50.0"


def test_what_is_undefined_is_a_dash():
    assert tables.with_interval(np.nan, np.nan, np.nan) == "–"


def test_a_value_that_no_row_has_is_refused():
    table = pandas.DataFrame({"measure": ["average", "P(≥1)"], "epsilon": [10.0, 50.0]})
    assert len(tables.selected(table, measure="P(≥1)", epsilon=50)) == 1
    assert tables.selected(table, measure="P(≥1)", epsilon=10).empty
    with pytest.raises(ValueError, match=r"^measure is 'at least 1'; .* average, P\(≥1\)$"):
        tables.selected(table, measure="at least 1")


def test_a_difference_has_a_sign():
    assert formats.points(0.061) == "+6.1" and formats.points(-0.0003) == "+0.0"
    assert formats.points(float("nan")) == "–"


def test_a_difference_without_an_interval_or_a_value_has_none():
    nan = float("nan")
    assert formats.points_between(nan, nan, nan) == "–"
    assert formats.points_between(0.1, nan, nan) == "+10.0"
    assert formats.points_between(-0.1, -0.2, 0.05) == "−10.0 (−20.0 to 5.0)"
