"""Synthetic ECGs are ECGs: their beats, rates, rhythms, sizes and files are what was programmed."""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import wfdb
from scipy.integrate import solve_ivp
from scipy.signal import welch
from wfdb.processing import xqrs_detect

from dnalib.synthetic import SyntheticRecord, ecgsyn, generate, write_dataset, writing
from dnalib.synthetic.records import label_sequence
from dnalib.synthetic.rhythms import RHYTHMS, Beat, tachogram
from dnalib.synthetic.waves import fibrillatory_waves

RATE = 300.0
# Table 1 of McSharry et al. 2003, for the events P, Q, R, S, T at 60 beats a minute.
PAPER_THETA = (-np.pi / 3, -np.pi / 12, 0.0, np.pi / 12, np.pi / 2)  # rad
PAPER_A = (1.2, -5.0, 30.0, -7.5, 0.75)
PAPER_B = (0.25, 0.1, 0.1, 0.1, 0.4)  # rad
REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def records() -> list[SyntheticRecord]:
    return generate(count=200, seed=5)


@pytest.fixture(scope="module")
def by_label(records) -> dict[str, list[SyntheticRecord]]:
    groups = defaultdict(list)
    for record in records:
        groups[record.label].append(record)
    return groups


def detect(record: SyntheticRecord) -> np.ndarray:
    return np.asarray(xqrs_detect(record.samples / 1000.0, RATE, verbose=False))


def variation(peaks: np.ndarray) -> float:
    """Coefficient of variation of the RR intervals."""
    rr = np.diff(peaks)
    return float(rr.std() / rr.mean())


def found_share(record: SyntheticRecord, detected: np.ndarray) -> float:
    """F1 of detected against programmed R peaks, within 50 ms."""
    if detected.size == 0:
        return 0.0
    distance = np.abs(record.r_peaks[:, None] - detected[None])
    recall, precision = (distance.min(1) <= 15).mean(), (distance.min(0) <= 15).mean()
    return float(2 * recall * precision / max(recall + precision, 1e-9))


def windows(record: SyntheticRecord, *, start: float, stop: float) -> np.ndarray:
    """(beat, time), µV, the signal from `start` to `stop` seconds after each R peak."""
    offsets = np.arange(round(start * RATE), round(stop * RATE))
    peaks = record.r_peaks[
        (record.r_peaks + offsets[0] >= 0) & (record.r_peaks + offsets[-1] < record.samples.size)
    ]
    return record.samples[peaks[:, None] + offsets].astype(float)


# --- the model -----------------------------------------------------------------------------


def paper_events(*, beat_count: int, rr: float = 1.0) -> ecgsyn.Events:
    """Table 1 of the source as events in time, the same for every beat; `rr` in seconds."""
    omega = 2 * np.pi / rr
    theta, a, b = np.array(PAPER_THETA), np.array(PAPER_A), np.array(PAPER_B)
    rows = (beat_count, 1)
    return ecgsyn.Events(
        delay=np.tile(theta / omega, rows),
        height=np.tile(a * b**2 / omega, rows),
        width=np.tile(b / omega, rows),
    )


def test_solution_is_the_dynamical_system_of_the_paper():
    """The three coupled equations, integrated numerically, give the same z."""
    rr, rate, seconds = 0.8, 300.0, 10.0
    omega = 2 * np.pi / rr
    theta, a, b = map(np.array, (PAPER_THETA, PAPER_A, PAPER_B))

    def z0(t):
        return 0.015 * np.sin(2 * np.pi * 0.25 * t)

    def system(t, state):
        x, y, z = state
        pull = 1 - np.hypot(x, y)
        apart = (np.arctan2(y, x) - theta + np.pi) % (2 * np.pi) - np.pi
        push = -(a * apart * np.exp(-(apart**2) / (2 * b**2))).sum()
        return [pull * x - omega * y, pull * y + omega * x, push - (z - z0(t))]

    times = np.arange(round(seconds * rate)) / rate
    r_times = np.arange(-1, seconds / rr + 2) * rr  # theta is 0 at t = 0
    found = ecgsyn.solve(
        r_times=r_times,
        events=paper_events(beat_count=r_times.size, rr=rr),
        baseline=z0(times),
        rate=rate,
    )
    # On the limit cycle from the start, at phase 0 and the same height.
    expected = solve_ivp(
        system,
        (0, seconds),
        [1.0, 0.0, found[0]],
        t_eval=times,
        max_step=0.01,
        rtol=1e-7,
        atol=1e-10,
    ).y[2]
    assert np.ptp(expected) > 0.05  # there are beats
    assert np.abs(found - expected).max() < 1e-4 * np.ptp(expected)


