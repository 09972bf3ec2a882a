"""The life of any module: built, copied, saved, moved, compiled, exported, changed from outside."""

from __future__ import annotations

import copy
import functools
import io
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.onnx._internal.exporter._registration import ONNXRegistry
from torch.utils._pytree import tree_leaves, tree_map

from tests.helpers import close

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True, eq=False)
class Module:
    """How the contract builds and calls one kind of module.

    ``inputs(B, n)`` draws the arguments of a call for a batch of B and a length of n: a tensor, or
    a tuple with tensors (of tensors). An axis that grows with B or n is one that may have any size.
    ``build``, by default ``kind``, makes the module from the sizes and options. ``faults`` names
    checks that are known to fail, with the reason.
    """

    kind: type[nn.Module]
    sizes: tuple[Any, ...]
    inputs: Callable[[int, int], Any]
    options: dict[str, Any] = field(default_factory=dict)
    build: Callable[..., nn.Module] | None = None
    faults: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.kind.__name__

    def made(self, dtype: torch.dtype = torch.float32, seed: int = 0) -> nn.Module:
        torch.manual_seed(seed)
        return (self.build or self.kind)(*self.sizes, **self.options).to(dtype).eval()

    def draw(
        self, B: int = 2, n: int = 5, dtype: torch.dtype = torch.float32, seed: int = 1
    ) -> Any:
        torch.manual_seed(seed)
        drawn = self.inputs(B, n)
        arguments = drawn if type(drawn) is tuple else (drawn,)
        return tree_map(lambda x: x.to(dtype) if x.is_floating_point() else x, arguments)


def tensors(tree: Any) -> list[Tensor]:
    return [x for x in tree_leaves(tree) if isinstance(x, Tensor)]


def numbers(tree: Any) -> list[Tensor]:
    return [x for x in tensors(tree) if x.is_floating_point()]


def casted(tree: Any, dtype: torch.dtype, chosen: list[Tensor]) -> Any:
    return tree_map(lambda x: x.to(dtype) if any(x is one for one in chosen) else x, tree)


def all_equal(got: Any, want: Any) -> None:
    for a, b in zip(tensors(got), tensors(want), strict=True):
        assert torch.equal(a, b)


def all_close(got: Any, want: Any, what: object = "") -> None:
    for a, b in zip(tensors(got), tensors(want), strict=True):
        if a.is_floating_point():
            close(a, b, what)
        else:
            assert torch.equal(a, b), what


# --- copies, files, devices ---------------------------------------------------------------------


def copies_and_files(case: Module) -> None:
    module, inputs = case.made(), case.draw()
    want = module(*inputs)  # copied after a forward pass: nothing of it may be in the way
    all_equal(copy.deepcopy(module)(*inputs), want)
    all_equal(pickle.loads(pickle.dumps(module))(*inputs), want)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other = case.made(seed=3)
    other.load_state_dict(torch.load(file, weights_only=True), strict=True)
    all_equal(other(*inputs), want)


def without_memory(case: Module) -> None:
    """Built on the meta device it knows the shapes; given memory and weights it is the same."""
    module, inputs = case.made(), case.draw()
    want = module(*inputs)
    with torch.device("meta"):
        empty = case.made()
    assert all(x.is_meta for x in [*empty.parameters(), *empty.buffers()])
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            shapes = empty(*tree_map(lambda x: x.to("meta"), inputs))
        for a, b in zip(tensors(shapes), tensors(want), strict=True):
            assert a.is_meta
            assert (a.shape, a.dtype) == (b.shape, b.dtype)


def without_values(case: Module) -> None:
    """Fake tensors, with which memory is planned, have a shape and nothing in it."""
    module, inputs = case.made(), case.draw()
    want = module(*inputs)
    mode = FakeTensorMode()
    values = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    fake = {name: mode.from_tensor(x) for name, x in values.items()}
    with mode:
        given = tree_map(mode.from_tensor, inputs)
        shapes = torch.func.functional_call(module, fake, given)
    for a, b in zip(tensors(shapes), tensors(want), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)


def given_memory(case: Module) -> None:
    module, inputs = case.made(), case.draw()
    with torch.device("meta"):
        empty = case.made()
    empty.to_empty(device="cpu")
    for part in empty.modules():
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()
    empty.load_state_dict(module.state_dict(), strict=True)
    all_equal(empty(*inputs), module(*inputs))


def sizes_from_numpy(case: Module) -> None:
    def as_numpy(size: Any) -> Any:
        if isinstance(size, tuple):
            return tuple(map(as_numpy, size))
        return np.int64(size) if type(size) is int else size

    options = {name: as_numpy(value) for name, value in case.options.items()}
    module = replace(case, sizes=as_numpy(case.sizes), options=options).made()
    for name, part in module.named_modules():  # what is stored can be printed, saved and compared
        stored = tree_leaves({k: v for k, v in vars(part).items() if not k.startswith("_")})
        assert not any(isinstance(value, np.generic) for value in stored), name
    inputs = case.draw()
    all_equal(module(*inputs), case.made()(*inputs))


