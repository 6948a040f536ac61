"""Attacks on many records: the same perturbations as one by one, wherever they are computed."""

import inspect
import textwrap
from functools import partial

import pytest
import torch
from random_network import random_network, random_records
from torch import nn

from dnalib import attacks, crafting
from dnalib.crafting import attack_records
from dnalib.ensemble import Ensemble
from dnalib.filters import FourierFilter, ring_filters
from dnalib.model import Network
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
    return PackedSignals.pack(padded.short(), starts=(LENGTH - lengths) // 2, lengths=lengths)


@pytest.fixture(scope="module")
def labels(network, padded):
    with torch.no_grad():
        return network(padded).argmax(1)


def pgd(model, inputs, labels, valid, *, padding):
    found = attacks.pgd(model, inputs, labels, epsilon=50, steps=1, valid=valid, padding=padding)
    return {"pgd": found}


def collected(network, signals, labels, *, padding, **options):
    answers = torch.full((len(signals), signals.leads, LENGTH), float("nan"))
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
    valid = signals.valid(torch.arange(len(signals)))
    expected = pgd(network, padded, labels, valid, padding=padding)["pgd"]
    found = collected(network, signals, labels, padding=padding, batch_size=batch_size)
    assert not found[~valid].any()
    agree = [
        (found[row] == expected[row])[valid[row]].double().mean().item()
        for row in range(len(signals))
    ]
    assert min(agree) > 0.99  # signs of gradients near zero turn with the rounding


@pytest.mark.parametrize("padding", ["strip", "mask"])
def test_records_of_several_leads_are_attacked_in_all_of_them(padding):
    network = random_network(width=0.03, seed=2, leads=3)
    padded = random_records([2_998, 500, 1_501], length=LENGTH, leads=3)
    lengths = torch.tensor([2_998, 500, 1_501])
    signals = PackedSignals.pack(padded, starts=(LENGTH - lengths) // 2, lengths=lengths)
    labels, valid = torch.zeros(3, dtype=int), signals.valid(torch.arange(3))
    expected = pgd(network, padded, labels, valid, padding=padding)["pgd"]
    found = collected(network, signals, labels, padding=padding)
    assert not found[~valid].any()
    # Signs of gradients near zero turn with the rounding.
    assert (found == expected)[valid].double().mean() > 0.99
    assert not torch.equal(found[:, 0], found[:, 1])


def test_records_of_other_leads_than_the_networks_are_refused(network, signals, labels):
    wide = random_network(width=0.03, leads=3)
    for networks in (wide, [network, wide]):
        with pytest.raises(ValueError, match="^signals are of leads=1 and the network of leads=3"):
            attack_records(pgd, networks, signals, labels, padding="mask")


@pytest.mark.parametrize("batch_size", [1, 2, 6])
def test_smooth_perturbations_too_whatever_the_batch(network, padded, signals, labels, batch_size):
    # What is outside a record is smoothed onto its ends, so that θ counts there as well.
    def sap(model, inputs, labels, valid):
        options = {"epsilon": 50, "start_steps": 1, "steps": 4, "valid": valid, "padding": "mask"}
        return {"sap": attacks.sap(model, inputs, labels, **options)}

    valid = signals.valid(torch.arange(len(signals)))
    expected = sap(network, padded, labels, valid)["sap"]
    other = {}
    for records, found in attack_records(
        sap, network, signals, labels, padding="mask", batch_size=batch_size
    ):
        for record, delta in zip(records.tolist(), found["sap"], strict=True):
            inside = valid[record]
            assert not delta[~inside].any()
            far = (delta - expected[record])[inside].abs() > 0.5  # µV
            other[record] = far.double().mean().item()
    # Where a gradient's sign turns with the rounding, all later steps do: in one record here.
    assert sorted(other.values())[-2] < 0.01


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
            assert found["zero"].shape[1:] == (1, LENGTH)
    masked, stripped = seen[:4], seen[4:]
    # By length: 9,000 and 7,400 reach the ends; 1,501 and 500 are too different for one batch.
    assert [size for size, _ in masked] == [size for size, _ in stripped] == [2, 2, 1, 1]
    assert masked[0][1] == LENGTH and 3_018 <= masked[1][1] <= 3_026
    assert 1_519 <= masked[2][1] <= 1_527 and 518 <= masked[3][1] <= 526
    assert {length for _, length in stripped} == {LENGTH}


def test_bf16_changes_products_and_not_the_step(network, signals, labels):
    exact = collected(network, signals, labels, padding="mask")
    rounded = collected(network, signals, labels, padding="mask", precision="bf16-mixed")
    assert set(rounded.unique().tolist()) <= {5.0 * step for step in range(-1, 2)}
    agree = (exact == rounded)[exact != 0].double().mean()
    assert 0.4 < agree < 0.9999


@pytest.fixture(scope="module")
def other_network():
    return random_network(width=0.03, seed=3)


@pytest.fixture(scope="module")
def filtered_network():
    one = FourierFilter(ring_filters(length=LENGTH)[0], length=LENGTH)
    return random_network(width=0.03, seed=4, fourier_filter=one)


def pgd_on_all(model, inputs, labels, valid, *, padding, **options):
    return {
        "pgd": attacks.pgd(
            model,
            inputs,
            labels,
            epsilon=50,
            steps=1,
            valid=valid,
            padding=padding,
            loss=attacks.end_to_end(),
            **options,
        )
    }


@pytest.mark.parametrize("padding", ["strip", "mask"])
@pytest.mark.parametrize("second", ["other_network", "filtered_network"])
def test_several_networks_are_attacked_as_an_ensemble(
    network, padded, signals, labels, padding, second, request
):
    networks = [network, request.getfixturevalue(second)]
    valid = signals.valid(torch.arange(len(signals)))
    ensemble = Ensemble(networks).eval()
    expected = pgd_on_all(ensemble, padded, labels, valid, padding=padding)["pgd"]
    attack = partial(pgd_on_all, padding=padding)
    for records, found in attack_records(attack, networks, signals, labels, padding=padding):
        for row, record in enumerate(records.tolist()):
            inside = valid[record]
            agree = (found["pgd"][row] == expected[record])[inside].double().mean()
            assert agree > 0.99  # signs of gradients near zero turn with the rounding
            assert not found["pgd"][row][~inside].any()


def windows_of(networks, signals, labels):
    """The lengths of time that a masked attack computes on, a batch after the other."""
    seen = []

    def spy(model, inputs, labels, valid):
        assert model(inputs).shape == (len(networks), len(inputs), 4)
        seen.append(inputs.shape[-1])
        return {"zero": torch.zeros_like(inputs)}

    for _ in attack_records(spy, networks, signals, labels, padding="mask", batch_size=2):
        pass
    return seen


def test_an_ensemble_computes_where_records_are_unless_a_filter_spreads_them(
    network, other_network, filtered_network, signals, labels
):
    short = windows_of([network, other_network], signals, labels)
    assert short[0] == LENGTH and max(short[1:]) <= 3_026
    assert set(windows_of([network, filtered_network], signals, labels)) == {LENGTH}


@pytest.mark.parametrize(("fitting", "sizes"), [((8, 7), [3, 3, 1]), ((1, 1), [1] * 7)])
def test_an_ensembles_batch_is_shared_between_its_members(
    network, other_network, monkeypatch, fitting, sizes
):
    fits = iter(fitting)  # records of each member alone
    monkeypatch.setattr(crafting, "fitting_batch", lambda evaluator: next(fits))
    signals = PackedSignals.pack(torch.ones(7, 60))
    seen = []

    def spy(model, inputs, labels, valid):
        seen.append(len(inputs))
        return {}

    networks = [network, other_network]
    list(attack_records(spy, networks, signals, torch.zeros(7, dtype=int), padding="mask"))
    assert seen == sizes


def test_random_starts_are_each_records_own_in_any_batch(network, signals, labels):
    found = []
    for batch_size in (1, 3):
        answers = torch.zeros(len(signals), 1, LENGTH)
        attack = partial(started, padding="mask")
        for records, crafted in attack_records(
            attack,
            network,
            signals,
            labels,
            padding="mask",
            batch_size=batch_size,
            generators=attacks.record_generators(range(len(signals)), seed=5),
        ):
            answers[records] = crafted["start"]
        found.append(answers)
    assert torch.equal(*found)
    assert (found[0] != 0).equal(signals.valid(torch.arange(len(signals))))


def started(model, inputs, labels, valid, *, padding, generators):
    start = attacks.pgd(
        model,
        inputs,
        labels,
        epsilon=50,
        steps=0,
        valid=valid,
        padding=padding,
        random_start=True,
        generators=generators,
    )
    return {"start": start}


class ElsewhereLabels(torch.Tensor):
    """Labels on another device than the signals, which refuse positions that are not there."""

    device = torch.device("meta")

    def __getitem__(self, records):
        assert records.device == self.device, "PyTorch refuses a GPU's positions in what is not"
        return torch.zeros(len(records), dtype=torch.int64)


def test_labels_may_lie_on_another_device_than_the_signals(network, signals):
    elsewhere = torch.zeros(len(LENGTHS), dtype=int).as_subclass(ElsewhereLabels)
    found = collected(network, signals, elsewhere, padding="mask")
    assert torch.equal(
        found, collected(network, signals, torch.zeros(len(LENGTHS), dtype=int), padding="mask")
    )


def test_what_cannot_be_attacked_is_refused_at_once(network, signals, labels):
    def refused(message, *, networks=network, records=signals, **options):
        # At the call, and not when the first batch is asked for.
        with pytest.raises(ValueError, match=message):
            attack_records(pgd, networks, records, labels, **({"padding": "mask"} | options))

    refused("at least one", networks=[])
    some = signals.select(torch.tensor([3, 4]))
    refused(r"labels have shape \(6,\) for 2 records; accepted is one label", records=some)
    refused("network has parameters of type torch.float64", networks=Network(width=0.01).double())
    generators = attacks.record_generators([0], seed=0)
    refused("1 generators and 6 records", generators=generators)
    refused("padding is 'zero'; accepted are 'strip', 'mask', 'keep'", padding="zero")
    refused("precision is '16-true'; accepted are", precision="16-true")
    refused("batch_size is 0; accepted are whole numbers from 1", batch_size=0)
    none = signals.select(torch.tensor([], dtype=torch.int64))
    with pytest.raises(ValueError, match="signals hold no record"):
        attack_records(pgd, network, none, labels[:0], padding="mask")


@pytest.mark.parametrize("convert", [torch.Tensor.clone, torch.Tensor.numpy, torch.Tensor.tolist])
def test_signals_that_are_not_packed_are_refused(network, padded, labels, convert):
    signals = convert(padded.squeeze(1))
    with pytest.raises(ValueError, match="signals is of type .*which PackedSignals.pack makes"):
        attack_records(pgd, network, signals, labels, padding="mask")


@pytest.mark.parametrize(
    ("convert", "message"),
    [
        (torch.Tensor.numpy, "labels is of type ndarray; accepted is a tensor, as torch.from_nu"),
        (torch.Tensor.tolist, "labels is of type list; accepted is a tensor"),
        (torch.Tensor.int, "labels have type torch.int32; accepted are classes as int64"),
        (lambda labels: labels[:, None], r"labels have shape \(6, 1\) for 6 records"),
    ],
)
def test_labels_that_are_not_a_class_a_record_are_refused(
    network, signals, labels, convert, message
):
    with pytest.raises(ValueError, match=f"^{message}"):
        attack_records(pgd, network, signals, convert(labels), padding="mask")


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (lambda *given: given[1], "attack gives a Tensor; accepted are perturbations by name"),
        (lambda *given: None, "attack gives a NoneType; accepted are perturbations by name"),
        (lambda *given: {"own": 0}, "perturbation 'own' is none; accepted is a tensor shaped"),
        (
            lambda *given: {"own": given[1][..., :-1]},
            r"perturbation 'own' has shape \(6, 1, 59\); accepted .* inputs, \(6, 1, 60\)",
        ),
    ],
)
def test_what_is_no_perturbation_by_name_is_refused(network, attack, message):
    signals = PackedSignals.pack(torch.ones(6, 60))
    batches = attack_records(attack, network, signals, torch.zeros(6, dtype=int), padding="mask")
    with pytest.raises(ValueError, match=message):
        next(batches)


