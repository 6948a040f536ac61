"""A slider's HTML: complete, legible to a screen reader, the same every time."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.image import imread

from dnalib import plots
from dnalib.plots.slider import FigureSlider, Picture
from dnalib.plots.style import new_figure


class Tags(HTMLParser):
    """Attributes of the images and of the input, and every address named."""

    def __init__(self, text):
        super().__init__()
        self.images, self.inputs = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag in ("img", "input"):
            (self.images if tag == "img" else self.inputs).append(dict(attrs))


def pictures(*heights):
    return [
        Picture(new_figure(height), value=f"ε = {place} µV", description=f"<ECG> {place}")
        for place, height in enumerate(heights)
    ]


def test_one_picture_shows_and_each_has_its_value_and_description():
    text = FigureSlider("Bound, ε", pictures(1, 1, 1), shown=1)._repr_html_()
    tags = Tags(text)
    assert ["hidden" in image for image in tags.images] == [True, False, True]
    assert [image["alt"] for image in tags.images] == ["<ECG> 0", "<ECG> 1", "<ECG> 2"]
    assert [image["data-value"] for image in tags.images] == ["ε = 0 µV", "ε = 1 µV", "ε = 2 µV"]
    assert len({(image["width"], image["height"]) for image in tags.images}) == 1
    (control,) = tags.inputs
    assert control["type"] == "range" and (control["min"], control["max"]) == ("0", "2")
    assert control["value"] == "1" and control["aria-valuetext"] == "ε = 1 µV"
    assert "<label hidden>Bound, ε" in text and "<output" in text and "µV</output>" in text


def test_html_fetches_nothing_and_is_the_same_every_time():
    texts = [FigureSlider("Bound", pictures(1, 1))._repr_html_() for _ in range(2)]
    assert texts[0] == texts[1]
    assert not re.search(r"https?:|<link|url\(| id=", texts[0])
    assert all(image["src"].startswith("data:image/webp") for image in Tags(texts[0]).images)


@pytest.mark.parametrize(
    ("heights", "shown", "message"),
    [
        ((1,), 0, "pictures holds 1; accepted are two or more"),
        ((1, 2), 0, "accepted is one size for all"),
        ((1, 1), 2, "shown is 2; accepted are positions 0 to 1"),
    ],
)
def test_what_cannot_slide_is_refused(heights, shown, message):
    with pytest.raises(ValueError, match=message):
        FigureSlider("Bound", pictures(*heights), shown=shown)


def test_attacked_ecg_slides_over_epsilon_on_one_scale(drawn):
    rate = 100
    signal = 800 * np.sin(2 * np.pi * np.arange(1200) / rate)
    random = np.random.default_rng(0)
    perturbations = {
        epsilon: {name: random.uniform(-epsilon, epsilon, 1200) for name in ("PGD", "SAP")}
        for epsilon in (150.0, 10.0, 50.0)
    }
    slider = plots.attacked_ecg_slider(signal, perturbations, rate=rate, shown=45, start=1)
    values = [picture.value for picture in slider.pictures]
    assert values == ["ε = 0 µV", "ε = 10 µV", "ε = 50 µV", "ε = 150 µV"]
    assert slider.shown == 2  # the nearest to 45
    added = [0, *(perturbations[epsilon]["PGD"][100:401] for epsilon in (10.0, 50.0, 150.0))]
    scales = set()
    for picture, expected in zip(slider.pictures, added, strict=True):
        figure = drawn(picture.figure)
        (ecg,) = [one for one in figure.axes[1].get_lines() if one.get_label() == "ECG"]
        assert ecg.get_ydata() == pytest.approx((signal[100:401] + expected) / 1000)
        scales.add(tuple((axes.get_ylim(), axes.get_position().bounds) for axes in figure.axes))
        assert picture.value in picture.description and "PGD and SAP" in picture.description
    assert len(scales) == 1, "pictures that are compared have one scale, in one place"


def test_pictures_lose_nothing():
    figure = plots.attacked_ecg(np.arange(400), {"PGD": np.ones(400)}, rate=100, epsilon=50)
    picture = Picture(figure, value="one", description="one")
    slider = FigureSlider("Bound", [picture, picture])
    html = slider._repr_html_()
    shown = base64.b64decode(Tags(html).images[0]["src"].split("base64,")[1])
    lossless = imread(io.BytesIO(shown), format="webp")
    plain = (imread(io.BytesIO(slider._repr_png_()), format="png") * 255).round()
    np.testing.assert_array_equal(lossless, plain[..., :3])
    assert len(html) < 2 * 80_000
