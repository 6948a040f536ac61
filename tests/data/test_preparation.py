from __future__ import annotations

import numpy as np
import pytest

from dnalib.data import DataError, Records, prepare, prepare_signal


def records_of(*signals: np.ndarray) -> Records:
    return Records(
        names=tuple(f"A{index}" for index in range(len(signals))),
        samples=np.concatenate(signals).astype(np.int16),
        lengths=np.array([len(signal) for signal in signals]),
        labels=np.arange(len(signals)) % 4,
        digest="",
    )


def noise(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-5000, 5000, length).astype(np.int16)


def test_padding_is_half_on_the_left_and_samples_stay_as_they_are() -> None:
    signals = [noise(n, n) for n in (7, 8, 1, 10, 13)]
    prepared = prepare(records_of(*signals), length=10)
    assert prepared.signals.dtype == np.int16 and prepared.signals.shape == (5, 10)
    assert prepared.starts.tolist() == [1, 1, 4, 0, 0]  # (10 - n) // 2
    assert prepared.lengths.tolist() == [7, 8, 1, 10, 10]
    assert prepared.rate == 300.0 and len(prepared) == 5
    for row, signal, start in zip(prepared.signals, signals, prepared.starts, strict=True):
        expected = np.zeros(10, np.int16)
        expected[start : start + len(signal)] = signal[:10]
        np.testing.assert_array_equal(row, expected)


def test_the_default_length_is_the_papers() -> None:
    prepared = prepare(records_of(noise(9001)))
    assert prepared.signals.shape == (1, 18_000)
    assert prepared.starts.tolist() == [4499]


def test_the_middle_cut_keeps_the_middle() -> None:
    signals = [noise(13), noise(12), noise(4)]
    prepared = prepare(records_of(*signals), length=6, cut="middle")
    np.testing.assert_array_equal(prepared.signals[0], signals[0][3:9])
    np.testing.assert_array_equal(prepared.signals[1], signals[1][3:9])
    np.testing.assert_array_equal(prepared.signals[2], [0, *signals[2], 0])


def test_the_mask_marks_the_records() -> None:
    # Never zero, so that the mask can be compared with the signals.
    prepared = prepare(records_of(*(np.full(n, 9) for n in (3, 4, 9))), length=6)
    mask = prepared.valid_mask(np.array([2, 0]))
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, prepared.signals[[2, 0]] != 0)


def tone(frequency: float, length: int, amplitude: float = 2000.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(length) / 300 + 0.3)


