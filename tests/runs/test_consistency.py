"""Settings that cannot go together are named before anything runs, and places that nobody reads."""

import dataclasses

import pytest

from dnalib import stages
from dnalib.runs import computing_profiles, load_profile
from dnalib.runs.consistency import check_places, check_together
from dnalib.runs.values import ParameterError

DEMO = load_profile("demo")  # 800 samples, 80 rows a batch
DISTILLED = {"rivals": ("dverge",)}


@pytest.mark.parametrize("name", computing_profiles())
def test_the_profiles_go_together(name):
    check_together(load_profile(name))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"bands": 401}, "^bands has 401, and length is 800; accepted are numbers up to 400"),
        ({"length": 18}, "bands has 10, and length is 18; accepted are numbers up to 9"),
        ({"swept_bands": (4, 401, 2)}, "swept_bands has 401, and length is 800"),
        (
            {"auxiliary_batch_size": 51},
            "projected_dimension has 50, and auxiliary_batch_size is 51; accepted are",
        ),
        (
            {"auxiliary_batch_size": 60, "swept_dimensions": (10, 59)},
            "swept_dimensions has 59, and auxiliary_batch_size is 60; .* up to 58",
        ),
        (
            {"auxiliary_batch_size": 65, "rivals": ("wide", "parallel")},
            "rivals has parallel, which needs an auxiliary_batch_size from 66, and that is 65",
        ),
        (
            DISTILLED | {"adversarial_epsilon": 0.0},
            "rivals has dverge, .* adversarial_epsilon above",
        ),
        (
            DISTILLED | {"adversarial_steps": 0},
            "rivals has dverge, .* an adversarial_steps above 0",
        ),
    ],
)
def test_what_does_not_go_together_is_named(changes, sentence):
    with pytest.raises(ParameterError, match=sentence):
        check_together(dataclasses.replace(DEMO, **changes))


@pytest.mark.parametrize("name", ["auxiliary_batch_size", "projected_dimension"])
def test_whichever_of_two_was_changed_is_looked_at(name):
    narrow = dataclasses.replace(DEMO, auxiliary_batch_size=30)
    check_together(narrow, names=["epochs"])
    with pytest.raises(ParameterError, match="projected_dimension has 50"):
        check_together(narrow, names=["epochs", name])


def test_lists_that_few_chapters_read_refuse_none_of_the_others():
    small = dataclasses.replace(DEMO, auxiliary_batch_size=60, swept_dimensions=(10, 59))
    check_together(small, names=["auxiliary_batch_size"])
    with pytest.raises(ParameterError, match="swept_dimensions has 59"):
        check_together(small, names=["swept_dimensions"])
    together = dataclasses.replace(small, rivals=("parallel",))
    check_together(together, names=["auxiliary_batch_size"])
    with pytest.raises(ParameterError, match="rivals has parallel"):
        check_together(together, names=["rivals"])
    alone = dataclasses.replace(DEMO, adversarial_steps=0, rivals=("wide",))
    check_together(alone)


@pytest.mark.parametrize("rival", ["adversarial", "adversarial dec", "dverge"])
@pytest.mark.parametrize("name", ["adversarial_steps", "adversarial_epsilon"])
def test_what_is_trained_on_attacks_is_not_trained_without(rival, name):
    settings = dataclasses.replace(DEMO, rivals=("wide", rival), **{name: 0})
    with pytest.raises(ParameterError, match=f"rivals has {rival}, which needs an {name} above 0"):
        check_together(settings)


def test_a_chapter_refuses_before_it_computes(tmp_path):
    given = {"profile": "demo", "runs_folder": str(tmp_path)}
    with pytest.raises(ParameterError, match="swept_bands has 401"):
        stages.open_run({**given, "swept_bands": "[2, 401]"})
    for name in ("data", "split"):
        with pytest.raises(ParameterError, match=f"{name} is '/x', but the profile demo makes"):
            stages.open_run({**given, name: "/x"})
    assert stages.open_run({**given, "data": "/x", "source": "cinc2017"}).settings.rate == 100
    assert not list(tmp_path.iterdir())


def test_places_are_for_runs_that_read_records():
    check_places(load_profile("small"), profile="small", data="/x", split="/y")
    check_places(DEMO, profile="demo", data=None, split="")
    with pytest.raises(ParameterError, match="split is '/y', .* such as small .*PROFILE=small"):
        check_places(DEMO, profile="demo", data=None, split="/y")
