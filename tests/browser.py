"""A reader of the built book: a Chromium that has no network, its visits, and what goes wrong."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response

HTML = Path(__file__).resolve().parent.parent / "_build" / "html"
PAGES = sorted(path.stem for path in HTML.glob("*.html"))
NO_PAGE = "the page is not built: make test builds it first"
NO_BROWSER = "no Chromium: install Debian's chromium, or run playwright install chromium"
SETTLED = "async () => { await window.MathJax?.startup?.promise; await document.fonts.ready; }"
NO_HOST_BUT_THIS = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"


@contextlib.contextmanager
def chromium() -> "Iterator[Browser]":
    """The system's headless Chromium, else Playwright's own; the test skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with sync_api.sync_playwright() as driver:
        names = ("chromium", "chromium-browser", "google-chrome")
        places = [*map(shutil.which, names), driver.chromium.executable_path]
        place = next((place for place in places if place and Path(place).exists()), None)
        if place is None:
            pytest.skip(NO_BROWSER)
        browser = driver.chromium.launch(
            executable_path=place, args=["--no-sandbox", NO_HOST_BUT_THIS]
        )
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page in the browser, what it asked for, and what went wrong on the way."""

    page: "Page"
    requests: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfailed", self._note_failure)
        self.page.on("response", self._note_status)
        self.page.on("console", self._note_message)
        self.page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))

    def open(self, address: str) -> None:
        """Go there, and wait until scripts, formulas and fonts are done."""
        self.page.goto(address, wait_until="load")
        self.page.evaluate(SETTLED)

    def choose_theme(self, theme: str) -> None:
        """Press the page's own button until it shows that theme."""
        for _ in range(3):
            if self.page.evaluate("document.documentElement.dataset.mode") == theme:
                break
            self.page.locator(".theme-switch-button:visible").first.click()
        assert self.page.evaluate("document.documentElement.dataset.theme") == theme
        self.page.mouse.move(0, 0)  # off the button, whose colour changes under the pointer

    def _note_failure(self, request: "Request") -> None:
        self.faults.append(f"{request.url}: {request.failure}")

    def _note_status(self, response: "Response") -> None:
        if response.status >= 400:
            self.faults.append(f"{response.url}: {response.status}")

    def _note_message(self, message: "ConsoleMessage") -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"console {message.type}: {message.text}")
