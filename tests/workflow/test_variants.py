"""Variants: seeds as people write them, a variant for each combination, names for files."""

import pytest

from dnalib.runs import load_profile
from dnalib.workflow import WorkflowError, make_variants, parse_seeds
from dnalib.workflow.variants import MOST_SEEDS

DEMO = load_profile("demo")


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("0", (0,)),
        ("0-4", (0, 1, 2, 3, 4)),
        ("7-7", (7,)),
        ("0,3,7", (0, 3, 7)),
        ("5, 0-2", (5, 0, 1, 2)),
    ],
)
def test_ranges_and_lists_are_read(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "-3", "1-", "0-4-8", "1.5", "0;1", "0--4", "1e3", "0,"])
def test_what_is_no_seed_is_refused_with_what_is(text):
    with pytest.raises(WorkflowError, match="accepted are whole numbers from 0, such as 0-4"):
        parse_seeds(text)


def test_an_impossible_range_says_why():
    with pytest.raises(WorkflowError, match="the range 4-2 ends before it begins"):
        parse_seeds("0,4-2")
    with pytest.raises(WorkflowError, match="a seed is named twice"):
        parse_seeds("0-4,3")
    assert len(parse_seeds(f"1-{MOST_SEEDS}")) == MOST_SEEDS
    with pytest.raises(WorkflowError, match="at most 10,000"):
        parse_seeds(f"0-{MOST_SEEDS}")


def test_each_combination_is_a_variant_with_a_name_of_its_own():
    variants = make_variants(
        DEMO,
        fixed={"rivals": ["wide", "adversarial dec"]},
        varied={"decorrelation_weight": [0, 0.5], "seed": [0, 3]},
    )
    assert len(variants) == 4
    name = "decorrelation_weight-0.5_rivals-wide+adversarial+dec_seed-3"
    assert variants[name] == {
        "rivals": ["wide", "adversarial dec"],
        "decorrelation_weight": 0.5,
        "seed": 3,
    }


@pytest.mark.parametrize(
    ("fixed", "varied", "match"),
    [
        ({"speed": 1}, {}, "there is no parameter 'speed'"),
        ({}, {"bands": ["many"]}, "bands is 'many'; accepted is a whole number"),
        ({}, {"bands": [10, 10]}, "two variants are bands-10"),
        ({"bands": 4}, {"bands": [10, 20]}, "bands is given one value for all and several to"),
        ({}, {"most_members": [3, 5]}, "most_members has the values 3, 5; accepted is one, the l"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_runs(fixed, varied, match):
    with pytest.raises(WorkflowError, match=match):
        make_variants(DEMO, fixed=fixed, varied=varied)
