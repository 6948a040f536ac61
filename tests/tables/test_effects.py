"""The tables of what the differences change: from the run's artefacts, and each on its page."""

import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from dnalib import metrics, stages, tables
from dnalib.tables import effects


@pytest.fixture(scope="module")
def run(tiny_run):
    return tiny_run


def test_every_table_is_included_where_it_belongs(root: Path) -> None:
    text = (root / "book" / "reproduction.md").read_text()
    included = re.findall(r":start-after: <!-- (.+) -->\n:end-before: <!-- end of (.+) -->", text)
    assert [name for name, _ in included] == [name for _, name in included]
    assert sorted(name for name, _ in included) == sorted(effects.EFFECTS)
    headings = re.findall(r"^## (\d+)\. ", text, re.MULTILINE)
    assert headings == [str(number) for number in range(1, 15)], (
        "design's twelve points, and two more"
    )


def test_the_page_holds_every_table_between_its_marks(run, tmp_path: Path) -> None:
    effects.write_effects(run, tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    for name, make in effects.EFFECTS.items():
        (table,) = re.findall(f"<!-- {name} -->\n(.*?)\n<!-- end of {name} -->", text, re.DOTALL)
        assert table == effects.rendered(make(run)) and table.startswith("|")


def test_committed_tables_are_those_of_the_recorded_run(root: Path, tmp_path: Path) -> None:
    effects.write_effects(stages.open_run({"profile": "recorded/small"}), tmp_path / "page.md")
    committed = (root / "book" / "measured_effects.md").read_text()
    assert (tmp_path / "page.md").read_text() == committed


def test_steps_and_padding_start_from_the_attacks_of_the_run(run) -> None:
    table = effects.steps(run)
    # The tiny run takes as many steps of SAP as of PGD: two rows are one attack, and no one's.
    assert list(table.index) == ["2 of PGD + 2 of SAP", "2 of SAP alone"]
    padding = effects.padding(run)
    assert padding.loc["SAP, strip"].equals(table.iloc[0].rename("SAP, strip"))
    file = load_file(run.obtain(stages.attacked_name("mask", 50)).path)
    labels = tables.natural(run, ["base"])[1][file["positions"]]
    hits = metrics.correct_predictions(file["pgd"].astype(np.float64), labels)
    assert padding.loc["PGD, mask", "base right (%)"] == tables.percent(hits[0].mean())
    dec = hits[[stages.MEMBERS.index(member) for member in stages.ENSEMBLES["dec"]]]
    assert padding.loc["PGD, mask", "P(≥1), dec (%)"] == tables.percent(dec.any(axis=0).mean())
    constant = np.isin(labels, (0, 2))  # always N, always O
    control = tables.percent((hits[0] | constant).mean())
    assert padding.loc["PGD, mask", f"P(≥1), {metrics.CONTROL} (%)"] == control
    swap = effects.swap(run)
    assert swap[f"P(≥1) of {metrics.CONTROL} (%)"].nunique() == 1, "no member is in it"


def test_steps_are_called_those_of_text_and_code_only_where_they_are() -> None:
    text = "20 of SAP alone (text)"
    assert effects.step_names(20, 40) == (
        "20 of PGD + 40 of SAP (code)",
        "20 of PGD + 20 of SAP",
        text,
    )
    assert effects.step_names(20, 10) == ("20 of PGD + 10 of SAP", "20 of PGD + 20 of SAP", text)
    assert effects.step_names(40, 40) == (*["40 of PGD + 40 of SAP"] * 2, "40 of SAP alone")


def test_choosing_the_best_epoch_never_loses(run) -> None:
    table = effects.kept_epoch(run).astype(float)
    assert list(table.index) == [*stages.MEMBERS, "mean"]
    gain = table["gain of the choice (points)"]
    assert (gain >= 0).all()
    assert gain["mean"] == pytest.approx(gain[:-1].mean(), abs=0.1)


def test_chance_level_is_columns_over_records(run) -> None:
    table = effects.chance(run).astype(float)
    expected = table["columns of the regressor"] / (table.index - 1)
    assert table["mean R²"].to_numpy() == pytest.approx(expected.to_numpy(), abs=0.01)
    assert table["mean adjusted R²"].abs().max() < 0.02


def test_the_fit_of_the_text_is_not_centred(run) -> None:
    table = effects.fit(run)
    features = {
        name: load_file(run.obtain(f"features-{name}").path)["features"][run.dataset.rows]
        for name in ("base", "dec1")
    }
    x, y = (features[name].astype(np.float64) for name in ("base", "dec1"))
    fitted = x @ np.linalg.lstsq(x, y, rcond=None)[0]
    expected = 1 - ((y - fitted) ** 2).sum() / (y**2).sum()
    found = float(table.loc["base → dec1", "R², text (uncentred)"])
    assert found == pytest.approx(expected, abs=2e-3)
    assert found > float(table.loc["base → dec1", "R², code (centred)"])
