"""Try a class on this machine: the hub, N students, a chapter each, and what goes wrong.

As root:

    python classroom/class_test.py --students 10 --chapter book/01-attention-cues.ipynb

Makes accounts of its own (class-test-…) and removes them, and talks to 127.0.0.1 only. Each
student logs in with a password, fetches the chapter by its link, and runs it cell by cell. Then
one tries to read what another has, and a server is killed while its student works. Prints
memory, times and failures; ends with 1 if there was a failure.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import psutil
from accounts import GROUP, Student, add_account, is_account
from handout import TARGET, publish
from visitor import Visitor

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
MIB = 2**20


def free_ports(number: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def check_machine() -> None:
    """Stop with one sentence if this machine cannot run a class."""
    if os.geteuid() != 0:
        sys.exit("the test makes accounts: run it as root")
    if shutil.which("configurable-http-proxy") is None:
        sys.exit("configurable-http-proxy is missing: npm install -g configurable-http-proxy@5")
    if not (ROOT / "_build" / "html" / "index.html").exists():
        sys.exit("the book that is served beside is not built: make book")
    as_nobody = ["runuser", "-u", "nobody", "--", sys.executable, "-c", "import jupyterhub, torch"]
    if subprocess.run(as_nobody, capture_output=True, cwd="/", check=False).returncode:
        sys.exit(
            f"students cannot run {sys.executable}: the environment, and the Python that it was "
            "made from, have to lie where every account can read them (not in /root or a home)"
        )


@contextlib.contextmanager
def accounts(number: int, home: Path) -> Iterator[dict[str, str]]:
    """Make accounts for the time of the test: passwords by login."""
    logins = [f"class-test-{i:02}" for i in range(1, number + 1)]
    taken = [login for login in logins if is_account(login)]
    if taken:
        sys.exit(f"accounts of an earlier test are there: {taken}; remove them with userdel")
    subprocess.run(["groupadd", "--force", GROUP], check=True)
    try:
        yield {login: add_account(Student(login, "a test"), home) for login in logins}
    finally:
        for login in filter(is_account, logins):
            subprocess.run(["pkill", "-KILL", "-u", login], check=False)
            subprocess.run(["userdel", "--force", login], check=False, capture_output=True)


@contextlib.contextmanager
def hub(state: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Run the hub as a class would: its address, and its process."""
    port, hub_port, proxy_port, book_port = free_ports(4)
    address = f"http://127.0.0.1:{port}"
    settings = {
        "CLASS_STATE": str(state),
        "CLASS_ADDRESS": address,
        "CLASS_HUB_PORT": str(hub_port),
        "CLASS_PROXY_API": f"http://127.0.0.1:{proxy_port}",
        "CLASS_BOOK_URL": f"http://127.0.0.1:{book_port}",
    }
    log = (state / "hub.log").open("w")
    command = [sys.executable, "-m", "jupyterhub", "-f", str(HERE / "jupyterhub_config.py")]
    process = subprocess.Popen(
        command, cwd=state, env=os.environ | settings, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        yield address, psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()


class MemoryWatch(threading.Thread):
    """Sample, once a second, what each account's processes and the hub's take (PSS, in bytes)."""

    def __init__(self, logins: list[str], hub: psutil.Process) -> None:
        super().__init__(daemon=True)
        self.hub, self.over = hub, threading.Event()
        self.peak = dict.fromkeys([*logins, "hub and proxy"], 0)

    def run(self) -> None:
        """Sample until it is over."""
        while not self.over.wait(1.0):
            now = dict.fromkeys(self.peak, 0)
            family = set()
            with contextlib.suppress(psutil.Error):
                family = {self.hub.pid, *(p.pid for p in self.hub.children(recursive=True))}
            for process in psutil.process_iter():
                with contextlib.suppress(psutil.Error):
                    owner = process.username()
                    key = owner if owner in now else "hub and proxy"
                    if owner in now or process.pid in family:
                        now[key] += process.memory_full_info().pss
            for name, size in now.items():
                self.peak[name] = max(self.peak[name], size)


def study(visitor: Visitor, notebook: str, link: dict[str, str]) -> dict[str, float]:
    """Log in, fetch the handout, run a chapter; return the seconds that each took."""
    times = {}

    def timed(name: str, step: Callable[[], object]) -> None:
        begin = time.monotonic()
        step()
        times[name] = time.monotonic() - begin

    timed("log in and start", lambda: (visitor.log_in(), visitor.start_server()))
    timed("fetch", lambda: visitor.pull(link))
    source = nbformat.reads(visitor.read(f"{TARGET}/{notebook}"), as_version=4)
    cells = [cell.source for cell in source.cells if cell.cell_type == "code"]
    with visitor.kernel(f"{TARGET}/{notebook}") as kernel:
        timed("run", lambda: [visitor.execute(kernel, cell) for cell in cells])
    return times


def intrude(thief: Visitor, owner: Visitor) -> list[str]:
    """Let one student try to reach what another has; return what was not refused."""
    secret = f"{TARGET}/secret.txt"
    owner.write(secret, "mine")
    home = owner.evaluate("import pathlib; print(pathlib.Path.home())")
    server = next(p.pid for p in psutil.process_iter() if p.username() == owner.login)
    private = Path(home).parents[1] / "hub" / "cookie_secret"
    attempts = {
        "a file": f"print(open({str(Path(home) / secret)!r}).read())",
        "the list of a home": f"import os; print(os.listdir({home!r}))",
        "a server's environment": f"print(open('/proc/{server}/environ').read())",
        "writing into the environment": f"open({str(Path(sys.prefix) / 'x')!r}, 'w')",
        "the hub's cookie secret": f"print(open({str(private)!r}).read())",
        "ending another's server": f"import os; os.kill({server}, 9)",
    }
    reached = [
        name for name, code in attempts.items() if not thief.is_refused(code, "PermissionError")
    ]
    transport = "connect.get_connection_info(unpack=True)['transport']"
    told = owner.evaluate(f"from ipykernel import connect; print({transport})")
    if told != "ipc":  # to a port, every account of the machine can listen
        reached.append("what another's kernel prints")
    if thief.status(f"/user/{owner.login}/api/contents/{secret}") not in (403, 404):
        reached.append("another's server over the web")
    return reached


def overspend(visitor: Visitor) -> list[str]:
    """Let a student take all the memory there is; return what came of it."""
    code = "hoard = [bytearray(2**28) for _ in range(400)]"  # 100 GB
    stopped = visitor.is_refused(code, "MemoryError", "DeadKernelError")
    return [] if stopped else ["nothing stopped a student who took all the memory"]


def interrupt_and_return(visitor: Visitor) -> list[str]:
    """Kill a server while its student works; return what was lost."""
    visitor.write(f"{TARGET}/work.txt", "an hour of work")
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.username() == visitor.login:
                process.kill()
    visitor.start_server()
    kept = visitor.read(f"{TARGET}/work.txt") == "an hour of work"
    return [] if kept else ["work was lost when a server was killed"]


def hand_out_more(visitor: Visitor, folder: Path, state: Path, link: dict[str, str]) -> list[str]:
    """Publish a changed handout; the student's own change has to stay, and the new file to come."""
    notebook = next(folder.glob("*.ipynb")).name
    mine = visitor.read(f"{TARGET}/{notebook}").replace('"cells": [', '"cells":  [', 1)
    visitor.write(f"{TARGET}/{notebook}", mine)
    (folder / "next.txt").write_text("next week")
    publish(folder, state / "handout.git", "More")
    visitor.pull(link)
    lost = []
    if visitor.read(f"{TARGET}/{notebook}") != mine:
        lost.append("a student's change was lost when the handout was updated")
    if visitor.read(f"{TARGET}/next.txt") != "next week":
        lost.append("the new file of the handout did not come")
    return lost


def report(times: dict[str, dict[str, float]], peak: dict[str, int], failures: list[str]) -> None:
    """Print the table."""
    steps = ["log in and start", "fetch", "run"]
    print(f"{'student':16}" + "".join(f"{step:>18}" for step in steps) + f"{'memory':>12}")
    for login, row in sorted(times.items()):
        shown = "".join(f"{row[s]:16.1f} s" if s in row else f"{'–':>18}" for s in steps)
        print(f"{login:16}{shown}{peak[login] / MIB:8.0f} MiB")
    print(f"{'hub and proxy':70}{peak['hub and proxy'] / MIB:8.0f} MiB")
    print("\n".join(failures) if failures else "No failures.")


def main() -> int:
    """Run the test."""
    parser = argparse.ArgumentParser(description=__doc__.partition(".")[0] if __doc__ else None)
    parser.add_argument("--students", type=int, default=10, help="at least 2")
    parser.add_argument("--chapter", type=Path, default=ROOT / "book" / "01-attention-cues.ipynb")
    options = parser.parse_args()
    if options.students < 2:
        parser.error("students: expected at least 2, one tries to read what the other has")
    check_machine()
    failures: list[str] = []
    times: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="class-") as folder:
        state = Path(folder)
        state.chmod(0o755)
        handout = state / "handout"
        (state / "home").mkdir()
        handout.mkdir()
        shutil.copy(options.chapter, handout)
        publish(handout, state / "handout.git", "First")
        link = {"repo": str(state / "handout.git"), "branch": "main", "targetpath": TARGET}
        with (
            accounts(options.students, state / "home") as passwords,
            hub(state) as (address, process),
        ):
            visitors = [Visitor(address, *account) for account in passwords.items()]
            visitors[0].wait_for_hub()
            watch = MemoryWatch(list(passwords), process)
            watch.start()

            def attempt(visitor: Visitor) -> None:
                try:
                    times[visitor.login] = study(visitor, options.chapter.name, link)
                except Exception as error:
                    times[visitor.login] = {}
                    failures.append(f"{visitor.login}: {type(error).__name__}: {error}")

            with ThreadPoolExecutor(options.students) as pool:
                list(pool.map(attempt, visitors))
            watch.over.set()  # what follows is no lesson
            watch.join()
            if not failures:
                failures += [f"not refused: {x}" for x in intrude(visitors[-1], visitors[0])]
                if visitors[0].status("/services/book/") != 200:
                    failures.append("the book is not served at /services/book/")
                failures += overspend(visitors[-1])
                failures += hand_out_more(visitors[0], handout, state, link)
                failures += interrupt_and_return(visitors[0])
        report(times, watch.peak, failures)
        if failures:
            print((state / "hub.log").read_text()[-6000:], file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