def keeps_nothing(case: Module) -> None:
    for training in (False, True):
        module = case.made().train(training)
        before = {name: dict(vars(part)) for name, part in module.named_modules()}
        buffers = {name: x.clone() for name, x in module.named_buffers()}
        module(*case.draw())
        for name, part in module.named_modules():
            after = vars(part)
            assert after.keys() == before[name].keys(), name
            assert all(after[key] is before[name][key] for key in after), name
            assert not any(isinstance(value, Tensor) for value in after.values()), name
        for name, x in module.named_buffers():
            assert torch.equal(x, buffers[name]), name


# --- kinds of numbers and layouts ---------------------------------------------------------------


def dtypes_are_kept(case: Module) -> None:
    for dtype in DTYPES:
        module, inputs = case.made(dtype), case.draw(dtype=dtype)
        exact = copy.deepcopy(module).double()
        want = exact(*tree_map(lambda x: x.double() if x.is_floating_point() else x, inputs))
        got = module(*inputs)
        assert {x.dtype for x in numbers(got)} == {dtype}
        all_close(numbers(got), numbers(want), dtype)


def autocasts(case: Module) -> None:
    """Also with inputs of which some are in half precision and some are not."""
    module, inputs = case.made(), case.draw()
    for dtype in (torch.bfloat16, torch.float16):
        for halves in ([], numbers(inputs)[::2], numbers(inputs)[1::2]):
            mixed = casted(inputs, dtype, halves)
            rounded = casted(mixed, torch.float32, numbers(mixed))
            with torch.autocast("cpu", dtype):
                got = module(*mixed)
            all_close([x.to(dtype) for x in numbers(got)], numbers(module(*rounded)), dtype)


def layouts(case: Module) -> None:
    """Inputs that are not contiguous give the same, and nothing that is passed in is written to."""

    def strange(x: Tensor) -> Tensor:
        return x.transpose(0, -1).contiguous().transpose(0, -1)

    module, inputs = case.made(), case.draw()
    kept = tree_map(Tensor.clone, inputs)
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            all_close(module(*tree_map(strange, inputs)), module(*inputs))
            all_equal(inputs, kept)


def empty_batch(case: Module) -> None:
    module = case.made()
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            got, some = module(*case.draw(B=0)), module(*case.draw(B=13))  # no size but the batch's
        for a, b in zip(tensors(got), tensors(some), strict=True):
            assert a.shape == tuple(0 if size == 13 else size for size in b.shape)


def items_are_independent(case: Module) -> None:
    """An item of a batch gives by itself what it gives among others."""

    def axes(two: Any, three: Any) -> list[int | None]:
        pairs = zip(tensors(two), tensors(three), strict=True)
        return [
            next((i for i, size in enumerate(x.shape) if size != y.shape[i]), None)
            for x, y in pairs
        ]

    def item(i: int, tree: Any, axes: list[int | None]) -> Any:
        axis = iter(axes)
        return tree_map(lambda x: x if (a := next(axis)) is None else x.narrow(a, i, 1), tree)

    module, two, three = case.made(), case.draw(), case.draw(B=3)
    inward, outward = axes(two, three), axes(module(*two), module(*three))
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            together = tensors(module(*three))
            for i in range(3):
                alone = module(*item(i, three, inward))
                all_close(alone, item(i, together, outward), f"item {i}")


def gradients_reach_every_weight(case: Module) -> None:
    module = case.made().train()
    leaves = tree_map(lambda x: x.requires_grad_() if x.is_floating_point() else x, case.draw())
    result = sum(x.square().sum() for x in numbers(module(*leaves)))
    result.backward()
    for name, x in module.named_parameters():
        assert x.grad is not None, name
        assert x.grad.isfinite().all(), name
        assert (x.grad != 0).any(), name
    for x in numbers(leaves):
        assert x.grad is None or x.grad.isfinite().all()


# --- compilers and transforms -------------------------------------------------------------------


def compiles(case: Module) -> None:
    module, inputs = case.made(), case.draw()
    torch._dynamo.reset()
    with torch.no_grad(), torch._dynamo.config.patch(allow_rnn=True):  # by default it skips a GRU
        compiled = torch.compile(module, fullgraph=True, backend="eager")
        all_close(compiled(*inputs), module(*inputs))


SIZES = ((2, 5), (4, 6), (3, 20))  # B, n; also with more keys than the example has


def free_sizes(case: Module) -> Any:
    """The axes of the inputs that may have any size, each as a dictionary."""

    def free(x: Tensor, *others: Tensor) -> dict[int, Any]:
        grows = [i for i in range(x.ndim) if any(x.shape[i] != y.shape[i] for y in others)]
        return dict.fromkeys(grows, torch.export.Dim.DYNAMIC)

    return tree_map(free, case.draw(), case.draw(B=3), case.draw(n=7))


