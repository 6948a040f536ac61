from __future__ import annotations

import errno
import hashlib
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
import wfdb
from peak import PRINT_PEAK

from dnalib.data import CacheError, DataError, Records, export_packed, load_records

if TYPE_CHECKING:
    from conftest import Dataset

REAL_DIGEST = "8a257fb08210697a26833c6fdff5205f4e29f89aa25f02d984f2d2052309705b"


def assert_holds(records: Records, dataset: Dataset) -> None:
    expected = np.concatenate(list(dataset.signals.values()))
    assert records.names == tuple(dataset.signals)
    assert records.samples.dtype == np.int16
    np.testing.assert_array_equal(records.samples, expected)
    assert records.lengths.tolist() == [len(signal) for signal in dataset.signals.values()]
    assert records.labels.tolist() == ["NAO~".index(label) for label in dataset.labels.values()]
    assert records.digest == hashlib.sha256(expected.astype("<i2").tobytes()).hexdigest()


@pytest.fixture
def source(dataset: Dataset, tmp_path: Path) -> Path:
    return dataset.write_zip(tmp_path)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def forbid_wfdb(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise AssertionError("wfdb was asked although there is a cache")

    monkeypatch.setattr(wfdb, "rdrecord", fail)


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_read_once_then_from_the_cache(
    dataset: Dataset, tmp_path: Path, cache: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = dataset.write_zip(tmp_path) if kind == "zip" else dataset.write_folder(tmp_path)
    assert_holds(load_records(path, cache=cache, progress=False), dataset)
    assert sorted(entry.suffix for entry in cache.iterdir()) == [".int16", ".json"]
    forbid_wfdb(monkeypatch)
    assert_holds(load_records(path, cache=cache, progress=False), dataset)


def test_extreme_samples_survive(dataset: Dataset, tmp_path: Path, cache: Path) -> None:
    name = next(iter(dataset.signals))
    dataset.signals[name][::2] = 32767
    dataset.signals[name][1::2] = -32767
    heading = dataset.files[f"{name}.mat"][:24]
    dataset.files[f"{name}.mat"] = heading + dataset.signals[name].astype("<i2").tobytes()
    assert_holds(load_records(dataset.write_zip(tmp_path), cache=cache, progress=False), dataset)


def test_labels_are_not_cached(
    source: Path, cache: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_records(source, cache=cache, progress=False)
    forbid_wfdb(monkeypatch)
    dataset.labels = {name: "~" for name in dataset.labels}
    other = tmp_path / "other"
    other.mkdir()
    dataset.write_labels(other)
    labels = other / "REFERENCE-v3.csv"
    records = load_records(source, cache=cache, labels=labels, progress=False)
    assert_holds(records, dataset)


def test_a_changed_source_is_read_again(
    source: Path, cache: Path, dataset: Dataset, tmp_path: Path
) -> None:
    load_records(source, cache=cache, progress=False)
    name = next(iter(dataset.signals))
    dataset.signals[name][5] += 1
    heading = dataset.files[f"{name}.mat"][:24]
    dataset.files[f"{name}.mat"] = heading + dataset.signals[name].astype("<i2").tobytes()
    changed = dataset.write_zip(tmp_path)
    assert_holds(load_records(changed, cache=cache, progress=False), dataset)


def flip(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 0x40]) + content[position + 1 :]


def other_samples(content: bytes, path: Path) -> bytes:
    """A sound stream of the right length that holds other samples."""
    samples, rate = soundfile.read(path, dtype="int16")
    other = path.with_name("other.flac")
    soundfile.write(other, samples[::-1], rate, subtype="PCM_16")
    content = other.read_bytes()
    other.unlink()
    return content


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".int16", lambda content, path: flip(content, len(content) // 2)),
        (".int16", lambda content, path: content[: len(content) // 2]),
        (".int16", lambda content, path: content + content[-2:]),
        (".int16", lambda content, path: b""),
        (".int16", lambda content, path: content[::-1]),
        (".json", lambda content, path: content[:-20]),
        (".json", lambda content, path: content.replace(b"A00003", b"A00013")),
        (".json", lambda content, path: content.replace(b"500, 600", b"600, 500")),
        (".json", lambda content, path: b"[]"),
        (".json", lambda content, path: b'{"sha256": 1}'),
    ],
)
def test_a_damaged_cache_is_made_again(
    source: Path, cache: Path, dataset: Dataset, suffix: str, damage: object
) -> None:
    load_records(source, cache=cache, progress=False)
    (path,) = cache.glob(f"*{suffix}")
    damaged = damage(path.read_bytes(), path)
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    with pytest.warns(UserWarning, match="the cache is damaged.*made again"):
        assert_holds(load_records(source, cache=cache, progress=False), dataset)
    assert_holds(load_records(source, cache=cache, progress=False), dataset)  # no warning now


def test_records_load_from_an_exported_stream_alone(
    source: Path, cache: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "elsewhere"
    stream = export_packed(source, folder, cache=cache, progress=False)
    held = {"REFERENCE-v3.csv", "records.flac", "records.json"}
    assert {path.name for path in folder.iterdir()} == held
    source.unlink()
    forbid_wfdb(monkeypatch)
    other = tmp_path / "other"
    records = load_records(stream, cache=other, progress=False)
    assert_holds(records, dataset)
    again = export_packed(stream, tmp_path / "again", cache=other, progress=False)
    assert_holds(load_records(again, cache=other, progress=False), dataset)
    assert not other.exists(), "a packed stream is read as it is"


def test_paths_may_be_words(source: Path, cache: Path, dataset: Dataset, tmp_path: Path) -> None:
    labels = str(source.with_name("REFERENCE-v3.csv"))
    records = load_records(str(source), cache=str(cache), labels=labels, progress=False)
    assert_holds(records, dataset)
    folder = tmp_path / "elsewhere"
    stream = export_packed(str(source), str(folder), cache=str(cache), progress=False)
    assert stream.parent == folder
    assert_holds(load_records(str(stream), cache=str(cache), progress=False), dataset)


def test_a_damaged_exported_stream_is_refused(
    source: Path, cache: Path, dataset: Dataset, tmp_path: Path
) -> None:
    stream = export_packed(source, tmp_path / "elsewhere", cache=cache, progress=False)
    whole, index = stream.read_bytes(), stream.with_suffix(".json").read_bytes()
    for content in (
        flip(whole, len(whole) // 2),
        flip(whole, 25),  # the number of samples
        whole[: len(whole) // 2],
        other_samples(whole, stream),
        b"",
    ):
        stream.write_bytes(content)
        with pytest.raises(DataError, match=r"records.flac: the packed stream is damaged"):
            load_records(stream, cache=cache, progress=False)
    stream.write_bytes(whole)
    stream.with_suffix(".json").write_bytes(index.replace(b"A00003", b"A00013"))
    with pytest.raises(DataError):
        load_records(stream, cache=cache, progress=False)
    neither = r"not both the packed stream and its index records.json"
    stream.with_suffix(".json").unlink()
    with pytest.raises(DataError, match=neither):
        load_records(stream, cache=cache, progress=False)
    stream.with_suffix(".json").write_bytes(index)
    stream.unlink()
    with pytest.raises(DataError, match=neither):
        load_records(stream, cache=cache, progress=False)


@pytest.mark.real
def test_the_real_records_load_from_an_exported_stream(
    real_records: Records, real_archive: Path, real_cache: Path, tmp_path: Path
) -> None:
    stream = export_packed(real_archive, tmp_path, cache=real_cache, progress=False)
    records = load_records(stream, cache=tmp_path / "none", progress=False)
    assert records.names == real_records.names and records.digest == REAL_DIGEST
    np.testing.assert_array_equal(records.labels, real_records.labels)
    np.testing.assert_array_equal(records.lengths, real_records.lengths)


def test_an_interrupted_reading_leaves_nothing(
    source: Path, cache: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = wfdb.rdrecord

    def interrupted(name: str, **options: object) -> object:
        if name.endswith("A00005"):
            raise KeyboardInterrupt
        return read(name, **options)

    with monkeypatch.context() as context:
        context.setattr(wfdb, "rdrecord", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_records(source, cache=cache, progress=False)
    assert not list(cache.iterdir())
    assert_holds(load_records(source, cache=cache, progress=False), dataset)


def test_two_that_read_at_once_do_no_harm(source: Path, cache: Path, dataset: Dataset) -> None:
    start = threading.Barrier(4)
    loaded: list[Records] = []

    def load() -> None:
        start.wait()
        loaded.append(load_records(source, cache=cache, progress=False))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loaded) == 4
    for records in loaded:
        assert_holds(records, dataset)
    assert len(list(cache.iterdir())) == 2


def test_reading_shows_its_progress(
    source: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_records(source, cache=cache)
    assert "Reading records: 100%" in capsys.readouterr().err


@pytest.mark.real
def test_the_real_records(real_records: Records) -> None:
    assert len(real_records) == 8528
    assert real_records.names[0] == "A00001" and real_records.names[-1] == "A08528"
    assert real_records.samples.size == real_records.lengths.sum() == 83_141_521
    assert (real_records.samples.min(), real_records.samples.max()) == (-10_636, 8_318)
    assert (real_records.lengths.min(), real_records.lengths.max()) == (2_714, 18_286)
    assert np.median(real_records.lengths) == 9_000
    assert np.bincount(real_records.labels).tolist() == [5076, 758, 2415, 279]
    assert real_records.digest == REAL_DIGEST


@pytest.mark.real
def test_real_samples_are_those_of_wfdb(
    real_records: Records, real_archive: Path, tmp_path: Path
) -> None:
    chosen = np.random.default_rng(0).choice(len(real_records), 40, replace=False)
    with zipfile.ZipFile(real_archive) as archive:
        for index in chosen:
            name = real_records.names[index]
            for suffix in (".hea", ".mat"):
                archive.extract(f"training2017/{name}{suffix}", tmp_path)
            record = wfdb.rdrecord(str(tmp_path / "training2017" / name), physical=False)
            np.testing.assert_array_equal(real_records.signal(index), record.d_signal[:, 0])


@pytest.mark.real
def test_the_real_cache_loads_fast_and_small(real_archive: Path, real_cache: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from dnalib.data import load_records\n"
        "start = time.perf_counter()\n"
        "load_records(Path(sys.argv[1]), cache=Path(sys.argv[2]), progress=False)\n"
        "print(time.perf_counter() - start)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program + PRINT_PEAK, str(real_archive), str(real_cache)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    seconds, memory = map(float, done.stdout.split())
    # Time depends on who else uses the machine, so it is shown and only memory is held to account.
    print(f"loaded in {seconds:.2f} s, {memory / 1e6:.0f} MB")
    assert memory < 6e8


def test_a_cache_that_cannot_be_written_is_one_sentence(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match="cache of the records cannot be .*DNALIB_CACHE") as error:
        load_records(source, cache=tmp_path / "file" / "cache", progress=False)
    assert str(tmp_path / "file" / "cache") in str(error.value)


def test_a_cache_for_which_there_is_no_room_leaves_nothing(
    source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(part: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(DataError, match=r"\(No space left on device\); name a folder"):
        load_records(source, cache=cache, progress=False)
    assert not list(cache.iterdir())
