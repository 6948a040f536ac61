"""The attack bench: the run's own numbers, as a widget, and in a browser beside Jupyter."""

import contextlib
import dataclasses
import io
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from browser import chromium
from random_network import random_network
from safetensors.numpy import load_file
from safetensors.torch import save_file
from serving import TOKEN, jupyter_lab
from tiny import EPSILONS, open_tiny

from dnalib import live, stages
from dnalib.data import DataError
from dnalib.live.attack import AttackBench, Question, probability_table
from dnalib.live.widget import AttackExplorer
from dnalib.metrics import softmax
from dnalib.runs import ComputingRun, RecordedRun
from dnalib.stages import MEMBERS, members
from dnalib.tables import Banner

pytestmark = pytest.mark.slow

CHAPTER = Path(__file__).resolve().parent.parent / "book" / "07_attacks.ipynb"
PATIENCE = 60_000  # ms that a page may take for one thing on a busy machine


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ComputingRun:
    """A run with random networks in place of trained ones: those of the tiny run hardly answer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(members, "train_member", store_random_member)
        made = open_tiny(tmp_path_factory.mktemp("runs"), synthetic_records=240, rivals=("wide",))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for name in made.stages:
            if name.startswith(("natural", "attacked", "examples")):
                made.obtain(name)
    return made


def store_random_member(run: ComputingRun, path: Path, *, member: str, swap_persists: bool) -> dict:
    assert not swap_persists, "no stage that is needed here trains that variant"
    fourier_filter = stages.make_network(run.settings, member=member).fourier_filter
    network = random_network(
        width=run.settings.width, seed=MEMBERS.index(member), fourier_filter=fourier_filter
    )
    save_file(members.round_weights(network), path)
    return {}


@pytest.fixture(scope="module")
def bench(run: ComputingRun) -> AttackBench:
    return AttackBench(run, run.dataset.records)


@pytest.fixture
def widget(bench: AttackBench) -> AttackExplorer:
    return AttackExplorer(bench)


@pytest.mark.parametrize("padding", stages.PADDINGS)
@pytest.mark.parametrize("attack", stages.ATTACKS)
def test_answers_are_the_runs_own(
    run: ComputingRun, bench: AttackBench, attack: str, padding: str
) -> None:
    epsilon = EPSILONS[1]
    crafted = load_file(run.obtain(stages.perturbation_name(padding, epsilon)).path)
    attacked = load_file(run.obtain(stages.attacked_name(padding, epsilon)).path)
    for row in (0, len(crafted["positions"]) - 1):
        position = crafted["positions"][row]
        index = run.dataset.split.test[position]
        name = run.dataset.records.names[index]
        answer = bench.answer(Question(name, attack, epsilon, padding))
        assert answer.label == run.dataset.records.labels[index]
        np.testing.assert_array_equal(answer.signal, run.dataset.prepared.signals[index])
        apart = np.abs(answer.perturbation - crafted[attack][row])
        if attack == "pgd":
            assert apart.max() <= 0.1
        # The run attacks in batches, where a gradient near zero may round to the other sign, which
        # SAP spreads over the width of its kernel.
        assert (apart <= 0.1).mean() > 0.85 and apart.max() <= epsilon / 5
        assert 0 < np.abs(answer.perturbation).max() <= epsilon
        expected = softmax(attacked[attack][:, row].astype(float))
        np.testing.assert_allclose(answer.after, expected, atol=5e-3 if attack == "pgd" else 2e-2)
        natural = [
            load_file(run.obtain(f"natural-{member}").path)["logits"][position]
            for member in stages.MEMBERS
        ]
        np.testing.assert_allclose(answer.before, softmax(np.stack(natural)), atol=5e-3)


def test_a_record_that_is_not_there_is_named(bench: AttackBench) -> None:
    with pytest.raises(DataError, match="nobody: not among these 240 records"):
        bench.answer(Question("nobody", "pgd", 50.0, "strip"))


def test_table_shows_every_members_probabilities_before_and_after(bench: AttackBench) -> None:
    answer = bench.answer(Question(bench.examples[0], "pgd", 50.0, "strip"))
    before, after = np.zeros((9, 4)), np.zeros((9, 4))
    before[:, answer.label] = 1.0
    after[:, answer.label] = 0.3
    after[:, (answer.label + 1) % 4] = 0.7
    after[0] = before[0]
    made_up = dataclasses.replace(answer, before=before, after=after)
    table = probability_table(made_up)
    rows = [(name, row) for name, of in stages.ENSEMBLES.items() for row in (*of, "mean")]
    assert list(table.index) == rows
    names = stages.SHORT_CLASS_NAMES
    true, other = names[answer.label], names[(answer.label + 1) % 4]
    assert table.loc[("dec", "dec1"), true] == "100.0 → 30.0"
    assert table.loc[("dec", "dec1"), "answer"] == f"{true} → {other} ✗ wrong"
    assert table.loc[("cor", "base"), "answer"] == f"{true} → {true} ✓ right"
    assert table.loc[("cor", "mean"), true] == "100.0 → 53.3"


@pytest.mark.parametrize(
    ("control", "value"),
    [("record", None), ("attack", "sap"), ("epsilon", 200)],
)
def test_each_control_changes_picture_and_probabilities(
    widget: AttackExplorer, control: str, value: object
) -> None:
    picture, table = widget.picture.value, widget.table.value
    getattr(widget, control).value = value or widget.bench.examples[1]
    assert widget.picture.value != picture and widget.table.value != table
    assert 'role="status"' in widget.status.value and "Record" in widget.status.value
    assert 'alt="ECG on paper' in widget.picture.value and "<caption>" in widget.table.value


def test_padding_matters_where_there_is_any(run: ComputingRun, widget: AttackExplorer) -> None:
    lengths = run.dataset.prepared.lengths
    names = np.array(run.dataset.records.names)
    padded = lengths < run.settings.length
    widget.record.value = str(names[padded][0])
    table = widget.picture.value
    widget.padding.value = "mask"
    assert widget.picture.value != table and "both treatments" not in widget.status.value
    widget.record.value = str(names[~padded][0])
    assert "both treatments of it agree" in widget.status.value


def test_it_says_when_it_computes_and_what_went_wrong(widget: AttackExplorer) -> None:
    picture = widget.picture.value
    said, disabled = [], []
    widget.status.observe(lambda change: said.append(change["new"]), names="value")
    widget.epsilon.observe(lambda change: disabled.append(change["new"]), names="disabled")
    widget.record.value = "<b>nobody</b>"
    assert "Computing" in said[0] and disabled == [True, False]
    assert "No answer. DataError: &lt;b&gt;nobody" in said[-1]
    assert widget.picture.value == picture
    widget.record.value = widget.bench.examples[1]
    assert "No answer" not in said[-1] and widget.picture.value != picture


def test_without_a_jupyter_server_there_is_a_notice_and_no_widget(
    run: ComputingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(live.JUPYTER, raising=False)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # nor is the package asked for
    assert "jupyter lab" in live.explorer(run)._repr_markdown_()
    monkeypatch.undo()
    monkeypatch.setenv(live.JUPYTER, "chapter.ipynb")
    assert isinstance(live.explorer(run), AttackExplorer)
    assert isinstance(live.explorer(run, interactive=False), Banner)


def test_absent_records_are_named_in_words(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run = RecordedRun(root / "data" / "recorded" / "small", root=root, place=tmp_path / "nowhere")
    assert live.explorer(run, interactive=True) is None
    assert "dnalib.data fetch" in capsys.readouterr().out


def test_widget_answers_in_a_browser(run: ComputingRun, tmp_path: Path) -> None:
    """The whole chapter, run in JupyterLab on the tiny run, then used as a reader would."""
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "demo").symlink_to(run.folder)  # found there, not computed again
    prepare_chapter(run, notebooks / CHAPTER.name, runs_folder=tmp_path / "runs")
    with chromium() as browser, jupyter_lab(tmp_path / "server", notebooks=notebooks) as lab:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(PATIENCE)
        page.goto(f"{lab}/tree/{CHAPTER.name}?token={TOKEN}")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.get_by_label("record", exact=True).wait_for()
        use_static_slider(page)
        use_widget(page, examples=run.obtain("examples").results["records"])


def prepare_chapter(run: ComputingRun, path: Path, *, runs_folder: Path) -> None:
    """The chapter with the tiny run's parameters, as papermill would give them."""
    notebook = nbformat.read(CHAPTER, as_version=4)
    values = {
        **dataclasses.asdict(run.settings),
        "profile": "demo",
        "runs_folder": str(runs_folder),
    }
    (place,) = [
        place
        for place, cell in enumerate(notebook.cells)
        if "parameters" in cell.metadata.get("tags", [])
    ]
    text = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(text))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, path)


