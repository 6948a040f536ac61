"""The chapters: their shape, what they refuse, and that a killed one goes on."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from dnalib.data import DataError
from dnalib.runs import ParameterError
from dnalib.runs.settings import PLACES, SEEDS, setting_names

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))
NAMES = [
    "01_data",
    "02_base_model",
    "03_cor",
    "04_dec",
    "05_fcor",
    "06_fdec",
    "07_attacks",
    "08_results",
    "A1_adaptive_attacks",
    "A2_rivals",
    "B1_decorrelation_weight",
    "B2_bands",
    "B3_members",
    "B4_projected_dimension",
]
# A run that takes seconds: what is tested is the machinery, not the learning.
TINY = {
    "profile": "demo",
    "synthetic_records": 80,
    "length": 300,
    "width": 0.02,
    "epochs": 1,
    "batch_size": 64,
    "auxiliary_batch_size": 64,
}


def run_papermill(name: str, folder: Path, **parameters: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        papermill_command(name, folder, **parameters), capture_output=True, text=True, cwd=folder
    )


def papermill_command(name: str, folder: Path, **parameters: object) -> list[str]:
    given = [f"-p {key} {value}".split() for key, value in parameters.items()]
    return [
        sys.executable,
        "-m",
        "papermill",
        str(ROOT / "book" / f"{name}.ipynb"),
        str(folder / "out.ipynb"),
        *sum(given, []),
        "--no-progress-bar",
        "--stdout-file",
        "-",
    ]


def run_cells(name: str, **parameters: object) -> None:
    """Execute a chapter in this process, which has imported what a kernel takes seconds for."""
    notebook = load_notebook_node(str(ROOT / "book" / f"{name}.ipynb"))
    given = {
        key: str(value) if isinstance(value, Path) else value for key, value in parameters.items()
    }
    variables: dict[str, object] = {}
    for cell in parameterize_notebook(notebook, given).cells:
        if cell.cell_type == "code":
            exec(cell.source, variables)


def test_the_chapters() -> None:
    assert [path.stem for path in NOTEBOOKS] == NAMES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_chapter_has_the_agreed_shape(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[:3] == ["Overview", "What you need", "Parameters"]
    assert headings[-2:] == ["Summary", "References"]
    code = [cell for cell in cells if cell.cell_type == "code"]
    for cell in code:
        assert len(cell.source.splitlines()) <= 15
        assert not re.search(r"^(def|class) ", cell.source, re.MULTILINE)
    for figure in (cell.metadata["mystnb"] for cell in code if "mystnb" in cell.metadata):
        assert figure["figure"]["name"].startswith("fig-") and len(figure["figure"]["caption"]) > 20
        assert len(figure["image"]["alt"]) > 20
        assert f"{{numref}}`{figure['figure']['name']}`" in text, "a figure nobody refers to"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_parameters_cell_names_real_parameters_of_the_recorded_run(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    (cell,) = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    names = re.findall(r"^(\w+) =", cell.source, re.MULTILINE)
    assert {*PLACES} <= set(names) <= {*PLACES, SEEDS, *setting_names()}
    assert 'profile = "recorded/' in cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_outputs_are_clean(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert outputs, "executed on the recorded run"
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"], "a warning"
    assert "papermill" not in notebook.metadata
    assert "widgets" not in notebook.metadata, "the page would ask content networks for scripts"
    assert not [kind for output in outputs for kind in output.get("data", {}) if "widget" in kind]
    assert not any("execution" in cell.metadata for cell in notebook.cells)
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    figures = [cell for cell in notebook.cells if "mystnb" in cell.metadata]
    assert len(pictures) == len(figures)


def test_misspelt_parameter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="there is no parameter 'decorelation_weight'"):
        run_cells("04_dec", profile="demo", decorelation_weight=0.5, runs_folder=tmp_path)
    assert not (tmp_path / "demo").exists(), "refused before anything is computed"


def test_recorded_run_refuses_another_value() -> None:
    with pytest.raises(ParameterError, match="(?s)only read.*-p profile demo"):
        run_cells("04_dec", decorrelation_weight=0.5)


def test_minutes_that_are_over_are_one_sentence(tmp_path: Path) -> None:
    parameters = {**TINY, "runs_folder": tmp_path, "max_minutes": 1e-9}
    done = run_papermill("01_data", tmp_path, **parameters)
    assert done.returncode != 0
    (output,) = [
        output
        for cell in nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]
    sentence = "max_minutes is over: survey is not begun; call again to go on"
    assert output.traceback == [f"OutOfTime: {sentence}"]
    assert f"OutOfTime: {sentence}" in done.stderr


def test_missing_records_never_become_synthetic_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="(?s)nowhere.*dnalib.data fetch"):
        run_cells(
            "01_data",
            profile="small",
            data=tmp_path / "nowhere",
            runs_folder=tmp_path / "runs",
        )
    assert not list(tmp_path.rglob("*.hea"))


def test_one_chapter_makes_what_it_needs_then_loads_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = {**TINY, "runs_folder": tmp_path, "decorrelation_weight": 0.5}
    first = run_papermill("04_dec", tmp_path, **parameters)
    assert first.returncode == 0, first.stderr
    made = re.findall(r"^(\S+): computing$", first.stdout, re.MULTILINE)
    assert {"base", "dec1", "dec2"} <= set(made) and not {"cor1", "fcor1"} & set(made)
    run_cells("04_dec", **parameters)
    assert "computing" not in capsys.readouterr().out
    run_cells("04_dec", **{**parameters, "decorrelation_weight": 0.1})
    made = re.findall(r"^(\S+): computing$", capsys.readouterr().out, re.MULTILINE)
    assert "dec1" in made and "base" not in made, "the base model is found, not trained again"


def test_killed_training_goes_on(tmp_path: Path) -> None:
    parameters = {**TINY, "runs_folder": tmp_path, "epochs": 30, "synthetic_records": 200}
    process = subprocess.Popen(
        papermill_command("02_base_model", tmp_path, **parameters),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("checkpoints/*/epoch3.json")):
        assert time.monotonic() < deadline and process.poll() is None, "no third epoch"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = run_papermill("02_base_model", tmp_path, **parameters)
    assert done.returncode == 0, done.stderr
    epochs = [int(number) for number in re.findall(r"epoch +(\d+)/30", done.stdout)]
    assert 3 < epochs[0] < 31 and epochs == list(range(epochs[0], 31))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_with_numbers_are_compared_by_nbval(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        tables = [output for output in cell.outputs if "<table" in str(output.get("data"))]
        printed = [
            output for output in cell.outputs if re.search(r"\d", output.get("text", "") or "")
        ]
        if tables or printed:
            assert "nbval-check-output" in cell.metadata.tags, cell.source
