from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dnalib.data import DataError, Records, read_labels
from dnalib.data.records import labels_digest, labels_in_order


def test_signals_are_views_of_the_samples() -> None:
    samples = np.arange(10, dtype=np.int16)
    lengths, labels = np.array([3, 2, 5]), np.array([0, 1, 2])
    records = Records(("A", "B", "C"), samples, lengths, labels, digest="")
    assert len(records) == 3
    assert records.offsets.tolist() == [0, 3, 5, 10]
    assert records.signal(1).tolist() == [3, 4]
    assert records.signal(-1).tolist() == [5, 6, 7, 8, 9]
    assert np.shares_memory(records.signal(2), samples)
    with pytest.raises(IndexError):
        records.signal(3)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32, np.uint16])
def test_samples_of_another_type_are_refused(kind: type) -> None:
    millivolts = np.array([0.3, -0.2, 0.9]).astype(kind)
    lengths, labels = np.array([3]), np.array([0])
    with pytest.raises(DataError, match=f"samples have type {np.dtype(kind)}; accepted .* int16"):
        Records(("A",), millivolts, lengths, labels, digest="")


def test_labels_are_read_in_any_line_ending(tmp_path: Path) -> None:
    unix, windows = tmp_path / "unix.csv", tmp_path / "windows.csv"
    unix.write_bytes(b"A1,N\nA2,A\nA3,O\nA4,~\n")
    windows.write_bytes(b"A2,A\r\nA1,N\r\nA4,~\r\nA3,O\r\n\r\n")
    assert read_labels(unix) == {"A1": 0, "A2": 1, "A3": 2, "A4": 3}
    assert labels_digest(read_labels(unix)) == labels_digest(read_labels(windows))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"A1,N\nA2,X\n", "record A2 has label 'X'; accepted: N, A, O, ~"),
        (b"A1,N\nA1,A\n", "record A1 is listed twice"),
        (b"A1,N\nA2\n", "'A2' is not 'record,label'"),
        (b"\n\n", "holds no labels"),
        (b"A1,\xff\n", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_bad_labels_are_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "REFERENCE-v3.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_labels(path)
    assert words in str(error.value) and str(path) in str(error.value)


def test_records_and_labels_must_match() -> None:
    path = Path("labels.csv")
    table = {"A2": 1, "A1": 0}
    assert labels_in_order(["A1", "A2"], table, path=path).tolist() == [0, 1]
    with pytest.raises(DataError, match="labels.csv: no label for record A3"):
        labels_in_order(["A1", "A2", "A3"], table, path=path)
    with pytest.raises(DataError, match="labels record A2, absent from the records"):
        labels_in_order(["A1"], table, path=path)
    with pytest.raises(DataError, match="records A1, A2, A3 and 2 more"):
        labels_in_order(["A1", "A2", "A3", "A4", "A5"], {}, path=path)
