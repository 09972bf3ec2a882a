"""nbval, made to report a dead kernel at once and a notebook's first failure only."""

from __future__ import annotations

import os
import time
from queue import Empty
from typing import Any

import pytest
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell

# for the notebooks' kernels: small networks gain little from threads, and lose on a busy machine
os.environ.setdefault("OMP_NUM_THREADS", "1")


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


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> None:
    """Remember the first cell of a notebook that failed."""
    failed = call.when == "call" and call.excinfo is not None
    if (
        failed
        and isinstance(item, IPyNbCell)
        and not call.excinfo.errisinstance(pytest.skip.Exception)
    ):
        item.parent.first_failure = getattr(item.parent, "first_failure", item.name)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Do not run the cells after a failed one: their errors would only repeat it."""
    first = getattr(item.parent, "first_failure", None)
    if first is not None and isinstance(item, IPyNbCell):
        pytest.skip(f"{first} of this notebook failed")
