"""The records of a run: where they come from, which train, which rows, and their identity."""

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dnalib import data, synthetic
from dnalib.dataset import (
    CHALLENGE,
    MADE_UP,
    Dataset,
    choose_split,
    load_dataset,
    origin_of,
    subset,
)
from dnalib.runs import ParameterError, load_profile

SETTINGS = dataclasses.replace(
    load_profile("demo"), synthetic_records=40, data_seed=0, rate=100, length=300, cut="middle"
)
REAL = dataclasses.replace(SETTINGS, source="cinc2017")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("DNALIB_DATA", raising=False)
    monkeypatch.delenv("DNALIB_SPLIT", raising=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """An empty project's folder."""
    return tmp_path_factory.mktemp("project")


def run_of(settings, root):
    return SimpleNamespace(
        profile="tiny", settings=settings, root=root, folder=root / "data" / "runs" / "demo"
    )


@pytest.fixture(scope="module")
def dataset(project):
    return load_dataset(run_of(SETTINGS, project))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Made-up records where real ones would be."""
    return synthetic.write_dataset(
        tmp_path_factory.mktemp("source") / "records", count=30, seed=1, progress=False
    )


def test_synthetic_records_are_made_in_the_runs_folder(dataset, project):
    assert len(dataset.records) == 40
    assert "synthetic" in dataset.origin
    assert (project / "data/runs/demo/synthetic-40-0/REFERENCE-v3.csv").is_file()
    assert sorted(np.concatenate([dataset.split.train, dataset.split.test])) == list(range(40))
    assert len(dataset.split.test) == 4 and dataset.split.source == "stratified, seed 0"


def test_records_that_are_no_synthetic_ones_are_not_taken_for_a_folder_refused(tmp_path):
    run = run_of(SETTINGS, tmp_path)
    (run.folder / "synthetic-40-0").mkdir(parents=True)
    (run.folder / "synthetic-40-0" / "notes.txt").touch()
    with pytest.raises(FileExistsError, match="synthetic-40-0 exists and has no synthetic.json"):
        load_dataset(run)


def test_a_cache_that_cannot_be_written_in_the_runs_folder_is_told_of_it(
    dataset, project, tmp_path
):
    run = run_of(SETTINGS, tmp_path)
    shutil.copytree(project / "data/runs/demo/synthetic-40-0", run.folder / "synthetic-40-0")
    (run.folder / "cache").touch()  # a file has the place of the cache's folder
    with pytest.raises(ParameterError, match="runs_folder is '.*runs', but nothing can be wr") as e:
        load_dataset(run)
    assert "DNALIB_CACHE" not in str(e.value)


def test_rows_are_positions_in_the_training_part(dataset):
    train, labels = dataset.split.train, dataset.records.labels
    assert dataset.rows.min() >= 0 and dataset.rows.max() == len(train) - 1
    expected = data.oversampled_rows(labels, train)
    assert np.array_equal(train[dataset.rows], expected)
    copies = np.bincount(dataset.rows, minlength=len(train))
    wanted = {data.NOISE: 6, data.ATRIAL_FIBRILLATION: 2}
    assert copies.tolist() == [wanted.get(label, 1) for label in labels[train]]
    assert set(copies) == {1, 2, 6}


def test_what_a_network_is_given(dataset):
    indices = dataset.split.test
    signals, valid = dataset.signals(indices), dataset.valid(indices)
    assert signals.shape == valid.shape == (len(indices), 300)
    assert signals.dtype == torch.int16 and valid.dtype == torch.bool
    assert dataset.labels(indices).dtype == torch.int64
    packed, every = dataset.packed(indices), torch.arange(len(indices))
    assert torch.equal(packed.batch(every).squeeze(1), signals)
    assert torch.equal(packed.valid(every).squeeze(1), valid)
    for row, index in enumerate(indices):
        expected, start, length = data.prepare_signal(
            dataset.records.signal(index), length=300, rate=100, cut="middle", source_rate=300
        )
        assert signals[row].tolist() == expected.tolist()
        assert valid[row].nonzero().flatten().tolist() == list(range(start, start + length))
        assert dataset.labels(indices)[row] == dataset.records.labels[index]


def test_the_identity_follows_samples_labels_and_split(dataset):
    assert len(dataset.identity) == 16

    def changed(*, records=None, split=None, settings=SETTINGS):
        return Dataset(records or dataset.records, split or dataset.split, settings, "").identity

    assert changed() == dataset.identity
    # Settings have places of their own in the identity of what is made from the records.
    assert changed(settings=dataclasses.replace(SETTINGS, length=600)) == dataset.identity
    labels = dataset.records.labels.copy()
    labels[0] = (labels[0] + 1) % 4
    train, test = dataset.split.train, dataset.split.test
    found = {
        dataset.identity,
        changed(records=dataclasses.replace(dataset.records, labels=labels)),
        changed(records=dataclasses.replace(dataset.records, digest="0" * 64)),
        changed(split=data.Split(train[::-1], test, "")),
        changed(split=data.Split(train[:-1], test, "")),
        changed(split=data.Split(train, test[:-1], "")),
        # A record that moves from one part to the next:
        changed(split=data.Split(np.append(train, test[0]), test[1:], "")),
    }
    assert len(found) == 7


def test_other_seeds_make_other_records_beside_the_first(dataset, project):
    another = load_dataset(run_of(dataclasses.replace(SETTINGS, data_seed=1), project))
    assert another.identity != dataset.identity
    assert load_dataset(run_of(SETTINGS, project)).identity == dataset.identity


def permutation_file(folder, *, records=30):
    path = folder / "random_permutation.npy"
    np.save(path, np.random.default_rng(3).permutation(records))
    return path


def test_a_split_file_is_used_where_it_is_given(source, tmp_path):
    path = permutation_file(tmp_path)
    run = run_of(REAL, tmp_path)
    given = load_dataset(run, place=source, split=path)
    assert np.concatenate([given.split.train, given.split.test]).tolist() == np.load(path).tolist()
    assert len(given.split.test) == 3 and "sha256" in given.split.source
    assert (tmp_path / "data" / "cache").is_dir()
    without = load_dataset(run, place=source)
    assert without.split.source.startswith("stratified")
    assert without.identity != given.identity


def test_the_origin_is_what_the_records_are(source, tmp_path, monkeypatch):
    copied = Path(shutil.copytree(source, tmp_path / "copied"))
    (copied / "synthetic.json").unlink()
    asked_for_as_real = [
        load_dataset(run_of(REAL, tmp_path), place=one) for one in (source, copied)
    ]
    made_up, others = asked_for_as_real
    assert made_up.origin == MADE_UP
    assert others.origin == f"30 records of copied, which are not the 8,528 of {CHALLENGE}"
    known = data.Expected(
        samples_sha256=others.records.digest,
        labels_sha256=data.labels_digest(data.read_labels(source / "REFERENCE-v3.csv")),
    )
    monkeypatch.setattr(data, "Expected", lambda: known)
    assert load_dataset(run_of(REAL, tmp_path), place=copied).origin == CHALLENGE
    other_labels = dataclasses.replace(others.records, labels=others.records.labels[::-1])
    assert origin_of(other_labels, copied).startswith(f"{CHALLENGE}, with other names or labels")


def test_packed_records_have_the_identity_of_the_records_they_were_packed_from(source, tmp_path):
    run = run_of(REAL, tmp_path)
    split = permutation_file(tmp_path)
    expected = load_dataset(run, place=source, split=split)
    packed = tmp_path / "packed"
    data.export_packed(source, packed, cache=tmp_path / "data" / "cache")
    (packed / "random_permutation.npy").write_bytes(split.read_bytes())
    found = load_dataset(run_of(REAL, tmp_path / "bare"), place=packed)
    assert found.identity == expected.identity
    assert found.records.digest == expected.records.digest
    assert found.records.names == expected.records.names
    np.testing.assert_array_equal(found.records.samples, expected.records.samples)
    np.testing.assert_array_equal(found.split.test, expected.split.test)
    assert not (tmp_path / "bare" / "data" / "cache").exists()


def test_a_split_beside_the_records_is_found_and_a_wrong_one_refused(source, tmp_path, monkeypatch):
    run = run_of(REAL, tmp_path)
    monkeypatch.setenv("DNALIB_DATA", str(source))
    monkeypatch.setenv("DNALIB_SPLIT", str(permutation_file(tmp_path)))
    assert load_dataset(run).split.source.startswith("permutation file")
    with pytest.raises(data.DataError, match="no such split file"):
        load_dataset(run, split=tmp_path / "nowhere.npy")
    with pytest.raises(data.DataError, match=r"\(30,\)"):
        load_dataset(run, split=permutation_file(tmp_path, records=29))


def test_absent_records_are_an_error_that_says_how_to_get_them(tmp_path):
    run = run_of(REAL, tmp_path)
    for place in (None, tmp_path / "elsewhere"):
        with pytest.raises(data.DataError, match="No ECG records at .*dnalib.data fetch"):
            load_dataset(run, place=place)
    assert not list(tmp_path.rglob("*.dat"))  # and nothing was made up in their place


def test_subsets_keep_the_shares_of_the_classes():
    labels = np.repeat([0, 1, 2, 3], [60, 20, 10, 10])
    indices = np.random.default_rng(0).permutation(100)
    for count in (0, 100, 101):
        assert subset(indices, labels, count=count, settings=SETTINGS) is indices
    chosen = subset(indices, labels, count=50, settings=SETTINGS)
    assert np.bincount(labels[chosen]).tolist() == [30, 10, 5, 5]
    assert set(chosen) <= set(indices) and len(set(chosen)) == 50
    again = subset(indices, labels, count=50, settings=SETTINGS)
    other = subset(indices, labels, count=50, settings=dataclasses.replace(SETTINGS, data_seed=1))
    assert np.array_equal(chosen, again) and not np.array_equal(chosen, other)


def test_a_subset_is_taken_within_each_part(dataset):
    whole = dataset.split
    settings = dataclasses.replace(SETTINGS, train_records=20, test_records=3)
    chosen = choose_split(dataset.records, None, settings=settings)
    assert len(chosen.train) == 20 and len(chosen.test) == 3
    assert set(chosen.train) <= set(whole.train) and set(chosen.test) <= set(whole.test)
    assert chosen.source == whole.source


def test_another_training_seed_keeps_the_split_and_its_subsets(dataset):
    settings = dataclasses.replace(SETTINGS, train_records=20, test_records=3)
    for one in (SETTINGS, settings):
        usual, other = (
            choose_split(dataset.records, None, settings=dataclasses.replace(one, seed=seed))
            for seed in (one.data_seed, one.data_seed + 1)
        )
        assert np.array_equal(usual.train, other.train) and np.array_equal(usual.test, other.test)
