"""Names of classes: the book's four, one's own, or numbers."""

import pytest

from dnalib.tables.classes import names_of_classes, scored_by_challenge

BOOK = ("N", "A", "O", "~")


def test_the_books_four_are_the_default_and_others_have_a_number():
    assert names_of_classes(None, classes=4) == BOOK
    assert names_of_classes(None, classes=2) == ("class 0", "class 1")
    assert names_of_classes(["rest", "load"], classes=2) == ("rest", "load")


@pytest.mark.parametrize("wrong", [["a"], ["a", "b", "c"], ["a", "a"], "ab"])
def test_other_than_one_name_a_class_is_refused(wrong):
    with pytest.raises(ValueError, match="^class_names is .*; accepted are 2 different names$"):
        names_of_classes(wrong, classes=2)


def test_the_challenge_scores_its_own_classes_alone():
    assert scored_by_challenge(list(BOOK))
    assert not scored_by_challenge(("a", "b", "c", "d")) and not scored_by_challenge(BOOK[:2])
