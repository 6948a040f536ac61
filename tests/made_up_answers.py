"""Logits and labels drawn at random, for tests of what is counted."""

import numpy as np
from numpy.typing import NDArray


def made_up(
    seed: int, *, members: int = 3, records: int = 60, classes: int = 4
) -> tuple[NDArray[np.floating], NDArray[np.integer]]:
    """Logits (member, record, class) that know nothing of the labels (record,)."""
    random = np.random.default_rng(seed)
    logits = random.standard_normal((members, records, classes)) * 3
    return logits, random.integers(0, classes, records)
