"""How a table of cases is put under a contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest


def under(contract: Sequence[Callable[[Any], None]], cases: Sequence[Any]) -> Callable[..., None]:
    """Make the test that holds each case against each check of a contract.

    Where a case has ``faults``, a check that is named there is expected to fail, strictly: the mark
    has to go when the fault is mended.
    """

    parameters = []
    for case in cases:
        for check in contract:
            fault = getattr(case, "faults", {}).get(check.__name__)
            marks = [] if fault is None else [pytest.mark.xfail(strict=True, reason=fault)]
            parameters.append(pytest.param(case, check, id=f"{case}-{check.__name__}", marks=marks))

    @pytest.mark.parametrize(("case", "check"), parameters)
    def test(case: Any, check: Callable[[Any], None]) -> None:
        check(case)

    return test
