"""Intervals over records, and over seeds besides, and an exact test between two ensembles.

An interval says how far a number would move with another draw of records; of another training it
says nothing, but for that of `crossed_seeds`, which takes several. Shares of records and their
differences have score intervals, all other numbers are resampled.

Imports go one way: confidence, then shares, resampling and crossed; exact_test stands alone.
"""

from .crossed import DIFFERENCE, SHARE, Spread, crossed_seeds
from .exact_test import McNemar, mcnemar
from .resampling import resampled_records
from .shares import paired_difference, share_interval

__all__ = [
    "DIFFERENCE",
    "McNemar",
    "SHARE",
    "Spread",
    "crossed_seeds",
    "mcnemar",
    "paired_difference",
    "resampled_records",
    "share_interval",
]
