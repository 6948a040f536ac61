"""Every page can be read: in the light and in the dark, on a desk, on a phone and on paper."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser import PAGES, Visit

from dnalib.plots.style import SCREEN_DPI, SMALL

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SCRIPT = Path(__file__).with_name("legibility.js").read_text()
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 400, "height": 800}
PAPER = {"width": 718, "height": 1047}  # A4 less margins of 1 cm, 96 pixels an inch
SMALLEST_TEXT = 8  # pixels


@pytest.fixture(scope="module", params=PAGES)
def reader(request: pytest.FixtureRequest, served: str, browser: "Browser") -> Iterator[Visit]:
    """At one page, opened once for all that is measured on it."""
    context = browser.new_context(viewport=DESK)
    visit = Visit(context.new_page())
    visit.open(f"{served}/{request.param}.html")
    visit.page.add_style_tag(content="* { transition: none !important }")
    yield visit
    context.close()


def measure(reader: Visit, name: str) -> list:
    return reader.page.evaluate(f"() => {{ {SCRIPT}; return legibility.{name}(); }}")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_page_is_legible(reader: Visit, theme: str, size: dict[str, int]) -> None:
    reader.page.set_viewport_size(size)
    reader.choose_theme(theme)
    assert measure(reader, "pale") == []
    assert measure(reader, "sunk") == []
    assert measure(reader, "cut") == []


def test_text_in_figures_is_large_enough_on_a_phone(reader: Visit) -> None:
    reader.page.set_viewport_size(PHONE)
    for source, shown, drawn in measure(reader, "figures"):
        assert shown * SCREEN_DPI / drawn * SMALL / 72 >= SMALLEST_TEXT, source


def test_page_prints_black_on_white_and_uncut(reader: Visit) -> None:
    reader.choose_theme("dark")
    reader.page.set_viewport_size(PAPER)
    reader.page.emulate_media(media="print")
    try:
        assert measure(reader, "pale") == []
        assert measure(reader, "cut") == []
        assert measure(reader, "scrolled") == [], "paper does not scroll"
        for figure in reader.page.locator(".bd-article figure").all():
            assert figure.evaluate("figure => getComputedStyle(figure).breakInside") == "avoid"
            assert figure.bounding_box()["height"] < PAPER["height"]
    finally:
        reader.page.emulate_media(media="screen")
