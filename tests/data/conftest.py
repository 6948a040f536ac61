"""Small WFDB data sets made up on the spot, and the real one where it is present."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray

from dnalib.data import Records, load_records

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


@dataclass
class Dataset:
    """Made-up records as files, to be damaged by a test before they are written.

    `files` holds the headers and signal files as PhysioNet's archive does (format 16 behind a
    24-byte MATLAB heading), `labels` the lines of the labels file.
    """

    signals: dict[str, NDArray[np.int16]]
    files: dict[str, bytes] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)

    def write_labels(self, folder: Path) -> None:
        lines = [f"{name},{label}\n" for name, label in self.labels.items()]
        (folder / "REFERENCE-v3.csv").write_text("".join(lines))

    def write_zip(self, folder: Path, *, prefix: str = "training2017/") -> Path:
        path = folder / "training2017.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self.files.items():
                archive.writestr(prefix + name, content)
        self.write_labels(folder)
        return path

    def write_folder(self, folder: Path) -> Path:
        path = folder / "records"
        path.mkdir()
        for name, content in self.files.items():
            (path / name).write_bytes(content)
        self.write_labels(path)
        return path


def header(name: str, length: object, /, **fields: object) -> bytes:
    """A header as in the challenge's archive, with some fields replaced."""
    values = {"rate": 300, "gain": "1000/mV", "format": "16+24", "checksum": 0, "channels": 1}
    values |= {"length": length, "file": f"{name}.mat", "name": name} | fields
    return (
        (
            "{name} {channels} {rate} {length} 05:05:15 1/05/2000 \r\n"
            "{file} {format} {gain} 16 0 0 {checksum} 0 ECG \r\n"
        )
        .format(**values)
        .encode()
    )


def mat(signal: NDArray[np.int16]) -> bytes:
    """A signal file: MATLAB's 24-byte heading (one row of 16-bit integers named val), samples."""
    heading = struct.pack("<5i4s", 30, 1, len(signal), 0, 4, b"val\0")
    return heading + signal.astype("<i2").tobytes()


def make_dataset(lengths: Mapping[str, int]) -> Dataset:
    generator = np.random.default_rng(0)
    made = Dataset({})
    for position, (name, length) in enumerate(lengths.items()):
        signal = generator.integers(-3000, 3000, length).astype(np.int16)
        made.signals[name] = signal
        made.files[f"{name}.hea"] = header(name, length)
        made.files[f"{name}.mat"] = mat(signal)
        made.labels[name] = "NAO~"[position % 4]
    return made


@pytest.fixture
def make_header() -> Callable[..., bytes]:
    return header


@pytest.fixture
def make_mat() -> Callable[[NDArray[np.int16]], bytes]:
    return mat


@pytest.fixture
def dataset() -> Dataset:
    """Eight records, two of each class, of 400 to 1,100 samples."""
    return make_dataset({f"A{i:05d}": 400 + 100 * i for i in range(8)})


def shared(*parts: str) -> Path:
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the real data set is not here: no ../shared/{'/'.join(parts)}")
    return path


@pytest.fixture(scope="session")
def real_archive() -> Path:
    shared("cinc2017", "REFERENCE-v3.csv")
    return shared("cinc2017", "training2017.zip")


@pytest.fixture(scope="session")
def real_split() -> Path:
    return shared("reference", "random_permutation.npy")


@pytest.fixture(scope="session")
def published_features() -> Path:
    return shared("reference", "published", "features", "best_model.npy")


@pytest.fixture(scope="session")
def real_cache(real_archive: Path, common_folder: Path) -> Path:
    """The cache of the real archive, made once by the processes that test side by side.

    That takes some twenty seconds.
    """
    cache = common_folder / "cache"
    with FileLock(f"{cache}.lock"):
        load_records(real_archive, cache=cache, progress=False)
    return cache


@pytest.fixture(scope="session")
def real_records(real_archive: Path, real_cache: Path) -> Records:
    return load_records(real_archive, cache=real_cache, progress=False)
