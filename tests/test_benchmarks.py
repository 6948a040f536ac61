"""The benchmarks run to their last line at small sizes, and the page says what they measured."""

import dataclasses
import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tiny import SETTINGS
from torch.nn import functional

from dnalib import stages, synthetic
from dnalib.campaign.estimates import described_attacks
from dnalib.model import Network
from dnalib.pages import speed
from dnalib.runs import load_profile
from dnalib.workflow.makings import Making

pytestmark = pytest.mark.slow

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
) -> Callable[..., dict]:
    """Runs a benchmark with `--quick`; what it prints last."""

    def run(name: str, *options: str) -> dict:
        monkeypatch.setattr("sys.argv", [name, "--quick", *options])
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
    seconds = result["gradient_seconds"]
    assert set(seconds) == {load_profile("full").attack_precision}, "what a campaign estimates with"
    assert set(seconds["32-true"]) == {"mask", "strip"}
    assert all(one > 0 for one in seconds["32-true"].values())


def test_attacks_are_profiled_unless_they_are_quick(
    script, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    attacks = script("attacks")
    monkeypatch.setattr(attacks, "alternate", lambda ours, plain, **options: (1.0, 2.0))
    monkeypatch.setattr(
        attacks, "where_time_goes", lambda side, device: {"limits": {"compute": 1.0}}
    )
    signals, labels = attacks.made_up_records([400]), torch.tensor([0])
    options = {"steps": 1, "repeats": 1, "device": "cpu", "precision": "32-true"}
    for profiled in (False, True):
        attacks.measure("pgd", None, None, signals, labels, profiled=profiled, **options)
        line = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert ("limits" in line) is profiled and line["records"] == 1
    assert attacks.sizes("cpu", quick=True) == (2, ("32-true",)) and attacks.STEPS["cpu"] == 1
    assert attacks.sizes("cpu", quick=False)[0] == 8


def test_seconds_of_attacks_are_those_of_one_of_their_steps(
    script, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    attacks = script("attacks")
    steps = []

    def ran(ours: Callable, plain: Callable, **options: Any) -> tuple[float, float]:
        ours()
        plain()
        return 1.0, 2.0

    def crafted(attack: partial, *given: Any, **options: Any) -> Iterator[None]:
        steps.append(attack.keywords["steps"])
        yield None

    monkeypatch.setattr(attacks, "alternate", ran)
    monkeypatch.setattr(attacks, "attack_records", crafted)
    monkeypatch.setattr(attacks, "plain_attack", lambda *given, smooth, steps: taken.append(steps))
    taken: list[int] = []
    given = (None, attacks.made_up_records([400]), torch.tensor([0]))
    options = {"steps": 5, "repeats": 1, "device": "cpu", "precision": "32-true"}
    both = attacks.measure("pgd", None, *given, profiled=False, **options)
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert both == (line["ours_seconds"], line["straightforward_seconds"]) == (0.2, 0.4)
    assert attacks.strip_seconds(*given, **options) == 0.2
    assert steps == [5, 5] and taken == [5]


class Anywhere:
    """A network that is on every device."""

    def eval(self) -> "Anywhere":
        return self

    def to(self, device: str) -> "Anywhere":
        return self


def test_a_quick_call_on_a_gpu_measures_and_profiles_what_a_campaign_may_ask_for(
    script, last_line, monkeypatch: pytest.MonkeyPatch
) -> None:
    attacks = script("attacks")
    measured = []

    def measure(name: str, *given: Any, **options: Any) -> tuple[float, float]:
        measured.append((name, options["precision"], options["steps"], options["profiled"]))
        return 64.0, 128.0

    monkeypatch.setattr(attacks, "Network", Anywhere)
    monkeypatch.setattr(attacks, "PlainNetwork", Anywhere)
    monkeypatch.setattr(attacks, "measure", measure)
    monkeypatch.setattr(attacks, "strip_seconds", lambda *given, **options: 192.0)
    monkeypatch.setattr(attacks, "lengths_of", lambda count: [400] * count)
    result = last_line("attacks", "--device", "cuda")
    seconds = {"mask": 1.0, "strip": 3.0}
    assert result["gradient_seconds"] == {"32-true": seconds, "bf16-mixed": seconds}
    assert measured == [
        (name, precision, 5, True)
        for precision in ("32-true", "bf16-mixed")
        for name in ("pgd", "sap")
    ]
    settings = dataclasses.replace(load_profile("full"), attack_precision="bf16-mixed")
    assert described_attacks(settings, result).startswith("attacks at most")


@pytest.fixture
def recorded(script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """In place of the recorded run: synthetic records, and made-up answers under its attacks."""
    bf16 = script("bf16")
    settings = dataclasses.replace(SETTINGS, synthetic_records=60, width=0.02)
    run = stages.computing_run(settings, profile="tiny", root=tmp_path, runs_folder=tmp_path)
    labels = run.dataset.labels(run.dataset.split.test)
    right, wrong = (functional.one_hot(answer % 4, 4).half() for answer in (labels, labels + 1))
    right[0] = wrong[0]  # PGD misleads the first record alone, SAP all
    stored = {"pgd": torch.stack([wrong, right]), "sap": torch.stack([right, wrong])}
    stored["positions"] = torch.arange(len(labels))
    save_file(stored, tmp_path / "attacked.safetensors")
    artefact = SimpleNamespace(
        path=tmp_path / "attacked.safetensors", results={"members": ["cor1", "base"]}
    )
    made = SimpleNamespace(
        settings=settings,
        profile="recorded/tiny",
        manifest={"records": run.dataset.identity, "split": "stratified, seed 0"},
        obtain={"attacked-mask-10": artefact}.__getitem__,
        labels=labels,
    )
    monkeypatch.setattr(bf16, "open_run", lambda variables: made)
    monkeypatch.setattr(bf16, "project_root", lambda: tmp_path)
    torch.manual_seed(0)
    network = Network(width=0.02).eval()
    monkeypatch.setattr(bf16, "load_member", lambda run, member: network)
    return made


def test_attacks_in_bf16_are_compared_with_the_recorded_ones(
    script, recorded: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bf16 = script("bf16")
    precisions = []

    def crafted(*given: Any, precision: str, **options: Any) -> dict[str, torch.Tensor]:
        precisions.append(precision)
        return {"pgd": torch.zeros(len(given[2]), 600), "sap": torch.ones(len(given[2]), 600)}

    def answers(perturbation: torch.Tensor, networks: Any, signals: Any) -> torch.Tensor:
        wrong = 0 if perturbation.any() else 1  # PGD's are zeros here
        found = functional.one_hot((recorded.labels[: len(signals)] + wrong) % 4, 4)
        return found.unsqueeze(0)

    monkeypatch.setattr(bf16, "craft_all", crafted)
    monkeypatch.setattr(bf16, "logits_under", answers)
    before = sorted(tmp_path.rglob("*"))
    rows = bf16.effect_of_bf16("", split=None, epsilons=(10.0,))
    count = len(recorded.labels)
    common = {"epsilon": 10.0, "records": count}
    assert rows == [
        {"attack": "pgd", **common, "32-true": (count - 1) / count, "bf16-mixed": 0.0},
        {"attack": "sap", **common, "32-true": 0.0, "bf16-mixed": 1.0},
    ]
    assert precisions == ["bf16-mixed"] and sorted(tmp_path.rglob("*")) == before
    rows = bf16.effect_of_bf16("", split=None, epsilons=(10.0,), records=2)
    assert [(row["records"], row["32-true"]) for row in rows] == [(2, 0.5), (2, 0.0)]


def test_attacks_in_bf16_are_made_and_judged(script, recorded: SimpleNamespace) -> None:
    rows = script("bf16").effect_of_bf16("", split=None, epsilons=(10.0,), records=2)
    assert [row["attack"] for row in rows] == ["pgd", "sap"]
    assert all(0 <= row["bf16-mixed"] <= 1 for row in rows)


def test_other_records_than_the_recorded_runs_are_refused(
    script, recorded: SimpleNamespace
) -> None:
    bf16 = script("bf16")
    recorded.manifest["records"] = "another"
    with pytest.raises(ValueError, match=r"split 'stratified, seed 0'; accepted are those of reco"):
        bf16.effect_of_bf16("", split=None, epsilons=(10.0,))
    recorded.settings = dataclasses.replace(recorded.settings, attack_precision="bf16-mixed")
    with pytest.raises(ValueError, match="was attacked in bf16-mixed; accepted is 32-true"):
        bf16.effect_of_bf16("", split=None, epsilons=(10.0,))


def test_only_what_bf16_does_is_replaced(
    script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = script("record")
    monkeypatch.setattr(record, "FOLDER", tmp_path)
    path = tmp_path / "results" / "cpu.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"bf16": None, "date": "then", "rows": [1]}))
    asked = []

    def lines_of(name: str, options: list[str]) -> list[dict]:
        asked.append((name, *options))
        return [{"benchmark": "bf16", "rows": [2], "hardware": "m", "torch": "2", "date": "now"}]

    monkeypatch.setattr(record, "lines_of", lines_of)
    words = ["record", "cpu", "--only-bf16", "--data", "d", "--split", "s", "--records", "9"]
    monkeypatch.setattr("sys.argv", words)
    record.main()
    assert asked == [("bf16", "--data", "d", "--split", "s", "--records", "9")]
    effect = {"rows": [2], "hardware": "m", "torch": "2", "date": "now"}
    assert json.loads(path.read_text()) == {"bf16": effect, "date": "then", "rows": [1]}


@pytest.mark.parametrize(
    ("name", "kernel", "kind"),
    [
        ("aten::mkldnn_convolution", False, "compute"),
        ("aten::convolution_backward", False, "compute"),
        ("aten::bmm", False, "compute"),
        ("aten::addmm", False, "compute"),
        ("aten::linalg_cholesky_ex", False, "compute"),
        ("aten::linalg_solve_triangular", False, "compute"),
        ("aten::copy_", False, "memory traffic"),
        ("aten::random_", False, "memory traffic"),
        ("aten::add", False, "memory traffic"),
        ("aten::linalg_vector_norm", False, "memory traffic"),
        ("_DecorrelationLoss", False, "gaps"),
        ("autograd::engine::evaluate_function: ConvolutionBackward0", False, "gaps"),
        ("sm90_xmma_fprop_implicit_gemm_bf16bf16_bf16f32_f32_nhwckrsc_nhwc", True, "compute"),
        ("nvjet_tst_256x128_64x4_2x1_v_bz_coopA_NNT", True, "compute"),
        ("void trsm_batch_left_lower_kernel<float>", True, "compute"),
        ("void potrf_alg2_cta_lower<float>", True, "compute"),
        ("void cudnn::ops::nchwToNhwcKernel<float>", True, "memory traffic"),
        ("triton_poi_fused_convert_element_type_relu_3", True, "memory traffic"),
        ("Memcpy HtoD (Pinned -> Device)", True, "memory traffic"),
    ],
)
def test_what_an_operation_costs(script, name: str, kernel: bool, kind: str) -> None:
    assert script("limits").kind_of(name, kernel=kernel) == kind


def test_what_is_left_of_the_wall_time_is_gaps(script) -> None:
    limits_of = script("limits").limits_of
    seconds = {"aten::bmm": 2.0, "aten::copy_": 1.0, "aten::add": 0.5, "Loss": 3.0}
    expected = {"compute": 0.2, "memory traffic": 0.15, "gaps": 0.65}
    assert limits_of(seconds, wall=10.0, kernels=False) == pytest.approx(expected)
    overlapping = limits_of({"sgemm": 8.0, "copy": 6.0}, wall=10.0, kernels=True)
    assert overlapping == {"compute": 0.8, "memory traffic": 0.6, "gaps": 0.0}


def test_a_gpus_time_is_that_of_its_kernels_alone(script) -> None:
    cpu, cuda = torch.autograd.DeviceType.CPU, torch.autograd.DeviceType.CUDA
    events = [
        SimpleNamespace(
            key=key, device_type=kind, self_device_time_total=device, self_cpu_time_total=host
        )
        for key, kind, device, host in [
            ("aten::mm", cpu, 4e6, 1e6),
            ("sgemm", cuda, 3e6, 0.0),
            ("sgemm", cuda, 1e6, 0.0),
        ]
    ]
    operation_seconds = script("sides").operation_seconds
    assert operation_seconds(events, device="cuda") == {"sgemm": 4.0}
    assert operation_seconds(events, device="cpu") == {"aten::mm": 1.0}


def test_a_profile_names_the_costliest_operations_and_the_limits(script) -> None:
    factors = torch.randn(300, 300), torch.randn(300, 300)
    found = script("sides").where_time_goes(lambda: factors[0] @ factors[1], device="cpu")
    assert next(iter(found["most_time"])) == "aten::mm" and len(found["most_time"]) <= 3
    assert set(found["limits"]) == {"compute", "memory traffic", "gaps"}
    assert sum(found["limits"].values()) == pytest.approx(1, abs=0.01)


def test_a_gpus_name_comes_with_what_its_float32_is(
    script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    for allowed, text in (
        (True, "a GPU, float32 with TF32"),
        (False, "a GPU, float32 without TF32"),
    ):
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", allowed)
        assert script("sides").hardware("cuda") == text


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
    assert "share of" not in speed.speed_section(result)
    rows[0] |= {"share_of_step": 0.00041, "step_seconds": 12.0, "step_rows": 4}
    rows[1] |= {"records": 8528}
    text = speed.speed_section(result)
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
    assert speed.details_of(training) == [
        "batches of 8 rows",
        "64 % of the rate of a large bf16 matrix product (1.84 of 2.87 TFLOP/s)",
    ]


def test_the_page_says_limits_and_bf16_only_where_they_were_measured() -> None:
    common = {"straightforward_seconds": 2.0, "ours_seconds": 1.0, "ratio": 2.0, "wanted": 5}
    row = {"benchmark": "loading", **common}
    result = {"hardware": "a machine", "torch": "2", "date": "today", "rows": [row]}
    text = speed.speed_section(result)
    assert "wall time" not in text and speed.UNMEASURED in text
    row["limits"] = {"compute": 0.2, "memory traffic": 0.15, "gaps": 0.65}
    effect = {"attack": "sap", "epsilon": 50.0, "records": 735, "32-true": 0.25, "bf16-mixed": 0.3}
    other = {"hardware": "another", "torch": "3", "date": "later"}
    text = speed.speed_section({**result, "bf16": {"rows": [effect], **other}})
    assert speed.LIMITS in text and speed.UNMEASURED not in text
    assert "- loading: gaps 65 %, compute 20 %, memory traffic 15 %" in text
    assert "on another, PyTorch 3, later:" in text
    assert "| SAP | 50 | 735 | 25.0 | 30.0 |" in text


def test_a_bill_keeps_what_it_knows_where_a_folder_does_not_hold_it(script) -> None:
    def made(stage: str, seconds: float) -> Making:
        return Making(
            stage=stage, seed=0, seconds=seconds, device="one", date="2026-11-28", bytes=1
        )

    content = {"stages": {name: dataclasses.asdict(made(name, 1.0)) for name in ("a", "b", "c")}}
    found = {"a": made("a", 2.0), "b": made("a", 2.0), "d": made("a", 2.0)}
    kept = script("bill").with_known(found, content)
    assert {name: one.seconds for name, one in kept.items()} == {"a": 2, "b": 1, "c": 1, "d": 2}
    assert kept["b"].stage == "b", "what stands in for a stage yields to what is known of it"
    assert script("bill").with_known(found, {}) == found
