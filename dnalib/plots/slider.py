"""Several pictures of which a slider shows one, in a page that has no kernel and no network.

A native range input and a few lines of script, all inside the cell's output: the keyboard moves it,
a screen reader reads it, and nothing is fetched. Where scripts do not run, one picture is shown.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from matplotlib.figure import Figure

from dnalib.plots.style import SCREEN_DPI, drawn

# Inside the wrapper only. `hidden` has to win over a theme's rules for pictures and labels.
STYLE = """
.figure-slider [hidden] { display: none !important; }
.figure-slider label, .figure-slider output { color: inherit; font-size: 1rem; }
.figure-slider label { display: flex; flex-wrap: wrap; align-items: center; gap: 0 1em; }
.figure-slider input { flex: 1 1 12em; max-width: 24em; margin: 0.5em 0; }
.figure-slider output { display: block; font-weight: bold; }
.figure-slider img { display: block; max-width: 100%; height: auto; margin: 0.5em 0; }
@media print { .figure-slider label { display: none; } }
"""
SCRIPT = """
(() => {
  const slider = document.currentScript.closest(".figure-slider");
  const [label, input, output] = ["label", "input", "output"].map((x) => slider.querySelector(x));
  const pictures = [...slider.querySelectorAll("img")];
  const show = () => {
    const shown = pictures[Number(input.value)];
    for (const picture of pictures) picture.hidden = picture !== shown;
    output.textContent = shown.dataset.value;
    input.setAttribute("aria-valuetext", shown.dataset.value);
  };
  input.addEventListener("input", show);
  label.hidden = false;  // without this script the slider would do nothing: it is not shown
  show();
})();
"""


@dataclass(frozen=True)
class Picture:
    """One position of a slider.

    Attributes:
        figure: what is drawn.
        value: of the slider at this position, such as "ε = 50 µV".
        description: what is to be seen, for whoever cannot see it.
    """

    figure: Figure
    value: str
    description: str


@dataclass(frozen=True)
class FigureSlider:
    """Pictures of one size of which a slider shows one; a notebook shows it as HTML.

    The figures are laid out now, and stay as they are then.

    Args:
        name: what the slider sets, such as "Bound of the attack, ε".
        pictures: from left to right.
        shown: position that is shown first, and where scripts do not run.

    Raises:
        ValueError: fewer than two pictures, pictures that differ in size, or no such position.
    """

    name: str
    pictures: Sequence[Picture] = field(repr=False)
    shown: int = 0

    def __post_init__(self) -> None:
        if len(self.pictures) < 2:
            raise ValueError(f"pictures holds {len(self.pictures)}; accepted are two or more")
        sizes = {tuple(picture.figure.get_size_inches().round(3)) for picture in self.pictures}
        if len(sizes) > 1:
            raise ValueError(
                f"the figures have sizes {sorted(sizes)}; accepted is one size for all"
            )
        if not 0 <= self.shown < len(self.pictures):
            raise ValueError(
                f"shown is {self.shown}; accepted are positions 0 to {len(self.pictures) - 1}"
            )
        # A layout engine moves the axes a little whenever it draws again; pictures that take each
        # other's place must not move.
        for picture in self.pictures:
            picture.figure.set_dpi(SCREEN_DPI)
            picture.figure.draw_without_rendering()
            picture.figure.set_layout_engine("none")

    def _repr_html_(self) -> str:
        value = escape(self.pictures[self.shown].value)
        images = "\n".join(
            _image(picture, hidden=position != self.shown)
            for position, picture in enumerate(self.pictures)
        )
        # Firefox would put a reloaded page's slider where it was; "off" keeps it with the picture.
        return (
            f'<div class="figure-slider"><style>{STYLE}</style>\n'
            f"<label hidden>{escape(self.name)}\n"
            f'<input type="range" min="0" max="{len(self.pictures) - 1}" step="1" '
            f'value="{self.shown}" aria-valuetext="{value}" autocomplete="off"></label>\n'
            f'<output aria-live="polite">{value}</output>\n{images}\n'
            f"<script>{SCRIPT}</script></div>"
        )

    def _repr_png_(self) -> bytes:
        """The picture that is shown first, for whatever cannot show HTML."""
        return drawn(self.pictures[self.shown].figure, format="png")


def _image(picture: Picture, *, hidden: bool) -> str:
    width, height = (picture.figure.get_size_inches() * SCREEN_DPI).astype(int)
    # Lossless WebP: a third of the same picture's PNG, and every browser since 2020 shows it.
    options = {"lossless": True, "method": 6}
    data = base64.b64encode(drawn(picture.figure, format="webp", pil_kwargs=options)).decode()
    return (
        f'<img src="data:image/webp;base64,{data}" alt="{escape(picture.description)}" '
        f'width="{width}" height="{height}" data-value="{escape(picture.value)}"'
        f"{' hidden' if hidden else ''}>"
    )
