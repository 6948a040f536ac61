"""A real browser for tests of pages: the system's Chromium, driven by Playwright."""

import contextlib
import shutil
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def chromium() -> Iterator:
    """A headless browser; the test skips, saying why, where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("there is no Chromium on this machine (Debian: apt install chromium)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()
