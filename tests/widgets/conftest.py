"""Each widget of the book on a page of its own, without the book."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from attn_utils.widgets import all_widgets

from .bench import Bench


@pytest.fixture(scope="module", params=sorted(all_widgets()))
def bench(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Bench]:
    bench = Bench(browser, all_widgets()[request.param])
    yield bench
    bench.context.close()


@pytest.fixture
def nothing_bad(bench: Bench) -> Iterator[None]:
    """No error and no message in the console, whatever a test does."""
    bench.bad.clear()
    yield
    assert bench.bad == []
