"""What every attention does with queries, keys, values and masks.

Sizes are chosen so that B == H or B == T in some of them: a mask on a wrong axis shows there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from tests.helpers import close

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
SHAPES = [(2, 3, 5), (2, 2, 2), (3, 3, 4), (4, 4, 4), (1, 5, 2), (2, 1, 1)]  # B, T, S


@dataclass(frozen=True)
class Attention:
    """How the contract builds and calls one kind of attention.

    ``call(module, q, k, v, mask, return_weights)`` gets q (B, T, sizes[0]), k (B, S, sizes[1]),
    v (B, S, sizes[2]) and a mask or None. ``heads`` is 0 where weights are (B, T, S) and H where
    they are (B, H, T, S). ``from_one`` is for self-attention: k and v are ignored, and S is T.
    ``slots`` fixes S, for location-based weights, which do not look at the keys one by one.
    """

    name: str
    make: Callable[[], nn.Module]
    call: Callable[..., Any]
    sizes: tuple[int, int, int]
    heads: int = 0
    from_one: bool = False
    slots: int | None = None
    #: like ``call``, with the option that hides the future
    causally: Callable[..., Any] | None = None
    #: what a query that may attend to nothing gets: 0, or the bias of an output projection
    nothing: Callable[[nn.Module], Tensor | float] = field(default=lambda module: 0.0)
    shapes: list[tuple[int, int, int]] = field(default_factory=lambda: SHAPES)

    def __str__(self) -> str:
        return self.name

    def build(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        torch.manual_seed(0)
        return self.make().to(dtype).eval()

    def draw(self, B: int, T: int, S: int, dtype: torch.dtype = torch.float64, seed: int = 1):
        generator = torch.Generator().manual_seed(seed)
        pairs = (B, self.keys(T, S))
        shapes = [(B, T), (B, T) if self.slots else pairs, pairs]
        return [
            torch.randn(*shape, size, generator=generator, dtype=torch.float64).to(dtype)
            for shape, size in zip(shapes, self.sizes, strict=True)
        ]

    def keys(self, T: int, S: int) -> int:
        return T if self.from_one else self.slots or S

    def outputs(self, module: nn.Module, q, k, v, mask=None) -> list[tuple[str, Tensor]]:
        """The output by both paths."""
        explicit, _ = self.call(module, q, k, v, mask, True)
        return [("with weights", explicit), ("without", self.call(module, q, k, v, mask, False))]

    def with_option(self) -> list[Attention]:
        """Itself, and itself with the option that hides the future if it has one."""
        return [self] if self.causally is None else [self, replace(self, call=self.causally)]

    def weights(self, module: nn.Module, q, k, v, mask=None) -> Tensor:
        return self.call(module, q, k, v, mask, True)[1]

    def head_axis(self, mask: Tensor) -> Tensor:
        """The mask (B, T, S) in the axes of the weights."""
        return mask.unsqueeze(1) if self.heads else mask


def random_mask(B: int, T: int, S: int, seed: int = 2) -> Tensor:
    """About half is allowed; the first query of the last batch item may attend to nothing."""
    mask = torch.rand(B, T, S, generator=torch.Generator().manual_seed(seed)) < 0.5
    mask[..., 0] |= ~mask.any(-1)
    mask[-1, 0] = False
    return mask


# --- weights and masks --------------------------------------------------------------------------


def shapes_and_sums(attention: Attention) -> None:
    for dtype in DTYPES:
        module = attention.build(dtype)
        for B, T, S in attention.shapes:
            q, k, v = attention.draw(B, T, S, dtype)
            output, weights = attention.call(module, q, k, v, None, True)
            heads = (attention.heads,) if attention.heads else ()
            assert weights.shape == (B, *heads, T, attention.keys(T, S))
            assert output.shape[:2] == (B, T)
            assert output.dtype == weights.dtype == dtype
            assert attention.call(module, q, k, v, None, False).dtype == dtype
            close(weights.double().sum(-1).to(dtype), torch.ones(weights.shape[:-1]))
            assert (weights >= 0).all()


def masks_hide(attention: Attention) -> None:
    """Masked weights are exactly 0, live rows sum to 1, dead rows are 0, on both paths alike."""
    for dtype in DTYPES:
        module = attention.build(dtype)
        for B, T, S in attention.shapes:
            q, k, v = attention.draw(B, T, S, dtype)
            mask = random_mask(B, T, attention.keys(T, S))
            weights = attention.weights(module, q, k, v, mask)
            assert (weights[~attention.head_axis(mask).expand_as(weights)] == 0).all()
            live = attention.head_axis(mask.any(-1, keepdim=True)).squeeze(-1)
            close(weights.double().sum(-1).to(dtype), live.expand(weights.shape[:-1]).to(dtype))
            nothing = attention.nothing(module)
            outputs = attention.outputs(module, q, k, v, mask)
            for path, output in outputs:
                expected = torch.zeros_like(output[-1, 0]) + nothing
                assert torch.equal(output[-1, 0], expected), path
            close(outputs[0][1], outputs[1][1], f"paths, {dtype}, B, T, S = {B, T, S}")


def masks_are_read_by_rank(attention: Attention) -> None:
    """(T, S), (B, 1, S) and (B, T, S) mean what they say, also where B == H or B == T."""
    module = attention.build()
    for B, T, S in attention.shapes:
        q, k, v = attention.draw(B, T, S)
        full = random_mask(B, T, attention.keys(T, S))
        full[..., 0] = True
        for mask in (full[0], full[:, :1], full):
            for i, one in enumerate(mask.expand_as(full)):
                alone = [x[i : i + 1] for x in (q, k, v)]
                want = attention.call(module, *alone, one[None], False)[0]
                for path, output in attention.outputs(module, q, k, v, mask):
                    close(output[i], want, f"{path}, mask {tuple(mask.shape)}, item {i}")


def allowing_all_is_no_mask(attention: Attention) -> None:
    module = attention.build()
    for B, T, S in attention.shapes:
        q, k, v = attention.draw(B, T, S)
        full = torch.ones(B, T, attention.keys(T, S), dtype=torch.bool)
        masked, free = (attention.outputs(module, q, k, v, m) for m in (full, None))
        for (path, a), (_, b) in zip(masked, free, strict=True):
            close(a, b, path)


def masking_is_removing(attention: Attention) -> None:
    if attention.slots:
        pytest.skip("location-based weights have a fixed number of values")
    module = attention.build()
    q, k, v = attention.draw(2, 5, 5)
    keep = torch.tensor([True, False, True, True, False])
    few = [x[:, keep] for x in (q, k, v)] if attention.from_one else [q, k[:, keep], v[:, keep]]
    want = attention.call(module, *few, None, False)
    for path, output in attention.outputs(module, q, k, v, keep.expand(2, 5, 5)):
        close(output[:, keep] if attention.from_one else output, want, path)


def polarity(attention: Attention) -> None:
    """True means: may be attended."""
    module = attention.build()
    q, k, v = attention.draw(2, 4, 4)
    mask = torch.eye(4, attention.keys(4, 4), dtype=torch.bool).expand(2, -1, -1)
    weights = attention.weights(module, q, k, v, mask)
    assert torch.equal(weights, attention.head_axis(mask).expand_as(weights).double())


def bad_masks(attention: Attention) -> None:
    module = attention.build()
    q, k, v = attention.draw(2, 3, 5)
    S = attention.keys(3, 5)
    wrong = [
        torch.ones(2, 3, S),
        torch.zeros(3, S).long(),
        torch.ones(2, 3, S + 1) > 0,
        torch.ones(5, 3, S) > 0,
        torch.ones(2, S) > 0,
        torch.ones(1, 1, 2, 3, S) > 0,
    ]
    for mask in wrong:
        for return_weights in (False, True):
            with pytest.raises(ValueError, match="mask: expected"):
                attention.call(module, q, k, v, mask, return_weights)


# --- what it may depend on ----------------------------------------------------------------------


def equivariant(attention: Attention) -> None:
    """Permuted queries permute the output; permuted pairs of key and value change nothing."""
    module = attention.build()
    q, k, v = attention.draw(2, 5, 6)
    order = torch.tensor([3, 0, 4, 1, 2])
    permuted = [q[:, order], k[:, order] if attention.slots else k, v]
    originals = attention.outputs(module, q, k, v)
    for (path, a), (_, b) in zip(originals, attention.outputs(module, *permuted), strict=True):
        close(a[:, order], b, path)
    if not (attention.from_one or attention.slots):
        order = torch.tensor([3, 0, 5, 4, 1, 2])
        permuted = [q, k[:, order], v[:, order]]
        for (path, a), (_, b) in zip(originals, attention.outputs(module, *permuted), strict=True):
            close(a, b, path)


def items_are_independent(attention: Attention) -> None:
    module = attention.build()
    q, k, v = attention.draw(4, 3, 5)
    others = attention.draw(4, 3, 5, seed=9)
    for x, other in zip((q, k, v), others, strict=True):
        other[2] = x[2]
    for (path, a), (_, b) in zip(
        attention.outputs(module, q, k, v), attention.outputs(module, *others), strict=True
    ):
        close(a[2], b[2], path)


def causal(attention: Attention) -> None:
    """Where the future is hidden, no finite change of it changes the past by a single bit."""
    if attention.slots:
        pytest.skip("its keys are joined with the queries; slots are not a sequence")
    module = attention.build(torch.float32)
    for past, T, S in ((6, 9, 9), (33, 40, 70), (33, 70, 40)):
        mask = torch.ones(T, attention.keys(T, S), dtype=torch.bool).tril()
        qkv = attention.draw(2, T, S, torch.float32)
        future = [x.clone() for x in qkv]
        for x, value in zip(future, (1e3, -1e4, 1e30), strict=True):
            x[:, past:] = 50.0 if attention.from_one else value
        for each in attention.with_option():
            rule = mask if each is attention else None
            for (path, a), (_, b) in zip(
                each.outputs(module, *qkv, rule), each.outputs(module, *future, rule), strict=True
            ):
                assert torch.equal(a[:, :past], b[:, :past]), path
                assert not torch.equal(a[:, past:], b[:, past:]), path
            for return_weights in (False, True):
                leaves = [x.clone().requires_grad_() for x in qkv]
                result = each.call(module, *leaves, rule, return_weights)
                (result[0] if return_weights else result)[:, :past].square().sum().backward()
                for x in leaves[:1] if attention.from_one else leaves[2:]:
                    assert (x.grad[:, past:] == 0).all()
                    assert (x.grad[:, :past] != 0).any()


def the_option_is_a_mask(attention: Attention) -> None:
    """It hides the keys after a query's own number, and what a mask hides stays hidden."""
    if attention.causally is None:
        pytest.skip("it has no option that hides the future")
    module = attention.build()
    for B, T, S in attention.shapes:
        q, k, v = attention.draw(B, T, S)
        past = torch.ones(T, attention.keys(T, S), dtype=torch.bool).tril()
        for mask in (None, random_mask(B, T, attention.keys(T, S))):
            want = attention.call(module, q, k, v, past if mask is None else mask & past, True)
            for got in (
                attention.causally(module, q, k, v, mask, True),
                (attention.causally(module, q, k, v, mask, False), want[1]),
            ):
                for a, b in zip(got, want, strict=True):
                    close(a, b, (B, T, S))


