"""The published code's answers on made-up inputs, at full size.

`golden.npz` holds what the authors' network, attacks and loss gave in float32 on a CPU; inputs and
weights are rebuilt here from seeds, so nothing in it comes from a patient. On one core this file
takes about 40 s: `-m "not golden"` leaves it out.
"""

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from dnalib.attacks import pgd, sap, smoothing_kernel
from dnalib.filters import FourierFilter, ring_filters
from dnalib.losses import projected_loss, r_squared
from dnalib.model import Network

pytestmark = [
    pytest.mark.golden,
    pytest.mark.filterwarnings("ignore:TF32 acceleration"),  # said on changing oneDNN's flags
]

LENGTH = 18_000
STEP = 50  # of the samples that were kept of each perturbation


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).with_name("golden.npz")) as file:
        return dict(file)


@pytest.fixture(scope="module")
def made_up(golden):
    """Signals (record, 1, time), where they are not padding, and labels."""
    signals = torch.zeros(3, 1, LENGTH)
    valid = torch.zeros(3, 1, LENGTH, dtype=torch.bool)
    for index, length in enumerate(golden["lengths"]):
        random = np.random.RandomState(1000 + index)
        time = np.arange(length)  # (time,), samples
        walk, noise = random.standard_normal(length).cumsum(), random.standard_normal(length)
        signal = np.round(200 * np.sin(2 * np.pi * time * 1.2 / 300) + walk + 5 * noise)
        inside = slice((LENGTH - length) // 2, (LENGTH - length) // 2 + length)
        signals[index, 0, inside] = torch.from_numpy(signal)
        valid[index, 0, inside] = True
    return signals, valid, torch.from_numpy(golden["labels"])


def draw(name, shape):
    """A tensor of the golden weights."""
    numbers = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(tuple(shape))
    layer, kind = name.split(".")
    if name == "conv1.weight":
        numbers *= np.sqrt(2 / 24) / 200
    elif layer.startswith("conv") and kind == "weight":
        numbers *= np.sqrt(2 / np.prod(shape[1:]))
    elif kind == "running_var":
        numbers = np.exp(0.2 * numbers)
    elif layer.startswith("bn") and kind == "weight":
        numbers = 1 + 0.1 * numbers
    elif name != "fc.weight":
        numbers *= 0.1
    return torch.from_numpy(numbers).float()


@pytest.fixture(scope="module")
def network():
    made = Network()
    made.load_state_dict(
        {
            name: tensor if name.endswith("num_batches_tracked") else draw(name, tensor.shape)
            for name, tensor in made.state_dict().items()
        }
    )
    return made.eval()


@pytest.fixture
def plain_arithmetic(network):
    """Without oneDNN and channels last, whose additions are in another order than the published."""
    fast = network.memory_format
    network.memory_format = torch.contiguous_format
    with torch.backends.mkldnn.flags(enabled=False):
        yield
    network.memory_format = fast


def test_the_inputs_are_rebuilt(golden, made_up):
    signals = made_up[0].double()
    assert signals.sum((1, 2)).numpy() == pytest.approx(golden["input_sum"], rel=1e-7)
    assert signals.abs().sum((1, 2)).numpy() == pytest.approx(golden["input_abs_sum"], rel=1e-7)


@torch.no_grad()
def test_the_network(golden, made_up, network):
    logits, features = network(made_up[0], with_features=True)
    assert features.numpy() == pytest.approx(golden["plain_features"], abs=1e-5)
    assert logits.numpy() == pytest.approx(golden["plain_logits"], abs=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("number", [1, 2])
def test_the_network_behind_a_filter(golden, made_up, network, number):
    signals = made_up[0][1:2]  # the record that fills the 18,000 samples
    one = FourierFilter(ring_filters()[number - 1], length=LENGTH)
    behind = Network(fourier_filter=one)
    behind.load_state_dict(network.state_dict())
    logits, features = behind.eval()(signals, with_features=True)
    assert features[0].numpy() == pytest.approx(golden[f"filter{number}_features"][1], abs=1e-5)
    assert logits[0].numpy() == pytest.approx(golden[f"filter{number}_logits"][1], abs=1e-5)


def test_pgd(golden, made_up, network, plain_arithmetic):
    signals, valid, labels = made_up
    delta = pgd(network, signals, labels, epsilon=10, step_size=1, steps=3, valid=valid)
    # Signs near zero turn with the rounding, and each turn moves the next gradient. Against the
    # published run this attack agrees in 0.9907 of the samples on one thread and in 0.9944 on two
    # or four; with oneDNN in 0.9889, in float64 in 0.988; our own float32 and float64 in 0.988.
    # Hence without oneDNN here; a wrong step costs far more than 0.01.
    agree = delta[:, 0, ::STEP].numpy() == golden["pgd_delta_every_50"]
    assert agree.mean() > 0.99
    assert delta.abs().amax((1, 2)).tolist() == golden["pgd_delta_linf"].tolist()
    norms = delta.flatten(1).norm(dim=1).numpy()
    assert norms == pytest.approx(golden["pgd_delta_l2"], rel=2e-3)
    with torch.no_grad():
        logits = network(signals[2:] + delta[2:])[0].numpy()
    assert logits == pytest.approx(golden["pgd_logits"][2], abs=1e-3)


def test_sap(golden, made_up, network, plain_arithmetic):
    signals, valid, labels = (part[2:] for part in made_up)  # the shortest record: mostly padding
    delta = sap(
        network, signals, labels, epsilon=50, step_size=5, steps=4, start_steps=2, valid=valid
    )
    # On one core, in float32 as in float64, the largest value is the published one to 1e-5, here
    # and on the first record; a sign that turns beside it would move it by up to 1 raw unit.
    assert delta.abs().max().item() == pytest.approx(golden["sap_delta_linf"][2], abs=0.3)
    norm, expected_norm = delta.norm().item(), golden["sap_delta_l2"][2]
    assert norm == pytest.approx(expected_norm, rel=0.01)
    # A turned sign moves 19 smoothed samples. The floor, measured once on all three records: our
    # float32 and float64 are within one step, α = 5 raw units, in 0.90 to 0.94 of the samples that
    # are not padding and correlate at 0.979 to 0.990; each of them and the published run agree in
    # 0.87 to 0.96 and correlate at 0.981 to 0.991, norms within 0.4 %, logits within 0.0032.
    # What becomes of PGD's state on the padding (test_attacks.py) lies below that floor.
    inside = valid[0, 0, ::STEP].numpy()
    kept, expected = delta[0, 0, ::STEP].numpy(), golden["sap_delta_every_50"][2]
    assert not kept[~inside].any() and not expected[~inside].any()
    assert (np.abs(kept - expected)[inside] <= 5).mean() > 0.8
    assert np.corrcoef(kept[inside], expected[inside])[0, 1] > 0.97
    with torch.no_grad():
        logits = network(signals + delta)[0].numpy()
    assert logits == pytest.approx(golden["sap_logits"][2], abs=0.01)


def test_the_smoothing_kernel(golden):
    # The published kernels are float32.
    assert smoothing_kernel().numpy() == pytest.approx(golden["sap_combined_kernel_19"], abs=1e-8)


def test_the_decorrelation_loss(golden):
    random = np.random.RandomState(7)
    one, mixing = random.standard_normal((80, 64)), random.standard_normal((64, 64))
    other = one @ mixing / 16 + random.standard_normal((80, 64))
    projection = torch.from_numpy(random.standard_normal((64, 50)) / 8)
    features = {"Z1": torch.from_numpy(one), "Z2": torch.from_numpy(other)}
    for x, y in (("Z1", "Z2"), ("Z2", "Z1")):
        loss = projected_loss(features[x], features[y], projection=projection)
        assert loss.item() == pytest.approx(golden[f"dec_loss_{x}R_to_{y}"], abs=1e-9)
        found = r_squared(features[x] @ projection, features[y])
        assert found == pytest.approx(golden[f"dec_r2_{x}R_to_{y}"], abs=1e-9)
