"""What an ensemble is unsure of, in nats.

Arrays: `probabilities` (member, record, class) float.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from dnalib.array_arguments import check_dimensions, check_numbers, check_sums_to_one

Floats = NDArray[np.floating]

ROUNDING = 1e-6  # how far probabilities in float32 may leave [0, 1]
SUM_ROUNDING = 1e-3  # how far those of a record, rounded to fp16 perhaps, may sum to other than 1


def predictive_entropy(probabilities: ArrayLike) -> Floats:
    """Entropy of the mean probabilities in nats; (member, record, class) -> (record,).

    Raises:
        ValueError: another number of axes, no record, NaN, values outside [0, 1], as logits are, or
            classes that do not sum to 1.
    """
    return _entropy_of_mean(_as_probabilities(probabilities))


def mutual_information(probabilities: ArrayLike) -> Floats:
    """What the members disagree about, in nats.

    The entropy of the mean probabilities less the mean entropy of the members': 0 where all
    members say the same, log(members) where each is sure of a class of its own.

    Args:
        probabilities: (member, record, class), each class axis summing to 1.

    Returns:
        (record,), in [0, log(members)].

    Raises:
        ValueError: as in `predictive_entropy`.

    Source: :eq:`eq-mutual-information` of chapter 8.
    """
    probabilities = _as_probabilities(probabilities)
    total = _entropy_of_mean(probabilities)  # (record,)
    expected = special.entr(probabilities).sum(axis=-1).mean(axis=0)  # (record,)
    return np.maximum(total - expected, 0.0)  # rounding can leave -1e-17


def _entropy_of_mean(probabilities: Floats) -> Floats:
    """`predictive_entropy` of what `_as_probabilities` gave."""
    return special.entr(probabilities.mean(axis=0)).sum(axis=-1)


def _as_probabilities(probabilities: ArrayLike) -> Floats:
    """The array (member, record, class), refusing what is no distribution by more than rounding.

    What rounding left below 0 becomes 0: of it the entropy would be minus infinity.
    """
    array = np.asarray(probabilities, dtype=float)
    check_dimensions("probabilities", array, 3)
    check_numbers("probabilities", array)
    low, high = array.min(), array.max()
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise ValueError(
            f"probabilities reach from {low:g} to {high:g}; accepted are values in [0, 1], as "
            "softmax makes of logits"
        )
    check_sums_to_one("probabilities", array, within=SUM_ROUNDING)
    return np.maximum(array, 0.0)
