"""The records: reading, cache, packed stream, splits, preparation and download.

Imports go one way: records, locations, record_files, reading, index, packed, cache, splits,
preparation, physical, download.
"""

from dnalib.units import GAIN, RATE

from .cache import CacheError, export_packed, load_records
from .download import Expected, fetch
from .locations import find_labels, locate, locate_cache, locate_split
from .physical import raw_units, read_physical
from .preparation import PreparedRecords, check_options, prepare, prepare_signal
from .records import (
    ATRIAL_FIBRILLATION,
    CLASS_NAMES,
    NOISE,
    SHORT_CLASS_NAMES,
    DataError,
    Records,
    labels_digest,
    read_labels,
)
from .splits import Split, oversampled_rows, published_split, stratified_split, subsample

__all__ = [
    "ATRIAL_FIBRILLATION",
    "CLASS_NAMES",
    "GAIN",
    "NOISE",
    "RATE",
    "SHORT_CLASS_NAMES",
    "CacheError",
    "DataError",
    "Expected",
    "PreparedRecords",
    "Records",
    "Split",
    "check_options",
    "export_packed",
    "fetch",
    "find_labels",
    "labels_digest",
    "load_records",
    "locate",
    "locate_cache",
    "locate_split",
    "oversampled_rows",
    "prepare",
    "prepare_signal",
    "published_split",
    "raw_units",
    "read_labels",
    "read_physical",
    "stratified_split",
    "subsample",
]
