"""Inference: the same answer whatever the batch, whatever the records' layout."""

import subprocess
import sys

import pytest
import torch
from peak import PRINT_PEAK
from random_network import random_network, random_records
from torch import nn

from dnalib import inference
from dnalib.ensemble import Ensemble
from dnalib.filters import FourierFilter, ring_filters
from dnalib.inference import Evaluator, infer
from dnalib.model import Network
from dnalib.signals import PackedSignals


@pytest.fixture(scope="module")
def signals():
    return torch.randint(-300, 300, (40, 300), generator=torch.Generator().manual_seed(1)).short()


def test_the_network_keeps_the_mode_of_each_of_its_parts(signals):
    network = random_network(width=0.05).train()
    network.bn1.eval()  # as one does who trains on with a frozen normalisation
    modes = {name: one.training for name, one in network.named_modules()}
    infer(network, PackedSignals.pack(signals))
    assert {name: one.training for name, one in network.named_modules()} == modes
    assert modes["bn2"] and not modes["bn1"]


def test_inference_does_not_depend_on_the_batch(signals):
    torch.manual_seed(0)
    model = Network(width=0.02, dropout=0.1).train()
    before = [tensor.clone() for tensor in model.state_dict().values()]
    logits, features = infer(model, signals), infer(model, signals, with_features=True)
    assert logits.shape == (40, 4) and features.shape == (40, 64)
    assert logits.dtype == features.dtype == torch.float32 and not logits.requires_grad
    assert torch.allclose(infer(model, signals, batch_size=7), logits, atol=1e-5)
    assert torch.allclose(infer(model, signals.double(), batch_size=7), logits, atol=1e-5)
    assert torch.allclose(infer(model, PackedSignals.pack(signals)), logits, atol=1e-5)
    assert torch.allclose(model.fc(features), logits, atol=1e-5)
    assert model.training  # and yet nothing was counted as training
    after = model.state_dict().values()
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert not infer(model.eval(), signals).requires_grad and not model.training


@pytest.mark.parametrize("filtered", [False, True])
def test_an_evaluator_that_is_made_once_answers_as_its_network(signals, filtered):
    mask = FourierFilter(ring_filters(length=300)[0], length=300) if filtered else None
    network = random_network(width=0.05, fourier_filter=mask)
    evaluator = Evaluator(network, length=300)
    for with_features in (False, True):
        expected = infer(network, signals, with_features=with_features)
        assert torch.equal(infer(evaluator, signals, with_features=with_features), expected)
    with pytest.raises(ValueError, match="padded to 200 samples; accepted by this evaluator are 3"):
        infer(evaluator, signals[:, :200])


def test_records_of_other_leads_than_the_networks_are_refused(signals):
    network = random_network(width=0.02, leads=3)
    with pytest.raises(ValueError, match="^signals are of leads=1 and the network of leads=3"):
        infer(network, signals)
    assert infer(network, signals.unsqueeze(1).expand(-1, 3, -1)).shape == (40, 4)


def test_batches_hold_nothing_shorter_than_four_fifths_of_their_longest():
    lengths = torch.tensor([70, 100, 58, 85])  # each is four fifths of the next
    packed = PackedSignals.pack(torch.zeros(4, 100), starts=100 - lengths, lengths=lengths)
    batches = inference.batches_by_length(packed, batch_size=4)
    assert [batch.tolist() for batch in batches] == [[1, 3], [0, 2]]


