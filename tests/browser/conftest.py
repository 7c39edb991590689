"""A browser for all tests of pages."""

import pytest
from tests.support.browsing import BROWSER


@pytest.fixture(scope="module")
def browser():
    # As long as it is open, an event loop runs in this thread, and tests of others can have none of their own.
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: uv sync")
    if BROWSER is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with sync_api.sync_playwright() as play:
        started = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()
