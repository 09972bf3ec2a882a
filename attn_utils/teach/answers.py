"""A student's function as the judge has it: each call is made in the room.

It looks like any function to the checks: it has the parameters' names, changes its arguments if the
student's code does, and gradients run through it.
"""

from __future__ import annotations

import base64
import inspect
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from . import wire
from .sandbox import GRACE, Gone, Late, Room


class Line:
    """A conversation with a room: requests, and what the room asks in between."""

    def __init__(self, room: Room, seconds: float) -> None:
        self.room = room
        self.seconds = seconds
        self._lent: list[Callable[..., Any]] = []  # the judge's functions, which the room may ask
        self._calls = 0

    def request(self, seconds: float | None = None, **message: Any) -> dict[str, Any]:
        """Ask the room to do something; it may take :attr:`seconds`, or so many.

        Raises:
            Gone: the process has ended; :class:`~attn_utils.teach.sandbox.Late`: it had to be.
        """
        seconds = self.seconds if seconds is None else seconds
        self.room.say({**message, "seconds": seconds})
        while "ask" in (reply := self.room.hear(seconds + GRACE)):
            self.room.say(self._own_answer(reply))
        return reply

    def answer(self, expression: str) -> Any:
        """Return the value of an expression in the room.

        Raises:
            Exception: one with the name and the words of what was raised in the room.
        """
        reply = self.request(do="value", expression=expression)
        return self._value(reply)

    def call(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function that lives in the room."""
        self._calls += 1
        call = self._calls
        given = list(wire.tensors((args, kwargs)))
        packed = wire.pack([list(args), kwargs], self._lend)
        try:
            reply = self.request(do="call", number=call, function=number, arguments=packed)
            result = self._value(reply)
            for index, now in dict(reply.get("changed", {})).items():
                given[int(index)].data = wire.unpack(now, self._function)
        except Late:
            raise TimeoutError(f"it took longer than {self.seconds:g} seconds") from None
        except Gone:
            raise RuntimeError("it ended the Python process") from None
        leaves = [tensor for tensor in given if tensor.requires_grad]
        return self._grown(result, call, iter(range(10**6)), leaves) if leaves else result

    def _grown(self, value: Any, call: int, count: Iterator[int], leaves: list[Tensor]) -> Any:
        """Let gradients run from results back to the inputs, by way of the room."""
        if isinstance(value, Tensor):
            index = next(count)

            def backward(gradient: Tensor) -> list[Tensor | None]:
                packed = wire.pack(gradient, self._lend)
                reply = self.request(do="backward", number=call, result=index, gradient=packed)
                gradients: list[Tensor | None] = self._value(reply)
                return gradients

            if value.requires_grad:
                return _Grown.apply(value.detach(), backward, *leaves)  # type: ignore[no-untyped-call]
        elif isinstance(value, list | tuple):
            return type(value)(self._grown(item, call, count, leaves) for item in value)
        elif isinstance(value, dict):
            return {k: self._grown(item, call, count, leaves) for k, item in value.items()}
        return value

    def _value(self, reply: dict[str, Any]) -> Any:
        if reply.get("late"):
            raise TimeoutError(f"it took longer than {self.seconds:g} seconds")
        if "error" in reply:
            raise _error(reply["error"])
        try:
            return wire.unpack(reply.get("value"), self._function)
        except wire.Garbled as error:
            raise TypeError(f"what came back cannot be read ({str(error)[:100]})") from error

    def _function(self, packed: dict[str, Any]) -> Callable[..., Any]:
        number = int(packed["number"])

        def function(*args: Any, **kwargs: Any) -> Any:
            return self.call(number, args, kwargs)

        function.__name__ = str(packed["name"])[:60]
        parameters = [
            inspect.Parameter(
                str(name)[:60],
                inspect._ParameterKind(kind),
                default=None if has_default else inspect.Parameter.empty,
            )
            for name, kind, has_default in packed["parameters"]
        ]
        function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return function

    def _lend(self, function: Callable[..., Any]) -> dict[str, Any]:
        if type(function).__module__.startswith("attn_utils."):  # a model, with all its parts
            return {"kind": "function", "model": base64.b64encode(pickle.dumps(function)).decode()}
        self._lent.append(function)
        return {"kind": "function", "number": len(self._lent) - 1}

    def _own_answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        try:
            arguments = wire.unpack(asked["arguments"], self._function)
            return {"value": wire.pack(self._lent[int(asked["ask"])](*arguments), self._lend)}
        except Exception as error:  # the student's code gave it something that does not fit
            return {"error": f"{type(error).__name__}: {error}"[:500]}


class _Grown(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, backward: Any, *leaves: Tensor) -> Tensor:
        ctx.of_inputs = backward
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return None, None, *ctx.of_inputs(gradient)


def _error(said: Any) -> Exception:
    """Return an exception that has the name of the student's."""
    said = said if isinstance(said, dict) else {}
    line = said.get("line")
    text = str(said.get("text", ""))[:500] + (f" (line {line})" if isinstance(line, int) else "")
    name = str(said.get("name", "Error"))[:60]
    error: Exception = type(name, (RuntimeError,), {})(text)
    return error
