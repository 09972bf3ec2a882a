"""Where students' code runs: a process of its own that can do little harm.

What is held back depends on the system, and :func:`close_doors` says what it is. On Linux with
user namespaces and Landlock it is everything below; elsewhere what the system offers.

- time: the judge ends the process and all that it started;
- memory, size of a file, open files: ``resource`` (not on Windows; macOS ignores the memory limit);
- network: a network namespace without any device; else Python's sockets are taken away, which
  holds up an accident and not an attack;
- files: Landlock leaves the scratch folder to write to, and to read only Python and the system.
"""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import shutil
import signal
import site
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from . import landlock, wire

UNSHARE = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child")
STARTING = 120.0  # seconds for Python to start and import torch, on a busy machine too
GRACE = 3.0  # seconds more for the room to say itself that time is up
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "VIRTUAL_ENV", "PYTHONPATH")


class Gone(Exception):
    """The process has ended, or talks nonsense."""


class Late(Gone):
    """It did not answer in time, and was ended."""


@functools.cache
def has_namespaces() -> bool:
    """Whether a process may have a network and a list of processes of its own here."""
    try:
        done = subprocess.run([*UNSHARE, "true"], capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


class Room:
    """The judge's end of the line to a new room; a context that ends the process."""

    def __init__(self, scratch: Path, megabytes: int) -> None:
        fenced = has_namespaces()
        module = [sys.executable, "-m", "attn_utils.teach.room", str(megabytes)]
        self.process = subprocess.Popen(
            [*UNSHARE, *module, "fenced"] if fenced else [*module, "open"],
            cwd=scratch,
            env=_environment(scratch),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._inbox: queue.Queue[dict[str, Any] | wire.Garbled | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self.limits: list[str] = self.hear(STARTING).get("limits", [])
        except Gone:
            self.close()
            raise

    def __enter__(self) -> Room:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def say(self, message: dict[str, Any]) -> None:
        """Send a message."""
        assert self.process.stdin is not None
        try:
            wire.send(self.process.stdin, message)
        except (OSError, ValueError) as error:
            self.close()
            raise Gone("the process has ended") from error

    def hear(self, seconds: float) -> dict[str, Any]:
        """Wait for a message; a process that is late or confused is ended."""
        try:
            message = self._inbox.get(timeout=seconds)
        except queue.Empty:
            self.close()
            raise Late("no answer in time") from None
        if not isinstance(message, dict):
            self.close()
            raise Gone("the process has ended" if message is None else f"nonsense: {message}")
        return message

    def close(self) -> None:
        """End the process, and whatever it has started in its session or its namespace."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        try:
            while (message := wire.receive(self.process.stdout)) is not None:
                self._inbox.put(message)
            self._inbox.put(None)
        except wire.Garbled as error:
            self._inbox.put(error)
        except (OSError, ValueError):
            self._inbox.put(None)


def close_doors(megabytes: int, *, fenced: bool) -> list[str]:
    """Give up, in this process, what students' code does not need; return what is guaranteed."""
    kept = ["network: none"] if fenced else []
    if landlock.restrict(_readable(), [Path.cwd(), "/dev/shm", "/dev/null"]):
        kept.append("files: only its own scratch folder can be written to")
    if not fenced:
        _take_sockets_away()
        kept.append("network: Python's sockets are taken away (no guarantee)")
    try:
        import resource
    except ImportError:
        return [*kept, "memory: no limit on this system"]
    used = _data_in_use()
    limits = {
        resource.RLIMIT_DATA: used + megabytes * 2**20,
        resource.RLIMIT_FSIZE: 256 * 2**20,
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_CORE: 0,
    }
    if fenced:
        limits[resource.RLIMIT_NPROC] = 256
    for what, limit in limits.items():
        most = resource.getrlimit(what)[1]
        limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(what, (limit, limit))
    enforced = f"{megabytes} MB" if used else "not guaranteed on this system"
    return [*kept, f"memory: {enforced}"]


def _environment(scratch: Path) -> dict[str, str]:
    """Return a small environment: no tokens of the teacher's, one thread, no window."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return kept | {
        "HOME": str(scratch),
        "USERPROFILE": str(scratch),
        "TMPDIR": str(scratch),
        "IPYTHONDIR": str(scratch / ".ipython"),
        "MPLCONFIGDIR": str(_with_fonts(scratch / ".matplotlib")),
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
    }


def _with_fonts(folder: Path) -> Path:
    """Copy Matplotlib's list of fonts to a folder: to make it again would take seconds."""
    import matplotlib

    folder.mkdir(exist_ok=True)
    for file in Path(matplotlib.get_cachedir()).glob("fontlist-*.json"):
        shutil.copy(file, folder)
    return folder


def _readable() -> list[Path]:
    """Where Python and the system lie. Not the folder that holds the package in a repository."""
    package = Path(__file__).resolve().parents[1]
    paths = [*sys.path, sys.prefix, sys.base_prefix, *site.getsitepackages()]
    folders = {Path(path).resolve() for path in paths if path} - {package.parent}
    if package.parent.name in ("site-packages", "dist-packages"):
        folders.add(package.parent)
    system = ("/usr", "/lib", "/lib64", "/bin", "/etc", "/proc", "/sys", "/dev")
    return [package, *folders, *map(Path, system)]


def _take_sockets_away() -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("students' code has no network while it is graded")

    for name in ("socket", "create_connection", "getaddrinfo", "socketpair"):
        setattr(socket, name, refuse)


def _data_in_use() -> int:
    """Bytes, as Linux counts them; 0 on other systems."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")), 0)
