"""The built book, served on this machine and opened in a Chromium that has no network."""

from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from browser import HTML, NO_PAGE, Visit, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    protocol_version = "HTTP/1.1"  # many files over one connection

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="session")
def built() -> None:
    """Skips where there is no book to visit."""
    if not (HTML / "index.html").exists():
        pytest.skip(NO_PAGE)


@pytest.fixture(scope="session")
def served(built: None) -> Iterator[str]:
    """Address of the built book."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(HTML)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def on_disk(built: None) -> str:
    """Address of the built book for who opens the files themselves."""
    return HTML.as_uri()


# Not for the session: while Playwright runs, no later test could start an event loop of its own.
@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """A headless Chromium that finds no host but this machine."""
    with chromium() as started:
        yield started


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
