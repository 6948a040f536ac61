"""Keeping a finished run for the book, and the book that shows it.

`python -m dnalib.recording` is its command line. Imports go one way: contents
and restoring, then keeping and showing.
"""

from .keeping import keep_trainings, record

__all__ = ["keep_trainings", "record"]
