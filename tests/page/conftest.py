"""The built book, served on this machine and opened in a Chromium that has no network."""

from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from browsing import HTML, NO_PAGE, PAGES, Visit, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    protocol_version = "HTTP/1.1"  # many files over one connection

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="session")
def served() -> Iterator[str]:
    """Address of the built book."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(HTML)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def on_disk() -> str:
    """Address of the built book for who opens the files themselves."""
    return HTML.as_uri()


# Not for the session: while Playwright runs, no later test could start an event loop of its own.
@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """A headless Chromium that finds no host but this machine."""
    if not PAGES:
        pytest.skip(NO_PAGE)
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=chromium(driver),
            args=["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        )
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: "Browser") -> Iterator[Callable[..., Visit]]:
    """Makes a reader who was never here before; options as for Playwright's `new_context`."""
    contexts: list[BrowserContext] = []

    def arrive(**options: object) -> Visit:
        contexts.append(browser.new_context(**options))
        return Visit(contexts[-1].new_page())

    yield arrive
    for context in contexts:
        context.close()
