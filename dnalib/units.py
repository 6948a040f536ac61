"""What the numbers of CinC 2017 mean: a stored integer of 1 is 1/1000 mV = 1 µV, at 300 Hz."""

RATE = 300  # samples a second, Hz
GAIN = 1000.0  # raw units a mV
