"""What functions accept as arrays and counts; each message names the argument and what it is."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

AXES = {1: "(record,)", 2: "two axes", 3: "(member, record, class)"}


def check_dimensions(name: str, array: NDArray[np.generic], dimensions: int) -> None:
    """Refuse an array that has another number of axes, or no record."""
    if array.ndim != dimensions:
        raise ValueError(f"{name} has shape {array.shape}; expected {AXES[dimensions]}")
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; at least one record is needed")


def check_logits(name: str, logits: NDArray[np.generic], dimensions: int) -> None:
    """Refuse logits that `check_dimensions` does, or of a single class: every answer is right."""
    check_dimensions(name, logits, dimensions)
    if logits.shape[-1] < 2:
        raise ValueError(f"{name} has shape {logits.shape}; at least two classes are needed")


def check_numbers(name: str, array: NDArray[np.generic]) -> None:
    """Refuse NaN: it has no place in an order, and would be the largest of any logits."""
    lost = np.isnan(array).sum()
    if lost:
        raise ValueError(f"{name}: {lost} values are NaN; accepted are numbers")


def check_finite(name: str, array: NDArray[np.generic]) -> None:
    """Refuse NaN and infinite values, such as logits that overflowed fp16: they hide an order."""
    if np.isfinite(array).all():
        return
    check_numbers(name, array)
    raise ValueError(
        f"{name}: {np.isinf(array).sum()} values are infinite; accepted are finite numbers"
    )


def check_sums_to_one(name: str, array: NDArray[np.floating], *, within: float) -> None:
    """Refuse an array (..., class) unless each class axis sums to 1, up to `within`."""
    sums = array.sum(axis=-1)
    wrong = np.abs(sums - 1) > within
    if wrong.any():
        raise ValueError(
            f"{name}: {wrong.sum()} rows of classes do not sum to 1, the first to "
            f"{sums[wrong][0]:g}; accepted are rows that do within {within:g}"
        )


def check_records(
    name: str, array: NDArray[np.generic], axis: int, other_name: str, other: NDArray[np.generic]
) -> None:
    """Refuse two arrays whose records (along `axis`, and all of `other`) cannot be the same."""
    check_dimensions(other_name, other, 1)
    if array.shape[axis : axis + 1] != other.shape or (axis == 0 and array.ndim != 1):
        raise ValueError(
            f"{name} has shape {array.shape} and {other_name} has shape {other.shape}; "
            "both must hold the same records"
        )


def check_same_shape(
    name: str, array: NDArray[np.generic], other_name: str, other: NDArray[np.generic]
) -> None:
    """Refuse arrays (..., record) whose shapes differ, or that hold no record."""
    if array.shape != other.shape or array.ndim == 0 or array.size == 0:
        raise ValueError(
            f"{name} has shape {array.shape} and {other_name} has shape {other.shape}; "
            "both must be (..., record) and hold the same records"
        )


def check_classes(
    name: str, indices: NDArray[np.generic], classes: int | None = None, *, because: str = ""
) -> None:
    """Refuse values that are not class indices from 0 to classes - 1.

    Args:
        name: the array's, for the message.
        indices: of any shape.
        classes: how many there are; None where that is not known.
        because: what says how many, for the message, such as "with classes=4".
    """
    if not np.issubdtype(indices.dtype, np.integer):
        raise ValueError(f"{name} has dtype {indices.dtype}; class indices are integers")
    if not indices.size:
        return
    least, most = indices.min(), indices.max()
    if least < 0 or (classes is not None and most >= classes):
        accepted = "from 0" if classes is None else f"0 to {classes - 1} {because}".rstrip()
        raise ValueError(f"{name} holds {least} to {most}; class indices are {accepted}")


def as_booleans(name: str, values: ArrayLike) -> NDArray[np.bool_]:
    """The array, refusing numbers: a prediction passed by mistake would count as True."""
    array = np.asarray(values)
    if array.dtype != bool:
        raise ValueError(f"{name} has dtype {array.dtype}; it must be bool")
    return array


def is_number(value: object) -> bool:
    """Whether something is a real number, of Python's or NumPy's, and no tensor or text."""
    return isinstance(value, Real)


def check_count(name: str, value: object, *, least: int) -> None:
    """Raise a ValueError unless a value is a whole number, no truth value, of at least some size.

    Args:
        name: the value's, for the message.
        value: of any type; 2.0 is no whole number here, as nothing can be repeated 2.0 times.
        least: the smallest that is accepted.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise ValueError(f"{name} is {value!r}; accepted are whole numbers from {least}")
