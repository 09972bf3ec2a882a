"""What the widgets share on the Python side: controls as checked traits, buffers, a still picture.

A widget is an :class:`anywidget.AnyWidget`. Its front end is plain JavaScript: ``widget.js`` and
the files it imports, which :mod:`.joining` makes one module. See README.md in this folder for how
to write one.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, TypeAlias

import anywidget
import numpy as np
import numpy.typing as npt
import traitlets
from torch import Tensor

from .joining import front_end as front_end
from .on_demand import Reader

if TYPE_CHECKING:
    from matplotlib.figure import Figure


NUMBER = (int, float, np.integer, np.floating)


class ControlError(traitlets.TraitError, ValueError):
    """A control was set to something it does not take."""


def numbers_of(name: str, value: Any) -> npt.NDArray[np.float64]:
    """Read a tensor, an array or a list as a 1-D array; refuse what is none or is empty."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().double().numpy()
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ControlError(f"{name}: expected a list of numbers, got {value!r}") from error
    if numbers.ndim != 1 or numbers.size == 0:
        raise ControlError(f"{name}: expected a list of numbers, got shape {tuple(numbers.shape)}")
    return numbers


def _bounds_for(obj: Any, trait: Number | Numbers) -> tuple[float, float]:
    """The trait's bounds, or this widget's own, closer ones (see LiveWidget._own_bounds)."""
    own: Mapping[str, tuple[float, float]] = getattr(obj, "_own_bounds", {})
    return own.get(str(trait.name), trait.bounds)


def _refuse(trait: traitlets.TraitType[Any, Any], expected: str, got: object) -> NoReturn:
    raise ControlError(f"{trait.name}: expected {expected}, got {got}")


Step: TypeAlias = float | Literal["any"]


class Number(traitlets.Float[float, float]):
    """A finite number between ``min`` and ``max``: a slider.

    A link sets it to ``min`` plus a multiple of ``step`` only; "any" is for a control that the
    browser sets to other values too, such as a logarithmic slider or a point to drag.
    """

    def __init__(self, default: float, *, min: float, max: float, step: Step, label: str) -> None:
        super().__init__(default)
        self.bounds = (min, max)
        spec = {"kind": "number", "min": min, "max": max, "step": step, "label": label}
        self.tag(sync=True, control=spec)

    def validate(self, obj: Any, value: Any) -> float:
        """Refuse what is no number, and NaN, which passes a plain comparison with the bounds."""
        low, high = _bounds_for(obj, self)
        if not isinstance(value, NUMBER) or not low <= value <= high:
            _refuse(self, f"a number from {low} to {high}", repr(value))
        return float(value)


class Integer(Number):
    """An integer between ``min`` and ``max``, kept as a float."""

    def validate(self, obj: Any, value: Any) -> float:
        """Refuse fractions, too."""
        number = super().validate(obj, value)
        if number % 1:
            _refuse(self, "an integer", f"{number:g}")
        return number


class Choice(traitlets.Unicode[str, str | bytes]):
    """One of a few words: a drop-down list."""

    def __init__(self, default: str, *, options: Sequence[str], label: str) -> None:
        super().__init__(default)
        self.options = tuple(options)
        self.tag(sync=True, control={"kind": "choice", "options": list(options), "label": label})

    def validate(self, obj: Any, value: Any) -> str:
        """Accept the options only."""
        if value not in self.options:
            _refuse(self, f"one of {', '.join(self.options)}", repr(value))
        return str(value)


class Switch(traitlets.Bool[bool, bool | int]):
    """On or off: a check box."""

    def __init__(self, default: bool, *, label: str) -> None:
        super().__init__(default)
        self.tag(sync=True, control={"kind": "switch", "label": label})

    def validate(self, obj: Any, value: Any) -> bool:
        """Accept True and False only."""
        if not isinstance(value, bool | np.bool_):
            _refuse(self, "True or False", repr(value))
        return bool(value)


class Numbers(traitlets.List[float]):
    """A list of finite numbers between ``min`` and ``max``; things to drag, one each."""

    def __init__(
        self, default: Sequence[float], *, min: float, max: float, label: str, step: Step = "any"
    ) -> None:
        super().__init__(traitlets.Float(), default_value=list(default))
        self.bounds = (min, max)
        spec = {"kind": "numbers", "min": min, "max": max, "step": step, "label": label}
        self.tag(sync=True, control=spec)

    def validate(self, obj: Any, value: Any) -> list[float]:
        """Accept tensors and arrays too; refuse what is not 1-D, not finite or out of bounds."""
        numbers = numbers_of(str(self.name), value)
        low, high = _bounds_for(obj, self)
        if not ((numbers >= low) & (numbers <= high)).all():  # NaN is refused here too
            got = f"{numbers.min():g} to {numbers.max():g}"
            _refuse(self, f"finite numbers from {low:g} to {high:g}", got)
        return [float(number) for number in numbers]


