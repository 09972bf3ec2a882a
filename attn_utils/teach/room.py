"""The process in which a student's cells run. It is started by the judge, in a sandbox.

    python -m attn_utils.teach.room MEGABYTES NETWORK

It reads requests from its standard input and answers on its standard output; what the student's
code reads and prints is not connected to them. It knows neither checks nor marks.
"""

from __future__ import annotations

import base64
import inspect
import os
import pickle
import random
import signal
import sys
from collections.abc import Callable, Iterable
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from . import sandbox, wire


class TimeIsUp(BaseException):
    """Interrupts what takes too long; no ``except Exception`` catches it."""


class Room:
    """The student's names and functions, and the line to the judge."""

    def __init__(self, requests: IO[bytes], answers: IO[bytes]) -> None:
        from IPython.core.interactiveshell import InteractiveShell

        class Shell(InteractiveShell):  # its types are not written down
            def enable_gui(self, gui: str | None = None) -> None:
                """``%matplotlib`` asks for it; there is no window here."""

        self.requests, self.answers = requests, answers
        shell: Any = Shell.instance()
        shell.history_manager.enabled = False
        self.shell = shell
        self.functions: list[Callable[..., Any]] = []
        self.graphs: dict[int, tuple[list[Tensor], list[Tensor]]] = {}

    def serve(self) -> None:
        """Answer the judge's requests until it hangs up."""
        while (request := wire.receive(self.requests)) is not None:
            wire.send(self.answers, self.answer(request))

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked; what goes wrong in the student's code is an answer as well."""
        does: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "run": self.run,
            "value": self.value,
            "call": self.call,
            "backward": self.backward,
        }
        _alarm(request["seconds"])
        try:
            return does[request["do"]](request)
        except TimeIsUp:
            return {"late": True}
        except BaseException as error:
            return {"error": _named(error)}
        finally:
            _alarm(0)

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run a cell, as a notebook would."""
        result = self.shell.run_cell(request["source"], store_history=False)
        error = result.error_before_exec or result.error_in_exec
        if isinstance(error, TimeIsUp):
            return {"late": True}
        return {"error": _named(error)} if error is not None else {}

    def value(self, request: dict[str, Any]) -> dict[str, Any]:
        """Look up an answer; its randomness starts the same way each time."""
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002 - the one that students use
        torch.manual_seed(0)
        value = eval(request["expression"], self.shell.user_ns)
        return {"value": wire.pack(value, self._pack_function)}

    def call(self, request: dict[str, Any]) -> dict[str, Any]:
        """Call a function of the student's; say which of its arguments it has changed."""
        function = self.functions[request["function"]]
        args, kwargs = wire.unpack(request["arguments"], self._unpack_function)
        given = list(wire.tensors((args, kwargs)))
        before = [tensor.detach().clone() for tensor in given]
        result = function(*args, **kwargs)
        changed = {
            str(number): wire.pack(now.detach(), self._pack_function)
            for number, (kept, now) in enumerate(zip(before, given, strict=True))
            if not _same(kept, now)
        }
        leaves = [tensor for tensor in given if tensor.requires_grad]
        if leaves:
            self.graphs[request["number"]] = (leaves, list(wire.tensors(result)))
        return {"value": wire.pack(result, self._pack_function), "changed": changed}

    def backward(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the gradients of one of a call's results by the inputs that ask for them."""
        leaves, results = self.graphs[request["number"]]
        upstream = wire.unpack(request["gradient"], self._unpack_function)
        gradients: Iterable[Tensor | None] = torch.autograd.grad(
            results[request["result"]], leaves, upstream, retain_graph=True, allow_unused=True
        )
        return {"value": wire.pack(list(gradients), self._pack_function)}

    def _pack_function(self, function: Callable[..., Any]) -> dict[str, Any]:
        self.functions.append(function)
        try:
            parameters = inspect.signature(function).parameters.values()
            listed = [[p.name, int(p.kind), p.default is not p.empty] for p in parameters]
        except (TypeError, ValueError):
            listed = [["args", int(inspect.Parameter.VAR_POSITIONAL), False]]
        name = str(getattr(function, "__name__", type(function).__name__))[:60]
        number = len(self.functions) - 1
        return {"kind": "function", "number": number, "name": name, "parameters": listed}

    def _unpack_function(self, packed: dict[str, Any]) -> Callable[..., Any]:
        """Return a function of the judge's: it is the judge who computes it.

        A model of the package comes as a copy. The judge is trusted here, so a pickle may bring it;
        in the other direction nothing is unpickled.
        """
        if "model" in packed:
            model: Callable[..., Any] = pickle.loads(base64.b64decode(packed["model"]))
            return model

        def ask(*args: Any) -> Any:
            arguments = wire.pack(list(args), self._pack_function)
            wire.send(self.answers, {"ask": packed["number"], "arguments": arguments})
            reply = wire.receive(self.requests)
            if reply is None or "error" in reply:
                raise RuntimeError(reply["error"] if reply else "the judge has gone")
            return wire.unpack(reply["value"], self._unpack_function)

        return ask


def _same(kept: Tensor, now: Tensor) -> bool:
    return kept.shape == now.shape and bool(((kept == now) | kept.isnan()).all())


def _named(error: BaseException) -> dict[str, Any]:
    """Describe an error: its name, its words, and the line of the cell it came from."""
    line, trace = None, error.__traceback__
    while trace is not None:  # the innermost line that stands in a cell
        if trace.tb_frame.f_code.co_filename.startswith("<ipython-input"):
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError):
        line = error.lineno
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:
        text = "(an error that cannot be shown)"
    return {"name": type(error).__name__[:60], "text": text[:500], "line": line}


def _alarm(seconds: float) -> None:
    """Raise :class:`TimeIsUp` in this many seconds; 0 takes it back. Windows has no such clock."""

    def ring(*_: Any) -> None:
        raise TimeIsUp

    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def main() -> None:
    """Close the doors, then serve."""
    requests, answers = (os.fdopen(os.dup(fd), mode) for fd, mode in ((0, "rb"), (1, "wb")))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    torch.set_num_threads(1)
    room = Room(requests, answers)
    kept = sandbox.close_doors(int(sys.argv[1]), fenced=sys.argv[2] == "fenced")
    wire.send(answers, {"limits": kept})
    room.serve()


if __name__ == "__main__":
    main()
