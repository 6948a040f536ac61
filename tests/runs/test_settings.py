"""Profiles, what their settings accept, and the parameters among a notebook's variables."""

import dataclasses
import json
import math

import pytest
import yaml

from dnalib.runs import computing_profiles, load_profile, notebook_parameters, settings
from dnalib.runs.settings import (
    PROFILES,
    Settings,
    accept,
    override,
    setting_names,
    settings_from,
)
from dnalib.runs.values import ParameterError, accept_minutes


@pytest.mark.parametrize("name", ["demo", "small", "full", "paper"])
def test_profiles_load(name):
    assert name in computing_profiles()
    settings = load_profile(name)
    for field in dataclasses.fields(Settings):
        value = getattr(settings, field.name)
        if field.type in (int, float, "int", "float"):
            assert type(value).__name__ in str(field.type)  # 1 in a file is 1.0 for a float
    assert all(type(epsilon) is float for epsilon in settings.epsilons)


def test_the_profiles_are_what_they_are_called():
    demo, paper = load_profile("demo"), load_profile("paper")
    assert demo.source == "synthetic"
    assert (paper.source, paper.rate, paper.length, paper.cut) == ("cinc2017", 300, 18_000, "start")
    assert (paper.width, paper.dropout, paper.bands) == (1.0, 0.3, 10)
    assert (paper.epochs, paper.learning_rate, paper.schedule) == (200, 1e-3, "constant")
    assert (paper.batch_size, paper.auxiliary_batch_size) == (64, 80)
    assert (paper.decorrelation_weight, paper.projected_dimension) == (0.2, 50)
    assert paper.epsilons == (10, 50, 75, 100, 150)
    assert (paper.pgd_steps, paper.sap_steps, paper.attack_records) == (20, 40, 0)


def test_an_unknown_profile_is_refused():
    with pytest.raises(ParameterError, match="profile is 'tiny'; accepted are demo, full, "):
        load_profile("tiny")


@pytest.mark.parametrize("name", ["recorded/small", "recorded/small/seed-1", "recorded/none"])
def test_a_recorded_run_is_no_profile_to_compute(name):
    with pytest.raises(
        ParameterError, match=f"profile is '{name}', .* only read; .*: demo, full, "
    ):
        load_profile(name)


def test_a_profile_names_every_setting_and_no_other():
    values = yaml.safe_load((PROFILES / "demo.yaml").read_text())
    assert settings_from(values, origin="demo") == load_profile("demo")
    with pytest.raises(ParameterError, match=r"mine.yaml: missing settings \['epochs'\]"):
        settings_from({k: v for k, v in values.items() if k != "epochs"}, origin="mine.yaml")
    with pytest.raises(ParameterError, match=r"unknown settings \['epoch'\]"):
        settings_from(values | {"epoch": 3}, origin="mine.yaml")
    with pytest.raises(ParameterError, match="mine.yaml: epochs is 0; accepted is a whole number"):
        settings_from(values | {"epochs": 0}, origin="mine.yaml")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "mine.yaml holds no settings; accepted is a line NAME: VALUE for each"),
        ("- epochs", "mine.yaml holds no settings"),
        ("epochs: [", "mine.yaml: while parsing .*; accepted is YAML"),
    ],
)
def test_a_file_that_is_no_profile_is_named(tmp_path, monkeypatch, text, sentence):
    (tmp_path / "mine.yaml").write_text(text)
    monkeypatch.setattr(settings, "PROFILES", tmp_path)
    with pytest.raises(ParameterError, match=sentence):
        load_profile("mine")


