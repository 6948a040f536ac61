"""The records of a run: located, loaded, split, oversampled and prepared."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dnalib import data, synthetic
from dnalib.runs import ComputingRun, RecordedRun, Settings
from dnalib.runs.folders import written_in
from dnalib.runs.settings import setting_names
from dnalib.signals import PackedSignals

# Settings that decide which records a run has, and which of them are for training and for testing.
RECORDS = ("source", "synthetic_records", "data_seed", "train_records", "test_records")
CHALLENGE = "PhysioNet/CinC Challenge 2017"  # origin of its records, whole and labelled version 3
MADE_UP = "synthetic ECGs (ECGSYN)"


@dataclass(frozen=True)
class Dataset:
    """Records with their split, at full length and, on demand, prepared for a network.

    Attributes:
        records: all of them, 300 Hz, raw units.
        split: which train and which test (after any subsetting).
        settings: of the run.
        origin: where the records come from, for people to read.
    """

    records: data.Records
    split: data.Split
    settings: Settings
    origin: str

    @cached_property
    def identity(self) -> str:
        """Hash of samples, labels and split."""
        digest = hashlib.sha256(self.records.digest.encode())
        for part in (self.records.labels, self.split.train, self.split.test):
            # The length first: a record that moves from one part to the next must change the hash.
            digest.update(np.array([len(part), *part], dtype="<i8").tobytes())
        return digest.hexdigest()[:16]

    @cached_property
    def prepared(self) -> data.PreparedRecords:
        """All records at the run's rate and length."""
        return data.prepare(
            self.records,
            length=self.settings.length,
            rate=self.settings.rate,
            cut=self.settings.cut,
        )

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Training rows after oversampling, as positions in `split.train`: (row,)."""
        rows = data.oversampled_rows(self.records.labels, self.split.train)
        position = np.full(len(self.records), -1)
        position[self.split.train] = np.arange(len(self.split.train))
        return position[rows]

    def signals(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Prepared signals of some records: (record, time), int16, raw units."""
        return torch.from_numpy(self.prepared.signals[indices])

    def packed(self, indices: NDArray[np.int64]) -> PackedSignals:
        """The same records without their padding, which each batch gets anew."""
        return PackedSignals.pack(
            self.signals(indices),
            starts=torch.from_numpy(self.prepared.starts[indices]),
            lengths=torch.from_numpy(self.prepared.lengths[indices]),
        )

    def labels(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Classes of some records: (record,), int64."""
        return torch.from_numpy(self.records.labels[indices])

    def valid(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Where some records are not padding: (record, time), bool."""
        return torch.from_numpy(self.prepared.valid_mask(indices))


def load_dataset(
    run: ComputingRun | RecordedRun,
    *,
    place: str | Path | None = None,
    split: str | Path | None = None,
) -> Dataset:
    """The records that a run's settings ask for.

    Args:
        run: for its settings and folders.
        place: archive or folder of the real records; None looks where `data.locate` says.
        split: file of the published split; None looks where `data.locate_split` says.

    Raises:
        data.DataError: the records are missing or damaged. Nothing falls back to synthetic ones.
        runs.ParameterError: synthetic records, or their cache, are not there and cannot be written
            in the run's folder.
    """
    settings = run.settings
    if settings.source == "synthetic":
        source, split_file = run.folder / synthetic_folder(settings), None
        records = made_up_records(run, source)
    else:
        source = data.locate(place, root=run.root)
        split_file = data.locate_split(source, split)
        records = data.load_records(source, cache=data.locate_cache(root=run.root))
    chosen = choose_split(records, split_file, settings=settings)
    return Dataset(records, chosen, settings, origin_of(records, source))


def synthetic_folder(settings: Settings) -> str:
    """Name of the folder, within a run's, of the synthetic records that its settings ask for."""
    return f"synthetic-{settings.synthetic_records}-{settings.data_seed}"


def made_up_records(run: ComputingRun | RecordedRun, folder: Path) -> data.Records:
    """The synthetic records of a run, written to a folder within its own if they are not there.

    Raises:
        runs.ParameterError: they, or their cache, cannot be written there.
    """
    settings = run.settings
    with written_in(run.folder):
        synthetic.write_dataset(folder, count=settings.synthetic_records, seed=settings.data_seed)
        try:
            return data.load_records(folder, cache=run.folder / "cache")
        except data.CacheError as error:
            # Where this cache lies `runs_folder` says alone, and the sentence on DNALIB_CACHE errs.
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from None
            raise


def origin_of(records: data.Records, source: Path) -> str:
    """Where records come from, by what they hold: that they were asked for as real proves nothing.

    Args:
        records: as they were read.
        source: the archive or folder that they were read from.

    Returns:
        `CHALLENGE` for the samples and labels of the challenge, in whatever form they lie;
        `MADE_UP` for a folder that `synthetic.write_dataset` wrote; else what they are not.
    """
    expected = data.Expected()
    if records.digest != expected.samples_sha256:
        if synthetic.is_dataset(source):
            return MADE_UP
        return (
            f"{len(records):,} records of {source.resolve().name}, which are not the "
            f"{expected.records:,} of {CHALLENGE}"
        )
    classes = dict(zip(records.names, records.labels.tolist(), strict=True))
    if data.labels_digest(classes) != expected.labels_sha256:
        return f"{CHALLENGE}, with other names or labels than its version 3"
    return CHALLENGE


def describe(dataset: Dataset, *, profile: str, settings: Settings) -> dict[str, Any]:
    """What a recorded run's manifest says of its settings, its records and their split."""
    return {
        "profile": profile,
        "settings": settings.values(setting_names()),
        "origin": dataset.origin,
        "records": dataset.identity,
        "digest": dataset.records.digest,
        "split": dataset.split.source,
    }


def choose_split(
    records: data.Records, split_file: Path | None, *, settings: Settings
) -> data.Split:
    """The published split where its file is given, else a stratified one; then any subsets."""
    if split_file is None:
        whole = data.stratified_split(records.labels, seed=settings.data_seed)
    else:
        whole = data.published_split(split_file, records=len(records))
    train = subset(whole.train, records.labels, count=settings.train_records, settings=settings)
    test = subset(whole.test, records.labels, count=settings.test_records, settings=settings)
    return data.Split(train, test, whole.source)


def subset(
    indices: NDArray[np.int64], labels: NDArray[np.int64], *, count: int, settings: Settings
) -> NDArray[np.int64]:
    """A stratified subset of that many records; all of them for 0 or more than there are."""
    if count == 0 or count >= len(indices):
        return indices
    return data.subsample(indices, labels, count=count, seed=settings.data_seed)
