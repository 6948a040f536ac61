"""What the records are: counts and ranges, and examples to look at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnalib import data
from dnalib.data import RATE, SHORT_CLASS_NAMES
from dnalib.data.locations import DATA_VARIABLE, SPLIT_VARIABLE
from dnalib.dataset import Dataset, choose_split
from dnalib.runs import ComputingRun, RecordedRun, Run

LENGTH_BINS = 26  # of the histogram of record lengths, 0 to 65 s
LONGEST = 65.0  # s, the histogram's last edge
COMMON_LENGTH = 9_000  # samples: most records last 30 s


def survey(run: ComputingRun, path: Path) -> dict[str, Any]:
    """Counts that describe the records; no sample of one."""
    dataset = run.dataset
    records, split = dataset.records, dataset.split
    edges = np.linspace(0, LONGEST, LENGTH_BINS + 1)  # (bin + 1,), s
    seconds = records.lengths / RATE  # (record,)
    classes = len(SHORT_CLASS_NAMES)
    counts = [
        np.histogram(seconds[records.labels == label], edges)[0].tolist()
        for label in range(classes)
    ]
    results = {
        "origin": dataset.origin,
        "split": split.source,
        "digest": records.digest,
        "records": len(records),
        "samples": int(records.lengths.sum()),
        "train": np.bincount(records.labels[split.train], minlength=classes).tolist(),
        "test": np.bincount(records.labels[split.test], minlength=classes).tolist(),
        "rows": len(dataset.rows),
        "seconds": [float(seconds.min()), float(np.median(seconds)), float(seconds.max())],
        "raw_units": [int(records.samples.min()), int(records.samples.max())],
        "length_edges": edges.tolist(),
        "length_counts": counts,
    }
    path.write_text("{}\n")
    return results


def available_records(run: Run) -> data.Records | None:
    """The records of a run, to draw some. A recorded run holds none: they may be absent.

    Returns:
        The records; None, with a printed sentence on how to get them, where a recorded run's data
        set is not on this machine, or what is there holds other samples.

    Raises:
        data.DataError: they are there but damaged, or a computing run lacks them.
    """
    if isinstance(run, ComputingRun):
        return run.dataset.records
    assert isinstance(run, RecordedRun)
    try:
        source = data.locate(run.place, root=run.root)
    except data.DataError as error:
        print(f"This figure draws real records, which are not part of the book. {error}")
        return None
    records = data.load_records(source, cache=data.locate_cache(root=run.root))
    if records.digest != run.manifest["digest"]:
        print(
            f"This figure draws records of the run {run.profile} ({run.origin}), and those at "
            f"{source} are others: say where the run's are (`-p data ...`, or the environment "
            f"variable {DATA_VARIABLE})."
        )
        return None
    return records


def class_examples(run: Run) -> dict[str, NDArray[np.int16]]:
    """The first record of 30 s of each class, full length, raw units at 300 Hz; or none (above)."""
    records = available_records(run)
    if records is None:
        return {}
    chosen = {}
    for label, name in enumerate(data.CLASS_NAMES):
        first = first_of_class(records, label)
        chosen[f"{name} (record {records.names[first]})"] = records.signal(first)
    return chosen


def first_of_class(records: data.Records, label: int) -> int:
    """Position of the first record of a class that lasts 30 s, or of its longest one."""
    fitting = np.minimum(records.lengths, COMMON_LENGTH) * (records.labels == label)
    return int(fitting.argmax())


@dataclass(frozen=True)
class Heartbeat:
    """One beat of a record.

    Attributes:
        record: its name.
        signal: (time,), the whole record as the networks see it, raw units at the run's rate.
        stretch: the samples around the beat.
    """

    record: str
    signal: NDArray[np.int16]
    stretch: slice


def heartbeat(run: Run, *, seconds: float = 1.0) -> Heartbeat | None:
    """The tallest beat in the middle third of the first normal record; or none (above).

    Args:
        run: its rate and length are the signal's.
        seconds: how long a stretch, with the beat in its middle.
    """
    records = available_records(run)
    if records is None:
        return None
    name = records.names[first_of_class(records, data.CLASS_NAMES.index("Normal"))]
    signal = named_signals(run, [name])[name]  # (time,)
    third, half = len(signal) // 3, round(seconds * run.settings.rate / 2)
    middle = signal[third : 2 * third].astype(float)
    peak = third + int(np.abs(middle - np.median(middle)).argmax())
    return Heartbeat(name, signal, slice(peak - half, peak + half + 1))


def names_of_test_records(run: Run) -> list[str] | None:
    """Names of the test records, in the order of the stored logits.

    Returns:
        (record,); None, with a printed sentence, where a recorded run's data set, or the split that
        it was divided by, is not on this machine.

    Raises:
        data.DataError: as in `available_records`.
    """
    records = available_records(run)
    if records is None:
        return None
    if isinstance(run, ComputingRun):
        test = run.dataset.split.test
    else:
        assert isinstance(run, RecordedRun)
        split_file = data.locate_split(data.locate(run.place, root=run.root), run.split)
        split = choose_split(records, split_file, settings=run.settings)
        if Dataset(records, split, run.settings, "").identity != run.manifest["records"]:
            print(
                "This figure draws test records, and these records or their split "
                f"({split.source}) are not those of the run {run.profile} "
                f"({run.manifest['split']}): name the split's file (`-p split ...`, or the "
                f"environment variable {SPLIT_VARIABLE})."
            )
            return None
        test = split.test
    return [records.names[index] for index in test]


def named_signals(run: Run, names: list[str]) -> dict[str, NDArray[np.int16]]:
    """Some records as the networks see them, (time,) at the run's rate and length; or none.

    Raises:
        data.DataError: the records are there and lack one of that name.
    """
    records = available_records(run)
    if records is None:
        return {}
    settings = run.settings
    return {
        name: data.prepare_signal(
            records.signal(record_position(records, name)),
            length=settings.length,
            rate=settings.rate,
            cut=settings.cut,
            source_rate=data.RATE,
        )[0]
        for name in names
    }


def record_position(records: data.Records, name: str) -> int:
    """Position of the record of that name.

    Raises:
        data.DataError: there is none.
    """
    if name not in records.names:
        raise data.DataError(f"{name}: not among these {len(records)} records, which are others")
    return records.names.index(name)