@pytest.mark.parametrize("rate", [150, 100, 60])
def test_decimation_passes_slow_tones_in_phase_and_stops_fast_ones(rate: int) -> None:
    factor = 300 // rate
    inside = slice(20, -20)
    for signal in (np.rint(tone(5, 3000)).astype(np.int16), tone(5, 3000).astype(np.float32)):
        slow, start, count = prepare_signal(
            signal, length=3000 // factor, rate=rate, cut="start", source_rate=300
        )
        assert (start, count) == (0, 3000 // factor)
        assert np.abs(slow - tone(5, 3000)[::factor])[inside].max() < 10  # of 2,000
    fast, _, _ = prepare_signal(
        tone(0.8 * rate, 3000), length=3000 // factor, rate=rate, cut="start", source_rate=300
    )
    assert np.abs(fast[inside]).max() < 10


@pytest.mark.parametrize("kind", [np.int16, np.float32])
@pytest.mark.parametrize(("length", "cut"), [(300, "start"), (300, "middle"), (1200, "start")])
def test_leads_are_prepared_like_one_each(kind: type, length: int, cut: str) -> None:
    leads = np.stack([noise(1500, seed) for seed in (1, 2, 3)]).astype(kind)  # (lead, time)
    found, start, count = prepare_signal(leads, length=length, rate=150, cut=cut, source_rate=300)
    assert found.shape == (3, length) and found.dtype == kind
    for row, lead in zip(found, leads, strict=True):
        alone, *place = prepare_signal(lead, length=length, rate=150, cut=cut, source_rate=300)
        assert place == [start, count]
        np.testing.assert_array_equal(row, alone)


def test_decimated_lengths_and_ends() -> None:
    for length, expected in ((3000, 1000), (3001, 1001), (3002, 1001), (3003, 1001), (1, 1)):
        flat = np.full(length, 1234, np.int16)
        prepared = prepare(records_of(flat), length=2000, rate=100)
        assert prepared.lengths.tolist() == [expected]
        assert prepared.starts.tolist() == [(2000 - expected) // 2]
        # A constant record stays constant up to its ends: nothing leaks in from outside.
        kept = prepared.signals[0][prepared.valid_mask(np.array([0]))[0]]
        assert set(kept.tolist()) == {1234}


def test_cutting_follows_decimation() -> None:
    signal = noise(3000)
    whole = prepare_signal(signal, length=1000, rate=100, cut="start", source_rate=300)[0]
    middle, start, count = prepare_signal(
        signal, length=300, rate=100, cut="middle", source_rate=300
    )
    np.testing.assert_array_equal(middle, whole[350:650])
    assert (start, count) == (0, 300)


def test_overshoot_is_limited_rather_than_wrapped() -> None:
    square = np.where(np.arange(3000) // 300 % 2, 32767, -32767).astype(np.int16)
    decimated = prepare_signal(square, length=1000, rate=100, cut="start", source_rate=300)[0]
    as_float = prepare_signal(
        square.astype(float), length=1000, rate=100, cut="start", source_rate=300
    )[0]
    assert np.abs(as_float).max() > 32768  # the filter does overshoot
    np.testing.assert_array_equal(decimated, np.clip(np.rint(as_float), -32767, 32767))


def test_types_of_a_users_own_signal() -> None:
    for kind, expected in ((np.int64, np.int16), (np.uint8, np.int16), (np.float64, np.float32)):
        padded, start, count = prepare_signal(
            np.arange(5).astype(kind), length=7, rate=300, cut="start", source_rate=300
        )
        assert padded.dtype == expected and (start, count) == (1, 5)
        assert padded.tolist() == [0, 0, 1, 2, 3, 4, 0]
    for kind in (np.int16, np.int32, np.int64, np.float16, np.float64):  # all that int16 holds
        lowest = prepare_signal(
            np.array([-32768], kind), length=1, rate=300, cut="start", source_rate=300
        )[0]
        assert lowest.tolist() == [-32768]
    other_rate = prepare_signal(np.zeros(500), length=250, rate=250, cut="start", source_rate=500)
    assert other_rate[2] == 250


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        ([0.0, np.nan], "sample 1 is nan"),
        ([np.inf, 0.0], "sample 0 is inf"),
        ([0.0, 1e39], "sample 1 is 1e"),
        (np.array([0.0, np.inf], np.float16), "sample 1 is inf"),
        (np.array([-np.inf, 0.0], np.float16), "sample 0 is -inf"),
        ([0, 40_000], "sample 1 is 40000; accepted: finite, from -32768 to 32767"),
        ([0, -32_769], "sample 1 is -32769"),
        ([], "at least one sample"),
        (
            [[1.0], [2.0]],
            r"shape \(2, 1\), of more leads than samples; accepted: \(lead, time\), as",
        ),
        ([[[1.0]]], r"shape \(1, 1, 1\) and type float64; accepted: \(time,\) or \(lead, time\)"),
        ([[0.0, 1.0], [0.0, np.nan]], "sample 1 of lead 1 is nan"),
        (["a"], "integers or floats"),
        ([1j], "integers or floats"),
    ],
)
def test_bad_signals(signal: list | np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=words):
        prepare_signal(np.array(signal), length=10, rate=300, cut="start", source_rate=300)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"length": 0}, "length is 0; accepted are whole numbers from 1"),
        ({"length": 50.0}, "length is 50.0; accepted are whole numbers from 1"),
        ({"rate": None}, "rate is None Hz; accepted: a whole part of source_rate, 300 Hz"),
        ({"rate": 200}, "rate is 200 Hz; accepted: a whole part of source_rate, 300 Hz"),
        ({"rate": 600}, "rate is 600"),
        ({"rate": 0}, "rate is 0"),
        ({"cut": "end"}, "cut is 'end'; accepted: start, middle"),
    ],
)
def test_bad_options(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        prepare(records_of(noise(50)), **options)


@pytest.mark.parametrize("rate", [0, -300, np.nan, "300", None])
def test_the_rate_that_a_signal_has_is_above_zero(rate: object) -> None:
    with pytest.raises(ValueError, match="^source_rate is .* Hz; accepted: a number above 0"):
        prepare_signal(noise(50), length=50, rate=300, cut="start", source_rate=rate)


@pytest.mark.real
def test_the_real_records(real_records: Records) -> None:
    prepared = prepare(real_records)
    assert prepared.signals.shape == (8528, 18_000)
    assert (real_records.lengths > 18_000).sum() == 39
    np.testing.assert_array_equal(prepared.lengths, np.minimum(real_records.lengths, 18_000))
    outside = prepared.signals[~prepared.valid_mask(np.arange(8528))]
    assert not outside.any()
    index = int(np.flatnonzero(real_records.lengths == 2714)[0])
    start = (18_000 - 2714) // 2
    np.testing.assert_array_equal(
        prepared.signals[index, start : start + 2714], real_records.signal(index)
    )


def test_a_rate_may_be_a_whole_float_as_prepared_records_have_it() -> None:
    signal = np.arange(900, dtype=np.int16)
    options = {"length": 300, "cut": "start"}
    expected = prepare_signal(signal, rate=100, **options, source_rate=300)
    found = prepare_signal(signal, rate=100.0, source_rate=300.0, **options)
    np.testing.assert_array_equal(found[0], expected[0])
    with pytest.raises(ValueError, match="rate is 99.5 Hz"):
        prepare_signal(signal, rate=99.5, **options, source_rate=300)


def test_the_first_sample_that_is_wrong_is_named() -> None:
    leads = np.array([[0, np.nan, 0], [np.nan, 0, 0.0]])
    with pytest.raises(DataError, match="sample 1 of lead 0 is nan"):
        prepare_signal(leads, length=3, rate=300, cut="start", source_rate=300)
