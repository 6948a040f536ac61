"""The benchmarks run to their last line at small sizes, and the page says what they measured."""

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from dnalib import measurements, synthetic
from dnalib.model import Network

NARROW = partial(Network, width=0.05)
LENGTH = 600


@pytest.fixture(scope="module")
def script(root: Path) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a benchmark by its name, as Python does beside it."""
    sys.path.insert(0, str(root / "benchmarks"))
    yield importlib.import_module
    sys.path.remove(str(root / "benchmarks"))


@pytest.fixture
def last_line(
    script: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[[str], dict]:
    """Runs a benchmark with `--quick`; what it prints last."""

    def run(name: str) -> dict:
        monkeypatch.setattr("sys.argv", [name, "--quick"])
        script(name).main()
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


@pytest.fixture
def small_step(script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow network on short rows in place of a full-size step."""
    monkeypatch.setattr(script("full_step"), "Network", NARROW)
    monkeypatch.setattr(script("full_step"), "LENGTH", LENGTH)


def test_training(small_step: None, script, last_line, monkeypatch: pytest.MonkeyPatch) -> None:
    training = script("training")
    monkeypatch.setattr(training, "PlainNetwork", NARROW)
    monkeypatch.setattr(training, "matrix_rate", lambda device: 1e12)
    result = last_line("training")
    assert result["ratio"] > 0 and result["batch"] == 4
    steps = training.ROWS / result["batch"]
    assert result["epoch_seconds"] == pytest.approx(steps * result["ours_seconds"])


def test_decorrelation(
    small_step: None, script, last_line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script("decorrelation"), "CALLS", 2)
    result = last_line("decorrelation")
    assert result["ratio"] > 0 and result["step_rows"] == 4
    share = result["ours_seconds"] / result["step_seconds"]
    assert result["share_of_step"] == pytest.approx(share)


def test_a_step_of_few_rows_is_scaled_to_those_of_the_loss(
    script, monkeypatch: pytest.MonkeyPatch
) -> None:
    decorrelation = script("decorrelation")
    step = lambda *, batch, device: lambda: time.sleep(0.01 * batch)  # noqa: E731
    monkeypatch.setattr(decorrelation, "full_step", step)
    seconds = decorrelation.step_seconds(device="cpu", repeats=1, rows=2)
    assert 0.8 <= seconds < 4  # 80 rows at a hundredth of a second; the machine may be busy


def test_attacks(script, last_line, monkeypatch: pytest.MonkeyPatch) -> None:
    attacks = script("attacks")
    monkeypatch.setattr(attacks, "Network", NARROW)
    monkeypatch.setattr(attacks, "PlainNetwork", NARROW)
    monkeypatch.setattr(attacks, "LENGTH", LENGTH)
    monkeypatch.setattr(attacks, "lengths_of", lambda count: [400 + 50 * n for n in range(count)])
    result = last_line("attacks")
    assert result["ratio"] == min(result["ratios"].values()) > 0
    assert set(result["gradient_seconds"]["32-true"]) == {"mask", "strip"}
    for seconds in result["gradient_seconds"].values():
        assert all(one > 0 for one in seconds.values())


def test_loading(last_line, monkeypatch: pytest.MonkeyPatch) -> None:
    made = synthetic.write_dataset
    monkeypatch.setattr(
        synthetic, "write_dataset", lambda folder, *, count, seed: made(folder, count=8, seed=seed)
    )
    assert last_line("loading")["ratio"] > 0


def test_the_page_says_sizes_and_shares_where_they_were_measured() -> None:
    common = {"straightforward_seconds": 2.0, "ours_seconds": 1.0, "ratio": 2.0, "wanted": 5}
    rows = [{"benchmark": "decorrelation", **common}, {"benchmark": "loading", **common}]
    result = {"hardware": "a machine", "torch": "2", "date": "today", "rows": rows}
    assert "share of" not in measurements.speed_section(result)
    rows[0] |= {"share_of_step": 0.00041, "step_seconds": 12.0, "step_rows": 4}
    rows[1] |= {"records": 8528}
    text = measurements.speed_section(result)
    assert (
        "- decorrelation: 0.041 % of a full-size training step (12 s, scaled from one of 4 rows)"
        in text
    )
    assert "- loading: 8,528 records" in text
    training = {
        "batch": 8,
        "share_of_matrix_rate": 0.64,
        "teraflop_a_second": 1.84,
        "matrix_teraflop_a_second": 2.87,
    }
    assert measurements.details_of(training) == [
        "batches of 8 rows",
        "64 % of the rate of a large bf16 matrix product (1.84 of 2.87 TFLOP/s)",
    ]