def use_static_slider(page) -> None:
    """The pages' slider works in a notebook as well."""
    slider = page.locator(".figure-slider")
    before = slider.locator("img:visible").get_attribute("alt")
    slider.get_by_role("slider").press("Home")
    assert slider.locator("output").inner_text() == "ε = 0 µV"
    assert slider.locator("img:visible").get_attribute("alt") != before


def use_widget(page, *, examples: list[str]) -> None:
    """Change record, attack and ε; each time picture and probabilities follow."""
    epsilon = page.locator(".widget-slider .noUi-handle")
    steps = [
        (lambda: page.get_by_label("attack", exact=True).select_option(index=1), "under SAP"),
        (lambda: epsilon.press("ArrowRight"), "ε = 55 µV"),
        (lambda: page.get_by_label("record", exact=True).fill(examples[1]), examples[1]),
    ]
    picture = page.locator("img[alt*='Record']")
    table = page.locator("table", has_text="under attack")
    assert "ε = 50 µV" in picture.get_attribute("alt") and "PGD" in picture.get_attribute("alt")
    for act, said in steps:
        before = picture.get_attribute("src"), table.inner_text()
        act()
        page.keyboard.press("Tab")
        page.locator(f"img[alt*='Record'][alt*='{said}']").wait_for()
        page.get_by_role("status").filter(has_text=said).wait_for()
        assert picture.get_attribute("src") != before[0], said
        assert table.inner_text() != before[1], said
    page.get_by_label("record", exact=True).fill("nobody")
    page.keyboard.press("Tab")
    page.get_by_role("status").filter(has_text="nobody: not among these").wait_for()
