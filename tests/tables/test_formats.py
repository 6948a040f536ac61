"""Numbers and intervals as they are shown."""

import numpy as np

from dnalib import tables


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