def not_a_number_stays(attention: Attention) -> None:
    """A query of NaN makes its own row NaN, on every path; other rows stay as they are."""
    if attention.from_one:
        pytest.skip("in self-attention a NaN is a key as well")
    for dtype in DTYPES:
        module = attention.build(dtype)
        for T, S in ((4, 3), (4, 20), (4, 70)):
            q, k, v = attention.draw(2, T, S, dtype)
            bad = q.clone()
            bad[0, 1] = torch.nan
            dead = torch.ones(2, T, attention.keys(T, S), dtype=torch.bool)
            dead[:, 3] = False
            for mask in (None, dead):
                wants = attention.outputs(module, q, k, v, mask)
                for (path, want), (_, got) in zip(
                    wants, attention.outputs(module, bad, k, v, mask), strict=True
                ):
                    assert got[0, 1].isnan().all(), f"{path}: the NaN is hidden, S = {S}"
                    rest = [0, 2, 3]
                    close(got[0, rest], want[0, rest], path)
                    close(got[1], want[1], path)


# --- gradients ----------------------------------------------------------------------------------


def gradients(attention: Attention) -> None:
    """gradcheck, of the parameters too, dead rows included."""
    module = attention.build()
    qkv = [x.requires_grad_() for x in attention.draw(2, 3, 4)]
    if attention.from_one:
        qkv[1], qkv[2] = qkv[1].detach(), qkv[2].detach()
    names = [name for name, _ in module.named_parameters()]
    weights = [x.detach().clone().requires_grad_() for x in module.parameters()]
    for each in attention.with_option():
        for mask in (None, random_mask(2, 3, attention.keys(3, 4))):
            for return_weights in (False, True):
                called = _Call(module, each.call, return_weights)

                def f(q, k, v, *weights, called=called, mask=mask):
                    given = {f"module.{name}": x for name, x in zip(names, weights, strict=True)}
                    return torch.func.functional_call(called, given, (q, k, v, mask))

                assert torch.autograd.gradcheck(f, [*qkv, *weights])