def test_model_refuses_events_that_do_not_match_the_beats():
    events = paper_events(beat_count=3)
    with pytest.raises(ValueError, match="one row for each of 4 beats"):
        ecgsyn.solve(r_times=np.arange(4.0), events=events, baseline=np.zeros(900), rate=RATE)


def test_tachogram_has_the_two_peaks_of_heart_rate_variability():
    series = tachogram(np.random.default_rng(0), duration=600, mean=0.9, deviation=0.03)
    assert series.mean() == pytest.approx(0.9)
    assert series.std() == pytest.approx(0.03)
    frequency, power = welch(series, 4.0, nperseg=1024)
    low = power[(frequency > 0.05) & (frequency < 0.15)].sum()
    high = power[(frequency > 0.20) & (frequency < 0.30)].sum()
    assert low / high == pytest.approx(0.5, rel=0.25)
    assert low + high > 0.98 * power.sum()


# --- the records ---------------------------------------------------------------------------


def same(first: SyntheticRecord, second: SyntheticRecord) -> bool:
    return (
        np.array_equal(first.samples, second.samples)
        and np.array_equal(first.r_peaks, second.r_peaks)
        and (first.name, first.label, first.rhythm, first.mean_rate)
        == (second.name, second.label, second.rhythm, second.mean_rate)
    )


def test_same_seed_same_records_whatever_the_count():
    few, many = generate(count=7, seed=11), generate(count=25, seed=11)
    assert all(same(one, other) for one, other in zip(few, many[:7], strict=True))
    other_seed = generate(count=7, seed=12)
    assert not any(same(one, other) for one, other in zip(few, other_seed, strict=True))


def test_records_are_unlike_one_another(records):
    starts = {record.samples[:2000].tobytes() for record in records}
    assert len(starts) == len(records)


def test_names_types_and_shares(records):
    assert [record.name for record in records[:2]] == ["S00001", "S00002"]
    assert all(record.samples.dtype == np.int16 and record.samples.ndim == 1 for record in records)
    assert all(record.r_peaks.dtype == np.int64 for record in records)
    assert all(
        0 <= record.r_peaks[0] and record.r_peaks[-1] < record.samples.size for record in records
    )
    assert Counter(record.label for record in records) == {"N": 100, "A": 34, "O": 50, "~": 16}
    assert set(label_sequence(20)) == {"N", "A", "O", "~"}


