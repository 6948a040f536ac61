"""Random starts and the worst of several runs."""

import pytest
import torch
from toy_classifiers import random_numbers

from dnalib.attacks import record_generators
from dnalib.attacks.restarts import random_perturbation, worst_of


def started(signals, valid=None, *, bound=2.0, records=None, seed=0):
    records = range(len(signals)) if records is None else records
    generators = record_generators(records, seed=seed)
    return random_perturbation(signals, valid, bound=bound, generators=generators)


@pytest.fixture
def padded():
    signals = random_numbers(4, 2, 300)
    valid = torch.ones(4, 2, 300, dtype=torch.bool)
    valid[1, :, :60] = False
    valid[3, 1, 100:] = False
    return signals * valid, valid


def test_a_start_fills_the_ball_on_the_record_only(padded):
    signals, valid = padded
    start = started(signals, valid)
    assert start.shape == signals.shape and start.dtype == signals.dtype
    assert not start[~valid].any()
    inside = start[valid]
    assert (inside != 0).all() and inside.abs().max() <= 2
    assert inside.abs().max() > 1.98 and abs(inside.mean()) < 0.1
    assert (inside.abs() < 1).double().mean().item() == pytest.approx(0.5, abs=0.03)


def test_a_bound_a_sample_holds_exactly(padded):
    signals, valid = padded
    bound = random_numbers(4, 2, 300, seed=1).abs().float()
    bound[:, :, ::7] = 0
    start = started(signals.float(), valid, bound=bound)
    assert (start.abs() <= bound).all()
    assert not start[..., ::7].any()


def test_a_record_starts_alike_in_any_batch_window_precision_and_order(padded):
    signals, valid = padded
    together = started(signals, valid)
    chosen = [3, 1]
    assert torch.equal(started(signals[chosen], valid[chosen], records=chosen), together[chosen])
    window = slice(60, 300)
    alone = started(signals[1:2, :, window], valid[1:2, :, window], records=[1])
    assert torch.equal(alone, together[1:2, :, window])
    assert torch.equal(started(signals.float(), valid), together.float())


def test_records_seeds_and_draws_differ(padded):
    signals, _ = padded
    generators = record_generators(range(4), seed=0)
    first = random_perturbation(signals, None, bound=1.0, generators=generators)
    second = random_perturbation(signals, None, bound=1.0, generators=generators)
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first, started(signals, bound=1.0, seed=1))
    # Not one record's numbers under another seed, either.
    assert not torch.equal(started(signals, records=[0, 1, 2, 3], seed=1)[0], 2 * first[1])


def test_the_worst_run_of_each_record_is_kept():
    values = torch.tensor([[1.0, 5.0, 2.0], [3.0, 5.0, float("nan")], [2.0, 4.0, 1.0]])

    def run(number):
        return torch.full((3, 1, 4), float(number))

    found = worst_of(3, run=run, value=lambda answer: values[int(answer[0, 0, 0])])
    assert found[:, 0, 0].tolist() == [1, 0, 1]  # the first of equals; NaN for who scores it
    assert torch.equal(worst_of(1, run=run, value=None), run(0))
