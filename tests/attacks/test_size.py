"""How large perturbations are, by hand."""

import math

import pytest
import torch
from toy_classifiers import random_numbers

from dnalib.attacks import from_millivolts, perturbation_size


def test_a_millivolt_is_a_thousand_raw_units():
    assert from_millivolts(1) == 1000 and from_millivolts(0.05) == pytest.approx(50)
    assert from_millivolts(torch.tensor([0.01, 0.15])).tolist() == pytest.approx([10, 150])
    assert from_millivolts(0.1, gain=200) == pytest.approx(20)
    for gain in (0, -1, math.nan):
        with pytest.raises(ValueError, match=f"gain is {gain}"):
            from_millivolts(1, gain=gain)


def test_norms_and_ratio_by_hand():
    signals = torch.tensor([[[13.0, 7.0, 10.0, 99.0]], [[1.0, -1.0, 1.0, -1.0]]])
    perturbation = torch.tensor([[[1.0, -2.0, 2.0, 50.0]], [[0.0, 0.0, 0.0, 0.0]]])
    valid = torch.tensor([[[True, True, True, False]], [[True] * 4]])
    size = perturbation_size(perturbation, signals, valid=valid)
    assert size.largest.tolist() == [2, 0] and size.norm.tolist() == [3, 0]
    # Less its mean the first record is 3, −3, 0: squares of 18 against 9.
    assert size.signal_to_noise.tolist() == [pytest.approx(10 * math.log10(2)), math.inf]
    assert size.largest.dtype == size.norm.dtype == size.signal_to_noise.dtype == torch.float64


def test_ten_times_the_perturbation_is_20_db_less():
    signals, perturbation = random_numbers(3, 2, 50), 0.1 * random_numbers(3, 2, 50, seed=1)
    one = perturbation_size(perturbation, signals)
    ten = perturbation_size(10 * perturbation, signals)
    assert torch.allclose(one.signal_to_noise - ten.signal_to_noise, torch.tensor(20.0).double())
    offset = torch.tensor([[5.0], [-3.0]])  # an offset of each lead
    moved = perturbation_size(perturbation, signals + offset)
    assert torch.allclose(moved.signal_to_noise, one.signal_to_noise)


def test_shapes_that_differ_are_refused():
    signals = torch.zeros(2, 1, 9)
    for perturbation, valid in (
        (torch.zeros(1, 1, 9), None),
        (torch.zeros(2, 1, 9), torch.ones(2, 9, dtype=torch.bool)),
    ):
        with pytest.raises(ValueError, match="accepted is one and the same"):
            perturbation_size(perturbation, signals, valid=valid)


@pytest.mark.parametrize("name", ["perturbation", "signals", "valid"])
def test_arrays_are_refused(name):
    given = dict.fromkeys(("perturbation", "signals"), torch.zeros(2, 1, 9))
    given["valid"] = torch.ones(2, 1, 9, dtype=torch.bool)
    given[name] = given[name].numpy()
    with pytest.raises(ValueError, match=f"^{name} is of type ndarray; accepted is a tensor"):
        perturbation_size(**given)


def test_a_validity_of_numbers_is_refused():
    signals = torch.zeros(2, 1, 9)
    with pytest.raises(ValueError, match="valid has type torch.float32; accepted is bool"):
        perturbation_size(signals, signals, valid=torch.ones_like(signals))


def test_a_flat_record_that_nothing_perturbs_has_an_infinite_ratio():
    flat = torch.zeros(2, 1, 30)
    size = perturbation_size(torch.zeros_like(flat), flat)
    assert size.signal_to_noise.isinf().all()


def test_padding_does_not_count_whatever_it_holds() -> None:
    signals, perturbation = random_numbers(2, 1, 9), random_numbers(2, 1, 9, seed=1)
    valid = torch.ones(2, 1, 9, dtype=torch.bool)
    valid[..., 5:] = False
    own = perturbation_size(perturbation[..., :5], signals[..., :5])
    signals[~valid] = perturbation[~valid] = torch.nan
    found = perturbation_size(perturbation, signals, valid=valid)
    for name in ("largest", "norm", "signal_to_noise"):
        torch.testing.assert_close(getattr(found, name), getattr(own, name))
