"""No module of the package is left out of the contract."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from torch import nn

import attn_utils
from tests.contracts import Module

CHAPTERS = sorted(file.parent.name for file in Path(__file__).parent.glob("*/test_module.py"))


def test_every_public_module_is_under_the_contract():
    tables = [import_module(f"tests.{chapter}.test_module") for chapter in CHAPTERS]
    cases = [case for table in tables for case in getattr(table, "MODULES", [])]
    held = {case.kind for case in cases if isinstance(case, Module)}
    public = {
        value
        for name in dir(attn_utils)
        if isinstance(value := getattr(attn_utils, name), type) and issubclass(value, nn.Module)
    }
    assert len(public) > 20
    assert public <= held, [kind.__name__ for kind in public - held]
