"""The small modules beside the formulas as textbooks write them: CPU time, as ratios.

    OMP_NUM_THREADS=1 python benchmarks/sequence.py [--quick] [--json results.json]

Pooling, masked softmax, scoring, self-attention, positions. Batch 8, width 128, float32,
inference. No row has a bound: at such sizes the checks of the input are a good part of the work.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable
from typing import Any

import torch
from measure import Table, cpu_ratio, inference, main
from torch import Tensor

import attn_utils as au

BATCH, WIDTH = 8, 128


def gaussian_pooling(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Nadaraya–Watson with every difference written out."""
    return torch.softmax(-((queries[:, None] - keys) ** 2) / 2, dim=-1) @ values


def filled_softmax(scores: Tensor, valid_lens: Tensor) -> Tensor:
    """Softmax over scores in which a large negative number stands for "masked"."""
    outside = torch.arange(scores.shape[-1]) >= valid_lens[:, None, None]  # (B, 1, S)
    return torch.softmax(scores.masked_fill(outside, -1e6), dim=-1)


def additive(module: au.AdditiveAttention) -> Callable[..., Tensor]:
    """Additive attention over a tensor (B, T, S, h) of all sums."""

    def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        sums = module.W_q(queries).unsqueeze(2) + module.W_k(keys).unsqueeze(1)
        scores = module.w_v(torch.tanh(sums)).squeeze(-1)  # (B, T, S)
        return torch.bmm(torch.softmax(scores, dim=-1), values)

    return attend


def dot_product(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Scaled dot products by two batch matrix multiplications."""
    scores = torch.bmm(queries, keys.transpose(1, 2)) / math.sqrt(queries.shape[-1])
    return torch.bmm(torch.softmax(scores, dim=-1), values)


def self_attention(module: au.SelfAttention) -> Callable[[Tensor], Tensor]:
    """The same three layers and the plain formula."""
    return lambda x: dot_product(module.W_q(x), module.W_k(x), module.W_v(x))


def sinusoidal(table: Tensor) -> Callable[[Tensor], Tensor]:
    """Add the rows of a table that lies ready."""
    return lambda x: x + table[:, : x.shape[1]]


def rotary(x: Tensor) -> Tensor:
    """Rotation as a product of complex numbers."""
    T, d = x.shape[-2:]
    angles = torch.outer(torch.arange(T), 10000.0 ** (-torch.arange(0, d, 2) / d))
    turned = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2)) * torch.polar(
        torch.ones_like(angles), angles
    )
    return torch.view_as_real(turned).flatten(-2)


def measure(table: Table, quick: bool) -> None:
    """Ratios at a short and a longer length n, after a look whether both compute the same."""
    torch.manual_seed(0)
    for n in (64,) if quick else (64, 512):
        x = torch.randn(3, BATCH, n, WIDTH)
        lengths = torch.randint(1, n + 1, (BATCH,))
        line = torch.rand(3, n)
        rule = au.AdditiveAttention(WIDTH, WIDTH, 64).eval()
        module = au.SelfAttention(WIDTH, WIDTH, WIDTH)
        encoding = au.SinusoidalPositionalEncoding(WIDTH).eval()
        own: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[Tensor, ...]]] = {
            "nadaraya_watson / formula": (au.nadaraya_watson, gaussian_pooling, tuple(line)),
            "masked_softmax / fill with −10⁶, then softmax": (
                functools.partial(au.masked_softmax, mask=au.length_mask(lengths, n)),
                functools.partial(filled_softmax, valid_lens=lengths),
                (torch.randn(BATCH, n, n),),
            ),
            "AdditiveAttention / formula": (rule, additive(rule), tuple(x)),
            "DotProductAttention / bmm, softmax, bmm": (
                au.DotProductAttention().eval(),
                dot_product,
                tuple(x),
            ),
            "SelfAttention / bmm, softmax, bmm": (module, self_attention(module), (x[0],)),
            "SinusoidalPositionalEncoding / table": (encoding, sinusoidal(encoding.P), (x[0],)),
            "RotaryEmbedding / complex numbers": (au.RotaryEmbedding(WIDTH), rotary, (x[0],)),
        }
        for what, (ours, theirs, inputs) in own.items():
            with torch.inference_mode():
                torch.testing.assert_close(ours(*inputs), theirs(*inputs), rtol=1e-4, atol=1e-4)
            runs = inference(ours, *inputs), inference(theirs, *inputs)
            table.add(what, cpu_ratio(*runs, 0.3 if quick else 3.0), n=n)


if __name__ == "__main__":
    sys.exit(main(__doc__.split("\n")[0], measure))
