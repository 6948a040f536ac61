"""Reading through wfdb, and every kind of bad input: one error that names the file or record."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import wfdb

from dnalib.data import DataError, load_records
from dnalib.data.reading import open_source

if TYPE_CHECKING:
    from conftest import Dataset

BAD = "A00003"


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Python's temporary files go here, so that what is left behind can be counted."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def refused(source: Path, tmp_path: Path) -> str:
    """The message with which a source is refused; checks that nothing is left behind."""
    cache = tmp_path / "cache"
    with pytest.raises(DataError) as error:
        load_records(source, cache=cache, progress=False)
    assert not list(cache.glob("*")) and not list((tmp_path / "temporary").iterdir())
    return str(error.value)


def write(dataset: Dataset, kind: str, tmp_path: Path) -> Path:
    return dataset.write_zip(tmp_path) if kind == "zip" else dataset.write_folder(tmp_path)


@pytest.mark.parametrize("prefix", ["training2017/", "records/of/2017/", ""])
def test_archives_with_and_without_a_folder(dataset: Dataset, tmp_path: Path, prefix: str) -> None:
    with open_source(dataset.write_zip(tmp_path, prefix=prefix)) as source:
        read = list(source.signals())
    assert source.names == tuple(dataset.signals)
    for found, expected in zip(read, dataset.signals.values(), strict=True):
        assert found.dtype == np.int16
        np.testing.assert_array_equal(found, expected)
    assert not list((tmp_path / "temporary").iterdir())


def test_an_archive_is_unpacked_a_batch_at_a_time(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dnalib.data.reading.BATCH", 3)
    with open_source(dataset.write_zip(tmp_path)) as source:
        for _ in source.signals():
            assert len(list((tmp_path / "temporary").rglob("*.mat"))) <= 3


def test_records_written_by_wfdb(tmp_path: Path) -> None:
    signal = np.random.default_rng(1).integers(-9000, 9000, 700).astype(np.int16)
    wfdb.wrsamp(
        "S1",
        fs=300,
        units=["mV"],
        sig_name=["ECG"],
        d_signal=signal[:, None],
        fmt=["16"],
        adc_gain=[1000],
        baseline=[0],
        write_dir=str(tmp_path),
        comments=["made up"],
    )
    with open_source(tmp_path) as source:
        (read,) = source.signals()
    np.testing.assert_array_equal(read, signal)
    content = bytearray((tmp_path / "S1.dat").read_bytes())
    content[100] ^= 1
    (tmp_path / "S1.dat").write_bytes(content)
    with open_source(tmp_path) as source, pytest.raises(DataError, match="S1.*checksum"):
        list(source.signals())


def fingerprint(path: Path) -> str:
    with open_source(path) as source:
        return source.fingerprint


def test_the_fingerprint_follows_an_archives_content(dataset: Dataset, tmp_path: Path) -> None:
    first = fingerprint(dataset.write_zip(tmp_path))
    assert fingerprint(dataset.write_zip(tmp_path)) == first
    dataset.files[f"{BAD}.mat"] = dataset.files[f"{BAD}.mat"][:-1] + b"!"  # of the same size
    assert fingerprint(dataset.write_zip(tmp_path)) != first


def test_the_fingerprint_follows_a_folders_files(dataset: Dataset, tmp_path: Path) -> None:
    folder = dataset.write_folder(tmp_path)
    first = fingerprint(folder)
    (folder / "notes.txt").write_text("no record")
    assert fingerprint(folder) == first
    changed = folder / f"{BAD}.mat"
    state = changed.stat()
    changed.write_bytes(changed.read_bytes() + b"!")
    os.utime(changed, ns=(state.st_atime_ns, state.st_mtime_ns))
    larger = fingerprint(folder)
    os.utime(changed, ns=(state.st_atime_ns, state.st_mtime_ns + 1_000_000_000))
    assert len({first, larger, fingerprint(folder)}) == 3


@pytest.mark.parametrize("kind", ["zip", "folder"])
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rate": 250}, "sampling rate in Hz is 250; accepted: 300"),
        ({"gain": "200/mV"}, "gain in raw units is 200.0; accepted: 1000"),
        ({"gain": "1000(5)/mV"}, "baseline is 5; accepted: 0"),
        ({"gain": "1000/uV"}, "unit is uV; accepted: mV"),
        ({"channels": 2}, "channel count is 2; accepted: 1"),
        ({"format": "16x2+24"}, "samples a frame is 2; accepted: 1"),
        ({"format": "212+24"}, "storage format is 212; accepted: 16"),
        ({"name": "A00009"}, "name in the header is A00009"),
        ({"checksum": 77}, "checksum says 77"),
        ({"length": 0}, "is empty"),
        ({"length": 350}, "holds 700 samples, its header says 350"),
        ({"length": ""}, "damaged"),
        ({"file": "../A00003.mat"}, "'../A00003.mat'; accepted: a name without a folder"),
        ({"file": "A00099.mat"}, "A00099.mat"),
    ],
)
def test_other_headers_are_refused(
    dataset: Dataset,
    tmp_path: Path,
    kind: str,
    fields: dict[str, object],
    words: str,
    make_header: Callable[..., bytes],
) -> None:
    dataset.files[f"{BAD}.hea"] = make_header(BAD, 700, **fields)
    message = refused(write(dataset, kind, tmp_path), tmp_path)
    assert f"Record {BAD}: " in message and words in message


def test_two_channels_are_refused(
    dataset: Dataset, tmp_path: Path, make_header: Callable[..., bytes]
) -> None:
    text = make_header(BAD, 350, channels=2)
    dataset.files[f"{BAD}.hea"] = text + text.splitlines()[1] + b"\r\n"
    assert f"{BAD}: channel count is 2" in refused(dataset.write_zip(tmp_path), tmp_path)


def test_several_segments_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    dataset.files[f"{BAD}.hea"] = f"{BAD}/2 1 300 700\nA00001 350\nA00002 350\n".encode()
    assert f"{BAD}: has several segments" in refused(dataset.write_zip(tmp_path), tmp_path)


@pytest.mark.parametrize("kind", ["zip", "folder"])
@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\xff\x10 garbage", b"A00003 1 300\r\n", b"A00003 one 300 700\r\nA00003.mat ? ?"],
)
def test_a_damaged_header(dataset: Dataset, tmp_path: Path, kind: str, content: bytes) -> None:
    dataset.files[f"{BAD}.hea"] = content
    message = refused(write(dataset, kind, tmp_path), tmp_path)
    assert f"{BAD}.hea is damaged" in message


def test_a_header_without_a_length(dataset: Dataset, tmp_path: Path) -> None:
    """wfdb would take the length from the file, here a truncated one."""
    dataset.files[f"{BAD}.hea"] = f"{BAD} 1 300\n{BAD}.mat 16+24 1000/mV 16 0 0 0 0 ECG\n".encode()
    dataset.files[f"{BAD}.mat"] = dataset.files[f"{BAD}.mat"][:600]
    assert f"{BAD}.hea is damaged" in refused(dataset.write_zip(tmp_path), tmp_path)


@pytest.mark.parametrize("kind", ["zip", "folder"])
@pytest.mark.parametrize("missing", ["hea", "mat"])
def test_a_missing_file(dataset: Dataset, tmp_path: Path, kind: str, missing: str) -> None:
    del dataset.files[f"{BAD}.{missing}"]
    message = refused(write(dataset, kind, tmp_path), tmp_path)
    assert f"Record {BAD}: " in message and f"{BAD}.{missing}" in message


@pytest.mark.parametrize("kind", ["zip", "folder"])
@pytest.mark.parametrize("kept", [0, 10, 24, 501, 1422, 1423])
def test_a_truncated_signal_file(dataset: Dataset, tmp_path: Path, kind: str, kept: int) -> None:
    dataset.files[f"{BAD}.mat"] = dataset.files[f"{BAD}.mat"][:kept]
    message = refused(write(dataset, kind, tmp_path), tmp_path)
    assert f"Record {BAD}: {BAD}.mat holds " in message and "its header says 700" in message


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_a_non_finite_value(
    dataset: Dataset, tmp_path: Path, kind: str, make_mat: Callable[..., bytes]
) -> None:
    signal = dataset.signals[BAD].copy()
    signal[12] = -32768
    dataset.files[f"{BAD}.mat"] = make_mat(signal)
    message = refused(write(dataset, kind, tmp_path), tmp_path)
    assert f"Record {BAD}: sample 12 is not a finite value" in message


def test_a_gap_as_wfdb_writes_it(tmp_path: Path) -> None:
    signal = np.linspace(-1, 1, 300)[:, None]  # (time, channel), mV
    signal[40] = np.nan
    wfdb.wrsamp(
        "S1",
        fs=300,
        units=["mV"],
        sig_name=["ECG"],
        p_signal=signal,
        fmt=["16"],
        adc_gain=[1000],
        baseline=[0],
        write_dir=str(tmp_path),
    )
    (tmp_path / "REFERENCE-v3.csv").write_text("S1,N\n")
    assert "Record S1: sample 40 is not a finite value" in refused(tmp_path, tmp_path)


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_records_without_labels_and_labels_without_records(
    dataset: Dataset, tmp_path: Path, kind: str
) -> None:
    label = dataset.labels.pop(BAD)
    source = write(dataset, kind, tmp_path)
    assert f"no label for record {BAD}" in refused(source, tmp_path)
    dataset.labels |= {BAD: label, "A00077": "N"}
    dataset.write_labels(source.parent if kind == "zip" else source)
    assert "labels record A00077, absent" in refused(source, tmp_path)


def test_an_unknown_label(dataset: Dataset, tmp_path: Path) -> None:
    dataset.labels[BAD] = "P"
    assert f"record {BAD} has label 'P'" in refused(dataset.write_zip(tmp_path), tmp_path)


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_an_empty_source(dataset: Dataset, tmp_path: Path, kind: str) -> None:
    dataset.files.clear()
    source = write(dataset, kind, tmp_path)
    assert refused(source, tmp_path) == f"{source}: holds no records (no .hea files)."


def test_an_empty_folder_without_labels(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    assert refused(folder, tmp_path) == f"{folder}: holds no records (no .hea files)."


def test_a_missing_source(tmp_path: Path) -> None:
    assert "none.zip: there is no such" in refused(tmp_path / "none.zip", tmp_path)


@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>", b"\0" * 5000])
def test_not_a_zip(dataset: Dataset, tmp_path: Path, content: bytes) -> None:
    path = dataset.write_zip(tmp_path)
    path.write_bytes(content)
    assert refused(path, tmp_path) == f"{path}: is not a zip archive."


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.999])
def test_a_truncated_zip(dataset: Dataset, tmp_path: Path, share: float) -> None:
    path = dataset.write_zip(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert f"{path}: the zip archive is truncated" in refused(path, tmp_path)


def test_a_zip_that_lost_its_beginning(dataset: Dataset, tmp_path: Path) -> None:
    path = dataset.write_zip(tmp_path)
    path.write_bytes(path.read_bytes()[2000:])
    assert str(path) in refused(path, tmp_path)


def test_a_damaged_member(dataset: Dataset, tmp_path: Path) -> None:
    path = dataset.write_zip(tmp_path)
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(f"training2017/{BAD}.mat")
    content = bytearray(path.read_bytes())
    middle = member.header_offset + member.compress_size // 2
    content[middle] ^= 0xFF
    path.write_bytes(content)
    message = refused(path, tmp_path)
    assert f"Record {BAD}: training2017/{BAD}.mat in {path} cannot be read" in message


@pytest.mark.parametrize(
    "member",
    [
        "../A00003.mat",
        "training2017/../../evil.hea",
        "/etc/evil.hea",
        "C:/evil.hea",
        "..\\evil.hea",
        "training2017/../",
    ],
)
def test_a_member_path_that_leaves_the_folder(
    dataset: Dataset, tmp_path: Path, member: str
) -> None:
    path = dataset.write_zip(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, b"")
    before = sorted(tmp_path.rglob("*"))
    message = refused(path, tmp_path)
    assert repr(member) in message and "leaves the archive's folder" in message
    assert sorted(tmp_path.rglob("*")) == before


def test_records_in_two_folders_or_twice(dataset: Dataset, tmp_path: Path) -> None:
    path = dataset.write_zip(tmp_path)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(f"training2017/{BAD}.mat", b"")
    assert "two members of the same name" in refused(path, tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/A00001.hea", b"")
    assert "records lie in other and training2017" in refused(path, tmp_path)
