"""Packed records: what a batch gets back is what was packed, zero where no record is."""

import pytest
import torch

from dnalib.signals import PackedSignals


@pytest.fixture(params=[1, 3])
def padded(request):
    """Three records on an axis of ten samples, of one or three leads that differ.

    They lie in the middle, on the whole axis, and at its end.
    """
    padded = torch.zeros(3, request.param, 10, dtype=torch.int16)
    lead = 100 * torch.arange(request.param)[:, None]
    padded[0, :, 3:7] = lead + torch.tensor([1, 2, 0, 4])
    padded[1] = lead + torch.arange(11, 21)
    padded[2, :, 9:] = lead - 5
    return padded


@pytest.fixture
def packed(padded):
    starts, lengths = torch.tensor([3, 0, 9]), torch.tensor([4, 10, 1])
    return PackedSignals.pack(padded, starts=starts, lengths=lengths)


def test_padding_is_not_stored_and_comes_back(padded, packed):
    leads = padded.shape[1]
    assert len(packed) == 3 and packed.leads == leads and packed.samples.shape == (leads, 15)
    order = torch.tensor([2, 0, 1, 0])
    assert torch.equal(packed.batch(order), padded[order])
    assert packed.batch(order).dtype == torch.int16
    expected = torch.zeros(2, leads, 10, dtype=torch.bool)
    expected[0, :, 3:7] = True  # a zero in a record is record
    expected[1] = True
    assert torch.equal(packed.valid(torch.tensor([0, 1])), expected)


@pytest.mark.parametrize(("first", "last"), [(0, 10), (3, 7), (5, 6), (0, 2), (8, 10)])
def test_a_window_is_a_part_of_the_axis(padded, packed, first, last):
    records = torch.arange(3)
    window = packed.batch(records, first=first, last=last)
    assert torch.equal(window, padded[..., first:last])
    valid = packed.valid(records, first=first, last=last)
    assert torch.equal(valid, packed.valid(records)[..., first:last])


def test_a_window_may_leave_the_axis(packed):
    window = packed.batch(torch.arange(3), first=-2, last=12)
    assert torch.equal(window[..., 2:-2], packed.batch(torch.arange(3)))
    assert not window[..., :2].any() and not window[..., -2:].any()


def test_a_selection_shares_its_samples(padded, packed):
    chosen = packed.select(torch.tensor([2, 1]))
    assert len(chosen) == 2 and chosen.samples is packed.samples
    assert torch.equal(chosen.batch(torch.tensor([0, 1])), padded[[2, 1]])


def test_without_places_a_record_fills_the_axis(padded):
    packed = PackedSignals.pack(padded.double())
    assert packed.valid(torch.arange(3)).all()
    assert torch.equal(packed.batch(torch.arange(3)), padded.double())


@pytest.mark.parametrize(
    ("starts", "lengths", "found"),
    [
        ([-1, 0, 0], [4, 4, 4], "record 0 has 4 samples from -1 on"),
        ([0, 0, 7], [4, 4, 4], "record 2 has 4 samples from 7 on"),
        ([0, 0, 0], [4, 0, 4], "record 1 has 0 samples from 0 on"),
    ],
)
def test_a_record_that_leaves_the_axis_is_refused(padded, starts, lengths, found):
    with pytest.raises(ValueError, match=f"{found}; accepted is .* within the axis of 10"):
        PackedSignals.pack(padded, starts=torch.tensor(starts), lengths=torch.tensor(lengths))


def test_the_record_with_a_value_that_is_not_finite_is_named(padded):
    places = {"starts": torch.tensor([3, 0, 9]), "lengths": torch.tensor([4, 10, 1])}
    padded = padded.float()
    padded[0, 0, 0] = torch.inf  # on the padding, which is not kept
    PackedSignals.pack(padded, **places).check_finite("signals")
    padded[2, -1, 9] = torch.nan
    packed = PackedSignals.pack(padded, **places)
    with pytest.raises(ValueError, match="signals hold .* in record 2; accepted are finite"):
        packed.check_finite("signals")
    packed.select(torch.tensor([1, 0])).check_finite("signals")
    with pytest.raises(ValueError, match="in record 1; accepted"):
        packed.select(torch.tensor([0, 2])).check_finite("signals")


