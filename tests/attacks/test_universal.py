"""One perturbation for all records."""

import pytest
import torch
from toy_classifiers import TwoClasses, random_numbers, related_members

from dnalib.attacks import end_to_end, margin, universal_perturbation


def learnt(model, signals, labels, *, seed=0, **options):
    usual = {"epsilon": 0.5, "generator": torch.Generator().manual_seed(seed)}
    return universal_perturbation(model, signals, labels, **(usual | options))


@pytest.fixture
def answered():
    """An ensemble, records and the labels that it gives them."""
    ensemble = related_members()
    signals = random_numbers(400, 1, 40, seed=9)
    return ensemble, signals, end_to_end_answers(ensemble, signals)


@pytest.mark.parametrize("step_size", [-0.5, 0.0, float("nan"), float("inf")])
def test_a_step_size_that_climbs_nothing_is_refused(answered, step_size):
    with pytest.raises(ValueError, match="step_size is"):
        learnt(*answered, loss=end_to_end(), step_size=step_size)


def end_to_end_answers(ensemble, signals):
    return ensemble(signals).softmax(-1).mean(0).argmax(-1)


def test_it_fools_more_than_random_signs_and_on_other_records(answered):
    ensemble, signals, labels = answered
    known, unknown = slice(0, 200), slice(200, 400)
    # The cross-entropy of what is already misled has no end and would take over.
    delta = learnt(
        ensemble, signals[known], labels[known], loss=end_to_end(), largest_loss=3, batch_size=50
    )
    assert delta.shape == (1, 40) and delta.abs().max() <= 0.5

    def fooled(delta, records):
        answers = end_to_end_answers(ensemble, signals[records] + delta)
        return (answers != labels[records]).double().mean().item()

    random = [0.5 * random_numbers(1, 40, seed=seed).sign() for seed in range(20, 40)]
    most = max(fooled(signs, unknown) for signs in random)
    assert fooled(delta, known) > 0.5 and fooled(delta, unknown) > most + 0.1


def test_on_a_linear_score_it_is_the_sign_of_the_weights():
    weight = random_numbers(2, 30)
    model = TwoClasses(lambda x: (x * weight).sum((1, 2)))
    signals, labels = random_numbers(10, 2, 30, seed=1), torch.zeros(10, dtype=torch.int64)
    delta = learnt(model, signals, labels, loss=margin, batch_size=3, epochs=3)
    assert torch.equal(delta, 0.5 * weight.sign())  # 12 steps of a tenth of the bound


def test_epochs_batches_and_step_size_are_counted():
    model = TwoClasses(lambda x: x.sum((1, 2)))
    signals, labels = random_numbers(10, 1, 5), torch.zeros(10, dtype=torch.int64)
    for epochs, batch_size, steps in ((0, 3, 0), (1, 3, 4), (2, 5, 4), (2, 64, 2)):
        delta = learnt(
            model,
            signals,
            labels,
            epsilon=100,
            step_size=2,
            loss=margin,
            epochs=epochs,
            batch_size=batch_size,
        )
        assert torch.equal(delta, torch.full((1, 5), 2.0 * steps, dtype=torch.float64))


@pytest.mark.parametrize("at_once", [1, 7, 64])
def test_memory_does_not_decide_what_a_step_is(answered, at_once):
    whole = learnt(*answered, loss=end_to_end(), batch_size=50, epochs=2)
    parts = learnt(*answered, loss=end_to_end(), batch_size=50, epochs=2, at_once=at_once)
    torch.testing.assert_close(parts, whole)
    assert whole.abs().max() == 0.5
    with pytest.raises(ValueError, match="at_once is 0; accepted are whole numbers from 1"):
        learnt(*answered, loss=end_to_end(), at_once=0)


