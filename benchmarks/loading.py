"""Loading the records: from the cache against wfdb, record by record.

`--data` names an archive or folder; without it synthetic records are made.
"""

import statistics
import tempfile
import time
from pathlib import Path

import wfdb
from sides import alternate, parse, report

from dnalib import data, synthetic
from dnalib.data.cache import read_cache
from dnalib.data.reading import open_source


def unpacked(source: Path, folder: Path, *, most: int | None) -> Path:
    """The records of a source as WFDB files in a folder, with their labels."""
    names: list[str] = []
    with open_source(source) as opened:
        for name, signal in zip(opened.names, opened.signals(), strict=True):
            if most is not None and len(names) == most:
                break
            wfdb.wrsamp(
                name,
                fs=data.RATE,
                units=["mV"],
                sig_name=["ECG"],
                d_signal=signal.reshape(-1, 1),
                fmt=["16"],
                adc_gain=[data.GAIN],
                baseline=[0],
                write_dir=str(folder),
            )
            names.append(name)
    labels = data.find_labels(source).read_text().splitlines()
    kept = [line for line in labels if line.split(",")[0] in set(names)]
    (folder / "REFERENCE-v3.csv").write_text("\n".join(kept) + "\n")
    (folder / "RECORDS").write_text("\n".join(names) + "\n")
    return folder


def reading_seconds(cache: Path) -> float:
    """Median seconds of reading and checking the cache, labels and archive aside."""
    (path,) = cache.glob("*.int16")
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        read_cache(path)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def main() -> None:
    """The command line."""
    parser = parse(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="archive or folder of WFDB records")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        source = arguments.data or synthetic.write_dataset(place / "made", count=400, seed=0)
        (place / "records").mkdir()
        folder = unpacked(source, place / "records", most=500 if arguments.quick else None)
        # Ours reads an archive as it is; wfdb needs the records unpacked, which is not timed.
        whole = folder if arguments.quick else source
        names = sorted(path.stem for path in folder.glob("*.hea"))

        def ours() -> None:
            data.load_records(whole, cache=place / "cache", progress=False)

        def straightforward() -> None:
            for name in names:
                wfdb.rdrecord(str(folder / name)).p_signal[:, 0] * data.GAIN

        repeats = 2 if arguments.quick else 5
        fast, slow = alternate(ours, straightforward, repeats=repeats, device="cpu")
        report(
            "loading",
            ours=fast,
            straightforward=slow,
            device="cpu",
            most_time={"reading and digest": round(reading_seconds(place / "cache") / fast, 3)},
            records=len(names),
        )


if __name__ == "__main__":
    main()
