"""What every gate does to feature maps: numbers from 0 to 1 that the input is multiplied by."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tests.helpers import close, draw

# odd and even sizes, a single pixel, a single channel, B == C
SHAPES = [(2, 8, 5, 7), (3, 16, 1, 1), (1, 1, 4, 4), (4, 4, 3, 1), (2, 33, 2, 6)]


@dataclass(frozen=True)
class Gate:
    """How the contract builds one kind of gate, for C channels.

    ``axes`` says where the gate has a size other than 1: along the channels (1), the positions
    (2, 3), or both.
    """

    name: str
    make: Callable[[int], nn.Module]
    axes: tuple[int, ...]

    def __str__(self) -> str:
        return self.name

    def build(self, C: int = 8, dtype: torch.dtype = torch.float64) -> nn.Module:
        """With weights that are large enough to move the gates."""
        torch.manual_seed(0)
        module = self.make(C)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.normal_()
        return module.to(dtype)


def on_both_paths(check: Callable[[], None]) -> None:
    """With gradients and without, where other kernels are used."""
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            check()


def multiplies_by_its_gate(case: Gate) -> None:
    for shape in SHAPES:
        x, module = draw(*shape), case.build(shape[1])
        kept = x.clone()
        sizes = [size if axis in (0, *case.axes) else 1 for axis, size in enumerate(shape)]

        def check(x=x, module=module, sizes=sizes) -> None:
            gate = module.gate(x)
            assert gate.shape == tuple(sizes)
            assert ((gate >= 0) & (gate <= 1)).all()
            close(module(x), x * gate)

        on_both_paths(check)
        assert torch.equal(x, kept)


def inference_is_training(case: Gate) -> None:
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        for shape in SHAPES:
            module, x = case.build(shape[1]).to(dtype), draw(*shape, dtype=dtype)
            with torch.no_grad():
                fast = module(x)
            close(fast, module(x).detach(), (dtype, shape))


def not_a_number_stays_in_its_item(case: Gate) -> None:
    module, x = case.build(), draw(3, 8, 4, 5)

    def check() -> None:
        together = module(x)
        broken = x.clone()
        broken[1] = torch.nan
        close(module(broken)[[0, 2]], together[[0, 2]])
        assert module(broken)[1].isnan().all()

    on_both_paths(check)


def a_black_image_opens_it_half(case: Gate) -> None:
    """There are no biases. A gate of two factors is open a quarter."""
    module = case.build()
    size = 0.25 if len(case.axes) == 3 else 0.5
    assert (module.gate(torch.zeros(2, 8, 3, 4).double()) == size).all()


def does_not_see_what_it_averages(case: Gate) -> None:
    """A channel gate does not see where something is, a spatial gate not in which channel."""
    module, x = case.build(), draw(2, 8, 3, 4)
    places, channels = torch.randperm(12), torch.randperm(8)
    if 2 not in case.axes:
        moved = x.flatten(2)[:, :, places].view_as(x)
        on_both_paths(lambda: close(module.gate(moved), module.gate(x)))
    elif 1 not in case.axes:
        on_both_paths(lambda: close(module.gate(x[:, channels]), module.gate(x)))
    else:  # what it sees, it sees through both
        assert not torch.equal(module.gate(x[:, channels]), module.gate(x)[:, channels])


def saturates_without_nan(case: Gate) -> None:
    module = case.build(dtype=torch.float32)
    for value in (1e30, -1e30):
        gate = module.gate(torch.full((1, 8, 2, 2), value))
        assert ((gate >= 0) & (gate <= 1)).all()


def half_precision(case: Gate) -> None:
    """A sum over these pixels or channels does not fit into float16, their mean does."""
    for dtype in (torch.bfloat16, torch.float16):
        torch.manual_seed(0)
        module, x = case.make(8), draw(2, 8, 12, 12, dtype=dtype)
        exact = copy.deepcopy(module).double()
        module.to(dtype)

        def check(module=module, exact=exact, x=x) -> None:
            close(module(x), exact(x.double()))
            assert module(x).dtype == x.dtype
            assert module.gate(torch.full((1, 8, 64, 64), 60.0).to(x)).isfinite().all()

        on_both_paths(check)


def memory_format_is_kept(case: Gate) -> None:
    module = case.build()
    for memory_format in (torch.contiguous_format, torch.channels_last):
        x = draw(2, 8, 6, 5).contiguous(memory_format=memory_format)
        want = module(x.contiguous()).detach()
        for grad in (True, False):
            leaf = x.clone(memory_format=torch.preserve_format).requires_grad_(grad)
            with torch.set_grad_enabled(grad):
                out = module(leaf)
            assert out.is_contiguous(memory_format=memory_format)
            close(out, want)
            if grad:
                out.sum().backward()
                assert leaf.grad is not None
                assert leaf.grad.is_contiguous(memory_format=memory_format)


def layouts(case: Gate) -> None:
    module, x = case.build(), draw(2, 8, 6, 6)
    views = [
        x.mT,
        x[:, :, ::2, 1:],
        x.transpose(2, 3).flip(0).transpose(0, 1).contiguous().transpose(0, 1),
        x[:1].expand(3, -1, -1, -1),
    ]
    for view in views:
        on_both_paths(lambda view=view: close(module(view), module(view.contiguous())))


def gradients(case: Gate) -> None:
    module, x = case.build(5), draw(2, 5, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(module, x)
    names, values = zip(*module.named_parameters(), strict=True)

    def call(*tensors: Tensor) -> Tensor:
        parameters = dict(zip(names, tensors, strict=True))
        return torch.func.functional_call(module, parameters, x.detach())

    assert torch.autograd.gradcheck(call, [v.detach().requires_grad_() for v in values])


def exports_while_training(case: Gate) -> None:
    """With images of any size; without gradients it is the module's own contract."""
    module, x, other = case.build(), draw(2, 8, 3, 4), draw(5, 8, 7, 6)
    free = dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)
    program = torch.export.export(module, (x,), dynamic_shapes={"x": free})
    close(program.module()(other), module(other))


GATE: list[Callable[[Gate], None]] = [
    multiplies_by_its_gate,
    inference_is_training,
    not_a_number_stays_in_its_item,
    a_black_image_opens_it_half,
    does_not_see_what_it_averages,
    saturates_without_nan,
    half_precision,
    memory_format_is_kept,
    layouts,
    gradients,
    exports_while_training,
]
