from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from dnalib.data import (
    DataError,
    Records,
    oversampled_rows,
    published_split,
    stratified_split,
    subsample,
)


def labels_of(*sizes: int, seed: int = 0) -> np.ndarray:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(seed).permutation(labels)


def test_a_permutation_file_is_cut_in_its_own_order(tmp_path: Path) -> None:
    path = tmp_path / "permutation.npy"
    permutation = np.random.default_rng(0).permutation(25)
    np.save(path, permutation)
    split = published_split(str(path), records=25)  # or the path itself, as below
    assert split.train.tolist() == permutation[:23].tolist()  # 2.5 test records, rounded to even
    assert split.test.tolist() == permutation[23:].tolist()
    assert split.train.dtype == split.test.dtype == np.int64
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert split.source == f"permutation file permutation.npy, sha256 {digest}"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.arange(24), r"shape \(24,\); accepted: \(25,\)"),
        (np.arange(25).reshape(5, 5), "shape"),
        (np.arange(25) % 24, "not a permutation of the numbers 0 to 24"),
        (np.arange(25) + 1, "not a permutation"),
        (np.arange(25.0), "integers"),
        (b"not an array", "cannot be read"),
        (b"", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_a_bad_permutation_file(tmp_path: Path, content: object, words: str) -> None:
    path = tmp_path / "permutation.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(DataError, match=words) as error:
        published_split(path, records=25)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("sizes", [(5076, 758, 2415, 279), (97, 5, 30, 11), (10, 10)])
def test_the_stratified_split_keeps_class_shares(sizes: tuple[int, ...]) -> None:
    labels = labels_of(*sizes)
    split = stratified_split(labels, seed=3)
    assert sorted([*split.train, *split.test]) == list(range(len(labels)))
    assert len(split.test) == round(0.1 * len(labels))
    found = np.bincount(labels[split.test], minlength=len(sizes))
    assert np.all(np.abs(found - np.array(sizes) * len(split.test) / len(labels)) < 1)
    assert split.source == "stratified, seed 3"


def test_places_left_over_go_to_the_largest_remainders() -> None:
    # Shares of 14 among 97, 5, 30, 11 of 143: 9.50, 0.49, 2.94, 1.08.
    labels = labels_of(97, 5, 30, 11)
    test = stratified_split(labels, seed=0).test
    assert np.bincount(labels[test], minlength=4).tolist() == [10, 0, 3, 1]


def test_the_stratified_split_follows_its_seed_alone() -> None:
    labels = labels_of(300, 50, 100, 20)
    first, again, other = (stratified_split(labels, seed=seed) for seed in (1, 1, 2))
    assert first.train.tolist() == again.train.tolist()
    assert first.test.tolist() == again.test.tolist()
    assert set(first.test) != set(other.test)
    # In random order: neither sorted by position nor by class.
    assert np.any(np.diff(first.train) < 0) and np.any(np.diff(labels[first.test]) < 0)


@pytest.mark.parametrize("share", [0.0, 0.01, 1.0])
def test_a_split_without_one_part_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="test_share"):
        stratified_split(labels_of(5, 5, 5, 5), seed=0, test_share=share)


def test_oversampling_appends_noise_five_times_then_fibrillation_once() -> None:
    labels = np.array([3, 0, 1, 3, 2, 1, 3])
    train = np.array([6, 1, 2, 0, 4, 5])  # record 3, noise, is a test record
    expected = [6, 1, 2, 0, 4, 5] + [6, 0] * 5 + [2, 5]
    assert oversampled_rows(labels, train).tolist() == expected


def test_copies_are_the_callers_in_their_order() -> None:
    labels, train = np.array([0, 4, 0, 2, 4]), np.array([4, 0, 3, 1])
    rows = oversampled_rows(labels, train, copies={4: 2, 0: 1, 2: 0})
    assert rows.tolist() == [4, 0, 3, 1] + [4, 1] * 2 + [0]
    assert oversampled_rows(labels, train, copies={}).tolist() == train.tolist()
    for times in (-1, 1.5):
        with pytest.raises(ValueError, match=rf"copies\[4\] is {times}; .* whole numbers from 0"):
            oversampled_rows(labels, train, copies={4: times})


def test_a_subsample_keeps_order_and_class_shares() -> None:
    labels = labels_of(500, 80, 240, 40)
    indices = np.random.default_rng(1).permutation(860)[:600]
    chosen = subsample(indices, labels, count=100, seed=4)
    positions = [indices.tolist().index(index) for index in chosen]
    assert positions == sorted(set(positions)) and len(chosen) == 100
    whole, part = np.bincount(labels[indices]), np.bincount(labels[chosen])
    assert np.all(np.abs(part - whole / 6) < 1)
    assert chosen.tolist() == subsample(indices, labels, count=100, seed=4).tolist()
    assert chosen.tolist() != subsample(indices, labels, count=100, seed=5).tolist()
    assert subsample(indices, labels, count=600, seed=0).tolist() == indices.tolist()


@pytest.mark.parametrize("count", [0, 11])
def test_a_subsample_cannot_be_larger_than_its_source(count: int) -> None:
    with pytest.raises(ValueError, match=f"count is {count}; accepted: 1 to 10"):
        subsample(np.arange(10), labels_of(5, 5), count=count, seed=0)


@pytest.mark.real
def test_the_published_split_of_the_real_records(real_records: Records, real_split: Path) -> None:
    split = published_split(real_split, records=len(real_records))
    assert split.source.startswith("published, sha256 ba23d3ee")
    assert (len(split.train), len(split.test)) == (7675, 853)
    assert np.bincount(real_records.labels[split.test]).tolist() == [509, 84, 229, 31]
    assert len(oversampled_rows(real_records.labels, split.train)) == 9589


@pytest.mark.real
def test_the_row_order_is_that_of_the_published_features(
    real_records: Records, real_split: Path, published_features: Path
) -> None:
    """Rows of the same record have the same features, and no other order does that."""
    split = published_split(real_split, records=len(real_records))
    rows = oversampled_rows(real_records.labels, split.train)
    features = np.load(published_features)  # (row, feature)
    _, first, record = np.unique(rows, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(features, features[first[record]])


def test_labels_of_a_split_are_classes() -> None:
    labels = labels_of(12, 8)
    expected = stratified_split(labels, seed=0, test_share=0.25)
    assert np.array_equal(
        stratified_split(labels.tolist(), seed=0, test_share=0.25).test, expected.test
    )
    for wrong, words in (
        (labels - 1, "labels holds -1 to 0; class indices are from 0"),
        (labels * 1.0, "labels has dtype float64; class indices are integers"),
        (np.eye(2, dtype=int)[labels], r"labels has shape \(20, 2\)"),
    ):
        with pytest.raises(ValueError, match=words):
            stratified_split(wrong, seed=0)
