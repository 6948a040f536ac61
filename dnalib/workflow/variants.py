"""The variants of a sweep: one for each seed, and for each value of a parameter that is varied."""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dnalib.runs import Settings
from dnalib.runs.consistency import check_together
from dnalib.runs.settings import override
from dnalib.runs.values import ParameterError

MOST_SEEDS = 10_000  # a range beyond it is a slip of the pen
PLAIN = re.compile(r"[^A-Za-z0-9.-]+")


class WorkflowError(RuntimeError):
    """What was asked for cannot be run; said in one sentence."""


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds from a range such as "0-4", a list such as "0,3,7", or both.

    Raises:
        WorkflowError: it is neither, a range that ends before it begins, a seed twice, or more
            than 10,000 seeds.
    """
    wrong = f"SEEDS is {text!r}; accepted are whole numbers from 0, such as 0-4 or 0,3,7"
    seeds: list[int] = []
    for part in text.replace(" ", "").split(","):
        found = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part)
        if found is None:
            raise WorkflowError(wrong)
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise WorkflowError(f"SEEDS is {text!r}; the range {part} ends before it begins")
        if len(seeds) + last - first + 1 > MOST_SEEDS:
            raise WorkflowError(f"SEEDS is {text!r}; accepted are at most {MOST_SEEDS:,} seeds")
        seeds += range(first, last + 1)
    if len(set(seeds)) < len(seeds):
        raise WorkflowError(f"SEEDS is {text!r}; a seed is named twice")
    return tuple(seeds)


def make_variants(
    settings: Settings, *, fixed: Mapping[str, Any], varied: Mapping[str, Sequence[Any]]
) -> dict[str, dict[str, Any]]:
    """The variants of a sweep by name, each with the parameters that its notebooks are given.

    Args:
        settings: of the profile.
        fixed: settings that all variants have another value of than the profile.
        varied: setting -> its values; a variant for each combination.

    Raises:
        WorkflowError: an unknown setting, a value that is not accepted or does not go together with
            another, one given twice, or several numbers of members.
    """
    both = sorted(fixed.keys() & varied.keys())
    if both:
        raise WorkflowError(
            f"{both[0]} is given one value for all and several to compare; accepted is one of both"
        )
    sizes = varied.get("most_members", ())
    if len(sizes) > 1:
        raise WorkflowError(
            f"most_members has the values {', '.join(map(str, sizes))}; accepted is one, the "
            "largest: ensembles of every size up to it are compared"
        )
    variants: dict[str, dict[str, Any]] = {}
    for values in itertools.product(*varied.values()):
        parameters = {**fixed, **dict(zip(varied, values, strict=True))}
        try:
            check_together(override(settings, parameters))
        except ParameterError as error:
            raise WorkflowError(str(error)) from error
        name = variant_name(parameters)
        if name in variants:
            raise WorkflowError(f"two variants are {name}; accepted is each value once")
        variants[name] = parameters
    return variants


def variant_name(parameters: Mapping[str, Any]) -> str:
    """A name for files, such as "decorrelation_weight-0.5_seed-3"."""
    words = [f"{name}-{plain(value)}" for name, value in sorted(parameters.items())]
    return "_".join(words)


def plain(value: Any) -> str:
    """A value in letters, digits, dots, dashes and plus signs."""
    return PLAIN.sub("+", str(value)).strip("+")