@pytest.mark.parametrize(
    ("name", "given", "accepted"),
    [
        ("epochs", 3, 3),
        ("epochs", 3.0, 3),
        ("seed", 0, 0),
        ("learning_rate", 1, 1.0),
        ("learning_rate", "5e-05", 5e-05),  # as YAML leaves what JSON writes
        ("swept_weights", ["5e-05", 0.2], (5e-05, 0.2)),
        ("decorrelation_weight", 0, 0.0),
        ("epsilons", 10, (10.0,)),
        ("epsilons", [10, 2.5], (10.0, 2.5)),
        ("epsilons", (10.0,), (10.0,)),
        ("epsilons", "[10, 2.5]", (10.0, 2.5)),  # as papermill's -p hands it over
        ("swept_weights", "[0, 5e-05]", (0.0, 5e-05)),
        ("rivals", "[dverge, wide]", ("dverge", "wide")),
        ("rate", 100, 100),
        ("dropout", 0, 0.0),
        ("width", 4, 4.0),
        ("cut", "start", "start"),
        ("rivals", "wide", ("wide",)),
        ("rivals", ["dverge", "wide", "dverge"], ("dverge", "wide")),
    ],
)
def test_values_that_are_accepted(name, given, accepted):
    found = accept(name, given)
    assert found == accepted and type(found) is type(accepted)
    assert getattr(override(load_profile("demo"), {name: given}), name) == accepted


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("epochs", 2.5),
        ("epochs", -1),
        ("epochs", 0),
        ("length", 0),
        ("bands", 1),  # one filter would pass everything, the other nothing
        ("projected_dimension", 0),
        ("projected_dimension", 65),  # a network has 64 features
        ("epochs", "3"),
        ("epochs", True),
        ("epochs", None),
        ("learning_rate", "fast"),
        ("learning_rate", -0.1),
        ("learning_rate", [0.1]),
        ("epsilons", []),
        ("epsilons", [10, 0]),
        ("epsilons", [10, -5]),
        ("epsilons", "10"),
        ("epsilons", "10, 50"),
        ("epsilons", "[10, 50"),
        ("rivals", "[wide, tall]"),
        ("swept_bands", [4, 1]),
        ("swept_dimensions", [50, 65]),
        ("swept_weights", [0.2, -0.1]),
        ("batch_size", 1),  # its batch norm has no variance
        ("rate", 0),
        ("rate", 7),  # 300 Hz are decimated by a whole number
        ("dropout", 1),
        ("width", 0),
        ("width", 5),
        ("epsilons", ["10"]),
        ("epsilons", [True]),
        ("cut", "end"),
        ("cut", 1),
        ("schedule", "cosine"),
        ("source", "mitdb"),
        ("precision", "16"),
        ("rivals", []),
        ("rivals", ["wide", "tall"]),
        ("rivals", [["wide"]]),
        ("rivals", 3),
    ],
)
def test_values_that_are_refused(name, given):
    with pytest.raises(ParameterError, match=f"{name} is .*; accepted"):
        override(load_profile("demo"), {name: given})


@pytest.mark.parametrize("given", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["learning_rate", "epochs", "epsilons"])
def test_numbers_that_are_not_finite_are_refused(name, given):
    with pytest.raises(ParameterError, match=f"{name} is .*; accepted"):
        accept(name, given)


@pytest.mark.parametrize("given", [0, -1, True, "9", math.inf, math.nan, [9]])
def test_minutes_that_are_refused(given):
    with pytest.raises(ParameterError, match="max_minutes is .*; accepted is a number above 0"):
        accept_minutes(given)


def test_minutes_are_no_setting_and_may_be_absent():
    assert (accept_minutes(None), accept_minutes(9), accept_minutes(0.5)) == (None, 9.0, 0.5)
    assert notebook_parameters({"max_minutes": 9}) == {"max_minutes": 9}
    assert "max_minutes" not in setting_names()


def test_a_misspelt_setting_is_named():
    with pytest.raises(ParameterError, match="no parameter 'epoch'; accepted are .*epochs"):
        override(load_profile("demo"), {"epoch": 3})


def test_override_changes_a_copy():
    demo = load_profile("demo")
    changed = override(demo, {"epochs": 9, "seed": 4})
    assert (changed.epochs, changed.seed) == (9, 4)
    assert dataclasses.replace(changed, epochs=demo.epochs, seed=demo.seed) == demo
    assert override(demo, {}) == demo


def test_values_can_be_written_as_json():
    demo = load_profile("demo")
    values = json.loads(json.dumps(demo.values(setting_names())))
    assert settings_from(values, origin="json") == demo
    assert demo.values(("epsilons", "seed")) == {"epsilons": [10, 50, 75, 100, 150], "seed": 0}


class Widget:
    pass


def test_the_parameters_among_a_notebooks_variables():
    variables = {
        "profile": "demo",
        "epochs": 3,
        "epsilons": [10],
        "decorrelation_weight": None,  # left at the profile's value
        "data": None,
        # what a notebook holds besides
        "json": json,
        "load_profile": load_profile,
        "Settings": Settings,
        "widget": Widget(),
        "_": 3,
        "_i1": "profile = 'demo'",
        "__name__": "__main__",
        "In": ["", "profile = 'demo'"],
        "Out": {},
    }
    before = dict(variables)
    found = notebook_parameters(variables)
    assert found == {"profile": "demo", "epochs": 3, "epsilons": [10]}
    assert variables == before


@pytest.mark.parametrize("value", [3, "x", 0.5, [1], True, {}, (1,), None])
def test_a_misspelt_parameter_of_a_notebook_is_named(value):
    with pytest.raises(ParameterError, match="no parameter 'decorrelation_wieght'"):
        notebook_parameters({"profile": "demo", "decorrelation_wieght": value})


@pytest.mark.parametrize("name", setting_names())
def test_every_setting_is_described(name):
    assert name in Settings.__doc__
