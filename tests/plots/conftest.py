"""Every figure is drawn, is legible, and leaves nothing in pyplot."""

import matplotlib.text
import pytest
from matplotlib._pylab_helpers import Gcf
from matplotlib.figure import Figure


@pytest.fixture(autouse=True)
def nothing_left_in_pyplot():
    yield
    assert Gcf.get_all_fig_managers() == []


@pytest.fixture
def drawn():
    """Draw a figure and check what all figures share."""

    def draw(figure):
        assert isinstance(figure, Figure) and figure.get_size_inches()[0] <= 7
        figure.set_dpi(100)
        figure.draw_without_rendering()
        assert figure.get_facecolor() == (1, 1, 1, 1)
        texts = [
            t for t in figure.findobj(matplotlib.text.Text) if t.get_text() and t.get_visible()
        ]
        assert texts and min(text.get_fontsize() for text in texts) >= 9
        return figure

    return draw
