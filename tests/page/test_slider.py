"""The slider in the static page, moved in a real browser that has no network."""

import re

import pytest
from browser import HTML, NO_PAGE

from dnalib.plots.slider import FigureSlider, Picture
from dnalib.plots.style import new_figure

PAGE = HTML / "07_attacks.html"
# Where the slider and what follows lie: the figure itself moves as long as the page is drawn.
IN_ITS_FIGURE = """slider => {
    const [figure, own, caption] = [
        slider.closest("figure"), slider, slider.closest("figure").querySelector("figcaption"),
    ].map(one => one.getBoundingClientRect());
    return [own.x - figure.x, own.y - figure.y, own.width, own.height, caption.y - figure.y];
}"""
needs_page = pytest.mark.skipif(not PAGE.exists(), reason=NO_PAGE)


def visible(slider) -> tuple[str, str]:
    """The one picture that is to be seen, and the value that is written over it."""
    (picture,) = [picture for picture in slider.locator("img").all() if picture.is_visible()]
    return picture.get_attribute("alt"), slider.locator("output").inner_text()


@needs_page
def test_moving_the_slider_changes_the_picture(browser) -> None:
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(PAGE.as_uri())
    slider = page.locator("figure .figure-slider")
    control = slider.get_by_role("slider", name="Bound of the attack, ε")
    seen, places = {}, set()
    control.press("Home")
    for position in range(int(control.get_attribute("max")) + 1):
        description, value = visible(slider)
        assert control.input_value() == str(position)
        assert control.get_attribute("aria-valuetext") == value and value in description
        seen[value] = slider.locator("img:visible").screenshot()
        places.add(tuple(slider.evaluate(IN_ITS_FIGURE)))
        control.press("ArrowRight")
    assert list(seen) == [f"ε = {epsilon} µV" for epsilon in (0, 10, 50, 75, 100, 150)]
    assert len(set(seen.values())) == len(seen), "every value has a picture of its own"
    assert len(places) == 1, "nothing jumps"
    fetched = [url for url in asked if not url.startswith(("file:", "data:"))]
    assert not fetched
    page.close()


@needs_page
def test_slider_is_a_numbered_figure_that_fits_a_telephone(browser) -> None:
    page = browser.new_page(viewport={"width": 400, "height": 800})
    page.goto(PAGE.as_uri())
    figure = page.locator("figure", has=page.locator(".figure-slider"))
    caption = figure.locator("figcaption").inner_text()
    assert re.match(r"Fig\. \d+\.\d+\s+One test record", caption)
    number = re.match(r"Fig\. \d+\.\d+", caption)[0]
    link = page.locator(f"a[href='#{figure.get_attribute('id')}']", has_text=number)
    assert link.count() >= 1, "the text refers to it by that number"
    box = figure.locator("img:visible").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 400
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.emulate_media(media="print")
    assert figure.locator("img:visible").count() == 1 and not figure.locator("input").is_visible()
    page.close()


def two_sliders() -> str:
    pictures = [
        Picture(new_figure(1), value=f"ε = {value} µV", description=f"picture {value}")
        for value in (0, 50, 150)
    ]
    sliders = [FigureSlider(name, pictures, shown=1)._repr_html_() for name in ("one", "two")]
    return f"<!doctype html><meta charset='utf-8'>{sliders[0]}{sliders[1]}"


def test_two_sliders_on_a_page_do_not_move_each_other(browser) -> None:
    page = browser.new_page()
    page.set_content(two_sliders())
    one, two = page.locator(".figure-slider").all()
    page.get_by_role("slider", name="two").press("End")
    assert visible(one) == ("picture 50", "ε = 50 µV")
    assert visible(two) == ("picture 150", "ε = 150 µV")
    page.close()


def test_without_scripts_one_picture_is_shown_and_no_dead_slider(browser) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.set_content(two_sliders())
    for slider in page.locator(".figure-slider").all():
        assert visible(slider) == ("picture 50", "ε = 50 µV")
        assert not slider.locator("input").is_visible()
    page.close()
