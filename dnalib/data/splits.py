"""Which records train and which test, and the oversampled training rows.

Source: Han et al., "Deep learning models for electrocardiograms are susceptible to
adversarial attack", Nature Medicine 2020 (code ADV_ECG): a fixed permutation of the records in name
order, the first nine tenths train.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from dnalib.array_arguments import check_classes, check_count, check_dimensions

from .records import ATRIAL_FIBRILLATION, NOISE, SHORT_CLASS_NAMES, DataError

PUBLISHED_SPLIT_SHA256 = "ba23d3ee8cbcc2ad18a24ab1dfff8619c399e8105faf22c7754dfa12c69a2283"
TEST_SHARE = 0.1
# How many more times the rows of a class are given, in the order in which they are appended.
PUBLISHED_COPIES: Mapping[int, int] = MappingProxyType({NOISE: 5, ATRIAL_FIBRILLATION: 1})


@dataclass(frozen=True)
class Split:
    """Records to train on and records to test on.

    Attributes:
        train: int64 (record,), positions in name order, in the order of the split.
        test: int64 (record,), likewise; no record is in both.
        source: where the split comes from, for a run's manifest.
    """

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    source: str


def published_split(path: str | PathLike[str], *, records: int) -> Split:
    """The split of a permutation file: its first nine tenths train, the rest test.

    Args:
        path: `random_permutation.npy`, an integer array (record,).
        records: how many records there are (8,528: 7,675 train, 853 test).

    Returns:
        The split; its source says "published" only where the file's sha256 is the published one's.

    Raises:
        DataError: the file is no array, or no permutation of that many records.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        permutation = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as an array ({error}).") from error
    if not isinstance(permutation, np.ndarray) or permutation.dtype.kind not in "iu":
        raise DataError(f"{path}: does not hold an array of integers.")
    if permutation.shape != (records,):
        raise DataError(
            f"{path}: holds an array of shape {permutation.shape}; accepted: ({records},), "
            "one entry a record."
        )
    if not np.array_equal(np.sort(permutation), np.arange(records)):
        raise DataError(f"{path}: is not a permutation of the numbers 0 to {records - 1}.")
    sha256 = hashlib.sha256(content).hexdigest()
    kind = "published" if sha256 == PUBLISHED_SPLIT_SHA256 else f"permutation file {path.name}"
    ordered = permutation.astype(np.int64)
    train = records - _test_count(records, TEST_SHARE)
    return Split(ordered[:train], ordered[train:], f"{kind}, sha256 {sha256}")


def stratified_split(
    labels: NDArray[np.int64], *, seed: int, test_share: float = TEST_SHARE
) -> Split:
    """A random split in which each class has (to a record) the same share of the test part.

    Args:
        labels: int64 (record,), classes in name order.
        seed: of the random choice; the same seed gives the same split.
        test_share: between 0 and 1.

    Returns:
        The split, both parts in random order.

    Raises:
        ValueError: labels that are no classes, one a record, or one part would be empty.
    """
    labels = np.asarray(labels)
    check_dimensions("labels", labels, 1)
    check_classes("labels", labels)
    test_count = _test_count(len(labels), test_share)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(labels)).astype(np.int64)
    in_test = _stratified_choice(labels[order], test_count)
    return Split(order[~in_test], order[in_test], f"stratified, seed {seed}")


def oversampled_rows(
    labels: NDArray[np.int64],
    train: NDArray[np.int64],
    *,
    copies: Mapping[int, int] = PUBLISHED_COPIES,
) -> NDArray[np.int64]:
    """Training rows with rare classes repeated: by default those of CinC 2017, as published.

    Args:
        labels: int64 (record,), classes of all records in name order.
        train: int64, the training records.
        copies: by class, how many more times its rows are given. The published ones are of CinC
            2017's classes, {3: 5, 1: 1}: noise five times, then atrial fibrillation once.

    Returns:
        int64 (row,), records: `train`, then for each class of `copies`, in its order, the block of
        its records so many times (9,589 rows with the published split and copies).

    Raises:
        ValueError: a number of copies that is no whole number from 0.

    Source: ADV_ECG's data preparation.
    """
    blocks = [train]
    for label, times in copies.items():
        check_count(f"copies[{label}]", times, least=0)
        blocks.append(np.tile(train[labels[train] == label], times))
    return np.concatenate(blocks)


def subsample(
    indices: NDArray[np.int64], labels: NDArray[np.int64], *, count: int, seed: int
) -> NDArray[np.int64]:
    """A random subset with (to a record) the same share of each class, in the given order.

    Args:
        indices: int64, records to choose from.
        labels: int64 (record,), classes of all records in name order.
        count: how many to choose, 1 to `len(indices)`.
        seed: of the random choice.

    Returns:
        int64 (count,), a subsequence of `indices`.

    Raises:
        ValueError: `count` is out of range.
    """
    if not 1 <= count <= len(indices):
        raise ValueError(f"count is {count}; accepted: 1 to {len(indices)}, the records there are.")
    order = np.random.default_rng(seed).permutation(len(indices))
    chosen = order[_stratified_choice(labels[indices[order]], count)]
    return indices[np.sort(chosen)]


def _test_count(records: int, test_share: float) -> int:
    count = round(records * test_share)
    if not 0 < count < records:
        raise ValueError(
            f"test_share is {test_share}: of {records} records {count} would test; "
            "both parts need at least one."
        )
    return count


def _stratified_choice(labels: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """bool (record,): the first few records of each class, `count` in all.

    Largest remainders: each class gets the whole part of its share, and those with the largest
    fractions one more until the count is met.
    """
    sizes = np.bincount(labels, minlength=len(SHORT_CLASS_NAMES))  # (class,)
    shares = sizes * count / sizes.sum()
    chosen = np.floor(shares).astype(np.int64)
    largest = np.argsort(chosen - shares, kind="stable")
    chosen[largest[: count - chosen.sum()]] += 1
    mask = np.zeros(len(labels), dtype=bool)
    for label, number in enumerate(chosen):
        mask[np.flatnonzero(labels == label)[:number]] = True
    return mask
