"""How sure an interval is to be."""

import scipy  # loads scipy.stats where it is used: that takes half a second

from dnalib.array_arguments import is_number


def normal_quantile(confidence: float) -> float:
    """Standard deviations to either side of the mean that hold a share of a normal distribution.

    Raises:
        ValueError: a confidence outside (0, 1).
    """
    check_confidence(confidence)
    return float(scipy.stats.norm.ppf((1 + confidence) / 2))


def check_confidence(confidence: float) -> None:
    """Refuse a confidence outside (0, 1)."""
    if not is_number(confidence) or not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence!r}; it must lie between 0 and 1")