@pytest.mark.parametrize(
    "arguments", [{"count": 0, "seed": 1}, {"count": 100_000, "seed": 1}, {"count": 5, "seed": -1}]
)
def test_count_and_seed_out_of_range_are_refused(arguments, tmp_path):
    with pytest.raises(ValueError, match="expected"):
        generate(**arguments)
    with pytest.raises(ValueError, match="expected"):
        write_dataset(tmp_path / "set", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_lengths_are_distributed_like_the_real_ones(records):
    lengths = np.array([record.samples.size for record in records])
    assert lengths.min() >= 2_714
    assert lengths.max() <= 18_286
    assert np.median(lengths) == 9_000
    # Real: 70 % of 9,000 samples, 11 % shorter, 18 % longer. Four standard deviations at n = 200.
    assert (lengths == 9_000).mean() == pytest.approx(0.70, abs=0.13)
    assert (lengths < 9_000).mean() == pytest.approx(0.11, abs=0.09)
    assert (lengths == 18_000).mean() == pytest.approx(0.10, abs=0.09)


def test_amplitudes_lie_in_the_real_range(records, by_label):
    assert min(record.samples.min() for record in records) >= -10_636
    assert max(record.samples.max() for record in records) <= 8_318
    # Median over records of the median one-second peak-to-peak: 900 to 1,000 µV in real N, A, O.
    for label in "NAO":
        heights = [
            np.median(
                np.ptp(
                    record.samples[: record.samples.size // 300 * 300].reshape(-1, 300).astype(int),
                    axis=1,
                )
            )
            for record in by_label[label]
        ]
        assert 700 < np.median(heights) < 1300
        assert 300 < np.quantile(heights, 0.05)
        assert np.quantile(heights, 0.95) < 3000


def test_signals_hold_no_power_outside_the_recorders_band(records):
    for record in records[:40]:
        frequency, power = welch(record.samples.astype(float), RATE, nperseg=1024)
        assert power[frequency > 60].sum() < 1e-3 * power.sum()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_detector_finds_the_programmed_rate_of_every_sinus_record(seed):
    """Every N record, with its everyday artefacts, not a clean selection."""
    sinus = [record for record in generate(count=40, seed=seed) if record.label == "N"]
    for record in sinus:
        detected = detect(record)
        rate = 60 * RATE * (detected.size - 1) / (detected[-1] - detected[0])
        assert rate == pytest.approx(record.mean_rate, rel=0.05), record.name
        assert 50 < record.mean_rate < 105


def test_rr_variability_separates_fibrillation_from_sinus(by_label):
    sinus, fibrillation = by_label["N"][:30], by_label["A"][:30]
    assert max(variation(r.r_peaks) for r in sinus) < 0.11
    assert min(variation(r.r_peaks) for r in fibrillation) > 0.11
    assert max(variation(detect(r)) for r in sinus) < 0.12
    assert min(variation(detect(r)) for r in fibrillation) > 0.12


def test_no_p_wave_in_fibrillation(by_label):
    """The mean beat rises before the QRS in sinus rhythm and not in fibrillation."""

    def p_wave(record: SyntheticRecord) -> float:  # relative to the height of R
        beat = np.median(windows(record, start=-0.30, stop=0.05), axis=0)  # (time,)
        before = beat[: round(0.23 * RATE)]  # 300 to 70 ms before R
        trend = np.linspace(before[:6].mean(), before[-6:].mean(), before.size)
        return float(np.abs(before - trend).max() / np.ptp(beat))

    sinus = np.array([p_wave(record) for record in by_label["N"]])
    fibrillation = np.array([p_wave(record) for record in by_label["A"]])
    assert np.median(sinus) > 2 * np.median(fibrillation)


def test_fibrillatory_waves_are_in_the_recorded_signal(by_label):
    """Between T and QRS after a long RR interval, A records undulate and N records do not.

    What repeats with the beat (P) is taken away with the median beat, and wander with a parabola.
    """
    offsets = np.arange(-90, -18)  # 300 to 60 ms before R
    parabola = np.vander(np.linspace(-1, 1, offsets.size), 3)

    def undulation(record: SyntheticRecord) -> float:  # µV; nan if the heart is too fast
        long = np.diff(record.r_peaks) > 0.8 * RATE  # the T wave before is over
        if long.sum() < 5:
            return np.nan
        beats = record.samples[record.r_peaks[1:][long][:, None] + offsets].astype(float)
        beats -= np.median(beats, axis=0)
        beats -= (parabola @ np.linalg.lstsq(parabola, beats.T)[0]).T
        return float(np.median(beats.std(axis=1)))

    sinus = np.nanmedian([undulation(record) for record in by_label["N"]])
    fibrillation = np.nanmedian([undulation(record) for record in by_label["A"]])
    assert fibrillation > 2 * sinus


@pytest.mark.parametrize("seed", range(8))
def test_fibrillatory_waves_lie_between_4_and_9_hz_and_drift(seed):
    waves = fibrillatory_waves(
        np.random.default_rng(seed), sample_count=18_000, rate=RATE, amplitude=40.0
    )
    frequency, power = welch(waves, RATE, nperseg=2048)
    dominant = frequency[power.argmax()]
    assert 4 <= dominant <= 9
    # Dominant frequency of each 3 s stretch, from its zero-padded spectrum.
    spectra = np.abs(np.fft.rfft(waves.reshape(-1, 900) * np.hanning(900), 9_000, axis=1))
    dominants = spectra.argmax(axis=1) / 30
    assert (dominants > 3.8).all() and (dominants < 9.2).all()
    assert np.ptp(dominants) > 0.1


def test_other_rhythms_are_what_their_names_say(by_label):
    names = Counter(record.rhythm for record in by_label["O"])
    assert set(names) == {
        "ventricular premature beats",
        "atrial premature beats",
        "bigeminy",
        "sinus bradycardia",
        "sinus tachycardia",
    }
    for record in by_label["O"]:
        rr = np.diff(record.r_peaks) / RATE
        if record.rhythm == "sinus bradycardia":
            assert record.mean_rate < 50
        elif record.rhythm == "sinus tachycardia":
            assert record.mean_rate > 100
        else:
            assert rr.min() < 0.85 * np.median(rr) or record.rhythm == "bigeminy"
        if record.rhythm == "bigeminy":
            shortness = np.sign(np.diff(rr))
            assert (shortness[1:] == -shortness[:-1]).all()  # short, long, short, long


def test_premature_beats_keep_or_reset_the_sinus_node():
    """Ventricular: the pause makes up for the early beat. Atrial: it does not."""
    ventricular, atrial = RHYTHMS["O"][0], RHYTHMS["O"][1]
    for seed in range(5):
        for make, kind, sum_is in (
            (ventricular, Beat.VENTRICULAR, (1.85, 2.15)),
            (atrial, Beat.ATRIAL, (1.45, 1.95)),
        ):
            rhythm = make(np.random.default_rng(seed), 60.0)
            rr = np.diff(rhythm.r_times)
            index = np.flatnonzero(rhythm.beats == kind)
            index = index[(index > 1) & (index < rr.size)]
            sinus = np.median(rr[np.setdiff1d(np.arange(rr.size), [*(index - 1), *index])])
            around = (rr[index - 1] + rr[index]) / sinus
            assert sum_is[0] < around.mean() < sum_is[1]
            assert (rr[index - 1] < 0.8 * sinus).all()
            # Even the shortest record, 9.05 s, holds one.
            assert np.diff(rhythm.r_times[index]).max() < 9.0


def test_ventricular_beats_are_wide(by_label):
    """The early beats of bigeminy have less of their power above 12 Hz than the others."""
    for record in by_label["O"]:
        if record.rhythm != "bigeminy":
            continue
        rr = np.diff(record.r_peaks)
        early = (rr < rr.mean())[:-1]  # of all beats but the first and the last
        offsets = np.arange(-36, 36)
        beats = record.samples[record.r_peaks[1:-1, None] + offsets] * np.hanning(72)
        power = np.abs(np.fft.rfft(beats, 300, axis=1)) ** 2  # (beat, Hz)
        fast = power[:, 12:].sum(axis=1) / power.sum(axis=1)
        assert np.median(fast[early]) < np.median(fast[~early])


def test_noise_buries_the_beat(by_label):
    readable = [found_share(record, detect(record)) for record in by_label["N"][:16]]
    buried = [found_share(record, detect(record)) for record in by_label["~"]]
    assert min(readable) > 0.9
    assert np.median(buried) < 0.7
    assert max(buried) < min(readable)
    # The mean beat explains little of the power around the programmed R peaks.
    for record in by_label["~"]:
        beats = windows(record, start=-0.05, stop=0.05)
        assert beats.mean(axis=0).var() < 0.5 * (beats - beats.mean()).var()
    assert {record.rhythm for record in by_label["~"]} == {
        f"sinus rhythm under {kind}"
        for kind in ("motion bursts", "baseline wander", "muscle noise")
    }


# --- the files -----------------------------------------------------------------------------


def test_written_records_read_back_bit_identical(tmp_path):
    folder = write_dataset(tmp_path / "made" / "set", count=24, seed=3, progress=False)
    expected = generate(count=24, seed=3)
    assert (folder / "RECORDS").read_text().split() == [record.name for record in expected]
    lines = (folder / "REFERENCE-v3.csv").read_text().splitlines()
    assert lines == [f"{record.name},{record.label}" for record in expected]
    for record in expected:
        read = wfdb.rdrecord(str(folder / record.name), physical=False)
        assert np.array_equal(read.d_signal[:, 0], record.samples)
        assert (read.fs, read.units, read.adc_gain, read.baseline) == (300, ["mV"], [1000.0], [0])
        assert "Synthetic" in read.comments[0]
        header = wfdb.rdheader(str(folder / record.name))
        assert header.sig_len == record.samples.size


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def test_same_parameters_keep_the_folder_and_others_are_refused(tmp_path):
    folder = write_dataset(tmp_path / "set", count=3, seed=3, progress=False)
    before = contents(folder)
    write_dataset(folder, count=3, seed=3, progress=False)
    assert contents(folder) == before
    for other in ({"count": 4, "seed": 3}, {"count": 3, "seed": 4}):
        with pytest.raises(FileExistsError, match=str(folder)):
            write_dataset(folder, progress=False, **other)
    assert contents(folder) == before
    (folder / "S00002.dat").unlink()
    with pytest.raises(FileNotFoundError, match=r"S00002\.dat"):
        write_dataset(folder, count=3, seed=3, progress=False)


def test_another_generator_version_is_refused(tmp_path, monkeypatch):
    folder = write_dataset(tmp_path / "set", count=2, seed=3, progress=False)
    monkeypatch.setattr(writing, "GENERATOR_VERSION", writing.GENERATOR_VERSION + 1)
    with pytest.raises(FileExistsError, match="generator_version"):
        write_dataset(folder, count=2, seed=3, progress=False)


def test_a_folder_of_something_else_is_refused_and_an_empty_one_filled(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"synthetic\.json"):
        write_dataset(tmp_path / "mine", count=2, seed=3, progress=False)
    (tmp_path / "empty").mkdir()
    write_dataset(tmp_path / "empty", count=2, seed=3, progress=False)
    assert json.loads((tmp_path / "empty" / "synthetic.json").read_text())["count"] == 2


def test_a_failed_call_leaves_nothing(tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise OSError("disk full")

    write = writing._write_record
    calls = []

    def fail_on_third(record, *, folder):
        calls.append(record.name)
        write(record, folder=folder) if len(calls) < 3 else fail()

    monkeypatch.setattr(writing, "_write_record", fail_on_third)
    with pytest.raises(OSError, match="disk full"):
        write_dataset(tmp_path / "set", count=5, seed=3, progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "fault, found",
    [
        ("raise", "18000 requested and 0 written"),  # as NumPy says it
        ("cut", "4096 bytes of [0-9]+ written"),  # the rest was in a buffer
    ],
)
def test_a_disk_that_fills_up_is_named(tmp_path, monkeypatch, fault, found):
    write = writing._write_files

    def on_full_disk(record, *, folder):
        if record.name == "S00003" and fault == "raise":
            raise OSError("18000 requested and 0 written")
        write(record, folder=folder)
        if record.name == "S00003":
            os.truncate(folder / "S00003.dat", 4096)

    monkeypatch.setattr(writing, "_write_files", on_full_disk)
    message = f"the disk is probably full: of S00003.dat, {found}: .*/S00003.dat"
    with pytest.raises(OSError, match=message) as error:
        write_dataset(tmp_path / "set", count=5, seed=3, progress=False)
    assert error.value.errno is not None
    assert list(tmp_path.iterdir()) == []


def test_two_calls_at_once_end_in_one_data_set(tmp_path, monkeypatch):
    """Another process takes the name while this one writes."""
    write_all = writing._write_all

    def overtaken(folder, *, parameters, progress):
        monkeypatch.setattr(writing, "_write_all", write_all)
        write_dataset(tmp_path / "set", count=2, seed=3, progress=False)
        write_all(folder, parameters=parameters, progress=progress)

    monkeypatch.setattr(writing, "_write_all", overtaken)
    folder = write_dataset(tmp_path / "set", count=2, seed=3, progress=False)
    assert list(tmp_path.iterdir()) == [folder]
    assert (folder / "synthetic.json").is_file()


@pytest.mark.slow
def test_a_killed_call_leaves_no_folder_and_the_next_one_succeeds(tmp_path):
    """The process ends without cleaning up, as kill -9 or a power cut ends it."""
    program = f"""
import os
from pathlib import Path
from dnalib.synthetic import write_dataset, writing
write = writing._write_record
def die_on_third(record, *, folder):
    if record.name == "S00003":
        os._exit(9)
    write(record, folder=folder)
writing._write_record = die_on_third
write_dataset(Path({str(tmp_path / "set")!r}), count=5, seed=3, progress=False)
"""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert ended.returncode == 9
    assert not (tmp_path / "set").exists()
    folder = write_dataset(tmp_path / "set", count=5, seed=3, progress=False)
    assert (folder / "S00005.dat").is_file()


def test_progress_goes_to_standard_error(tmp_path, capsys):
    write_dataset(tmp_path / "set", count=3, seed=3)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "synthetic ECGs: 3 of 3" in printed.err
