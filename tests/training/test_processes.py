"""Several processes train one network together, and the way one process would."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from torch import nn

from dnalib.model import Network
from dnalib.training.checkpoints import CheckpointFolder
from dnalib.training.processes import (
    Alone,
    LaunchError,
    SynchronisedBatchNorm,
    processes_of_launch,
    set_batch_norms,
)

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parents[1] / "processes.py"


TRAININGS = {
    # One batch of 119 rows: shares of 60 and of 59.
    "one step": {"rows": 119, "batch_size": 119, "earlier_models": 2, "learning_rate": 3e-4},
    "alone": {"rows": 719, "batch_size": 60, "earlier_models": 0, "learning_rate": 1e-4},
    # The decorrelation loss's gradient on an untrained network is so steep that rounding, even of
    # one process, changes the next steps by more than is compared unless they are small.
    "decorrelated": {"rows": 719, "batch_size": 60, "earlier_models": 2, "learning_rate": 1e-6},
}


class Trained:
    """What a training with some number of processes left: history, steps and last checkpoint."""

    def __init__(self, folder: Path) -> None:
        self.history = pandas.read_json(folder / "history.json", precise_float=True)
        self.steps = json.loads((folder / "steps.json").read_text())
        self.tensors, self.content = CheckpointFolder(folder / "checkpoint").read()


@pytest.fixture(scope="module")
def by_one_and_by_two(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Trained, Trained]]:
    """Each of the trainings by one process and by two."""
    folders = []
    for processes in (1, 2):
        folders.append(tmp_path_factory.mktemp("trained"))
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = [*(launch if processes > 1 else []), PROGRAM, folders[-1], json.dumps(TRAININGS)]
        done = subprocess.run(
            [sys.executable, *map(str, command)], capture_output=True, text=True, cwd=root
        )
        assert done.returncode == 0, done.stderr
    return {name: tuple(Trained(folder / name) for folder in folders) for name in TRAININGS}


def test_a_step_of_two_processes_has_the_gradient_of_one(
    by_one_and_by_two: dict[str, tuple[Trained, Trained]],
) -> None:
    # After one step Adam's first moment is a tenth of the gradient, of the cross-entropy and of the
    # decorrelation loss over the whole batch.
    alone, together = by_one_and_by_two["one step"]
    one, two = alone.tensors, together.tensors
    # A convolution's bias has no gradient before a batch norm, but for rounding.
    moments = {
        f"optimizer.{index}.exp_avg"
        for index, (name, _) in enumerate(Network(width=0.02).named_parameters())
        if not re.fullmatch(r"conv\d+\.bias", name)
    }
    assert len(moments) == 41
    for name in [*moments, "network.bn1.running_var", "network.bn13.running_mean"]:
        scale = one[name].abs().max().item()
        torch.testing.assert_close(two[name], one[name], rtol=0, atol=2e-3 * scale, msg=name)
    assert one["network.bn1.num_batches_tracked"] == two["network.bn1.num_batches_tracked"] == 1
    for column in ("train_loss", "decorrelation_loss"):
        assert together.history[column][0] == pytest.approx(alone.history[column][0], abs=1e-5)
    assert together.history.train_accuracy[0] == alone.history.train_accuracy[0]


@pytest.mark.parametrize("name", ["alone", "decorrelated"])
def test_the_loss_curve_of_two_processes_is_that_of_one(
    by_one_and_by_two: dict[str, tuple[Trained, Trained]], name: str
) -> None:
    alone, together = by_one_and_by_two[name]
    assert np.shape(alone.steps) == (12, 2)  # cross-entropy and decorrelation loss of each
    assert len(set(np.ravel(alone.steps))) == (24 if name == "decorrelated" else 13)
    np.testing.assert_allclose(together.steps, alone.steps, rtol=0, atol=1e-4)
    assert np.mean(alone.steps, axis=0)[0] == pytest.approx(alone.history.train_loss[0], abs=0.01)
    for column in ("train_loss", "test_accuracy", "learning_rate"):
        expected = pytest.approx(alone.history[column].tolist(), abs=1e-4)
        assert together.history[column].tolist() == expected
    assert together.content["step"] == 0 and len(together.content["history"]) == 1


def test_batch_norms_change_their_kind_and_nothing_else() -> None:
    network = Network(width=0.02).eval()
    signals = torch.randn(2, 1, 300)
    parameters = dict(network.named_parameters())
    before = network(signals)
    set_batch_norms(network, SynchronisedBatchNorm)
    assert type(network.bn13) is SynchronisedBatchNorm
    assert all(parameters[name] is value for name, value in network.named_parameters())
    assert torch.equal(network(signals), before), "in evaluation mode it is an ordinary one"
    set_batch_norms(network, nn.BatchNorm2d)
    assert type(network.bn13) is nn.BatchNorm2d and not network.bn13.training


LAUNCH = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}


@pytest.mark.parametrize("name", LAUNCH)
@pytest.mark.parametrize("value", [None, "", "two"])
def test_a_launch_that_torchrun_did_not_make_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str | None
) -> None:
    for variable in LAUNCH:
        monkeypatch.delenv(variable, raising=False)
    assert isinstance(processes_of_launch(), Alone)
    for variable, told in (LAUNCH | {name: value}).items():
        if told is not None:
            monkeypatch.setenv(variable, told)
    if name == "WORLD_SIZE" and value is None:
        assert isinstance(processes_of_launch(), Alone)
        return
    found = "is not set" if value is None else f"is {value!r}"
    with pytest.raises(LaunchError, match=f"^{name} {found} in .* torchrun sets: start the"):
        processes_of_launch()
