"""What the numbers of CinC 2017 mean: a stored integer of 1 is 1/1000 mV = 1 µV, at 300 Hz."""

from typing import Any

from dnalib.array_arguments import is_number

RATE = 300  # samples a second, Hz
GAIN = 1000.0  # raw units a mV


def check_gain(gain: Any) -> None:
    """Raise a ValueError unless something is a number of raw units a mV."""
    if not is_number(gain) or not gain > 0:
        raise ValueError(f"gain is {gain!r}; accepted are values above 0, in raw units a mV")
