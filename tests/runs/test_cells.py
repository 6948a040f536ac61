"""A chapter that is executed again in one kernel takes its parameters, and nothing it made."""

import pytest

from dnalib.runs import notebook_parameters
from dnalib.runs.settings import ParameterError

PARAMETERS = 'profile = "demo"\nepochs = None'
OPENING = "from dnalib import stages\nrun = stages.open_run(globals())"
CHAPTER = "survey = run.obtain('survey').results\nfor number in (1, 2):\n    print(number)"
LENGTH = "length = run.settings.length\nprint(length)"


def kernel(*cells, **variables):
    return {"profile": "demo", "epochs": None, **variables, "In": ["", *cells], "Out": {}}


def test_what_a_chapter_made_is_no_parameter_when_it_is_executed_again():
    made = {"survey": {}, "number": 2, "length": 3000}  # the last bears a setting's name
    first = (PARAMETERS, OPENING, CHAPTER, LENGTH)
    again = kernel(*first, "epochs = 3", OPENING, **made | {"epochs": 3})
    assert notebook_parameters(again) == {"profile": "demo", "epochs": 3}
    assert notebook_parameters(kernel(*first, OPENING, **made)) == {"profile": "demo"}


@pytest.mark.parametrize(
    "cells",
    [
        (PARAMETERS, "length = 500", OPENING),
        (PARAMETERS, "import math\nlength = 500\nprint(math.pi)", OPENING),  # before it is opened
        (PARAMETERS, OPENING, LENGTH, "length = 2 * 250", OPENING),  # of assignments alone
        (PARAMETERS, OPENING, LENGTH, f"length = 500\n{OPENING}"),  # where it is opened
        (PARAMETERS, "%matplotlib inline", OPENING, "%timeit 1", "length = 500", OPENING),
    ],
)
def test_what_is_given_is_taken_wherever_it_is_given(cells):
    assert notebook_parameters(kernel(*cells, length=500))["length"] == 500


def test_a_misspelt_parameter_is_still_refused_when_executed_again():
    cells = (PARAMETERS, OPENING, CHAPTER, "epoch = 3", OPENING)
    with pytest.raises(ParameterError, match="no parameter 'epoch'"):
        notebook_parameters(kernel(*cells, survey={}, number=2, epoch=3))