@pytest.mark.parametrize("leads", [1, 2])
@pytest.mark.parametrize("filtered", [False, True])
def test_lengths_and_filters_do_not_change_the_answer(filtered, leads):
    lengths = torch.tensor([400, 9_000, 3_001, 2_000, 8_000])
    padded = random_records(lengths.tolist(), length=9_000, leads=leads)
    packed = PackedSignals.pack(padded.short(), starts=(9_000 - lengths) // 2, lengths=lengths)
    mask = FourierFilter(ring_filters(length=9_000)[0], length=9_000) if filtered else None
    network = random_network(width=0.03, fourier_filter=mask, leads=leads)
    evaluator = Evaluator(network, length=9_000)
    assert (evaluator.choose(3_000, 6_000)[1:] == (0, 9_000)) == filtered
    assert evaluator.choose(500, 8_500)[1:] == (0, 9_000)
    with torch.no_grad():
        logits, features = network(padded, with_features=True)
    for batch_size in (None, 1, 2):
        found = infer(network, packed, batch_size=batch_size)
        torch.testing.assert_close(found, logits, atol=1e-4, rtol=0)
        found = infer(network, packed, batch_size=batch_size, with_features=True)
        torch.testing.assert_close(found, features, atol=1e-4, rtol=0)


def test_products_follow_the_caller_s_autocast_and_answers_are_float32(signals):
    network = random_network(width=0.03)
    exact = infer(network, signals)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = infer(network, signals)
    assert rounded.dtype == torch.float32 and not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, atol=0.05 * exact.std().item(), rtol=0.05)


@pytest.mark.parametrize(("length", "trims"), [(3_000, False), (9_000, True)])
def test_the_batch_fits_whichever_computation_keeps_more(monkeypatch, length, trims):
    evaluator = Evaluator(random_network(width=0.03), length=length)
    seen = []

    def spy(module, example):
        seen.append(module)
        return 9 if module is evaluator.trimmed else 11

    monkeypatch.setattr(inference, "records_that_fit", spy)
    assert inference.fitting_batch(evaluator) == (9 if trims else 11)
    assert seen == [evaluator.full, evaluator.trimmed][: 1 + trims]


PROGRAM = """
import sys, torch
from dnalib.inference import infer
from dnalib.model import Network
from dnalib.signals import PackedSignals
torch.set_num_threads(1)
records = int(sys.argv[1])
network = Network(width=0.1).eval()
signals = PackedSignals.pack(torch.zeros(records, 3000, dtype=torch.int16))
infer(network, signals, batch_size=16)
"""


def peak(records):
    """Peak memory in bytes of a process that infers so many records."""
    command = [sys.executable, "-c", PROGRAM + PRINT_PEAK, str(records)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(answer.stdout)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_records():
    # 16 records of 3,000 samples take 25 MB in their widest layer alone. 512 more records add
    # their int16 samples, 3 MB, and packing them a few times that; not one layer more.
    assert peak(528) - peak(16) < 40e6


def test_signals_that_are_no_tensor_are_refused(signals):
    with pytest.raises(ValueError, match="^signals is of type ndarray; accepted is a tensor"):
        infer(Network(width=0.02), signals.numpy())
    with pytest.raises(
        ValueError, match=r"^signals has shape \(300,\); .* \(record, time\) of one"
    ):
        infer(Network(width=0.02), signals[0])


def test_networks_of_ones_own_are_refused(signals):
    network = Network(width=0.02)
    for own in (nn.Linear(300, 4), Ensemble([network, network]), [network]):
        found = type(own).__name__
        with pytest.raises(
            ValueError, match=f"^network is of type {found}; .*dnalib.model.Network"
        ):
            infer(own, signals)
    with pytest.raises(ValueError, match="^network has parameters of type torch.float64; accepted"):
        infer(Network(width=0.02).double(), signals)


@pytest.mark.parametrize(
    ("records", "batch_size", "message"),
    [
        (0, None, "signals hold no record"),
        (3, 0, "batch_size is 0"),
        (3, -1, "batch_size is -1"),
        (3, 2.0, "batch_size is 2.0; accepted are whole numbers from 1"),
    ],
)
def test_nothing_to_infer_and_batches_of_nothing_are_refused(signals, records, batch_size, message):
    with pytest.raises(ValueError, match=message):
        infer(random_network(width=0.02), signals[:records], batch_size=batch_size)
