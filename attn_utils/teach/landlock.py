"""Landlock, Linux's own way for a process to give up rights to files for good.

A process that has called :func:`restrict` reads and writes only below the folders that it named,
and so do all that it starts; it no longer reaches into other processes' memory either. Needs
Linux 5.13, no privileges. https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_NO_NEW_PRIVILEGES = 38
_EXECUTE, _WRITE, _READ, _READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _DEVICE_CONTROL = 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _DEVICE_CONTROL
_CONNECT_AND_BIND_TCP = 0b11


def version() -> int:
    """Return the version of Landlock's interface; 0 if there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, _call(_CREATE_RULESET, None, 0, 1))


def restrict(read: Iterable[str | Path], write: Iterable[str | Path]) -> bool:
    """Allow this process to use files below these folders alone; return whether that worked.

    TCP connections are refused as well, from version 4 on.
    """
    have = version()
    if not have:
        return False
    rights = (1 << (13 if have < 2 else 14 if have < 3 else 15 if have < 5 else 16)) - 1
    fields = [rights, _CONNECT_AND_BIND_TCP] if have >= 4 else [rights]
    attributes = struct.pack(f"{len(fields)}Q", *fields)
    ruleset = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    try:
        for paths, allowed in ((read, _READ | _READ_FOLDER | _EXECUTE), (write, rights)):
            for path in paths:
                _allow(ruleset, path, allowed & rights)
        ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        return _call(_RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str | Path, rights: int) -> None:
    try:
        place = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
    except OSError:
        return  # not there: nothing to allow
    try:
        rights &= -1 if os.path.isdir(path) else _OF_FILES
        _call(_ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)


def _call(number: int, *arguments: int | bytes | None) -> int:
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return int(ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), *wide))
