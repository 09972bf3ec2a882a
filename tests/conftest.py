"""What several groups of tests need.

PyTorch is imported where it is used: the process that only hands tests out reads this file, too.
"""

from __future__ import annotations

import base64
import gc
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import numpy as np
import pytest
from chromium import HINT, find_chromium
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, expect, sync_playwright

# fixtures: the built book, open in a browser
from .pages import phone, site, watch, watch_everywhere, wide  # noqa: F401

if TYPE_CHECKING:
    from torch import Tensor

    from attn_utils.data.desk import Box

# A busy machine takes its time, to draw a page as well as an example.
expect.set_options(timeout=60_000)
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what stays to the end: PyTorch and thousands of tests."""
    gc.collect()
    gc.freeze()


FLAGS = [
    *["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"],
    *["--disable-background-networking", "--disable-component-update"],
    # nothing but this machine can be reached, so a request to another host fails
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the system's Chromium or Chrome. Without one, tests are skipped; in CI they fail."""
    path = find_chromium()
    if path:
        return path
    if os.environ.get("CI"):
        pytest.fail(HINT)
    pytest.skip(HINT)


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """One headless Chromium for all tests: Playwright runs once in a process."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def table() -> tuple[Tensor, dict[str, Box]]:
    """The table of chapter 1: drawing it takes a second."""
    from attn_utils.data import table_scene

    return table_scene()


@pytest.fixture
def kernel_calls(monkeypatch: pytest.MonkeyPatch) -> Sequence[Any]:
    """What PyTorch's fused kernel was called with: pairs of args and kwargs."""
    import torch.nn.functional as F

    kernel = Mock(wraps=F.scaled_dot_product_attention)
    monkeypatch.setattr(F, "scaled_dot_product_attention", kernel)
    return kernel.call_args_list


# Numbers travel as the base64 text of their bytes: exact, NaN and infinity included. An array that
# many calls share travels once.
COMPUTE_ALL = """async ([source, calls, arrays]) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { compute } = await import(url);
  URL.revokeObjectURL(url);
  const floats = arrays.map((text) => {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
    return new Float32Array(bytes.buffer);
  });
  const revive = (_, value) => (value?.float32 === undefined ? value : floats[value.float32]);
  const text = (numbers) => {
    const bytes = new Uint8Array(Float64Array.from(numbers).buffer);
    let binary = "";
    for (let at = 0; at < bytes.length; at += 8192)
      binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return btoa(binary);
  };
  return JSON.parse(calls, revive).map((call) =>
    Object.entries(compute(call)).map(([name, numbers]) => [name, text(numbers)]));
}"""

JavaScript = Callable[[Path, "list[dict[str, Any]]"], "list[dict[str, list[float]]]"]


@pytest.fixture(scope="session")
def javascript(browser: Browser) -> Iterator[JavaScript]:
    """Call ``compute`` of a front-end module for many states at once, on an empty page.

    ``javascript(file, calls)`` joins the module with what it imports. Arrays and tensors in a call
    arrive as Float32Array, everything else as JSON; results come back as lists of floats.
    """
    from attn_utils.widgets.joining import joined

    page = browser.new_page()

    def run(module: Path, calls: list[dict[str, Any]]) -> list[dict[str, list[float]]]:
        arrays: dict[bytes, int] = {}

        def packed(value: Any) -> dict[str, int]:
            data = np.ascontiguousarray(value, dtype="<f4").tobytes()
            return {"float32": arrays.setdefault(data, len(arrays))}

        source = joined(module) + "\nexport { compute };\n"
        text = json.dumps(calls, default=packed, allow_nan=False)
        sent = [base64.b64encode(data).decode() for data in arrays]
        return [
            {name: np.frombuffer(base64.b64decode(data), "<f8").tolist() for name, data in result}
            for result in page.evaluate(COMPUTE_ALL, [source, text, sent])
        ]

    yield run
    page.close()
