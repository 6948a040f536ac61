"""Records of any rate in raw units; what refuses them is tested where ensembles predict."""

import numpy as np
import pytest
import wfdb
from wfdb_files import ecg, write

from dnalib.data import raw_units, read_physical


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