def dead_rows_have_finite_gradients(attention: Attention) -> None:
    for dtype in DTYPES:
        module = attention.build(dtype)
        for return_weights in (False, True):
            qkv = [x.requires_grad_() for x in attention.draw(2, 3, 4, dtype)]
            mask = random_mask(2, 3, attention.keys(3, 4))
            mask[0] = False
            result = attention.call(module, *qkv, mask, return_weights)
            (result[0] if return_weights else result).float().square().sum().backward()
            for x in [*qkv, *module.parameters()]:
                assert x.grad is None or x.grad.isfinite().all()
            (item,) = qkv[0].grad[:1]
            assert (item == 0).all()


# --- the life of a module -----------------------------------------------------------------------


def layouts_and_inputs(attention: Attention) -> None:
    """Non-contiguous inputs give the same, and nothing that is passed in is written to."""
    module = attention.build()
    q, k, v = attention.draw(2, 3, 4)
    mask = random_mask(2, 3, attention.keys(3, 4))
    kept = [x.clone() for x in (q, k, v, mask)]
    strange = [x.transpose(0, 2).contiguous().transpose(0, 2) for x in (q, k, v, mask)]
    with torch.no_grad():
        for (path, a), (_, b) in zip(
            attention.outputs(module, q, k, v, mask),
            attention.outputs(module, *strange),
            strict=True,
        ):
            close(a, b, path)
    for x, y in zip((q, k, v, mask), kept, strict=True):
        assert torch.equal(x, y)


