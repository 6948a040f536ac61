"""The diagrams say what the method does."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text

from dnalib import plots
from dnalib.plots.style import FILTER_COLOURS


def test_training_scheme_names_its_parts_and_boxes_hold_their_text(drawn):
    figure = drawn(plots.training_scheme(projected_dimension=30))
    words = " ".join(text.get_text() for text in figure.findobj(Text))
    for part in ("base", "dec1", "dec2", "64 → 30", "least squares", "R^2", "cross-entropy"):
        assert part in words
    for axes in figure.axes:
        boxes = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
        assert boxes
        for box in boxes:
            frame = box.get_window_extent()
            centre = frame.x0 + frame.width / 2, frame.y0 + frame.height / 2
            text = min(
                axes.texts,
                key=lambda t: np.hypot(*(t.get_transform().transform(t.get_position()) - centre)),  # noqa: B023
            ).get_window_extent()
            assert frame.x0 <= text.x0 and text.x1 <= frame.x1
            assert frame.y0 <= text.y0 and text.y1 <= frame.y1


@pytest.mark.parametrize("bands", [10, 4])
def test_partition_alternates_between_the_filters(drawn, bands):
    axes = drawn(plots.spectrum_partition(bands=bands, rate=300)).axes[0]
    assert axes.get_xlabel() == "Frequency (Hz)" and len(axes.patches) == 2 * bands
    width = 150 / bands
    for bar in axes.patches:
        middle = abs(bar.get_x() + bar.get_width() / 2)
        which = int(middle // width) % 2
        assert to_hex(bar.get_edgecolor()).upper() == FILTER_COLOURS[which]
        assert bar.get_width() == pytest.approx(width)
    assert len({bar.get_hatch() for bar in axes.patches}) == 2


@pytest.mark.parametrize("bands", [2, 12, 13, 20, 50])
def test_numbers_of_bands_stand_apart_and_name_both_filters(drawn, bands):
    axes = drawn(plots.spectrum_partition(bands=bands, rate=300)).axes[0]
    numbers = sorted(axes.texts, key=lambda text: text.get_position()[0])
    ends = [text.get_window_extent() for text in numbers]
    assert all(one.x1 < other.x0 for one, other in pairwise(ends))
    width = 150 / bands
    for text in numbers:
        assert int(abs(text.get_position()[0]) // width) + 1 == int(text.get_text())
    shown = [int(text.get_text()) for text in numbers if text.get_position()[0] > 0]
    assert {number % 2 for number in shown} == {0, 1}
    assert len(shown) == bands or 4 <= len(shown) < bands


def test_responses_draw_the_given_gains_over_hertz(drawn):
    first = (np.arange(101) // 10 % 2 == 0).astype(float)
    figure = drawn(plots.frequency_responses(first, 1 - first, rate=300))
    for axes, gain in zip(figure.axes, (first, 1 - first), strict=True):
        assert axes.get_lines()[0].get_ydata() == pytest.approx(gain)
        assert axes.get_lines()[0].get_xdata() == pytest.approx(np.linspace(0, 150, 101))
    assert figure.axes[-1].get_xlabel() == "Frequency (Hz)"


def test_arguments_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="bands is 1"):
        plots.spectrum_partition(bands=1)
    with pytest.raises(ValueError, match=r"\(5,\).*\(6,\)"):
        plots.frequency_responses(np.ones(5), np.ones(6), rate=300)
