"""What the classes of a table are called, and which scores are defined for them."""

from collections.abc import Sequence

from dnalib.stages import SHORT_CLASS_NAMES


def names_of_classes(class_names: Sequence[str] | None, *, classes: int) -> tuple[str, ...]:
    """A name for each class.

    Args:
        class_names: (class,), each of its own; None: the book's where there are four, else "class
            0" and so on.
        classes: how many there are.

    Raises:
        ValueError: another number of names, or one that two classes share.
    """
    if class_names is None:
        if classes == len(SHORT_CLASS_NAMES):
            return SHORT_CLASS_NAMES
        return tuple(f"class {number}" for number in range(classes))
    names = tuple(class_names)
    if isinstance(class_names, str) or len(names) != classes or len(set(names)) < classes:
        raise ValueError(f"class_names is {class_names!r}; accepted are {classes} different names")
    return names


def scored_by_challenge(names: Sequence[str]) -> bool:
    """Whether classes of these names are those whose F1 the challenge of 2017 averages."""
    return tuple(names) == SHORT_CLASS_NAMES