@pytest.mark.parametrize("padding", ["mask", "strip", "keep"])
def test_a_perturbation_of_the_padding_is_refused_where_it_would_mean_nothing(
    network, signals, labels, padding
):
    def careless(model, inputs, labels, valid):
        return {"own": valid.float(), "all": torch.ones_like(inputs)}

    batches = attack_records(careless, network, signals, labels, padding=padding, batch_size=1)
    next(batches)  # the longest record has no padding
    if padding == "mask":
        with pytest.raises(ValueError, match="perturbation 'all' changes the padding; accepted wi"):
            next(batches)
    else:
        assert all(found["all"].all() for _, found in batches)


def test_the_attack_of_the_documentation_is_one(network, signals, labels):
    lines = inspect.getdoc(crafting.Attack).split("::\n\n")[1]
    names = {"attacks": attacks}
    exec(textwrap.dedent(lines), names)
    found = dict(
        enumerate(attack_records(names["attack"], network, signals, labels, padding="mask"))
    )
    assert sum(len(records) for records, _ in found.values()) == len(signals)
    assert all(made["pgd"].abs().max() == 50 for _, made in found.values())


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (nn.Linear(3, 4), "network is of type Linear"),
        (nn.Sequential(nn.Linear(3, 4)), "network is of type Sequential"),  # and a sequence
        (Ensemble([nn.Linear(3, 4)]), "network is of type Ensemble"),
        ([nn.Linear(3, 4)], r"network\[0\] is of type Linear"),
        ("cor", "network is of type str"),
        (None, "network is of type NoneType"),
    ],
)
def test_networks_of_ones_own_are_refused(signals, labels, wrong, found):
    with pytest.raises(ValueError, match=f"{found}; accepted is a dnalib.model.Network, or"):
        attack_records(pgd, wrong, signals, labels, padding="mask")


def test_the_members_of_an_ensemble_are_a_sequence(network, other_network, signals, labels):
    networks = [network, other_network]
    assert windows_of(Ensemble(networks).members, signals, labels) == windows_of(
        networks, signals, labels
    )


def test_nothing_is_attacked_before_it_is_asked_for(network, signals, labels):
    called = []

    def spy(model, inputs, labels, valid):
        called.append(len(inputs))
        return {"zero": torch.zeros_like(inputs)}

    batches = attack_records(spy, network, signals, labels, padding="mask", batch_size=2)
    assert not called
    next(batches)
    assert called == [2]
