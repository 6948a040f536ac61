"""Attacks on many records: the same perturbations as one by one, wherever they are computed."""

from functools import partial

import pytest
import torch
from random_network import random_network, random_records

from dnalib import attacks
from dnalib.crafting import InPrecision, attack_records
from dnalib.signals import PackedSignals

LENGTH = 9_000  # long enough for windows
LENGTHS = [500, 9_000, 1_501, 3_000, 2_998, 7_400]


@pytest.fixture(scope="module")
def network():
    return random_network(width=0.03, seed=2)


@pytest.fixture(scope="module")
def padded():
    return random_records(LENGTHS, length=LENGTH)


@pytest.fixture(scope="module")
def signals(padded):
    lengths = torch.tensor(LENGTHS)
    return PackedSignals.pack(
        padded.squeeze(1).short(), starts=(LENGTH - lengths) // 2, lengths=lengths
    )


@pytest.fixture(scope="module")
def labels(network, padded):
    with torch.no_grad():
        return network(padded).argmax(1)


def pgd(model, inputs, labels, valid, *, padding):
    found = attacks.pgd(model, inputs, labels, epsilon=50, steps=1, valid=valid, padding=padding)
    return {"pgd": found}


def collected(network, signals, labels, *, padding, **options):
    answers = torch.full((len(signals), LENGTH), float("nan"))
    batches = attack_records(
        partial(pgd, padding=padding), network, signals, labels, padding=padding, **options
    )
    for records, found in batches:
        answers[records] = found["pgd"]
    return answers


@pytest.mark.parametrize("padding", ["strip", "mask"])
@pytest.mark.parametrize("batch_size", [None, 2])
def test_perturbations_are_those_of_the_full_computation(
    network, padded, signals, labels, padding, batch_size
):
    valid = signals.valid(torch.arange(len(signals))).unsqueeze(1)
    expected = pgd(network, padded, labels, valid, padding=padding)["pgd"].squeeze(1)
    found = collected(network, signals, labels, padding=padding, batch_size=batch_size)
    assert not found[~valid.squeeze(1)].any()
    agree = [
        (found[row] == expected[row])[valid[row, 0]].double().mean().item()
        for row in range(len(signals))
    ]
    assert min(agree) > 0.99  # signs of gradients near zero turn with the rounding


def test_a_masked_attack_computes_only_where_records_are(network, signals, labels):
    seen = []

    def spy(model, inputs, labels, valid):
        seen.append((len(inputs), inputs.shape[-1]))
        assert valid.shape == inputs.shape and valid.any(-1).all()
        return {"zero": torch.zeros_like(inputs)}

    for padding in ("mask", "strip"):
        for _, found in attack_records(
            spy, network, signals, labels, padding=padding, batch_size=2
        ):
            assert found["zero"].shape[1] == LENGTH
    masked, stripped = seen[:4], seen[4:]
    # By length: 9,000 and 7,400 reach the ends; 1,501 and 500 are too different for one batch.
    assert [size for size, _ in masked] == [size for size, _ in stripped] == [2, 2, 1, 1]
    assert masked[0][1] == LENGTH and 3_000 <= masked[1][1] <= 3_008
    assert 1_501 <= masked[2][1] <= 1_509 and 500 <= masked[3][1] <= 508
    assert {length for _, length in stripped} == {LENGTH}


def test_bf16_changes_products_and_not_the_step(network, signals, labels):
    exact = collected(network, signals, labels, padding="mask")
    rounded = collected(network, signals, labels, padding="mask", precision="bf16-mixed")
    assert set(rounded.unique().tolist()) <= {5.0 * step for step in range(-1, 2)}
    agree = (exact == rounded)[exact != 0].double().mean()
    assert 0.4 < agree < 0.9999


def test_logits_are_float32_in_both_precisions(network, padded):
    for precision in ("32-true", "bf16-mixed"):
        model = InPrecision(network, precision=precision)
        assert model(padded).dtype == torch.float32 and not model.training
    with pytest.raises(ValueError, match="'16-true'; accepted are '32-true', 'bf16-mixed'"):
        InPrecision(network, precision="16-true")
