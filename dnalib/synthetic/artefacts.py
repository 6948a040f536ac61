"""What a hand-held recorder adds to the heart's signal, and what its filter takes away.

All signals are in raw units (µV).
"""

from typing import TypedDict

import numpy as np
import scipy  # loads scipy.signal where it is used: that takes a second
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfftfreq

Array = NDArray[np.float64]


class Span(TypedDict):
    """How long a signal is, in samples, and how many it has a second (Hz)."""

    sample_count: int
    rate: float


NOISE_KINDS: tuple[str, ...] = ("motion bursts", "baseline wander", "muscle noise")


def band_noise(rng: Generator, *, sample_count: int, rate: float, low: float, high: float) -> Array:
    """Gaussian noise between two frequencies, of standard deviation about one.

    Args:
        rng: source of the noise.
        sample_count: length of the result.
        rate: samples a second, Hz.
        low, high: band edges in Hz, 0 < low < high <= rate / 2.

    Returns:
        (sample_count,).
    """
    length = next_fast_len(sample_count, real=True)
    frequency = rfftfreq(length, 1 / rate)
    first, last = np.searchsorted(frequency, [low, high])
    count = max(last - first, 1)
    spectrum = np.zeros(frequency.size, dtype=np.complex128)
    real, imaginary = rng.normal(size=(2, count))
    spectrum[first : first + count] = real + 1j * imaginary
    return irfft(spectrum, length)[:sample_count] * length / (2 * np.sqrt(count))


def motion(rng: Generator, *, sample_count: int, rate: float, bursts: int, size: float) -> Array:
    """Bursts of electrode motion: each a few smooth swings, 0.1 to 0.6 s wide.

    Args:
        rng: source of the draws.
        sample_count: length of the result.
        rate: samples a second, Hz.
        bursts: how many, at random times.
        size: median height of a burst, raw units (µV); heights spread by a factor of about 2.

    Returns:
        (sample_count,), raw units (µV).
    """
    total = np.zeros(sample_count)
    for _ in range(bursts):
        start = rng.uniform(0, sample_count)
        height = size * rng.lognormal(0, 0.7)
        sign = rng.choice([-1.0, 1.0])
        for _ in range(rng.integers(1, 6)):
            width = rng.uniform(0.03, 0.18) * rate
            centre = start + rng.uniform(0, 1.2) * rate
            low = max(int(centre - 4 * width), 0)
            index = np.arange(low, min(int(centre + 4 * width), sample_count))
            swing = sign * height * rng.normal(0.5, 0.5)
            total[index] += swing * np.exp(-0.5 * ((index - centre) / width) ** 2)
    return total


def _envelope(rng: Generator, *, sample_count: int, rate: float) -> Array:
    """(time,), in (0, 1): waxes and wanes over seconds."""
    slow = band_noise(rng, sample_count=sample_count, rate=rate, low=0.02, high=0.3)
    return 1 / (1 + np.exp(-3 * slow))


def everyday_artefacts(rng: Generator, *, sample_count: int, rate: float) -> Array:
    """The disturbance that every record has: readable, but not clean.

    Sensor noise, mains hum, slow wander, a little muscle noise, and now and then a motion.

    Args:
        rng: source of the draws.
        sample_count: length of the result.
        rate: samples a second, Hz.

    Returns:
        (sample_count,), raw units (µV).
    """
    seconds = np.arange(sample_count) / rate
    span: Span = {"sample_count": sample_count, "rate": rate}
    mains = rng.choice([50.0, 60.0])
    total = rng.uniform(1, 5) * rng.normal(size=sample_count)
    total += rng.uniform(1, 8) * np.sin(2 * np.pi * (mains * seconds + rng.random()))
    total += rng.lognormal(np.log(90), 0.6) * band_noise(rng, **span, low=0.1, high=0.8)
    muscle = rng.lognormal(np.log(9), 0.6) * band_noise(rng, **span, low=5, high=45)
    total += muscle * _envelope(rng, **span)
    bursts = rng.poisson(1.5 * sample_count / rate / 30)
    return total + motion(rng, **span, bursts=bursts, size=450.0)


def burying_noise(rng: Generator, *, kind: str, sample_count: int, rate: float) -> Array:
    """Noise that buries the beat for most of the record.

    Args:
        rng: source of the draws.
        kind: the one of NOISE_KINDS that dominates; the others are there too, weaker.
        sample_count: length of the result.
        rate: samples a second, Hz.

    Returns:
        (sample_count,), raw units (µV).

    Raises:
        ValueError: the kind is unknown.
    """
    if kind not in NOISE_KINDS:
        raise ValueError(f"noise kind is {kind!r}, expected one of {NOISE_KINDS}")
    span: Span = {"sample_count": sample_count, "rate": rate}
    strength = {name: rng.uniform(0.25, 0.5) for name in NOISE_KINDS}
    strength[kind] = rng.uniform(0.8, 1.5)
    per_second = rng.uniform(0.8, 2.0)
    bursts = 1 + rng.poisson(per_second * sample_count / rate)
    total = strength["motion bursts"] * motion(rng, **span, bursts=bursts, size=800.0)
    wander = band_noise(rng, **span, low=0.3, high=rng.uniform(1.5, 4.0))
    total += strength["baseline wander"] * 600 * wander
    muscle = band_noise(rng, **span, low=8, high=45) * (0.35 + _envelope(rng, **span))
    return total + strength["muscle noise"] * 220 * muscle


def switch_on(rng: Generator, *, sample_count: int, rate: float) -> Array:
    """The recorder's filter settling at the start of a record: a decay over a fraction of a second.

    Args:
        rng: source of the draws.
        sample_count: length of the result.
        rate: samples a second, Hz.

    Returns:
        (sample_count,), raw units (µV).
    """
    seconds = np.arange(sample_count) / rate
    swing = np.cos(2 * np.pi * rng.uniform(0.0, 1.0) * seconds)
    return rng.laplace(0, 140) * np.exp(-seconds / rng.uniform(0.1, 0.5)) * swing


def band_limit(signal: Array, *, rate: float, low: float = 0.5, high: float = 40.0) -> Array:
    """The recorder's pass band, without shifting anything in time.

    Butterworth filters (high-pass of order 1, low-pass of order 5) run forwards and backwards.

    Args:
        signal: (time,).
        rate: samples a second, Hz.
        low, high: edges in Hz, each at half the power of one run; 0 < low < high < rate / 2.

    Returns:
        (time,), in the unit of the input.
    """
    sections = np.concatenate(
        [
            scipy.signal.butter(1, low, "highpass", fs=rate, output="sos"),
            scipy.signal.butter(5, high, "lowpass", fs=rate, output="sos"),
        ]
    )
    return scipy.signal.sosfiltfilt(sections, signal)
