"""Records that no member answers right are found, counted and named."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from dnalib import data, stages, synthetic, tables
from dnalib.recording import record
from dnalib.runs import ComputingRun, RecordedRun
from dnalib.tables import missed


def hits(run: ComputingRun) -> np.ndarray:
    logits, labels = tables.natural(run, stages.MEMBERS)
    return logits.argmax(axis=-1) == labels  # (member, record)


def test_missed_by_an_ensemble_are_those_without_a_right_member(tiny_run: ComputingRun) -> None:
    found = missed.missed_by(tiny_run)
    assert list(found) == [*stages.ENSEMBLES, "all nine"]
    np.testing.assert_array_equal(found["all nine"], hits(tiny_run).sum(axis=0) == 0)
    places = [stages.MEMBERS.index(member) for member in stages.ENSEMBLES["fcor"]]
    np.testing.assert_array_equal(found["fcor"], hits(tiny_run)[places].sum(axis=0) == 0)


def test_missed_table_counts_by_class(tiny_run: ComputingRun) -> None:
    table = missed.missed_table(tiny_run)
    labels = tables.natural(tiny_run, ["base"])[1]
    nobody = missed.missed_by(tiny_run)["all nine"]
    for label, name in enumerate(stages.CLASS_NAMES):
        assert table.loc["all nine", name] == (nobody & (labels == label)).sum()
    assert table.loc["all nine", "together"] == nobody.sum()
    assert table.loc["test records", "together"] == len(labels)


def test_examples_are_the_hardest_records_with_their_answers(
    tiny_run: ComputingRun, capsys: pytest.CaptureFixture
) -> None:
    examples = missed.missed_examples(tiny_run, most=3)
    logits, labels = tables.natural(tiny_run, stages.MEMBERS)
    right = hits(tiny_run).sum(axis=0)
    assert 0 < len(examples) <= 3
    assert ("No record is missed" in capsys.readouterr().out) == (right.min() > 0)
    dataset = tiny_run.dataset
    names = [dataset.records.names[index] for index in dataset.split.test]
    for title, signal in examples.items():
        name = title.split("(")[1].split(")")[0]
        place = names.index(name)
        assert right[place] == right.min()
        assert title.startswith(stages.CLASS_NAMES[labels[place]])
        assert title.endswith(missed.counted(logits[:, place].argmax(axis=-1)))
        np.testing.assert_array_equal(signal, dataset.prepared.signals[dataset.split.test[place]])


def test_answers_are_counted_the_commonest_first() -> None:
    assert missed.counted(np.array([2, 0, 2, 3, 2, 2, 2, 2, 0])) == "6 × O, 2 × N, 1 × ~"


def test_each_class_comes_first_then_the_others() -> None:
    labels = np.array([2, 0, 2, 1, 2])
    found = missed.first_of_each_class(np.arange(5), labels)
    assert found.tolist() == [1, 3, 0, 2, 4]


@pytest.fixture(scope="module")
def recorded(tiny_run: ComputingRun) -> RecordedRun:
    """The tiny run recorded, beside the records that it was made of."""
    settings = tiny_run.settings
    place = synthetic.write_dataset(
        tiny_run.folder / f"synthetic-{settings.synthetic_records}-{settings.data_seed}",
        count=settings.synthetic_records,
        seed=settings.data_seed,
    )
    return RecordedRun(record(tiny_run), root=tiny_run.root, place=place)


def test_recorded_run_names_the_same_records(tiny_run: ComputingRun, recorded: RecordedRun) -> None:
    assert stages.names_of_test_records(recorded) == stages.names_of_test_records(tiny_run)
    found, expected = missed.missed_examples(recorded), missed.missed_examples(tiny_run)
    assert list(found) == list(expected)


def test_recorded_run_without_its_records_says_so(
    recorded: RecordedRun,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorded, "place", tmp_path)
    assert missed.missed_examples(recorded) == {} and stages.heartbeat(recorded) is None
    assert "dnalib.data fetch" in capsys.readouterr().out


def test_another_split_than_the_recorded_one_is_not_drawn(
    recorded: RecordedRun, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "settings", dataclasses.replace(recorded.settings, data_seed=1))
    assert missed.missed_examples(recorded) == {}
    said = capsys.readouterr().out
    assert "stratified, seed 1" in said and "DNALIB_SPLIT" in said


def test_heartbeat_is_the_tallest_of_the_middle(tiny_run: ComputingRun) -> None:
    beat = stages.heartbeat(tiny_run, seconds=2.0)
    records = tiny_run.dataset.records
    assert records.labels[records.names.index(beat.record)] == data.CLASS_NAMES.index("Normal")
    length, rate = tiny_run.settings.length, tiny_run.settings.rate
    assert beat.signal.shape == (length,)
    assert beat.stretch.stop - beat.stretch.start == 2 * rate + 1
    middle = np.abs(beat.signal - np.median(beat.signal[length // 3 : 2 * length // 3]))
    peak = (beat.stretch.start + beat.stretch.stop) // 2
    assert middle[peak] == middle[length // 3 : 2 * (length // 3)].max()
