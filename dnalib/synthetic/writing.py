"""Synthetic records as WFDB files, laid out like the real data set."""

import errno
import json
import os
import shutil
import sys
import uuid
from pathlib import Path

from dnalib.synthetic.records import (
    RATE,
    SyntheticRecord,
    check_count_and_seed,
    label_sequence,
    make_numbered_record,
)

GENERATOR_VERSION = 1  # raised whenever the same count and seed give other records

_PARAMETERS = "synthetic.json"


def _write_record(record: SyntheticRecord, *, folder: Path) -> None:
    """Write one record, whole.

    NumPy, which writes the samples for wfdb, tells of a full disk by numbers without the system's
    reason and the file's name, and of the last bytes, which it holds back, not at all.

    Raises:
        OSError: it cannot be, with a number and a reason, as whoever wraps such an error needs.
    """
    path = folder / f"{record.name}.dat"
    try:
        _write_files(record, folder=folder)
        found = f"{path.stat().st_size} bytes of {record.samples.nbytes} written"
        whole = path.stat().st_size == record.samples.nbytes
    except OSError as error:
        if error.errno is not None:
            raise
        found, whole = str(error), False
    if not whole:
        reason = f"the disk is probably full: of {path.name}, {found}"
        raise OSError(errno.EIO, reason, str(path))


def _write_files(record: SyntheticRecord, *, folder: Path) -> None:
    import wfdb  # here, not above: it brings pandas and takes a second

    wfdb.wrsamp(
        record.name,
        fs=RATE,
        units=["mV"],
        sig_name=["ECG"],
        d_signal=record.samples[:, None],
        fmt=["16"],
        adc_gain=[1000.0],
        baseline=[0],
        comments=[f"Synthetic ECG, not a recording: {record.rhythm}"],
        write_dir=str(folder),
    )


def is_dataset(folder: Path) -> bool:
    """Whether `write_dataset` wrote this folder; of an archive, no."""
    return (Path(folder) / _PARAMETERS).is_file()


def _check_existing(folder: Path, *, parameters: dict[str, int]) -> None:
    """Raise unless `folder` holds the whole data set with these parameters."""
    try:
        found = json.loads((folder / _PARAMETERS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileExistsError(
            f"{folder} exists and has no {_PARAMETERS}, so it is no synthetic data set; "
            "name another folder"
        ) from None
    if found != parameters:
        raise FileExistsError(
            f"{folder} holds the synthetic data set {found}, asked for was {parameters}; "
            "name another folder or delete this one"
        )
    for number in range(1, parameters["count"] + 1):
        for path in (folder / f"S{number:05d}.hea", folder / f"S{number:05d}.dat"):
            if not path.is_file():
                raise FileNotFoundError(f"{path} is missing; delete {folder} to make it again")


def _report(done: int, *, count: int) -> None:
    end = "\n" if done == count else ""
    print(f"\rsynthetic ECGs: {done} of {count}", end=end, file=sys.stderr, flush=True)


def _write_all(folder: Path, *, parameters: dict[str, int], progress: bool) -> None:
    count, labels = parameters["count"], label_sequence(parameters["count"])
    reference = []
    for number, label in enumerate(labels, start=1):
        record = make_numbered_record(number=number, label=label, seed=parameters["seed"])
        _write_record(record, folder=folder)
        reference.append((record.name, record.label))
        if progress and (number % 50 == 0 or number == count):
            _report(number, count=count)
    (folder / "RECORDS").write_text("".join(f"{name}\n" for name, _ in reference))
    (folder / "REFERENCE-v3.csv").write_text(
        "".join(f"{name},{label}\n" for name, label in reference)
    )
    (folder / _PARAMETERS).write_text(json.dumps(parameters, indent=2) + "\n")


def write_dataset(folder: Path, *, count: int, seed: int, progress: bool = True) -> Path:
    """Write the records of `generate(count=count, seed=seed)` as WFDB files.

    Laid out as PhysioNet's CinC 2017 set: a .hea and a .dat file a record (format 16, gain
    1000 a mV, baseline 0), RECORDS, and REFERENCE-v3.csv with lines such as "S00001,N"; and
    synthetic.json with count, seed and generator version. Files are written into a hidden folder
    beside `folder`, which takes its name only when whole; a killed call leaves at most that
    hidden folder (its name ends in .partial).

    Args:
        folder: where to; its parents are made. If it is there already with the same parameters,
            it is kept as it is; if it is empty, it is filled.
        count, seed: as in `generate`.
        progress: report on standard error.

    Returns:
        `folder`.

    Raises:
        ValueError: count or seed is out of range.
        FileExistsError: `folder` holds something else.
        FileNotFoundError: `folder` holds this data set with a file missing.
        OSError: the operating system refuses, or the disk is full; nothing is left then.
    """
    check_count_and_seed(count=count, seed=seed)
    folder = Path(folder)
    parameters = {"count": int(count), "seed": int(seed), "generator_version": GENERATOR_VERSION}
    if folder.exists() and any(folder.iterdir()):
        _check_existing(folder, parameters=parameters)
        return folder
    partial = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.partial")
    partial.mkdir(parents=True)
    try:
        _write_all(partial, parameters=parameters, progress=progress)
        try:
            os.replace(partial, folder)
        except OSError:
            if not folder.is_dir():
                raise
            # Another process finished first: its folder must be the same data set.
            _check_existing(folder, parameters=parameters)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder
