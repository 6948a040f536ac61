"""Ensembles that cost the same are all seen."""

import pandas as pd
import pytest

from dnalib.plots.costs import APART, side_by_side


def test_costs_that_are_alike_stand_beside_each_other_around_their_own():
    places = side_by_side(pd.Series([1.0, 3.0, 1.005, 0.33, 1.0]))
    assert places[1] == 3.0 and places[3] == 0.33
    assert places[0] == pytest.approx(1 / APART)
    assert places[2] == pytest.approx(1.005)
    assert places[4] == pytest.approx(APART)
