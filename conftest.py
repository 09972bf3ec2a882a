"""nbval, made to report a dead kernel at once and a notebook's first failure only."""

from __future__ import annotations

import time
from queue import Empty
from typing import Any

import pytest
from kernel_guard import set_threads
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell

set_threads()


class KernelDied(RuntimeError):
    """The kernel's process ended while it executed a cell."""


def await_reply(self: RunningKernel, msg_id: str, timeout: float | None = None) -> None:
    """Wait for the reply to a cell, looking every second whether the kernel lives.

    nbval 0.11 would wait out the whole cell timeout for a kernel that has died.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        try:
            message = self.get_message(stream="shell", timeout=1)
        except Empty:
            if not self.km.is_alive():
                raise KernelDied("the kernel died in this cell (out of memory? a crash?)") from None
            if deadline is not None and time.monotonic() > deadline:
                raise
            continue
        if message["parent_header"].get("msg_id") == msg_id:
            if message["content"]["status"] == "aborted":
                raise RuntimeError("the kernel aborted the cell")
            return


RunningKernel.await_reply = await_reply


def pytest_itemcollected(item: pytest.Item) -> None:
    """Leave the limit of time for a notebook's cell to nbval."""
    if isinstance(item, IPyNbCell):
        item.add_marker(pytest.mark.timeout(0))


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> None:
    """Remember the first cell of a notebook that failed."""
    if (
        isinstance(item, IPyNbCell)
        and call.when == "call"
        and call.excinfo is not None
        and not call.excinfo.errisinstance(pytest.skip.Exception)
    ):
        item.parent.first_failure = getattr(item.parent, "first_failure", item.name)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Do not run the cells after a failed one: their errors would only repeat it."""
    first = getattr(item.parent, "first_failure", None)
    if first is not None and isinstance(item, IPyNbCell):
        pytest.skip(f"{first} of this notebook failed")
