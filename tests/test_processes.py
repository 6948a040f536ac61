"""Several processes train one network together, and the way one process would."""

import re
import subprocess
import sys
from pathlib import Path

import pandas
import pytest
import torch
from torch import nn

from dnalib.checkpoints import CheckpointFolder
from dnalib.model import Network
from dnalib.processes import SynchronisedBatchNorm, set_batch_norms

PROGRAM = Path(__file__).with_name("processes.py")


def run(
    root: Path, folder: Path, *, processes: int, rows: int, batch_size: int, earlier_models: int
):
    """Train; the history, and the tensors and the content of the last checkpoint."""
    folder.mkdir()
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    options = [folder, str(rows), str(batch_size), str(earlier_models)]
    done = subprocess.run(
        [sys.executable, *(launch if processes > 1 else []), PROGRAM, *options],
        capture_output=True,
        text=True,
        cwd=root,
    )
    assert done.returncode == 0, done.stderr
    history = pandas.read_json(folder / "history.json", precise_float=True)
    return history, *CheckpointFolder(folder / "checkpoint").read()


def test_a_step_of_two_processes_has_the_gradient_of_one(root: Path, tmp_path: Path) -> None:
    # One batch of 119 rows: shares of 60 and of 59. After one step Adam's first moment is a tenth
    # of the gradient, of the cross-entropy and of the decorrelation loss over the whole batch.
    found = [
        run(
            root, tmp_path / str(count), processes=count, rows=119, batch_size=119, earlier_models=2
        )
        for count in (1, 2)
    ]
    (alone, one, _), (together, two, _) = found
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
        assert together[column][0] == pytest.approx(alone[column][0], abs=1e-5)
    assert together.train_accuracy[0] == alone.train_accuracy[0]


def test_the_loss_curve_of_two_processes_is_that_of_one(root: Path, tmp_path: Path) -> None:
    # Twelve steps, without the decorrelation loss: its gradient on an untrained network is so steep
    # that rounding, even of one process, changes the next steps by more than this.
    found = [
        run(root, tmp_path / str(count), processes=count, rows=719, batch_size=60, earlier_models=0)
        for count in (1, 2)
    ]
    (alone, _, _), (together, _, content) = found
    for column in ("train_loss", "test_accuracy", "learning_rate"):
        assert together[column].tolist() == pytest.approx(alone[column].tolist(), abs=1e-4)
    assert content["step"] == 0 and len(content["history"]) == 1


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
