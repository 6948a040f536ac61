"""The trimmed evaluation is the full one: logits and gradients, whatever the record's length."""

import pytest
import torch
from random_network import random_network, random_records
from torch.nn import functional

from dnalib.filters import FourierFilter, ring_filters
from dnalib.inference import Evaluator
from dnalib.model import Network
from dnalib.trimming import ALIGNMENT, TrimmedNetwork, folded

LENGTH = 18_000
SHORTEST = 2_714  # of the challenge's records
DRAWN = torch.randint(
    SHORTEST, LENGTH + 1, (12,), generator=torch.Generator().manual_seed(4)
).tolist()
# The longest record that is trimmed, the shortest that is not, both parities, the usual length.
LENGTHS = sorted({SHORTEST, SHORTEST + 1, 9_000, 9_001, 13_392, 13_393, LENGTH, *DRAWN})


@pytest.fixture(scope="module")
def network():
    return random_network(width=1.0)


@pytest.fixture(scope="module")
def evaluator(network):
    return Evaluator(network, length=LENGTH)


@pytest.fixture(scope="module")
def trimmed(evaluator):
    return evaluator.trimmed


@pytest.fixture(scope="module")
def silence(network):
    """What the network answers to a record of zeros."""
    with torch.no_grad():
        return network(torch.zeros(1, 1, LENGTH))


def place(samples, length=LENGTH):
    first = (length - samples) // 2
    return first, first + samples


@pytest.mark.slow
@pytest.mark.parametrize("samples", LENGTHS)
@torch.no_grad()
def test_logits_are_those_of_the_full_computation(network, evaluator, silence, samples):
    signals = random_records([samples], length=LENGTH, seed=samples)
    module, first, last = evaluator.choose(*place(samples))
    assert (module is evaluator.full) == (samples > 13_392)  # which reaches what the ends reach
    if module is evaluator.trimmed:
        assert first % ALIGNMENT == 0 and last - first < samples + ALIGNMENT
    expected = network(signals)
    # Rounding stays far below the 1e-4 that anyone would notice.
    torch.testing.assert_close(module(signals[..., first:last]), expected, atol=1e-5, rtol=0)
    assert (silence - expected).abs().max() > 1e-2  # the record does matter


@pytest.mark.slow
@torch.no_grad()
def test_a_batch_of_several_lengths_shares_a_window(network, trimmed):
    signals = random_records([3_000, 8_999, 5_501], length=LENGTH)
    first, last = trimmed.window(*place(8_999))
    torch.testing.assert_close(
        trimmed(signals[..., first:last]), network(signals), atol=1e-5, rtol=0
    )


