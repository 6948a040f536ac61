"""WFDB records of made-up signals, as other recorders than the data set's write them."""

import numpy as np
import wfdb


def ecg(seconds, rate):
    """A slow wave of some 300 µV around an offset, in mV."""
    time = np.arange(round(seconds * rate)) / rate  # (time,), s
    return 0.2 + 0.3 * np.sin(2 * np.pi * 1.2 * time) + 0.1 * np.sin(2 * np.pi * 7 * time)


def write(folder, name, leads, *, rate=300, units="mV", gain=1000.0):
    leads = np.atleast_2d(leads).T  # (time, lead)
    wfdb.wrsamp(
        name,
        fs=rate,
        units=[units] * leads.shape[1],
        sig_name=[f"lead{index}" for index in range(leads.shape[1])],
        p_signal=leads,
        fmt=["16"] * leads.shape[1],
        adc_gain=[gain] * leads.shape[1],
        baseline=[0] * leads.shape[1],
        write_dir=str(folder),
    )
    return folder / name