@functools.lru_cache(maxsize=1)  # the checks of a case follow each other
def exported(case: Module) -> torch.export.ExportedProgram:
    with torch.no_grad():
        return torch.export.export(case.made(), case.draw(), dynamic_shapes=free_sizes(case))


def exports_with_free_sizes(case: Module) -> None:
    module, program = case.made(), exported(case).module()
    with torch.no_grad():
        for B, n in SIZES:
            other = case.draw(B=B, n=n)
            all_close(program(*other), module(*other))


def traced(module: nn.Module, inputs: Any) -> Any:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # sizes are compared in checks
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(module, inputs, check_trace=False)


def traces(case: Module) -> None:
    module = case.made()
    trace = traced(module, case.draw())
    with torch.no_grad():
        for B, n in SIZES:
            other = case.draw(B=B, n=n)
            all_close(trace(*other), module(*other))


def runs_in_onnx(file: io.BytesIO, case: Module) -> None:
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for B, n in SIZES:
        other = case.draw(B=B, n=n)
        given = zip(session.get_inputs(), tensors(other), strict=True)
        got = session.run(None, {place.name: x.numpy() for place, x in given})
        all_close([torch.from_numpy(x) for x in got], case.made()(*other))


# PyTorch lists its ONNX operators anew for each export, which takes a third of the time.
list_operators = functools.cache(ONNXRegistry.from_torchlib)


def onnx_of_an_export(case: Module) -> None:
    file = io.BytesIO()
    with patch.object(ONNXRegistry, "from_torchlib", staticmethod(list_operators)):
        program = torch.onnx.export(exported(case), dynamo=True, verbose=False, optimize=False)
    program.save(file)
    runs_in_onnx(file, case)


def onnx_of_a_trace(case: Module) -> None:
    """By PyTorch's older exporter, which takes modules with keyword-only arguments traced only."""
    file, inputs = io.BytesIO(), case.draw()
    grows = tree_leaves(free_sizes(case), is_leaf=lambda x: isinstance(x, dict))
    names = [f"x{i}" for i in range(len(grows))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            traced(case.made(), inputs),
            inputs,
            file,
            dynamo=False,
            input_names=names,
            dynamic_axes={
                name: {i: f"{name}_{i}" for i in axes}
                for name, axes in zip(names, grows, strict=True)
            },
        )
    runs_in_onnx(file, case)


def vmaps(case: Module) -> None:
    module, several = case.made(), [case.draw(seed=seed) for seed in (1, 2, 3)]
    stacked = tree_map(lambda *x: torch.stack(x), *several)
    want = tree_map(lambda *x: torch.stack(x), *[tensors(module(*inputs)) for inputs in several])
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            all_close(torch.vmap(lambda *inputs: tensors(module(*inputs)))(*stacked), want)


# --- changed from outside -----------------------------------------------------------------------


class _Adapter(nn.Module):
    """What an adapter, an observer or a pruned layer is to its owner: a callable, nothing else."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *args: Any, **options: Any) -> Any:
        return tree_map(
            lambda x: 1.5 * x if x.is_floating_point() else x, self.inner(*args, **options)
        )


def layers_of(module: nn.Module) -> list[str]:
    """Names of PyTorch's own layers with weights."""
    return [
        name
        for name, part in module.named_modules()
        if type(part).__module__.startswith("torch.nn.")
        and [*part.parameters()]
        and not isinstance(part, nn.ModuleList | nn.Sequential)
    ]


def replaced_layers_are_felt(case: Module) -> None:
    inputs = case.draw()
    want = case.made()(*inputs)
    failures = {}
    for name in layers_of(case.made()):
        module = case.made()
        module.set_submodule(name, _Adapter(module.get_submodule(name)))
        try:
            got = module(*inputs)
        except Exception as error:  # all are reported together
            failures[name] = repr(error)
            continue
        if all(torch.equal(a, b) for a, b in zip(numbers(got), numbers(want), strict=True)):
            failures[name] = "replaced, and nothing changes"
    assert not failures


def hooks_fire(case: Module) -> None:
    module, fired = case.made(), set()
    parts = {n: p for n, p in module.named_modules() if not isinstance(p, nn.ModuleList)}
    for name, part in parts.items():
        part.register_forward_hook(lambda *_, name=name: fired.add(name))
    module(*case.draw())
    assert parts.keys() == fired


MODULE: list[Callable[[Module], None]] = [
    copies_and_files,
    without_memory,
    without_values,
    given_memory,
    sizes_from_numpy,
    keeps_nothing,
    dtypes_are_kept,
    autocasts,
    layouts,
    empty_batch,
    items_are_independent,
    gradients_reach_every_weight,
    compiles,
    exports_with_free_sizes,
    traces,
    onnx_of_an_export,
    onnx_of_a_trace,
    vmaps,
    replaced_layers_are_felt,
    hooks_fire,
]
