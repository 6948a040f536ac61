"""Records of any rate in raw units; what refuses them is tested where ensembles predict."""

import numpy as np
import pytest
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