@torch.no_grad()
def test_features_are_those_of_the_full_computation(network, trimmed):
    signals = random_records([4_000], length=LENGTH)
    first, last = trimmed.window(*place(4_000))
    found = trimmed.features(signals[..., first:last])
    torch.testing.assert_close(found, network.features(signals), atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("samples", [2_715, 9_000])
def test_gradients_are_those_of_the_full_computation(network, trimmed, samples):
    signals = random_records([samples], length=LENGTH).requires_grad_()
    (expected,) = torch.autograd.grad(network(signals).logsumexp(1).sum(), signals)
    first, last = trimmed.window(*place(samples))
    window = signals.detach()[..., first:last].requires_grad_()
    (found,) = torch.autograd.grad(trimmed(window).logsumexp(1).sum(), window)
    begin, end = place(samples)
    inside, expected = found[..., begin - first : end - first], expected[..., begin:end]
    assert (inside - expected).norm() < 5e-3 * expected.norm()
    assert (inside.sign() == expected.sign()).double().mean() > 0.995


@pytest.mark.parametrize(
    ("length", "leads"), [(600, 1), (1_200, 1), (3_000, 1), (7_001, 1), (18_000, 1), (7_001, 3)]
)
@torch.no_grad()
def test_every_window_that_is_given_is_exact(length, leads):
    # Narrow, and every length of record: whether a window is given is decided by arithmetic alone.
    network = random_network(width=0.02, seed=1, leads=leads).double()
    trimmed = TrimmedNetwork(network, length=length)
    given = 0
    for samples in torch.linspace(1, length, 25).int().tolist():
        window = trimmed.window(*place(samples, length))
        if window is None:
            continue
        given += 1
        signals = random_records([samples], length=length, seed=samples, leads=leads).double()
        found = trimmed(signals[..., slice(*window)])
        torch.testing.assert_close(found, network(signals), atol=1e-9, rtol=0)
    assert given == {600: 0, 1_200: 0, 3_000: 0, 7_001: 9, 18_000: 18}[length]


@torch.no_grad()
def test_a_folded_network_is_trimmed_as_the_network_itself():
    network = random_network(width=0.02, seed=1)
    one, other = (TrimmedNetwork(some, length=7_001) for some in (network, folded(network)))
    window = random_records([2_000], length=7_001)[..., slice(*one.window(*place(2_000, 7_001)))]
    assert torch.equal(one(window), other(window))


@pytest.mark.parametrize("end", ["left", "right"])
@torch.no_grad()
def test_a_record_off_the_centre_is_exact_as_near_to_an_end_as_is_given(end):
    network = random_network(width=0.02, seed=1).double()
    trimmed = TrimmedNetwork(network, length=9_000)
    firsts = [first for first in range(7_001) if trimmed.window(first, first + 2_000)]
    assert firsts == list(range(firsts[0], firsts[-1] + 1)), "and at all between"
    assert firsts[0] == 7_000 - firsts[-1], "as near to one end as to the other"
    signals = random_records([2_000], length=9_000).double()[..., 3_500:5_500]
    nearest = firsts[:9:4] if end == "left" else firsts[-9::4]
    for first in nearest:
        padded = functional.pad(signals, (first, 7_000 - first))
        window = trimmed.window(first, first + 2_000)
        found = trimmed(padded[..., slice(*window)])
        torch.testing.assert_close(found, network(padded), atol=1e-9, rtol=0)


@torch.no_grad()
def test_a_longer_window_would_be_wrong():
    # The limit is where it must be: a record that reaches further is not computed exactly.
    network = random_network(width=0.02, seed=1).double()
    trimmed = TrimmedNetwork(network, length=LENGTH)
    signals = random_records([16_000], length=LENGTH).double()
    first, last = place(16_000)
    difference = trimmed(signals[..., first:last]) - network(signals)
    assert difference.abs().max() > 1e-9


@torch.no_grad()
def test_folding_changes_nothing_and_leaves_the_network_alone():
    mask = ring_filters(length=1_001)[0]
    behind = FourierFilter(mask, length=1_001)
    network = random_network(width=0.05, fourier_filter=behind)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    signals = random_records([900, 1_001], length=1_001)
    copy = folded(network)
    torch.testing.assert_close(copy(signals), network(signals), atol=1e-5, rtol=1e-5)
    assert not any("running" in name for name in copy.state_dict())
    assert not any(part.training for part in copy.modules())
    assert not any(parameter.requires_grad for parameter in copy.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())


def test_networks_that_cannot_be_trimmed_are_refused():
    behind = FourierFilter(ring_filters(length=600)[0], length=600)
    with pytest.raises(ValueError, match="Fourier filter"):
        TrimmedNetwork(Network(width=0.02, fourier_filter=behind).eval(), length=600)
    with pytest.raises(ValueError, match="training mode"):
        TrimmedNetwork(Network(width=0.02), length=600)
    resumed = Network(width=0.02).eval()
    resumed.bn3.train()
    with pytest.raises(ValueError, match="the network's part 'bn3' is in training mode"):
        folded(resumed)


def test_in_bf16_all_maps_are_bf16(trimmed):
    first, last = trimmed.window(*place(3_000))
    window = random_records([3_000], length=LENGTH)[..., first:last].requires_grad_()
    kept = []

    def keep(tensor):
        kept.append(tensor)
        return tensor

    with (
        torch.autocast("cpu", torch.bfloat16),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        trimmed(window)
    maps = [tensor for tensor in kept if tensor.ndim == 4 and tensor.is_floating_point()]
    assert len(maps) > 26 and {tensor.dtype for tensor in maps} == {torch.bfloat16}
