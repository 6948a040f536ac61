"""What the beats look like: the events of every beat, and the fibrillatory waves of the atria.

Heights are in raw units (µV), times in seconds. The events are P, Q, R, S and T of the model's
Table 1; the T wave is two Gaussians, because a real one rises more slowly than it falls.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from dnalib.synthetic.ecgsyn import Events
from dnalib.synthetic.rhythms import Beat, Rhythm

Array = NDArray[np.float64]

P, Q, R, S, T_RISE, T_FALL = range(6)

# Events of Table 1 (module ecgsyn) in seconds and relative to the R wave, T split in two.
_DELAY = np.array([-0.167, -0.042, 0.0, 0.042, 0.235, 0.275])
_HEIGHT = np.array([0.25, -0.17, 1.0, -0.25, 0.24, 0.24])
_WIDTH = np.array([0.040, 0.016, 0.016, 0.016, 0.060, 0.034])


def _normal_beat(rng: Generator) -> tuple[Array, Array, Array]:
    """One person's delay, height (R = 1) and width of the six events at 60 beats a minute."""
    delay, height, width = _DELAY.copy(), _HEIGHT.copy(), _WIDTH.copy()
    height[P] *= rng.uniform(0.3, 0.75)
    height[Q] *= rng.uniform(0.0, 1.0)
    height[S] *= rng.uniform(0.0, 1.6)
    # T waves are flat or turned over in some people.
    height[[T_RISE, T_FALL]] *= rng.uniform(0.3, 1.1) * (-0.4 if rng.random() < 0.07 else 1.0)
    width[P] *= rng.uniform(0.5, 0.8)
    width[[Q, R, S]] *= rng.uniform(0.55, 0.95)
    delay[P] *= rng.uniform(0.8, 1.1)  # PR interval
    delay[[Q, S]] *= width[R] / _WIDTH[R] * rng.uniform(0.8, 1.1, 2)
    delay[[T_RISE, T_FALL]] *= rng.uniform(1.0, 1.2)  # QT interval
    return delay, height, width


def _make_ventricular(
    rng: Generator, *, delay: Array, height: Array, width: Array, rows: NDArray[np.bool_]
) -> None:
    """Turn `rows` of the (beat, event) arrays into ventricular beats of one focus, in place.

    No P wave; a QRS of 120 to 200 ms, spread through muscle rather than the conduction system;
    a T wave that points away from it.
    """
    sign = 1.0 if rng.random() < 0.5 else -1.0
    wide = rng.uniform(0.024, 0.038)
    tall = sign * rng.uniform(0.9, 1.6)
    height[rows, P] = 0.0
    height[rows, Q] = -tall * rng.uniform(0.0, 0.2)
    height[rows, R] = tall
    height[rows, S] = -tall * rng.uniform(0.15, 0.6)
    height[rows, T_RISE] = height[rows, T_FALL] = -tall * rng.uniform(0.15, 0.3)
    width[rows, Q:T_RISE] = wide
    width[rows, T_RISE:] *= 1.2
    delay[rows, Q] = -2.2 * wide
    delay[rows, S] = rng.uniform(2.2, 2.8) * wide
    delay[rows, T_RISE:] += 0.04


def _make_atrial(rng: Generator, *, delay: Array, height: Array, rows: NDArray[np.bool_]) -> None:
    """Give `rows` of the (beat, event) arrays the P wave of another place in the atria."""
    height[rows, P] *= rng.uniform(0.4, 1.2) * (-1.0 if rng.random() < 0.4 else 1.0)
    delay[rows, P] *= rng.uniform(0.7, 0.9)


def draw_events(rng: Generator, *, rhythm: Rhythm, amplitude: float, breathing: float) -> Events:
    """The events of every beat of a rhythm, for one randomly drawn person.

    Args:
        rng: source of the draws.
        rhythm: its beats, and the RR intervals that set the QT interval.
        amplitude: mean R height of ordinary beats, raw units (µV), > 0.
        breathing: breathing frequency in Hz; it modulates the height of the beats.

    Returns:
        Events of shape (beat, 6), heights in raw units (µV).
    """
    rows = (rhythm.beats.size, 1)
    delay, height, width = (np.tile(values, rows) for values in _normal_beat(rng))
    # Repolarisation follows the heart rate with a memory of many beats; the square root is
    # Bazett's rule, and the model authors' own correction (ECGSYN's hrfact).
    rr = 0.75 * np.diff(rhythm.r_times).mean() + 0.25 * rhythm.rr_before
    stretch = np.sqrt(rr)[:, None]  # (beat, 1)
    delay[:, T_RISE:] *= stretch
    width[:, T_RISE:] *= stretch
    delay[:, P] *= np.sqrt(stretch[:, 0])

    height[rhythm.beats == Beat.FIBRILLATION, P] = 0.0
    ventricular = rhythm.beats == Beat.VENTRICULAR
    if ventricular.any():
        _make_ventricular(rng, delay=delay, height=height, width=width, rows=ventricular)
    atrial = rhythm.beats == Beat.ATRIAL
    if atrial.any():
        _make_atrial(rng, delay=delay, height=height, rows=atrial)

    phase = 2 * np.pi * (breathing * rhythm.r_times + rng.random())
    height *= 1 + rng.uniform(0.01, 0.10) * np.sin(phase)[:, None]
    height *= 1 + rng.normal(0, 0.03, height.shape)
    return Events(delay=delay, height=amplitude * height, width=width)


def fibrillatory_waves(
    rng: Generator, *, sample_count: int, rate: float, amplitude: float
) -> Array:
    """The atria's own activity in fibrillation: a saw-tooth whose frequency and size drift.

    The frequency is 4.6 to 8.4 Hz on average and stays between 4 and 9 Hz.

    Args:
        rng: source of the draws.
        sample_count: length of the result.
        rate: samples a second, Hz.
        amplitude: of the fundamental, raw units (µV).

    Returns:
        (sample_count,), raw units (µV).

    Source: Stridh and Sörnmo, "Spatiotemporal QRST cancellation techniques for analysis of
    atrial fibrillation", IEEE Transactions on Biomedical Engineering 48(1):105-111, 2001
    (their simulated waves: a sinusoid with harmonics, modulated in frequency and amplitude).
    The ranges of frequency, size and drift are ours.
    """
    seconds = np.arange(sample_count) / rate

    def drift(slowest: float, fastest: float) -> Array:  # (time,), in [-1, 1]
        speed, phase = rng.uniform(slowest, fastest, 2), rng.uniform(0, 2 * np.pi, 2)
        return np.sin(2 * np.pi * speed[:, None] * seconds + phase[:, None]).mean(axis=0)

    centre = rng.uniform(4.6, 8.4)
    frequency = np.clip(centre + rng.uniform(0.3, 0.8) * drift(0.03, 0.3), 4.0, 9.0)
    phase = 2 * np.pi * np.cumsum(frequency) / rate + rng.uniform(0, 2 * np.pi)
    size = amplitude * (1 + rng.uniform(0.2, 0.5) * drift(0.05, 0.4))
    harmonics = sum(np.sin(k * phase) / k**1.5 for k in (1, 2, 3))
    return size * harmonics