def test_a_record_that_is_misled_enough_has_no_say():
    # The last record's margin is 50 from the start, and ten times as steep the other way.
    slope = torch.tensor([1.0, 1.0, 1.0, -10.0]).double()
    signals, labels = torch.zeros(4, 1, 3).double(), torch.zeros(4, dtype=torch.int64)
    signals[3] = -50 / 30

    def score(x):
        last = (x.mean((1, 2)) < -1).long()
        return x.sum((1, 2)) * slope[3 * last]

    options = {"loss": margin, "batch_size": 4, "epsilon": 0.25, "epochs": 20}
    uncut = learnt(TwoClasses(score), signals, labels, **options)
    assert torch.equal(uncut, torch.full((1, 3), -0.25).double())
    cut = learnt(TwoClasses(score), signals, labels, largest_loss=5, **options)
    assert torch.allclose(cut, torch.full((1, 3), 0.25).double())


def test_the_generator_alone_decides_the_order(answered):
    options = {"loss": end_to_end(), "batch_size": 20, "epochs": 1}
    first = learnt(*answered, **options)
    torch.manual_seed(123)
    assert torch.equal(first, learnt(*answered, **options))
    assert not torch.equal(first, learnt(*answered, seed=1, **options))


def test_padding_counts_only_while_it_is_perturbed():
    # The first record rises with all its eight samples; the other five have four of them, and would
    # fall ten times as fast with what is added to their padding.
    valid = torch.ones(6, 1, 8, dtype=torch.bool)
    valid[1:, :, 4:] = False
    signals, labels = torch.zeros(6, 1, 8).double(), torch.zeros(6, dtype=torch.int64)
    signals[1:, :, 0] = 100.0  # tells them from the first

    def score(x):
        short = x[:, 0, 0] > 50
        slope = torch.where(short[:, None] & ~valid[1, 0], -10.0, 1.0)  # (batch, time)
        return (x[:, 0] * slope).sum(1)

    options = {"valid": valid, "loss": margin, "epsilon": 0.25, "epochs": 20}
    masked = learnt(TwoClasses(score), signals, labels, **options)
    assert masked.flatten().tolist() == [0.25] * 8
    covered = learnt(TwoClasses(score), signals, labels, padding="strip", **options)
    assert covered.flatten().tolist() == [0.25] * 4 + [-0.25] * 4
    nowhere = valid.clone()
    nowhere[..., 7] = False
    unused = learnt(TwoClasses(score), signals, labels, **(options | {"valid": nowhere}))
    assert unused[0, 7] == 0 and (unused[0, :7] == 0.25).all()


def test_a_bound_a_sample_holds_exactly(answered):
    bound = random_numbers(1, 1, 40, seed=2).abs()
    bound[..., ::5] = 0
    delta = learnt(*answered, epsilon=bound, loss=end_to_end(), epochs=3)
    assert (delta.abs() <= bound[0]).all() and (delta.abs() == bound[0]).double().mean() > 0.5


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"epsilon": torch.ones(400)}, r"epsilon has shape \(400,\)"),
        ({"epsilon": -1}, "epsilon is -1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"largest_loss": 0.0}, "largest_loss is 0.0"),
        ({"epochs": -1}, "epochs is -1"),
        ({"padding": "none"}, "padding is 'none'"),
        ({"generator": None}, "generator is of type NoneType"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(answered, changed, message):
    with pytest.raises(ValueError, match=message):
        learnt(*answered, **({"loss": end_to_end()} | changed))


def test_no_record_is_refused(answered):
    ensemble, signals, labels = answered
    with pytest.raises(ValueError, match="at least one"):
        learnt(ensemble, signals[:0], labels[:0])


@pytest.mark.parametrize("largest_loss", [None, 3.0])  # behind a cut the gradient of NaN would be 0
def test_a_record_without_a_loss_is_refused(largest_loss):
    def score(x):
        total = x.sum((1, 2))
        return torch.where(torch.arange(len(total)) == 1, torch.nan * total, total)

    signals, labels = random_numbers(10, 1, 30), torch.zeros(10, dtype=torch.int64)
    with pytest.raises(ValueError, match="is not a number for 1 of 1 perturbations"):
        learnt(TwoClasses(score), signals, labels, largest_loss=largest_loss, batch_size=5)
