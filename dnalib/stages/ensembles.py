"""The nine models and the four ensembles that they make."""

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


def filter_index(member: str) -> int | None:
    """0 for a member behind h₁, 1 behind h₂, None without a filter."""
    return int(member[-1]) - 1 if member.startswith("f") else None
