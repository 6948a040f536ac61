"""What stands in an appendix is numbered by its name, and nothing else is numbered anew."""

from types import SimpleNamespace

from dnalib.pages.appendix_numbers import number_by_appendix


def test_an_appendix_numbers_what_it_holds_in_its_own_order():
    numbers = {
        "index": {"figure": {"first": (1,)}},
        "08_results": {"figure": {"spread": (8, 1)}, "displaymath": {"interval": (8, 5)}},
        "A1_adaptive_attacks": {
            "figure": {"classes": (2,), "knowledge": (3,)},
            "displaymath": {"losses": (1,)},
        },
        "book/B2_bands": {"figure": {"bands": (4,)}},
    }
    assert number_by_appendix(None, SimpleNamespace(toc_fignumbers=numbers)) == [
        "A1_adaptive_attacks",
        "book/B2_bands",
    ]
    assert numbers == {
        "index": {"figure": {"first": (1,)}},
        "08_results": {"figure": {"spread": (8, 1)}, "displaymath": {"interval": (8, 5)}},
        "A1_adaptive_attacks": {
            "figure": {"classes": ("A1", 1), "knowledge": ("A1", 2)},
            "displaymath": {"losses": ("A1", 1)},
        },
        "book/B2_bands": {"figure": {"bands": ("B2", 1)}},
    }
