"""What a run's checks of the gradient say, on results that are made up."""

from dnalib.stages import ENSEMBLES
from dnalib.tables import masking


def test_tables_of_checks_name_what_fires(run):
    shown = masking.checks(run)
    assert list(shown.columns) == ["base", *ENSEMBLES] and list(shown.index) == ["steps", "planted"]
    assert shown.loc["steps", "dec"] == "50.0 FIRES" and shown.loc["steps", "cor"] == "50.0 passes"
    assert masking.checks_that_fire(run).markdown == "- *dec*, steps: Half of it."
    assert masking.checks_that_fire(run, models=["cor"]).markdown == "No check fires."


def test_one_check_is_said_of_every_model_whether_it_fires_or_not(run):
    lines = masking.check_in_words(run, check="steps").markdown.splitlines()
    assert lines == [f"- *{name}*: Half of it." for name in ("base", *ENSEMBLES)]


def test_how_far_two_libraries_agree_is_said_of_every_model(run):
    text = masking.agreement(run, models=["base", "dec"]).markdown
    assert text.endswith("with the same steps: 99.5 % (*base*), 99.5 % (*dec*).")