def test_shapes_that_do_not_fit_are_refused(padded):
    for none in (padded[0, 0], padded[None], padded[:, :0], padded[..., :0]):
        with pytest.raises(ValueError, match="accepted is .record, lead, time., or .record, time."):
            PackedSignals.pack(none)
    with pytest.raises(ValueError, match=r"\(3, 11, 1\), of more leads than samples; accepted is"):
        PackedSignals.pack(torch.zeros(3, 11, 1))
    with pytest.raises(ValueError, match="padded has type torch.complex64; accepted are real"):
        PackedSignals.pack(padded * 1j)
    for records in (torch.tensor(1), torch.tensor([[1]])):
        with pytest.raises(ValueError, match=r"records has shape .*; accepted are positions"):
            PackedSignals.pack(padded).batch(records)
    with pytest.raises(ValueError, match="one a record"):
        PackedSignals.pack(padded, starts=torch.tensor([0]), lengths=torch.tensor([4]))


def test_without_an_axis_of_leads_there_is_one():
    records = torch.arange(6).view(2, 3)
    assert torch.equal(PackedSignals.pack(records).batch(torch.arange(2)), records.unsqueeze(1))


def test_arrays_are_refused_before_they_are_packed(padded):
    with pytest.raises(ValueError, match="^padded is of type ndarray; .* torch.from_numpy"):
        PackedSignals.pack(padded.numpy())
    for name in ("starts", "lengths"):
        with pytest.raises(ValueError, match=f"^{name} is of type list; accepted is a tensor"):
            PackedSignals.pack(padded, **{name: [1, 1, 1]})


@pytest.mark.parametrize("name", ["starts", "lengths"])
@pytest.mark.parametrize("kind", [torch.float32, torch.complex64, torch.bool])
def test_places_that_are_no_whole_numbers_are_refused(padded, name, kind):
    with pytest.raises(ValueError, match=f"^{name} have type {kind}; accepted are whole numbers"):
        PackedSignals.pack(padded, **{name: torch.ones(3).to(kind)})


def test_places_of_narrow_types_do_not_overflow():
    lengths = torch.tensor([200, 200], dtype=torch.uint8)
    packed = PackedSignals.pack(torch.ones(2, 300), starts=lengths // 2, lengths=lengths)
    assert packed.starts.dtype == packed.lengths.dtype == packed.offsets.dtype == torch.int64
    expected = torch.zeros(2, 300)
    expected[:, 100:] = 1
    assert torch.equal(packed.batch(torch.arange(2)).squeeze(1), expected)


def test_a_perturbation_is_added_to_each_record(padded, packed):
    perturbation = torch.zeros(padded.shape)
    perturbation[0, -1, 3:7] = torch.tensor([0.5, -1.0, 2.0, 0.25])
    perturbation[2, 0, 9] = 1.5
    attacked = packed.plus(perturbation)
    assert torch.equal(attacked.batch(torch.arange(3)), padded + perturbation)
    few = packed.select(torch.tensor([2, 0])).plus(perturbation[[2, 0]].half())
    assert torch.equal(few.batch(torch.arange(2)), (padded + perturbation)[[2, 0]])
    assert few.samples.dtype == torch.float32
    with pytest.raises(ValueError, match="^perturbation is of type ndarray; accepted is a tensor"):
        packed.plus(perturbation.numpy())
    leads = padded.shape[1]
    with pytest.raises(ValueError, match=rf"\(2, {leads}, 10\); accepted is \(3, {leads}, 10\)"):
        packed.plus(perturbation[:2])
    perturbation[0, -1, 0] = 1
    with pytest.raises(ValueError, match="not zero on the padding"):
        packed.plus(perturbation)


def test_a_sample_that_is_no_number_stays_in_its_own_record() -> None:
    padded = torch.ones(3, 8)
    padded[1:, :3] = padded[1:, 6:] = 0
    padded[0, 0] = torch.nan  # the first of all samples
    packed = PackedSignals.pack(
        padded, starts=torch.tensor([0, 3, 3]), lengths=torch.tensor([8, 3, 3])
    )
    assert torch.equal(packed.batch(torch.tensor([1, 2])).squeeze(1), padded[1:])
