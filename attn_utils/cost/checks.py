"""Self-checks of chapter 14, The cost of attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from attn_utils.checks import Mistake, compare, computed, exercise, number

# n = 100 tokens, D = 64, H = 8, MLP ratio 4
_PARTS = {
    "projections": 2_457_600,
    "scores": 1_280_000,
    "weighted sum": 1_280_000,
    "output": 819_200,
    "MLP": 6_553_600,
}
_PART_MISTAKES: dict[str, dict[int, str]] = {
    "projections": {
        1_228_800: "multiplications alone: with its addition each counts as two operations",
        819_200: "that is one of the three projections",
        3_276_800: "the output projection has an entry of its own: three remain here",
        307_200: "(n, D) times (D, d) is one head; all heads together make (n, D) times (D, D)",
        19_660_800: "the heads share the width: together they cost n D², not each of them",
    },
    "scores": {
        640_000: "multiplications alone: with its addition each counts as two operations",
        10_240_000: "a head's queries are D / H wide: all heads together cost 2 n² D",
        160_000: "that is one head of width D / H = 8; there are eight",
        2_560_000: "scores and weighted sum have an entry each",
    },
    "weighted sum": {
        640_000: "multiplications alone: with its addition each counts as two operations",
        10_240_000: "a head's values are D / H wide: all heads together cost 2 n² D",
        160_000: "that is one head of width D / H = 8; there are eight",
    },
    "output": {
        409_600: "multiplications alone: with its addition each counts as two operations",
        6_553_600: "it maps D to D, once for each token: there is no factor 4 or H",
    },
    "MLP": {
        3_276_800: "there are two layers, D to 4 D and back (and each product has its addition)",
        1_638_400: "the hidden layer is 4 D wide, and there are two layers",
        13_107_200: "one factor 2 too many: two layers, two operations, 4 n D² each",
    },
}


def _named(got: float, want: float, what: str, mistakes: Mapping[float, str]) -> None:
    if got == want:
        return
    if got in mistakes:
        raise Mistake(f"{what}: {mistakes[got]}")
    raise Mistake(f"{what}: {got:,} is not right, expected {want:,}")


@exercise("cost.parts")
def _check_parts(answers: Any) -> None:
    """Exercise 14.1: the operations of each part."""
    if not isinstance(answers, Mapping):
        raise Mistake(f"the answer should be a dictionary, not {type(answers).__name__}")
    missing = [name for name in _PARTS if answers.get(name) in (None, ...)]
    if missing:
        raise Mistake(f"no answer yet for {missing[0]!r} ({len(missing)} to go)")
    for name, want in _PARTS.items():
        got = number(answers[name], name)
        if got == want:
            continue
        known = _PART_MISTAKES[name].get(int(got))
        raise Mistake(f"{name}: {known or f'{got:,} is not right; multiply rows, inner, columns'}")


Partial = tuple[Tensor, Tensor, Tensor]


def _partial(scores: Tensor, values: Tensor) -> Partial:
    top = scores.amax(-1, keepdim=True)
    powers = (scores - top).exp()
    return top, powers.sum(-1, keepdim=True), powers @ values


@exercise("cost.merge")
def _check_merge(merge: Callable[[Partial, Partial], Any]) -> None:
    """Exercise 14.2: merge what two halves of the keys gave."""
    generator = torch.Generator().manual_seed(14)
    for shift in (8.0, -8.0, 0.0):
        scores = torch.randn(5, 7, generator=generator, dtype=torch.float64)
        scores[:, :3] += shift  # the first half lies far above, far below, about level
        values = torch.randn(7, 2, generator=generator, dtype=torch.float64)
        one, two = _partial(scores[:, :3], values[:3]), _partial(scores[:, 3:], values[3:])
        got = merge(one, two)
        computed(got, "the result")
        if not isinstance(got, tuple | list) or len(got) != 3:
            raise Mistake("the result should be (top, total, out) of both halves together")
        (m1, l1, o1), (m2, l2, o2) = one, two
        m = torch.maximum(m1, m2)
        want = (
            m,
            l1 * (m1 - m).exp() + l2 * (m2 - m).exp(),
            o1 * (m1 - m).exp() + o2 * (m2 - m).exp(),
        )
        up1, up2 = (m - m1).exp(), (m - m2).exp()
        compare(
            got[0],
            want[0],
            "top",
            {
                "top is the smaller of the two: take the larger": torch.minimum(m1, m2),
                "the tops are added: the larger one counts": m1 + m2,
            }
            if shift
            else None,
        )
        compare(
            got[1],
            want[1],
            "total",
            {
                "the totals are added as they are: each refers to its own top, so bring both to "
                "the new one by exp(old top − new top) first": l1 + l2,
                "total is rescaled the wrong way: multiply by exp(old top − new top), "
                "which is at most 1": l1 * up1 + l2 * up2,
                "the larger total alone does not count both halves": torch.maximum(l1, l2),
            },
        )
        mean = o1 / l1 + o2 / l2
        compare(
            got[2],
            want[2],
            "out",
            {
                "out is added as it is: it needs the same rescaling as total": o1 + o2,
                "out is rescaled the wrong way: multiply by exp(old top − new top)": (
                    o1 * up1 + o2 * up2
                ),
                "out is divided already: keep the sum, and divide once at the end": (
                    want[2] / want[1]
                ),
                "each half is divided by its own total before it is added": mean,
                "the mean of the two halves weighs them equally": mean / 2,
            },
        )


@exercise("cost.longest")
def _check_longest(longest: Callable[[int, int, int], Any]) -> None:
    """Exercise 14.3: the longest sequence whose scores and weights fit into a budget."""
    for budget, heads, itemsize in ((2**34, 12, 4), (10**9, 16, 2), (8 * 9 * 25 - 1, 9, 4)):
        got = number(longest(budget, heads, itemsize), "the length")
        want = math.isqrt(budget // (2 * heads * itemsize))
        if not isinstance(got, int):
            raise Mistake(f"a length is an integer, got {got}")
        wrong = {
            math.isqrt(budget): "the heads, the bytes and the second matrix are missing",
            math.isqrt(budget // (heads * itemsize)): "one matrix fits, but scores and weights are "
            "two, side by side",
            math.isqrt(budget // (2 * itemsize)): "the heads are missing: each has n² scores",
            math.isqrt(budget // (2 * heads)): "bytes and numbers are confused: each takes "
            "`itemsize` bytes",
            budget // (2 * heads * itemsize): "that many pairs fit; the length is the root of it",
            want + 1: "rounded up: so many do not fit any more",
        }
        if got != want:
            note = wrong.get(got, f"expected {want:,}, got {got:,}")
            raise Mistake(f"budget {budget:,}, heads {heads}, itemsize {itemsize}: {note}")


@exercise("cost.cache")
def _check_cache(cache: Callable[..., Any]) -> None:
    """Exercise 14.4: bytes of a key/value cache."""
    for n, layers, heads, d, size in ((77, 5, 3, 32, 4), (1000, 12, 8, 64, 2)):
        got = number(cache(n, layers, heads, d, size), "the size")
        want = 2 * layers * n * heads * d * size
        _named(
            got,
            want,
            f"n = {n}, {layers} layers",
            {
                want / 2: "keys and values are two tensors",
                want / layers: "each layer has keys and values of its own",
                want / size: "that many numbers, but how many bytes?",
                want / heads: "each head for keys and values has its own",
                want * n: "the cache holds a key for each token, not for each pair",
                want / d: "a key has `head_dim` numbers",
                want / 2 * 3: "queries need not be kept: no later token looks at them",
            },
        )
