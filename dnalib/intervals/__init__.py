"""Intervals over records, and over seeds besides, and an exact test between two ensembles.

An interval says how far a number would move with another draw of records; of another training it
says nothing, but for those of `crossed`, which take several. Shares of records and their
differences have the intervals of `shares`; other numbers are resampled.

Imports go one way: confidence; shares, resampling; crossed. exact_test stands alone.
"""

from .crossed import Spread, crossed_differences, crossed_seeds, crossed_shares
from .exact_test import McNemar, mcnemar
from .resampling import resampled_records
from .shares import paired_difference, share_interval

__all__ = [
    "McNemar",
    "Spread",
    "crossed_differences",
    "crossed_seeds",
    "crossed_shares",
    "mcnemar",
    "paired_difference",
    "resampled_records",
    "share_interval",
]
