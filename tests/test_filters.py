"""Complementary filters: two projections that share out the spectrum and add up to the signal."""

import numpy as np
import pytest
import torch

from dnalib.filters import FourierFilter, ring_filters

SHAPES = [(10, 18_000), (10, 3000), (2, 400), (7, 401), (150, 300)]


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def both_filters(bands, length):
    return [FourierFilter(mask, length=length) for mask in ring_filters(bands=bands, length=length)]


def test_the_bands_of_the_paper_are_900_bins_of_18000_samples():
    first, second = ring_filters(bands=10, length=18_000)
    expected = torch.zeros(9001)
    for band in (1, 3, 5, 7, 9):
        expected[900 * (band - 1) : 900 * band] = 1
    assert torch.equal(first, expected)
    assert first[0] == 1  # 0 Hz, the offset of a record
    assert second[9000] == 1  # the Nyquist bin goes with the tenth band
    frequency = torch.arange(9001) / 60  # (frequency,), Hz, of records at 300 Hz
    edges = frequency[1:][first.diff() != 0]
    assert torch.equal(edges, torch.arange(15.0, 150, 15))


@pytest.mark.parametrize(("bands", "length"), SHAPES)
def test_each_bin_belongs_to_exactly_one_filter(bands, length):
    filters = ring_filters(bands=bands, length=length)
    assert filters.shape == (2, length // 2 + 1) and filters.dtype == torch.float32
    assert set(filters.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(filters.sum(0), torch.ones(length // 2 + 1))
    # Equal bands that alternate: one more change of filter than there are bands, less the first.
    assert int((filters[0].diff() != 0).sum()) == bands - 1
    # The last bin goes with the last band, which is a band of h₁ when there is an odd number.
    assert filters[0, -1] == bands % 2
    assert filters[0, 0] == 1


@pytest.mark.parametrize(("frequency", "passes"), [(7, 0), (22, 1), (37, 0), (100, 0), (148, 1)])
def test_a_sine_passes_the_filter_of_its_band_alone(frequency, passes):
    time = torch.arange(3000, dtype=torch.float64) / 300  # (time,), s
    sine = torch.sin(2 * torch.pi * frequency * time).float().view(1, 1, -1)
    filtered = [one(sine) for one in both_filters(10, 3000)]
    assert torch.allclose(filtered[passes], sine, atol=1e-4)
    assert filtered[1 - passes].abs().max() < 1e-4


@pytest.mark.parametrize(("bands", "length"), SHAPES)
def test_the_halves_are_orthogonal_projections_that_add_up(bands, length):
    signal = noise(2, 1, length)
    first, second = both_filters(bands, length)
    one, other = first(signal), second(signal)
    assert torch.allclose(one + other, signal, atol=1e-5)
    energy = [part.square().sum().item() for part in (one, other, signal)]
    assert energy[0] + energy[1] == pytest.approx(energy[2], rel=1e-5)
    assert min(energy[:2]) > 0.3 * energy[2]  # neither is the whole
    assert abs((one * other).sum().item()) < 1e-4 * energy[2]
    assert torch.allclose(first(one), one, atol=1e-5)
    assert second(one).abs().max() < 1e-5


@pytest.mark.parametrize("length", [400, 401])
def test_the_filters_have_no_delay(length):
    signal = noise(1, 1, length)
    for one in both_filters(10, length):
        assert torch.allclose(one(signal.flip(-1)), one(signal).flip(-1), atol=1e-5)


def test_gradients_pass_through_the_same_filter():
    signal, direction = noise(2, 1, 300, seed=1).requires_grad_(), noise(2, 1, 300, seed=2)
    for one in both_filters(10, 300):
        (gradient,) = torch.autograd.grad((one(signal) * direction).sum(), signal)
        # A symmetric linear map is its own adjoint.
        assert torch.allclose(gradient, one(direction), atol=1e-5)


def test_leads_and_records_are_filtered_each_on_its_own():
    signals = noise(3, 2, 300)
    one = both_filters(10, 300)[0]
    assert torch.allclose(one(signals)[1:2, 1:2], one(signals[1:2, 1:2]), atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_the_type_of_the_signals_is_kept(dtype):
    signals = noise(1, 1, 300).to(dtype)
    one = both_filters(10, 300)[0]
    assert one(signals).dtype == dtype
    assert torch.allclose(one(signals).float(), one(signals.float()), atol=0.02)


def test_the_mask_is_no_part_of_a_checkpoint():
    one = both_filters(10, 300)[0]
    assert not one.state_dict() and not list(one.parameters())


@pytest.mark.parametrize(("bands", "length"), [(1, 300), (151, 300), (0, 300), (2, 3)])
def test_bands_and_lengths_out_of_range_are_refused(bands, length):
    with pytest.raises(ValueError, match=r"bands is|length is"):
        ring_filters(bands=bands, length=length)


def test_a_mask_or_a_signal_of_another_length_is_refused():
    mask = ring_filters(length=300)[0]
    with pytest.raises(ValueError, match=r"\(151,\).*302 samples.*\(152,\)"):
        FourierFilter(mask, length=302)
    with pytest.raises(ValueError, match="1, 302"):
        FourierFilter(mask, length=300)(torch.zeros(1, 1, 302))


def test_double_precision_is_filtered_in_double_precision():
    signals = noise(1, 1, 300).double()
    first, second = both_filters(10, 300)
    total = first(signals) + second(signals)
    torch.testing.assert_close(total, signals, atol=1e-13, rtol=0)
    assert torch.autograd.gradcheck(first, signals.requires_grad_())


@pytest.mark.parametrize("number", [2.5, 10.0, "10", None, np.float64(10)])
def test_bands_and_lengths_are_whole(number) -> None:
    for options in ({"bands": number}, {"length": number}):
        with pytest.raises(
            ValueError, match=f"{next(iter(options))} is .*; accepted are whole num"
        ):
            ring_filters(**({"bands": 4, "length": 300} | options))
    with pytest.raises(ValueError, match="length is .*; accepted are whole numbers"):
        FourierFilter(torch.ones(6), length=number)
    assert torch.equal(ring_filters(bands=np.int64(4), length=80), ring_filters(bands=4, length=80))


def test_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="^mask is of type ndarray; accepted is a tensor"):
        FourierFilter(np.ones(51), length=100)
    with pytest.raises(ValueError, match="^signals is of type ndarray; accepted is a tensor"):
        FourierFilter(torch.ones(51), length=100)(np.ones((1, 1, 100)))


def test_whole_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="signals have type torch.int16; accepted is floating"):
        FourierFilter(torch.ones(51), length=100)(torch.zeros(1, 1, 100, dtype=torch.int16))


def test_what_the_halves_keep_of_a_spike_hangs_on_the_bands():
    """As chapter 5 says of a heartbeat: a spike of 0.06 s in 10 s at 100 Hz."""
    time = torch.arange(1000) - 500
    spike = torch.exp(-((time / 2.0) ** 2))[None, None]
    far = time.abs() > 20  # samples
    kept, ripples = {}, {}
    for bands in (2, 10, 100):
        halves = [half(spike)[0, 0].abs() for half in both_filters(bands, 1000)]
        kept[bands] = [float(half.max()) for half in halves]
        ripples[bands] = max(float(half[far].max()) for half in halves)
    assert kept[2][0] > 0.9 and kept[2][1] < 0.1
    assert min(kept[10]) > 0.25
    assert ripples[2] < ripples[10] < ripples[100]