def inference_agrees_with_training(attention: Attention) -> None:
    """What is computed in place where no gradient is needed is the same."""
    for dtype in DTYPES:
        module = attention.build(dtype)
        q, k, v = attention.draw(2, 3, 4, dtype)
        for mask in (None, random_mask(2, 3, attention.keys(3, 4))):
            with torch.no_grad():
                fast = attention.call(module, q, k, v, mask, True)
            leaves = [x.clone().requires_grad_() for x in (q, k, v)]
            slow = attention.call(module, *leaves, mask, True)
            for a, b in zip(fast, slow, strict=True):
                close(a, b.detach(), f"{dtype}")


def small_and_empty(attention: Attention) -> None:
    module = attention.build()
    for return_weights in (False, True):
        out = attention.call(module, *attention.draw(0, 3, 4), None, return_weights)
        assert (out[0] if return_weights else out).shape[:2] == (0, 3)
        if not attention.from_one:
            out = attention.call(module, *attention.draw(2, 0, 4), None, return_weights)
            assert (out[0] if return_weights else out).shape[:2] == (2, 0)
    if attention.slots is None:
        assert (attention.weights(module, *attention.draw(2, 1, 1)) == 1).all()
        T = 0 if attention.from_one else 3
        for return_weights in (False, True):
            with pytest.raises(ValueError, match="expected at least one"):
                attention.call(module, *attention.draw(2, T, 0), None, return_weights)


def wrong_inputs(attention: Attention) -> None:
    """Wrong widths, numbers and kinds are ValueErrors that show the shape."""
    module = attention.build()
    q, k, v = attention.draw(2, 3, 4)
    wrong = [(q[..., 1:], k, v)]
    if not attention.from_one:
        wrong += [(q, k[..., 1:], v), (q, k, v[:, 1:]), (q[:1], k, v), (q, k[:1], v), (q, k, v[:1])]
    for bad in wrong:
        for return_weights in (False, True):
            with pytest.raises(ValueError, match=r"expected .*\("):
                attention.call(module, *bad, None, return_weights)
    with pytest.raises(ValueError, match="expected"):
        attention.call(module, q.long(), k.long(), v.long(), None, False)


class _Call(nn.Module):
    def __init__(self, module: nn.Module, call: Callable[..., Any], return_weights: bool) -> None:
        super().__init__()
        self.module, self.call, self.return_weights = module, call, return_weights

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Any:
        return self.call(self.module, q, k, v, mask, self.return_weights)


def compiles_and_exports(attention: Attention) -> None:
    """With a mask; without one it is the module's own contract."""
    q, k, v = attention.draw(2, 3, 4, torch.float32)
    mask = random_mask(2, 3, attention.keys(3, 4))
    built = attention.build(torch.float32)
    for each, return_weights in itertools.product(attention.with_option(), (False, True)):
        module = _Call(built, each.call, return_weights)
        with torch.no_grad():
            want = module(q, k, v, mask)
            torch._dynamo.reset()
            compiled = torch.compile(module, fullgraph=True, backend="eager")(q, k, v, mask)
            exported = torch.export.export(module, (q, k, v, mask)).module()(q, k, v, mask)
        for got in (compiled, exported):
            for one, other in zip(tree_leaves(got), tree_leaves(want), strict=True):
                close(one, other)


ATTENTION: list[Callable[[Attention], None]] = [
    shapes_and_sums,
    masks_hide,
    masks_are_read_by_rank,
    allowing_all_is_no_mask,
    masking_is_removing,
    polarity,
    bad_masks,
    equivariant,
    items_are_independent,
    causal,
    the_option_is_a_mask,
    not_a_number_stays,
    gradients,
    dead_rows_have_finite_gradients,
    layouts_and_inputs,
    inference_agrees_with_training,
    small_and_empty,
    wrong_inputs,
    compiles_and_exports,
]
