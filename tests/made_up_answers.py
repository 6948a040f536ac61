"""Logits and labels drawn at random, for tests of what is counted."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dnalib.tables.answers import Answers


def made_up(
    seed: int, *, members: int = 3, records: int = 60, classes: int = 4
) -> tuple[NDArray[np.floating], NDArray[np.integer]]:
    """Logits (member, record, class) that know nothing of the labels (record,)."""
    random = np.random.default_rng(seed)
    logits = random.standard_normal((members, records, classes)) * 3
    return logits, random.integers(0, classes, records)


def made_up_ensembles(
    seed: int, *, skill: Mapping[str, float], records: int = 60, labels_seed: int = 0
) -> Answers:
    """Three members an ensemble, which favour the right class by `skill`; labels by their own seed.

    Noise (class 3) is rare, as in the real records.
    """
    labels = np.random.default_rng(labels_seed).choice(4, records, p=[0.5, 0.15, 0.25, 0.1])
    random = np.random.default_rng(seed)
    logits = {
        name: random.standard_normal((3, records, 4)) + gain * np.eye(4)[labels]
        for name, gain in skill.items()
    }
    return Answers(logits, labels)
