"""What a training reads, and how it is told from another training's data."""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from dnalib.array_arguments import check_classes
from dnalib.digests import digest_of_tensors
from dnalib.model import FEATURES, Network
from dnalib.signals import (
    PackedSignals,
    check_labels,
    check_leads,
    check_packed,
    check_tensor,
    first_of,
)
from dnalib.training.recipes import Recipe


@dataclass(frozen=True)
class TrainingData:
    """What a training reads.

    Attributes:
        signals: all training records once, `PackedSignals` of int16 or floating point, raw units.
        labels: a tensor (record,), int64.
        rows: a tensor (row,), int64, record of each training row after oversampling.
        test_signals, test_labels: the test records likewise, for the learning curve only, of as
            many leads and padded to the same length: the network's mean over time counts the
            padding.
        earlier: a tuple of tensors (record, 64), float32: the features of each earlier model, in
            the records' order, a row a record, not a training row.

    Raises:
        ValueError: signals that are not packed, not padded to one length or not of as many leads,
            other parts that are no tensors, labels or features of another number of records, labels
            that are no classes, rows or features of another shape or type, a row of no record, a
            value that is not finite, or no test record.
    """

    signals: PackedSignals
    labels: Tensor
    rows: Tensor
    test_signals: PackedSignals
    test_labels: Tensor
    earlier: tuple[Tensor, ...] = ()

    def __post_init__(self) -> None:
        for name in ("signals", "test_signals"):
            check_packed(name, getattr(self, name))
        if self.test_signals.length != self.signals.length:
            raise ValueError(
                f"test_signals are padded to {self.test_signals.length} samples and signals to "
                f"{self.signals.length}; accepted is one length for both"
            )
        check_leads("test_signals", self.test_signals, leads=self.signals.leads, by="signals")
        if not len(self.test_signals):
            raise ValueError("test_signals hold no record; at least one is needed")
        records = len(self.signals)
        check_known_labels("labels", self.labels, records=records)
        check_known_labels("test_labels", self.test_labels, records=len(self.test_signals))
        check_tensor("rows", self.rows)
        check_rows(self.rows)
        for place, features in enumerate(self.earlier):
            check_tensor(f"earlier[{place}]", features)
            check_features(f"earlier[{place}]", features)
            if len(features) != records:
                raise ValueError(
                    f"earlier[{place}] is of {len(features)} records; accepted is one of each of "
                    f"{records}"
                )
        self.signals.check_finite("signals")
        self.test_signals.check_finite("test_signals")
        # Only where reading waits for no device: it is checked before it is moved.
        if self.rows.device.type == "cpu" and len(self.rows):
            first, last = self.rows.min(), self.rows.max()
            if first < 0 or last >= records:
                raise ValueError(
                    f"rows are of records {first} to {last}; accepted are 0 to {records - 1}"
                )

    def to(self, device: torch.device) -> "TrainingData":
        """The same data, resident on a device."""
        moved = {
            field.name: getattr(self, field.name).to(device)
            for field in fields(self)
            if field.name != "earlier"
        }
        return replace(self, **moved, earlier=tuple(matrix.to(device) for matrix in self.earlier))

    def check_fits(self, network: Network) -> None:
        """Raise a ValueError for other leads than a network's, or a label beyond its classes.

        Labels on a GPU were checked before: reading them would wait for the device.
        """
        check_leads("signals", self.signals, leads=network.leads)
        classes = network.classes
        for name in ("labels", "test_labels"):
            labels = getattr(self, name)
            if labels.device.type == "cpu":
                check_classes(name, labels.numpy(), classes, because=f"with classes={classes}")

    def digests(self) -> dict[str, str]:
        """Each part of the data in a few characters: its size and the start of its SHA-256."""
        parts = {
            "training signals": signal_tensors(self.signals),
            "training labels": [self.labels],
            "training rows": [self.rows],
            "test signals": signal_tensors(self.test_signals),
            "test labels": [self.test_labels],
        }
        parts |= {
            f"features of earlier model {number}": [matrix]
            for number, matrix in enumerate(self.earlier, start=1)
        }
        return {name: describe_tensors(tensors) for name, tensors in parts.items()}


