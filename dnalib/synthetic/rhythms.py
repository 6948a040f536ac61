"""When the heart beats: RR intervals and kinds of beat for each programmed rhythm."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[np.float64]

_TACHOGRAM_RATE = 4.0  # Hz; the RR spectrum ends far below its Nyquist frequency


class Beat(IntEnum):
    """Where a beat starts, which decides its waves."""

    SINUS = 0  # P wave, narrow QRS
    FIBRILLATION = 1  # no P wave, narrow QRS
    VENTRICULAR = 2  # premature: no P wave, wide QRS, T against it
    ATRIAL = 3  # premature: a P wave of another shape, narrow QRS


@dataclass(frozen=True)
class Rhythm:
    """The programmed beats of one record.

    Attributes:
        name: the rhythm in words.
        r_times: (beat,), seconds, ascending, from 0 to beyond the asked duration.
        beats: (beat,), values of Beat.
    """

    name: str
    r_times: Array
    beats: NDArray[np.int64]

    @property
    def rr_before(self) -> Array:
        """(beat,), the RR interval in seconds that ends at each beat (the first: its next)."""
        rr = np.diff(self.r_times)
        return np.concatenate([rr[:1], rr])


def tachogram(
    rng: Generator, *, duration: float, mean: float, deviation: float, low_to_high: float = 0.5
) -> Array:
    """RR intervals over time, with the two peaks of heart-rate variability in their spectrum.

    Args:
        rng: source of the random phases.
        duration: seconds to cover, > 0.
        mean, deviation: of the RR interval, in seconds.
        low_to_high: power at 0.1 Hz (blood-pressure waves) over power at 0.25 Hz (breathing).

    Returns:
        (time,), seconds, four values a second.

    Source: McSharry et al. 2003, the RR process (two Gaussian peaks of standard deviation
    0.01 Hz in the power spectrum; an inverse Fourier transform with random phases).
    """
    # At least two minutes, so that the frequency grid resolves peaks 0.01 Hz wide.
    count = int(np.ceil(max(duration, 120.0) * _TACHOGRAM_RATE))
    frequency = np.fft.rfftfreq(count, 1 / _TACHOGRAM_RATE)
    power = low_to_high * np.exp(-0.5 * ((frequency - 0.1) / 0.01) ** 2)
    power += np.exp(-0.5 * ((frequency - 0.25) / 0.01) ** 2)
    phase = rng.uniform(0, 2 * np.pi, frequency.size)
    series = np.fft.irfft(np.sqrt(power) * np.exp(1j * phase), count)
    return mean + deviation * (series - series.mean()) / series.std()


def _sinus_intervals(rng: Generator, *, duration: float, rate: float) -> Array:
    """(beat - 1,), RR intervals of sinus rhythm at `rate` beats a minute, covering `duration`."""
    mean = 60 / rate
    # Variability shrinks with the interval: 1.5 to 5 % of it.
    series = tachogram(
        rng, duration=duration + 2 * mean, mean=mean, deviation=mean * rng.uniform(0.015, 0.05)
    )
    intervals, now = [], 0.0
    while now < duration:
        intervals.append(series[int(now * _TACHOGRAM_RATE)])
        now += intervals[-1]
    return np.array(intervals)


def _rhythm(name: str, rr: Array, beats: NDArray[np.int64]) -> Rhythm:
    return Rhythm(name=name, r_times=np.concatenate([[0.0], np.cumsum(rr)]), beats=beats)


def _plain(rng: Generator, *, name: str, duration: float, rate: float) -> Rhythm:
    rr = _sinus_intervals(rng, duration=duration, rate=rate)
    return _rhythm(name, rr, np.full(rr.size + 1, Beat.SINUS))


def sinus_rhythm(rng: Generator, duration: float) -> Rhythm:
    """Sinus rhythm at 54 to 98 beats a minute, for `duration` seconds."""
    return _plain(rng, name="sinus rhythm", duration=duration, rate=rng.uniform(54, 98))


def bradycardia(rng: Generator, duration: float) -> Rhythm:
    """Sinus rhythm at 36 to 48 beats a minute, for `duration` seconds."""
    return _plain(rng, name="sinus bradycardia", duration=duration, rate=rng.uniform(36, 48))


def tachycardia(rng: Generator, duration: float) -> Rhythm:
    """Sinus rhythm at 106 to 150 beats a minute, for `duration` seconds."""
    return _plain(rng, name="sinus tachycardia", duration=duration, rate=rng.uniform(106, 150))


def atrial_fibrillation(rng: Generator, duration: float) -> Rhythm:
    """Irregular, uncorrelated RR intervals, as the atrioventricular node passes them on.

    An interval is a refractory time, after which impulses get through at random: a shifted
    gamma distribution. Its mean is 55 to 140 beats a minute and its deviation 19 to 30 % of it.
    """
    mean = 60 / rng.uniform(55, 140)
    deviation = mean * rng.uniform(0.19, 0.30)
    refractory = max(0.27, 0.5 * mean)
    spread = mean - refractory
    shape = (spread / deviation) ** 2
    count = int(np.ceil(1.5 * duration / refractory)) + 2
    rr = refractory + rng.gamma(shape, spread / shape, count)
    rr = rr[: np.searchsorted(np.cumsum(rr), duration) + 1]
    return _rhythm("atrial fibrillation", rr, np.full(rr.size + 1, Beat.FIBRILLATION))


def _premature(rng: Generator, *, rr: Array, index: NDArray[np.int64], kind: Beat) -> Array:
    """RR intervals in which the beats after intervals `index` come early.

    After a ventricular beat the sinus node keeps its time, so the pause is fully compensatory:
    the two intervals add up to two ordinary ones. An atrial beat resets the sinus node, so the
    next interval is an ordinary one, a little longer.
    """
    early = rr.copy()
    if kind is Beat.VENTRICULAR:
        # One focus: nearly the same coupling interval every time.
        coupling = rng.uniform(0.52, 0.68) + rng.normal(0, 0.01, index.size)
        early[index + 1] = rr[index] + rr[index + 1] - coupling * rr[index]
    else:
        coupling = rng.uniform(0.58, 0.75) + rng.normal(0, 0.03, index.size)
        early[index + 1] = rr[index + 1] * rng.uniform(1.0, 1.12, index.size)
    early[index] = coupling * rr[index]
    return early


def _with_premature(
    rng: Generator, *, name: str, duration: float, kind: Beat, every: tuple[int, int]
) -> Rhythm:
    """Sinus rhythm in which one beat comes early after `every` (from, to) beats."""
    # Premature beats in a fast rhythm would fall into the T wave before them.
    rr = _sinus_intervals(rng, duration=1.25 * duration, rate=rng.uniform(54, 92))
    gaps = rng.integers(every[0], every[1] + 1, rr.size)
    index = np.cumsum(gaps) - rng.integers(0, 2)
    index = index[index < rr.size - 1]
    beats = np.full(rr.size + 1, Beat.SINUS)
    beats[index + 1] = kind
    return _rhythm(name, _premature(rng, rr=rr, index=index, kind=kind), beats)


def ventricular_premature_beats(rng: Generator, duration: float) -> Rhythm:
    """Sinus rhythm with a ventricular premature beat after every 3 to 7 beats."""
    return _with_premature(
        rng,
        name="ventricular premature beats",
        duration=duration,
        kind=Beat.VENTRICULAR,
        every=(3, 7),
    )


def atrial_premature_beats(rng: Generator, duration: float) -> Rhythm:
    """Sinus rhythm with an atrial premature beat after every 3 to 6 beats."""
    return _with_premature(
        rng, name="atrial premature beats", duration=duration, kind=Beat.ATRIAL, every=(3, 6)
    )


def bigeminy(rng: Generator, duration: float) -> Rhythm:
    """Every second beat is a ventricular premature one."""
    return _with_premature(
        rng, name="bigeminy", duration=duration, kind=Beat.VENTRICULAR, every=(2, 2)
    )


# The rhythms that a label can have, all equally likely. The beats under noise are sinus rhythm.
RHYTHMS: dict[str, tuple[Callable[[Generator, float], Rhythm], ...]] = {
    "N": (sinus_rhythm,),
    "A": (atrial_fibrillation,),
    "O": (ventricular_premature_beats, atrial_premature_beats, bigeminy, bradycardia, tachycardia),
    "~": (sinus_rhythm,),
}
