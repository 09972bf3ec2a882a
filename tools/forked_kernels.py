"""Kernels that have started already: copies of a process that has made the notebooks' imports.

Python, IPython, PyTorch and matplotlib need four seconds of a core to start, anew for each
notebook. Here they start once, and each kernel is forked from there: a process of its own, in which
nothing but these imports has happened. Only on Linux: elsewhere such libraries do not bear that
their process is copied, and kernels start as usual.

    python tools/forked_kernels.py

is the process that forks. It is started by whoever wants a kernel, reads orders from standard input
and ends with it, and its kernels end with it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import uuid
from functools import cache
from typing import Any

from ipykernel.kernelapp import IPKernelApp
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from nbclient import NotebookClient

# What most notebooks import; torch._dynamo comes with the first optimiser.
IMPORTS = ("matplotlib.pyplot", "sklearn.datasets", "torch", "torch._dynamo")


class ForkedKernel:
    """What jupyter_client asks of a kernel's process, which here is no child of its own."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int):
        self.pid = pid
        self.handle = os.pidfd_open(pid)  # stays this process's, whoever gets its number later

    def poll(self) -> int | None:
        """Return None while it runs; how it ended is not known."""
        return 0 if select.select([self.handle], [], [], 0)[0] else None

    def wait(self) -> int:
        """Wait until it has ended; the last thing that is asked."""
        select.select([self.handle], [], [])
        os.close(self.handle)
        return 0

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        signal.pidfd_send_signal(self.handle, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class ForkingProvisioner(LocalProvisioner):
    """Starts a kernel by asking for a copy of the process that has made the imports."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel that a command line describes, in a folder and an environment."""
        order = {
            "arguments": cmd[cmd.index("ipykernel_launcher") + 1 :],
            "folder": str(kwargs["cwd"]),
            "environment": dict(kwargs["env"]),
        }
        forking = forking_process(os.getpid())
        assert forking.stdin is not None
        assert forking.stdout is not None
        forking.stdin.write(json.dumps(order) + "\n")
        forking.stdin.flush()
        answer = forking.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process that starts kernels ended: {forking.wait()}")
        kernel = ForkedKernel(int(answer))
        self.process = kernel  # type: ignore[assignment]  # all that is used of a Popen
        self.pid = self.pgid = kernel.pid  # a group of its own
        return self.connection_info


@cache
def forking_process(whose: int) -> subprocess.Popen[str]:
    """Start a process that forks kernels, one for each process that asks."""
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, __file__], stdin=pipe, stdout=pipe, text=True)


def can_fork() -> bool:
    """Whether this is Linux, and no sandbox forbids to hold processes that are no children."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


def fork_kernel(client: NotebookClient) -> None:
    """Let the kernel of a client be forked, where that is safe."""
    if can_fork():
        manager = client.create_kernel_manager()
        manager.provisioner = ForkingProvisioner(
            kernel_id=str(uuid.uuid4()), kernel_spec=manager.kernel_spec, parent=manager
        )


def run_kernel(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Be a kernel, in a process that has just been forked."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    forking = os.getppid()
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)  # the orders,
    os.dup2(nothing, 1)  # and the answers
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["ipykernel_launcher", *arguments]
    IPKernelApp.launch_instance([*arguments, f"--IPKernelApp.parent_handle={forking}"])


def main() -> None:
    """Make the imports; fork a kernel for each order, and say which process it is."""
    del sys.path[0]  # this folder, of which notebooks know nothing
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # as ipykernel
    for name in IMPORTS:
        with contextlib.suppress(Exception):  # the notebook that needs it will fail, and be named
            importlib.import_module(name)
    gc.freeze()  # what never becomes garbage is not looked through, and copied, in each kernel
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks what became of them
    for line in sys.stdin:
        kernel = os.fork()
        if kernel == 0:
            try:
                run_kernel(**json.loads(line))
            finally:
                os._exit(0)
        print(kernel, flush=True)


if __name__ == "__main__":
    main()
