"""Intervals over records, and over seeds besides, and an exact test between two ensembles.

An interval says how far a number would move with another draw of records; of another training it
says nothing, but for that of `crossed_seeds`, which takes several.

Imports go one way: resampling, crossed; exact_test stands alone.
"""

from .crossed import DIFFERENCE, SHARE, Spread, crossed_seeds
from .exact_test import McNemar, mcnemar
from .resampling import (
    bootstrap_interval,
    paired_difference,
    resampled_interval,
    resampled_records,
)

__all__ = [
    "DIFFERENCE",
    "McNemar",
    "SHARE",
    "Spread",
    "bootstrap_interval",
    "crossed_seeds",
    "mcnemar",
    "paired_difference",
    "resampled_interval",
    "resampled_records",
]
