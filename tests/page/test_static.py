"""The rendered report; `make test` builds it first."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from browser import HTML, NO_PAGE

from dnalib.pages.bill import write_bill_page
from dnalib.pages.speed import write_speed_page

PAGES = [
    "index",
    "01_data",
    "02_base_model",
    "03_cor",
    "04_dec",
    "05_fcor",
    "06_fdec",
    "07_attacks",
    "08_results",
    "A1_adaptive_attacks",
    "A2_rivals",
    "B1_decorrelation_weight",
    "B2_bands",
    "B3_members",
    "B4_projected_dimension",
    "reproduction",
    "checks",
    "glossary",
    "speed",
    "bill",
    "own_signals",
    "api",
]

pytestmark = pytest.mark.skipif(not (HTML / "index.html").exists(), reason=NO_PAGE)


class Page(HTMLParser):
    """Links, anchors and images of a page, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.images: list[dict[str, str | None]] = []
        self.text = path.read_text()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("id"):
            self.anchors.add(values["id"])
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if tag == "img":
            self.images.append(values)


@pytest.fixture(scope="module")
def pages() -> dict[str, Page]:
    return {name: Page(HTML / f"{name}.html") for name in PAGES}


def test_every_internal_link_resolves(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or link.startswith("#") and parts.fragment in ("", "main-content"):
                continue
            target = (HTML / unquote(parts.path)).resolve() if parts.path else HTML / f"{name}.html"
            assert target.exists(), f"{name}: {link}"
            if parts.fragment and target.suffix == ".html" and target.stem in pages:
                assert unquote(parts.fragment) in pages[target.stem].anchors, f"{name}: {link}"


def test_every_figure_is_there_with_text_for_those_who_cannot_see_it(
    pages: dict[str, Page],
) -> None:
    figures = {
        "01_data": 3,
        "02_base_model": 2,
        "03_cor": 1,
        "04_dec": 2,
        "05_fcor": 4,
        "06_fdec": 1,
        "07_attacks": 2,  # and the slider, whose pictures lie in the page
        "08_results": 7,
        "A1_adaptive_attacks": 11,
        "A2_rivals": 6,
    }
    for name, count in figures.items():
        images = [image for image in pages[name].images if "_images/" in (image["src"] or "")]
        assert len(images) == count, name
        for image in images:
            assert (HTML / image["src"]).stat().st_size > 5_000
            assert len(image.get("alt") or "") > 20, f"{name}: {image['src']}"


def test_figures_and_equations_are_numbered_by_where_they_stand(pages: dict[str, Page]) -> None:
    for name in PAGES[1:15]:
        place = name.split("_")[0].lstrip("0")
        for pattern in (r'caption-number">Fig\. ([^<]*?)\s*<', r'eqno">\(([^)]*)\)'):
            found = re.findall(pattern, pages[name].text)
            assert found == [f"{place}.{count}" for count in range(1, len(found) + 1)]
    assert "(A1.1)" in pages["glossary"].text and "Fig. A1.5" in pages["A2_rivals"].text


def test_formulas_are_rendered_without_a_network(pages: dict[str, Page]) -> None:
    assert 'src="_static/mathjax/tex-chtml.js' in pages["04_dec"].text
    assert (HTML / "_static" / "mathjax" / "tex-chtml.js").stat().st_size > 100_000


def test_pages_stay_small(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        images = {image["src"] for image in page.images if "_images/" in (image["src"] or "")}
        size = len(page.text.encode()) + sum((HTML / image).stat().st_size for image in images)
        assert size < 4 * 2**20, f"{name} has {size / 2**20:.1f} MB"


def test_run_is_named_on_every_chapter(pages: dict[str, Page], root: Path) -> None:
    for name in PAGES[1:11]:
        assert "Profile" in pages[name].text and "recorded/" in pages[name].text
        assert str(root) not in pages[name].text, "a path of the machine that built it"


def test_the_speed_page_is_what_was_measured(root: Path, tmp_path: Path) -> None:
    write_speed_page(root / "benchmarks" / "results", tmp_path / "page.md")
    assert (tmp_path / "page.md").read_text() == (root / "book" / "measured_speed.md").read_text()


def test_the_bill_is_what_was_measured(root: Path, tmp_path: Path) -> None:
    write_bill_page(root / "benchmarks" / "results" / "jobs", tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert text == (root / "book" / "measured_bill.md").read_text()
    assert "→ dec1 " in text and "→ dec2 " in text and "| 1,000 | 1,000 |" in text