class Buffer(traitlets.Instance[npt.NDArray[np.float32]]):
    """float32 numbers that travel as raw bytes, in both directions.

    The browser's bytes arrive as a memoryview, which ``traitlets.Bytes`` would reject (and
    ipywidgets then drops the whole message).
    """

    def __init__(self) -> None:
        super().__init__(np.ndarray, args=((0,), np.float32))
        self.tag(sync=True, to_json=self._to_bytes, from_json=self._from_bytes)

    @staticmethod
    def _to_bytes(value: npt.NDArray[np.float32], _: Any) -> bytes:
        return np.ascontiguousarray(value, dtype="<f4").tobytes()

    @staticmethod
    def _from_bytes(value: Any, _: Any) -> npt.NDArray[np.float32]:
        return np.frombuffer(bytes(value), dtype="<f4")


class Halves(Buffer):
    """Numbers that travel in half precision: half the bytes, three decimal digits."""

    @staticmethod
    def _to_bytes(value: npt.NDArray[np.float32], _: Any) -> bytes:
        return np.ascontiguousarray(value, dtype="<f2").tobytes()

    @staticmethod
    def _from_bytes(value: Any, _: Any) -> npt.NDArray[np.float32]:
        return np.frombuffer(bytes(value), dtype="<f2").astype(np.float32)


class LiveWidget(anywidget.AnyWidget):
    """Base of the book's widgets.

    A subclass lives in a module of its own beside its ``.js`` and ``.css``, which it joins to the
    kit by :func:`front_end`, and defines

    - its controls, as traits of the kinds above;
    - its results, as :class:`Buffer` traits: computed by :meth:`reference` when a control changes
      in Python, and by the browser when a reader moves one;
    - :meth:`reference`: the results in torch, from the present controls;
    - :meth:`figure`: a still picture, for readers without JavaScript and for paper.
    """

    title = traitlets.Unicode("").tag(sync=True)
    alt = traitlets.Unicode("")

    #: Bounds of single controls that depend on the data, by name: closer than the trait's own.
    #: Set before ``super().__init__``, they hold for this widget's sliders, links and checks.
    _own_bounds: Mapping[str, tuple[float, float]] = MappingProxyType({})

    #: Files that the front end loads when a reader asks for them, by name. They are no part of the
    #: state: a page holds them once, beside it, and in JupyterLab the kernel sends them.
    files: ClassVar[Mapping[str, Reader]] = MappingProxyType({})

    _name = traitlets.Unicode().tag(sync=True)
    _class = traitlets.Unicode().tag(sync=True)
    _controls: traitlets.List[Any] = traitlets.List().tag(sync=True)
    _defaults: traitlets.List[Any] = traitlets.List().tag(sync=True)
    _files: traitlets.List[Any] = traitlets.List().tag(sync=True)  # name, number of bytes

    def __init__(self, **controls: Any) -> None:
        unknown = sorted(set(controls) - set(self.trait_names()))
        if unknown:
            known = ", ".join(self.traits(control=lambda spec: spec is not None))
            raise ValueError(f"{', '.join(unknown)}: no such control; expected one of {known}")
        specs = {name: trait.metadata["control"] for name, trait in self._control_traits().items()}
        for name, (low, high) in self._own_bounds.items():
            specs[name] = {**specs[name], "min": low, "max": high}
        self._from_browser = False
        super().__init__(
            # CueExplorer is "cue-explorer" in links and class names
            _name=re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__).lower(),
            _class=type(self).__name__,
            # pairs, not a dict: nbformat sorts a dict's keys when it stores a notebook
            _controls=[[name, spec] for name, spec in specs.items()],
            _defaults=[[name, self.trait_defaults(name)] for name in specs],
            _files=[[name, len(read())] for name, read in self.files.items()],
            **controls,
        )
        self._refresh()
        self.observe(lambda _: self._refresh(), names=list(specs))
        self.on_msg(self._hear)

    def reference(self) -> dict[str, Tensor]:
        """Compute the results in torch, by name, from the present controls."""
        return {}

    def figure(self) -> Figure:
        """Draw the present state as a still picture."""
        raise NotImplementedError

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take over what the browser says: it sends the results along with the controls."""
        self._from_browser = True
        try:
            super().set_state(sync_data)
        finally:
            self._from_browser = False

    def _hear(self, _: object, message: Any, __: object) -> None:
        """Answer a front end that asks for a file (kit/files.js)."""
        name = message.get("file")
        if name not in self.files or "cancel" in message:
            return
        try:
            data = self.files[name]()
        except OSError as error:
            self.send({"file": name, "error": f"The kernel cannot read {name}: {error.strerror}."})
        else:
            self.send({"file": name, "loaded": 1}, [data])

    def _control_traits(self) -> dict[str, Any]:
        found: dict[str, Any] = self.traits(control=lambda spec: spec is not None)
        return found

    def _refresh(self) -> None:
        if not self._from_browser:
            for name, value in self.reference().items():
                self.set_trait(name, value.detach().cpu().numpy().astype(np.float32).ravel())

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Add the alt text and the still picture to the live view."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        data["text/plain"] = self.alt or self.title  # the default holds a memory address
        png = io.BytesIO()
        self.figure().savefig(png, format="png", dpi=110)
        data["image/png"] = base64.b64encode(png.getvalue()).decode("ascii")
        return data, metadata
