"""What the records are: counts and ranges, and examples to look at."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnalib import data
from dnalib.data import CLASSES, RATE
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
    counts = [
        np.histogram(seconds[records.labels == label], edges)[0].tolist()
        for label in range(len(CLASSES))
    ]
    results = {
        "origin": dataset.origin,
        "split": split.source,
        "digest": records.digest,
        "records": len(records),
        "samples": int(records.lengths.sum()),
        "train": np.bincount(records.labels[split.train], minlength=len(CLASSES)).tolist(),
        "test": np.bincount(records.labels[split.test], minlength=len(CLASSES)).tolist(),
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
        set is not on this machine.

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
    return data.load_records(source, cache=run.root / "data" / "cache")


def class_examples(run: Run) -> dict[str, NDArray[np.int16]]:
    """The first record of 30 s of each class, full length, raw units at 300 Hz; or none (above)."""
    records = available_records(run)
    if records is None:
        return {}
    chosen = {}
    for label, name in enumerate(data.CLASS_NAMES):
        fitting = np.flatnonzero((records.labels == label) & (records.lengths >= COMMON_LENGTH))
        chosen[f"{name} (record {records.names[fitting[0]]})"] = records.signal(fitting[0])
    return chosen


def named_signals(run: Run, names: list[str]) -> dict[str, NDArray[np.int16]]:
    """Some records as the networks see them, (time,) at the run's rate and length; or none.

    Raises:
        data.DataError: the records are there and lack one of that name.
    """
    records = available_records(run)
    if records is None:
        return {}
    for name in names:
        if name not in records.names:
            raise data.DataError(
                f"{name}: not among these {len(records)} records, which are others"
            )
    settings = run.settings
    return {
        name: data.prepare_signal(
            records.signal(records.names.index(name)),
            length=settings.length,
            rate=settings.rate,
            cut=settings.cut,
        )[0]
        for name in names
    }
