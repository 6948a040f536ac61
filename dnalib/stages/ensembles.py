"""The nine models, the four ensembles that they make, and further members of larger ones."""

import string
from collections.abc import Mapping

ENSEMBLES: Mapping[str, tuple[str, str, str]] = {
    "cor": ("base", "cor1", "cor2"),
    "dec": ("base", "dec1", "dec2"),
    "fcor": ("base", "fcor1", "fcor2"),
    "fdec": ("base", "fdec1", "fdec2"),
}
MEMBERS = ("base", *(name for members in ENSEMBLES.values() for name in members[1:]))
# Models whose features a member is decorrelated from while it is trained.
EARLIER: Mapping[str, tuple[str, ...]] = {
    "dec1": ("base",),
    "dec2": ("base", "dec1"),
    "fdec1": ("base",),
    "fdec2": ("base", "fdec1"),
}
PREPARATION = ("rate", "length", "cut")  # settings that change what every network is shown


LARGEST = 5  # networks of an ensemble, the base model among them
# Members of ensembles larger than those of the book, in an order that never changes: their seeds
# follow from it.
FURTHER = tuple(f"{ensemble}{number}" for number in range(3, LARGEST) for ensemble in ENSEMBLES)


def members_of(ensemble: str, count: int) -> tuple[str, ...]:
    """An ensemble of so many networks, its base model first."""
    return ("base", *(f"{ensemble}{number}" for number in range(1, count)))


def earlier_models(member: str) -> tuple[str, ...]:
    """The models from whose features a member is decorrelated while it is trained."""
    name = member.rstrip(string.digits)
    number = member.removeprefix(name)
    return members_of(name, int(number)) if name.endswith("dec") else ()


def filter_index(member: str) -> int | None:
    """0 for a member behind h₁, 1 behind h₂, None without a filter; further ones take turns."""
    return (int(member[-1]) - 1) % 2 if member.startswith("f") else None


def in_full(value: float) -> str:
    """A number in as few digits as tell it from every other, unlike `g` from the seventh on."""
    short = f"{value:g}"
    return short if float(short) == value else str(value)
