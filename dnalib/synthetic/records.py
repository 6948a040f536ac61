"""Whole synthetic records: class, rhythm, waves, artefacts, filter, whole raw units."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator, SeedSequence
from numpy.typing import NDArray

from dnalib.synthetic.artefacts import (
    NOISE_KINDS,
    Span,
    band_limit,
    burying_noise,
    everyday_artefacts,
    switch_on,
)
from dnalib.synthetic.ecgsyn import solve
from dnalib.synthetic.rhythms import RHYTHMS
from dnalib.synthetic.waves import draw_events, fibrillatory_waves

RATE = 300.0  # samples a second, Hz: the real recorder's
SHARES: dict[str, float] = {"N": 0.50, "A": 0.17, "O": 0.25, "~": 0.08}
SATURATION = 8000  # raw units (µV); real samples lie between -10,636 and 8,318

_MARGIN = 2.0  # seconds made at either end and cut off, so that no filter edge is seen


@dataclass(frozen=True)
class SyntheticRecord:
    """One synthetic ECG and what was programmed into it.

    Attributes:
        name: "S00001" and so on.
        samples: (time,), int16, raw units (µV), 300 Hz.
        label: "N" sinus rhythm, "A" atrial fibrillation, "O" other rhythm, "~" noise.
        rhythm: the rhythm in words; under noise, what buries it.
        mean_rate: programmed beats a minute between the first and the last R peak.
        r_peaks: (beat,), int64, sample indices of the programmed R peaks.
    """

    name: str
    samples: NDArray[np.int16]
    label: str
    rhythm: str
    mean_rate: float
    r_peaks: NDArray[np.int64]


def label_sequence(count: int) -> list[str]:
    """Labels in the proportions of SHARES, evenly interleaved.

    Each place goes to the class that is furthest behind its share, so the sequence for a smaller
    count is the beginning of the one for a larger count, and every class is among the first 20.
    """
    given = dict.fromkeys(SHARES, 0)
    labels = []
    for place in range(1, count + 1):
        label = max(SHARES, key=lambda name: SHARES[name] * place - given[name])
        given[label] += 1
        labels.append(label)
    return labels


def _draw_length(rng: Generator) -> int:
    """Samples of a record, whatever its class.

    The real lengths in four strokes: 70 % are 30 s, 10 % are 60 s (9,000 and 18,000 samples),
    11 % anything shorter and 9 % anything longer than 30 s, between the real extremes.
    """
    kind = rng.random()
    if kind < 0.70:
        return 9_000
    if kind < 0.80:
        return 18_000
    if kind < 0.91:
        return int(rng.integers(2_714, 9_000))
    return int(rng.integers(9_001, 18_287))


def _draw_amplitude(rng: Generator, *, label: str) -> float:
    """Mean R height in raw units (µV); under noise it is small, for bad contact loses beats too."""
    if label == "~":
        return rng.uniform(150, 350)
    return float(np.clip(rng.lognormal(np.log(850), 0.40), 300, 2500))


def make_record(rng: Generator, *, name: str, label: str) -> SyntheticRecord:
    """One record of a class; every draw comes from `rng`.

    Args:
        rng: source of every draw.
        name: the record's name.
        label: one of "N", "A", "O", "~".

    Raises:
        ValueError: the label is unknown.
    """
    if label not in SHARES:
        raise ValueError(f"label of {name} is {label!r}, expected one of {tuple(SHARES)}")
    length, margin = _draw_length(rng), round(_MARGIN * RATE)
    span: Span = {"sample_count": length + 2 * margin, "rate": RATE}
    choices = RHYTHMS[label]
    rhythm = choices[rng.integers(len(choices))](rng, span["sample_count"] / RATE)
    words, breathing = rhythm.name, rng.uniform(0.18, 0.33)
    amplitude = _draw_amplitude(rng, label=label)

    events = draw_events(rng, rhythm=rhythm, amplitude=amplitude, breathing=breathing)
    seconds = np.arange(span["sample_count"]) / RATE
    respiration = 150 * rng.uniform(0.1, 1.0) * np.sin(2 * np.pi * breathing * seconds)
    signal = solve(r_times=rhythm.r_times, events=events, baseline=respiration, rate=RATE)
    if label == "A":
        size = float(np.clip(rng.lognormal(np.log(34), 0.45), 15, 100))
        signal += fibrillatory_waves(rng, **span, amplitude=size)
    if rng.random() < 0.17:
        signal = -signal  # the device held the other way round
    signal += everyday_artefacts(rng, **span)
    if label == "~":
        kind = NOISE_KINDS[rng.integers(len(NOISE_KINDS))]
        words = f"{rhythm.name} under {kind}"
        signal += burying_noise(rng, **span, kind=kind)

    signal = band_limit(signal, rate=RATE)[margin:-margin]
    signal = signal + switch_on(rng, sample_count=length, rate=RATE)
    samples = np.rint(np.clip(signal, -SATURATION, SATURATION)).astype(np.int16)
    r_peaks = np.rint(rhythm.r_times * RATE).astype(np.int64) - margin
    r_peaks = r_peaks[(r_peaks >= 0) & (r_peaks < length)]
    mean_rate = 60 * RATE * (r_peaks.size - 1) / (r_peaks[-1] - r_peaks[0])
    return SyntheticRecord(
        name=name,
        samples=samples,
        label=label,
        rhythm=words,
        mean_rate=float(mean_rate),
        r_peaks=r_peaks,
    )


def make_numbered_record(*, number: int, label: str, seed: int) -> SyntheticRecord:
    """Record `number` (from 1) of the data set with this seed, whatever else is in it."""
    # The same stream as SeedSequence(seed).spawn(count)[number - 1], without making the others.
    stream = SeedSequence(seed, spawn_key=(number - 1,))
    return make_record(np.random.default_rng(stream), name=f"S{number:05d}", label=label)


def generate(*, count: int, seed: int) -> list[SyntheticRecord]:
    """Synthetic ECGs of all four classes.

    Record i is the same whatever the count. The classes have the proportions of SHARES.

    Args:
        count: number of records, 1 to 99,999; from 20 on every class is present.
        seed: >= 0; the same seed gives the same records.

    Returns:
        `count` records, named S00001 and so on.

    Raises:
        ValueError: count or seed is out of range.
    """
    check_count_and_seed(count=count, seed=seed)
    return [
        make_numbered_record(number=number, label=label, seed=seed)
        for number, label in enumerate(label_sequence(count), start=1)
    ]


def check_count_and_seed(*, count: int, seed: int) -> None:
    """Raise ValueError unless 1 <= count <= 99,999 (five digits of a name) and seed >= 0."""
    if not 1 <= count <= 99_999:
        raise ValueError(f"count is {count}, expected 1 to 99,999 records")
    if seed < 0:
        raise ValueError(f"seed is {seed}, expected a whole number from 0")
