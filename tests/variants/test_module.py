"""The contracts for what today's models changed in attention."""

from __future__ import annotations

import torch
from torch import nn

from attn_utils.core.attend import scaled_dot_product_attention
from attn_utils.variants import Indexer, LatentAttention, QKNorm, SinkAttention, soft_cap_attention
from tests.contracts import ATTENTION, MODULE, Attention, Module, under
from tests.contracts.attention import masks_hide, polarity, shapes_and_sums, small_and_empty
from tests.contracts.faults import ROTARY


def normed(module, q, k, v, mask, return_weights):
    return scaled_dot_product_attention(*module(q, k), v, mask, return_weights=return_weights)


def capped(module, q, k, v, mask, return_weights):
    return soft_cap_attention(q, k, v, mask, cap=2.0, return_weights=return_weights)


NORMS = [
    Attention("QKNorm", lambda: QKNorm(4), normed, (4, 4, 3)),
    Attention("soft cap", nn.Identity, capped, (4, 4, 3)),
]

test_contract = under(ATTENTION, NORMS)


def sunk(**options):
    """One head, whose axis is put in and taken out again."""

    def call(module, q, k, v, mask, return_weights):
        mask = mask if mask is None or mask.ndim < 3 else mask.unsqueeze(1)
        heads = (x.unsqueeze(1) for x in (q, k, v))
        result = module(*heads, mask, return_weights=return_weights, **options)
        return tuple(x.squeeze(1) for x in result) if return_weights else result.squeeze(1)

    return call


SINKS = [
    Attention(
        "SinkAttention", lambda: SinkAttention(1), sunk(), (4, 4, 3), causally=sunk(is_causal=True)
    )
]
#: what holds for weights that sum to 1
PLAIN = (shapes_and_sums, masks_hide, polarity, small_and_empty)

test_sinks = under([check for check in ATTENTION if check not in PLAIN], SINKS)


def heads(H, d, dv=None):
    return lambda B, n: tuple(torch.randn(B, H, n, width) for width in (d, d, dv or d))


class _Absorbed(LatentAttention):
    """Its other form."""

    def forward(self, x):
        return super().forward(x, absorbed=True)


MODULES = [
    Module(SinkAttention, (2,), heads(2, 4)),
    Module(LatentAttention, (6, 2, 3, 5, 4), lambda B, n: torch.randn(B, n, 6), faults=ROTARY),
    Module(_Absorbed, (6, 2, 3, 5, 4), lambda B, n: torch.randn(B, n, 6), faults=ROTARY),
    Module(Indexer, (6, 3), lambda B, n: torch.randn(B, n, 6)),
    Module(QKNorm, (4,), lambda B, n: heads(2, 4)(B, n)[:2]),
]

test_life = under(MODULE, MODULES)
