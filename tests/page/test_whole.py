"""Every page is whole without a network: no error, no request that leaves, formulas, pictures."""

from collections.abc import Callable

import pytest
from browser import PAGES, Visit

FORMULAS = """() => [...document.querySelectorAll('.math')].map(formula => ({
    source: formula.textContent.trim().slice(0, 40),
    drawn: formula.querySelectorAll('mjx-container').length,
    wrong: formula.querySelectorAll('mjx-merror, [data-mjx-error], mtext[mathcolor]').length,
    width: formula.getBoundingClientRect().width,
}))"""
IMAGES = """() => [...document.querySelectorAll('.bd-article img')].map(image => ({
    source: image.getAttribute('src').slice(0, 80),
    pixels: image.naturalWidth,
    height: image.hidden ? null : image.getBoundingClientRect().height,
    caption: image.closest('figure')?.querySelector('figcaption')?.textContent,
}))"""
# Markup that nothing turned into a formula or a reference.
RAW = r"""() => {
    const prose = document.body.cloneNode(true);
    const others = prose.querySelectorAll('script, style, pre, code, mjx-container');
    others.forEach(element => element.remove());
    return prose.textContent.match(/\\[([]|\$[^$]+\$|\{[a-z:]+\}`?|\[@[a-z]/g) ?? [];
}"""
ICONS = """() => [...document.querySelectorAll('[class*="fa-"]')]
    .filter(icon => icon.checkVisibility({visibilityProperty: true}))
    .map(icon => icon.tagName + ' ' + icon.getAttribute('class') + ' ' +
         Math.min(icon.getBoundingClientRect().width, icon.getBoundingClientRect().height))"""
FONTS = """() => [...document.fonts].filter(font => font.status == 'error')
    .map(font => font.family)"""


# From files a browser refuses some of what it takes from a server: that shows on the first page
# and on the one with a slider.
WAYS = [
    *(("served", name) for name in PAGES),
    *(("on_disk", name) for name in PAGES if name in ("index", "07_attacks")),
]


@pytest.mark.parametrize(("way", "name"), WAYS)
def test_page_is_whole_without_a_network(
    way: str, name: str, visit: Callable[..., Visit], request: pytest.FixtureRequest
) -> None:
    base = request.getfixturevalue(way)
    reader = visit()
    reader.open(f"{base}/{name}.html")
    assert reader.faults == []
    leaving = [url for url in reader.requests if not url.startswith((base, "data:", "blob:"))]
    assert leaving == []
    assert reader.page.evaluate(FONTS) == []
    for formula in reader.page.evaluate(FORMULAS):
        assert formula["drawn"] == 1 and formula["wrong"] == 0 and formula["width"] > 0, formula
    assert reader.page.evaluate(RAW) == []
    for image in reader.page.evaluate(IMAGES):
        assert image["pixels"] > 0 and image["height"] != 0, image
        assert len(image["caption"]) > 20, image
    icons = reader.page.evaluate(ICONS)
    assert icons and all(float(icon.rsplit(maxsplit=1)[1]) > 4 for icon in icons), icons


@pytest.mark.parametrize("way", ["served", "on_disk"])
def test_search_finds_a_word(
    way: str, visit: Callable[..., Visit], request: pytest.FixtureRequest
) -> None:
    base = request.getfixturevalue(way)
    reader = visit()
    reader.open(f"{base}/index.html")
    reader.page.locator(".search-button__button:visible").first.click()
    reader.page.locator("input[type=search]:visible").fill("decorrelation")
    reader.page.keyboard.press("Enter")
    reader.page.wait_for_url("**/search.html?q=decorrelation*")
    # Results arrive one after the other; this waits for the right one, or fails.
    reader.page.locator("#search-results li a[href*='04_dec.html']").first.wait_for()
    assert reader.faults == []
