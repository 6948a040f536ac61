"""Values of settings: what is accepted of each, and how they are written on a command line."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

import yaml

from dnalib.data import RATE
from dnalib.model import FEATURES, WIDEST

SMALL_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")
# Parameters that are swept, each with the setting that lists its values.
SWEPT: Mapping[str, str] = {
    "decorrelation_weight": "swept_weights",
    "projected_dimension": "swept_dimensions",
    "bands": "swept_bands",
}


class ParameterError(ValueError):
    """A parameter that does not exist or has a value that is not accepted."""


@dataclass(frozen=True)
class Limit:
    """Which numbers a setting accepts.

    Attributes:
        holds: whether one is accepted.
        words: what follows "a number" in saying so.
    """

    holds: Callable[[float], bool]
    words: str


def at_least(lowest: int) -> Limit:
    """Numbers from one on."""
    return Limit(lambda value: value >= lowest, f"from {lowest}")


def between(lowest: int, highest: int) -> Limit:
    """Numbers from one to another."""
    return Limit(lambda value: lowest <= value <= highest, f"from {lowest} to {highest}")


ABOVE_ZERO = Limit(lambda value: value > 0, "above 0")
FEWEST_SYNTHETIC, MOST_SYNTHETIC = 20, 99_999  # records; their names have five digits
LIMITS: Mapping[str, Limit] = {
    "synthetic_records": Limit(
        lambda value: value == 0 or FEWEST_SYNTHETIC <= value <= MOST_SYNTHETIC,
        f"from {FEWEST_SYNTHETIC} to {MOST_SYNTHETIC}, or 0 for none",
    ),
    "rate": Limit(lambda value: value > 0 and RATE % value == 0, f"that divides {RATE}"),
    "length": at_least(1),
    "width": Limit(lambda value: 0 < value <= WIDEST, f"above 0 and up to {WIDEST}"),
    "dropout": Limit(lambda value: 0 <= value < 1, "from 0 and below 1"),
    "epochs": at_least(1),
    "learning_rate": ABOVE_ZERO,
    "batch_size": at_least(2),
    "auxiliary_batch_size": at_least(2),
    "bands": at_least(2),
    "projected_dimension": between(1, FEATURES),
    "epsilons": ABOVE_ZERO,
    "adaptive_epsilons": ABOVE_ZERO,
    "sweep_seeds": between(1, 100),
    "most_members": between(3, 5),
}


def limit_of(name: str) -> Limit:
    """Which numbers a setting accepts; of a swept list, those of the setting that it varies."""
    varied = {several: one for one, several in SWEPT.items()}
    return LIMITS.get(varied.get(name, name), at_least(0))


def accept_number(name: str, value: Any, *, kind: type) -> Any:
    """A number that a setting accepts, in its own type.

    Raises:
        ParameterError: it is none.
    """
    value, limit = read_number(value), limit_of(name)
    if not fits(value, kind=kind, limit=limit):
        wanted = "a whole number" if kind is int else "a number"
        raise ParameterError(f"{name} is {value!r}; accepted is {wanted} {limit.words}")
    return kind(value)


def accept_several(name: str, value: Any, *, kind: Any) -> tuple[Any, ...]:
    """One or several numbers, or words of a kind, as a tuple; each once.

    Raises:
        ParameterError: there is none, or one is not accepted.
    """
    values = read_several(value)
    if get_origin(kind) is not None:
        choices = get_args(kind)
        if not values:
            raise ParameterError(f"{name} is {value!r}; accepted are some of {', '.join(choices)}")
        return tuple(dict.fromkeys(accept_choice(name, one, choices=choices) for one in values))
    values, limit = [read_number(item) for item in values], limit_of(name)
    if not values or not all(fits(item, kind=kind, limit=limit) for item in values):
        wanted = "whole numbers" if kind is int else "numbers"
        brackets = ", several in brackets such as [2, 10]" if isinstance(value, str) else ""
        raise ParameterError(f"{name} is {value!r}; accepted are {wanted} {limit.words}{brackets}")
    return tuple(dict.fromkeys(kind(item) for item in values))


def accept_choice(name: str, value: Any, *, choices: tuple[str, ...]) -> str:
    """One of some words.

    Raises:
        ParameterError: it is none of them.
    """
    if not isinstance(value, str) or value not in choices:
        raise ParameterError(f"{name} is {value!r}; accepted are {', '.join(choices)}")
    return value


def accept_minutes(value: Any) -> float | None:
    """The longest time that a call may take, in minutes; None without a limit.

    Raises:
        ParameterError: neither None nor a number above 0.
    """
    if value is None:
        return None
    number = read_number(value)
    if not fits(number, kind=float, limit=ABOVE_ZERO):
        raise ParameterError(f"max_minutes is {value!r}; accepted is a number above 0")
    return float(number)


def accept_path(name: str, value: Any) -> str | None:
    """Where something is; None where that is not said.

    Papermill reads a folder 2024 as a number, and a folder 2024_11 as 202411, so that no number
    tells which folder was meant.

    Raises:
        ParameterError: neither None nor a word.
    """
    if value is not None and not isinstance(value, str):
        raise ParameterError(
            f"{name} is {value!r}; accepted is a path in words, with ./ before one that could be "
            "read as a number, such as ./2024"
        )
    return value


def read_value(name: str, text: str) -> Any:
    """A value as it is written on a command line: numbers and lists are read as such.

    Raises:
        ParameterError: it is no YAML.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ParameterError(
            f"{name} is {text!r}, which is no value; accepted are numbers, words, lists"
        ) from error


def read_several(value: Any) -> list[Any]:
    """The items of a list, also of one in words: of a single parameter papermill reads no lists."""
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError:
            return [value]
    return list(value) if isinstance(value, list | tuple) else [value]


def read_number(value: Any) -> Any:
    """A number that YAML took for a word, as it does 5e-05 for want of a dot; or what it is."""
    return float(value) if isinstance(value, str) and SMALL_NUMBER.fullmatch(value) else value


def fits(value: Any, *, kind: type, limit: Limit) -> bool:
    """Whether a value is a finite int or float (and not a bool), of a kind, within a limit."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        finite = math.isfinite(value)
    except OverflowError:  # an int beyond all floats
        return False
    return finite and (kind is float or value == int(value)) and limit.holds(value)
