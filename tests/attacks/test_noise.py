"""Random perturbations: as large as allowed, held to the record, drawn from their generator."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from toy_classifiers import random_numbers

from dnalib.attacks import random_signs, smooth_random_signs, smoothing_kernel

SHAPE = (40, 2, 95)


def draw(make, *, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    signals = random_numbers(*SHAPE, seed=1)
    return make(signals, generator=generator, **({"epsilon": 30.0} | options))


def test_random_signs_are_the_bound_with_both_signs_alike():
    found = draw(random_signs)
    assert found.shape == SHAPE and found.dtype == random_numbers(*SHAPE, seed=1).dtype
    assert set(found.unique().tolist()) == {-30.0, 30.0}
    assert abs(found.mean().item()) < 30 * 5 / found.numel() ** 0.5


def test_neighbours_of_random_signs_tell_nothing_of_each_other():
    found = draw(random_signs) / 30
    assert abs((found[..., 1:] * found[..., :-1]).mean().item()) < 0.06


def test_smooth_signs_stay_within_the_bound_and_come_near_it():
    found = draw(smooth_random_signs)
    assert found.abs().max() <= 30
    assert found.abs().amax(dim=2).min() > 25
    # A step from −ε to ε is spread over the kernel, whose largest tap bounds it.
    steepest = found.diff(dim=2).abs().max().item()
    assert steepest <= 2 * 30 * smoothing_kernel().max().item() + 1e-4


def test_smooth_signs_keep_most_of_their_power_where_single_signs_would_cancel():
    held = draw(smooth_random_signs).square().mean() / 30**2
    assert 0.7 < held < 1


@pytest.mark.parametrize("make", [random_signs, smooth_random_signs])
def test_padding_is_left_as_it_is(make):
    valid = torch.ones(SHAPE, dtype=torch.bool)
    valid[:, :, 60:] = False
    found = draw(make, valid=valid)
    assert not found[~valid].any() and torch.equal(found[valid], draw(make)[valid])


@pytest.mark.parametrize("make", [random_signs, smooth_random_signs])
def test_they_follow_their_generator_and_scale_with_the_bound(make):
    assert torch.equal(draw(make), draw(make))
    assert not torch.equal(draw(make), draw(make, seed=1))
    torch.testing.assert_close(draw(make, epsilon=60.0), 2 * draw(make))
    with pytest.raises(ValueError, match="epsilon is -1.0; accepted are finite values above 0"):
        draw(make, epsilon=-1.0)


@pytest.mark.parametrize("make", [random_signs, smooth_random_signs])
def test_each_record_may_have_a_bound_of_its_own(make):
    bounds = torch.arange(1.0, 1 + SHAPE[0])
    found, unit = draw(make, epsilon=bounds), draw(make, epsilon=1.0)
    torch.testing.assert_close(found, unit * bounds.view(-1, 1, 1))


def test_no_wave_passes_the_bound_by_rounding() -> None:
    for seed in range(50):
        generator = torch.Generator().manual_seed(seed)
        found = smooth_random_signs(torch.zeros(4, 12, 500), epsilon=50.0, generator=generator)
        assert found.abs().max() <= 50


@pytest.mark.parametrize("make", [random_signs, smooth_random_signs])
def test_signals_that_an_attack_would_refuse_are_refused(make: Callable[..., Tensor]) -> None:
    options = {"epsilon": 1.0, "generator": torch.Generator()}
    with pytest.raises(ValueError, match=r"type torch.int16; accepted is \(batch, lead, time\)"):
        make(torch.zeros(3, 1, 100, dtype=torch.int16), **options)
    with pytest.raises(ValueError, match=r"shape \(3, 100\)"):
        make(torch.zeros(3, 100), **options)
    with pytest.raises(ValueError, match="valid has shape"):
        valid = torch.ones(3, 100, dtype=torch.bool)
        make(torch.zeros(3, 1, 100), valid=valid, **options)