def check_rows(rows: Tensor) -> None:
    """Raise a ValueError unless rows are positions of records: (row,), int64."""
    if rows.ndim != 1 or rows.dtype != torch.int64:
        raise ValueError(
            f"rows have shape {tuple(rows.shape)} and type {rows.dtype}; accepted is (row,), int64"
        )


def check_features(name: str, features: Tensor) -> None:
    """Raise a ValueError unless features are a matrix of finite numbers: (record, feature).

    Whether they are finite is not looked at on a GPU, where looking would wait for the device.
    """
    if features.ndim != 2 or not features.is_floating_point():
        raise ValueError(
            f"{name} has shape {tuple(features.shape)} and type {features.dtype}; accepted is "
            "(record, feature), floating point"
        )
    if features.device.type == "cpu":
        lost = ~features.isfinite().all(dim=1)  # (record,)
        if lost.any():
            raise ValueError(
                f"{name} hold a value that is not finite, of record {first_of(lost)}; accepted are "
                "finite numbers"
            )


def check_known_labels(name: str, labels: Tensor, *, records: int) -> None:
    """Raise a ValueError unless each record has a class; on a GPU they were checked before."""
    check_labels(name, labels, records=records)
    if labels.device.type == "cpu":
        check_classes(name, labels.numpy())  # training knows how many there are


def signal_tensors(signals: PackedSignals) -> list[Tensor]:
    """All that tells packed signals from others, the number of records first."""
    return [
        signals.lengths,
        signals.starts,
        signals.offsets,
        torch.tensor(signals.length),
        signals.samples.squeeze(0),  # of one lead: as checkpoints from before there were others
    ]


def describe_tensors(tensors: list[Tensor]) -> str:
    """Rows of the first of some tensors, and a digest of all."""
    return f"{len(tensors[0])} ({digest_of_tensors(tensors)[:16]})"


def number_of_batches(data: TrainingData, recipe: Recipe) -> int:
    """Batches an epoch. Rows are spread evenly, so that no short last batch spoils a fit.

    Raises:
        ValueError: no rows, decorrelation with too few rows a batch, DVERGE with one class, or
            features of earlier models for a method that reads none.
    """
    check_earlier(data, recipe)
    rows = len(data.rows)
    if rows == 0 or recipe.batch_size < 2:
        raise ValueError(
            f"{rows} training rows at batch_size {recipe.batch_size}; accepted are at least one "
            "row and a batch_size of 2"
        )
    batches = -(-rows // recipe.batch_size)
    columns = FEATURES if recipe.method == "parallel" else recipe.projected_dimension
    if decorrelates(data, recipe) and rows // batches < columns + 2:
        raise ValueError(
            f"{rows} training rows at batch_size {recipe.batch_size} (auxiliary_batch_size of a "
            f"run) give batches of {rows // batches} rows; decorrelation by a fit on {columns} "
            f"columns needs at least {columns + 2}: take more records, a larger batch or, where "
            "features are projected, a smaller projected_dimension"
        )
    if recipe.method == "dverge" and len(data.labels[data.rows].unique()) < 2:
        raise ValueError(
            f"all {rows} training rows are of one class; method 'dverge' distils each towards a "
            "row of another class and needs at least two"
        )
    return batches


def check_earlier(data: TrainingData, recipe: Recipe) -> None:
    """Raise a ValueError for features of earlier models that the recipe's method would ignore."""
    if data.earlier and recipe.method != "alone":
        raise ValueError(
            f"earlier holds features of {len(data.earlier)} models; accepted with the method "
            f"{recipe.method!r} are none, as only 'alone' decorrelates from earlier models"
        )


def decorrelates(data: TrainingData, recipe: Recipe) -> bool:
    """Whether a training has a decorrelation loss."""
    return recipe.method == "parallel" or bool(data.earlier)
