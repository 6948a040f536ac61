"""Records of any rate in raw units; what refuses them is tested where ensembles predict."""

import numpy as np
import pytest
import wfdb
from wfdb_files import ecg, write

from dnalib.data import DataError, raw_units, read_physical


@pytest.mark.parametrize("rate", [250, 360, 500, 1000, 128])
def test_records_of_other_rates_are_resampled(tmp_path, rate):
    path = write(tmp_path, "r", ecg(10, rate), rate=rate, gain=20_000.0)
    signal = raw_units(read_physical(path), lead=0)
    expected = 1000 * ecg(10, 300)  # µV
    assert signal.dtype == np.float32
    assert len(signal) == pytest.approx(3000, abs=1)
    shared = min(len(signal), 3000)
    difference = np.abs(signal[:shared] - expected[:shared])
    assert difference[100:-100].max() < 2
    # The offset does not fade at the ends, as it does where zeros are put around the record.
    assert difference[[0, 1, -2, -1]].max() < 30


@pytest.mark.parametrize("rate", [96_000, 100_000, np.float32(44_100)])
def test_fast_records_last_as_long_at_300_hz(rate: float) -> None:
    signal = ecg(2, int(rate))
    record = wfdb.Record(p_signal=signal[:, None], fs=rate, units=["mV"], sig_name=["II"])
    found = raw_units(record, lead=0)
    assert found.shape == (600,)
    assert np.abs(found - 1000 * ecg(2, 300))[50:-50].max() < 2


def three_leads(rate: float = 500) -> wfdb.Record:
    """Leads I, II and III of four seconds, II in µV and the others in mV."""
    signal = ecg(4, int(rate))
    leads = np.stack([signal, 1000 * (signal + 1), -signal], axis=1)
    return wfdb.Record(
        p_signal=leads, fs=rate, units=["mV", "uV", "mV"], sig_name=["I", "II", "III"]
    )


@pytest.mark.parametrize("rate", [300, 500, 125])
def test_several_leads_are_each_what_it_is_alone(rate: int) -> None:
    record = three_leads()
    found = raw_units(record, lead=["III", 1], rate=rate)
    assert found.shape == (2, 4 * rate) and found.dtype == np.float32
    for row, name in zip(found, ("III", "II"), strict=True):
        alone = raw_units(record, lead=name, rate=rate)
        assert alone.shape == (4 * rate,) and np.array_equal(row, alone)
    expected = 1000 * ecg(4, rate)  # µV
    inside = slice(rate // 2, -rate // 2)
    assert np.abs(-found[0] - expected)[inside].max() < 3
    assert np.abs(found[1] - 1000 - expected)[inside].max() < 3


@pytest.mark.parametrize(
    ("lead", "message"),
    [
        ([], "lead is empty; accepted are 0 to 2, or the names I, II, III, or a sequence of them"),
        ([True, False, True], "lead is True; accepted are 0 to 2"),
        (np.array([True, True]), "lead is np.True_; accepted are 0 to 2"),
        (["I", "III", 0], "lead has 0 twice; accepted are 0 to 2"),
        (["I", "V1"], "lead is 'V1'; accepted are 0 to 2, or the names I, II, III"),
        ([0, 3], "lead is 3; accepted are 0 to 2"),
        ([[0]], r"lead is \[0\]; accepted are 0 to 2"),
    ],
)
def test_leads_that_a_record_lacks_are_named(lead: list, message: str) -> None:
    with pytest.raises(DataError, match=f"the record: {message}"):
        raw_units(three_leads(), lead=lead)


def test_leads_may_stand_in_an_array() -> None:
    expected = raw_units(three_leads(), lead=["III", "I"])
    for lead in (np.array(["III", "I"]), np.array([2, 0]), ("III", 0)):
        assert np.array_equal(raw_units(three_leads(), lead=lead), expected)


def test_a_name_of_several_leads_says_nothing() -> None:
    record = three_leads()
    record.sig_name = ["ECG", "ECG", "III"]
    with pytest.raises(DataError, match="lead is 'ECG', a name that 2 leads have; accepted are"):
        raw_units(record, lead=["ECG", "III"])
    assert raw_units(record, lead=[1, "III"]).shape == (2, 1200)


def test_what_is_wrong_in_a_lead_is_said_of_it() -> None:
    record = three_leads()
    record.p_signal[70, 2] = np.nan
    assert raw_units(record, lead=["I", "II"]).shape == (2, 1200)
    with pytest.raises(DataError, match="sample 70 of lead 2 is nan; accepted are finite"):
        raw_units(record, lead=["I", "III"])
    turned = three_leads()
    turned.p_signal = turned.p_signal[:2]
    with pytest.raises(DataError, match=r"shape \(2, 3\), of more leads than samples; accepted is"):
        raw_units(turned, lead=0)


@pytest.mark.parametrize("rate", [0, -500, np.nan, np.inf, "500", None, 1e9, True])
def test_a_rate_to_be_brought_to_is_one(rate: object) -> None:
    with pytest.raises(ValueError, match="^rate is .*; accepted is a rate above 0 Hz, 100000 Hz"):
        raw_units(three_leads(), lead=0, rate=rate)


def test_a_rate_that_resampling_would_miss_is_refused() -> None:
    with pytest.raises(DataError, match="fs is 50000 Hz, which is too far from the 10 Hz"):
        raw_units(three_leads(50_000), lead=0, rate=10)
    assert raw_units(three_leads(10_000), lead=0, rate=np.float32(10)).shape == (40,)
    with pytest.raises(DataError, match="too far from the 30 Hz"):  # from the other side
        raw_units(three_leads(50_000), lead=0, rate=30)


def test_leads_that_are_not_asked_for_may_be_of_anything() -> None:
    pressure = np.zeros((600, 2))
    record = wfdb.Record(p_signal=pressure, fs=300, units=["mV", "mmHg"], sig_name=["I", "ABP"])
    assert raw_units(record, lead=["I"]).shape == (1, 600)
