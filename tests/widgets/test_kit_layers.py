"""The layers of the kit's arithmetic against torch, in double precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attn_utils import scaled_dot_product_attention
from attn_utils.core.attend import join_heads, split_heads
from tests.conftest import JavaScript

LAYERS = Path(__file__).with_name("layers.js")


def check(javascript: JavaScript, calls: list[dict[str, Any]], expected: list[Tensor]) -> None:
    """Compare the first result of each call; exact but for the order of the sums."""
    for call, found, wanted in zip(calls, javascript(LAYERS, calls), expected, strict=True):
        exact = wanted.detach().flatten().numpy()
        bound = 1e-12 * np.abs(exact).max()
        np.testing.assert_allclose(
            next(iter(found.values())), exact, rtol=0, atol=bound, err_msg=call["layer"]
        )


def test_activations(javascript: JavaScript) -> None:
    x = torch.cat([torch.linspace(-40, 40, 801), torch.linspace(-1e-3, 1e-3, 11)])
    calls = [{"layer": "sigmoid", "x": x}, {"layer": "gelu", "x": x}]
    check(javascript, calls, [x.double().sigmoid(), nn.functional.gelu(x.double())])


def test_linear_and_layer_norm(javascript: JavaScript) -> None:
    torch.manual_seed(1)
    calls: list[dict[str, Any]] = []
    expected = []
    for rows, inputs, outputs in ((1, 1, 1), (1, 7, 3), (5, 4, 9), (17, 32, 96)):
        x, weight, bias = torch.randn(rows, inputs), torch.randn(outputs, inputs), torch.randn(99)
        own, scale = bias[:outputs], torch.rand(inputs) + 0.5
        calls += [
            {"layer": "linear", "x": x, "rows": rows, "weight": weight},
            {"layer": "linear", "x": x, "rows": rows, "weight": weight, "bias": own},
            {"layer": "layerNorm", "x": x, "rows": rows, "weight": scale, "bias": bias[:inputs]},
        ]
        expected += [
            x.double() @ weight.double().T,
            x.double() @ weight.double().T + own.double(),
            nn.functional.layer_norm(
                x.double(), (inputs,), scale.double(), bias[:inputs].double(), eps=1e-6
            ),
        ]
    check(javascript, calls, expected)


def test_attention(javascript: JavaScript) -> None:
    torch.manual_seed(2)
    calls: list[dict[str, Any]] = []
    outputs, weights = [], []
    for T, S, heads, d, dv in (
        (1, 1, 1, 1, 1),
        (5, 5, 1, 8, 8),
        (3, 7, 2, 4, 6),
        (17, 17, 4, 8, 8),
    ):
        q, k, v = torch.randn(T, heads * d), torch.randn(S, heads * d), torch.randn(S, heads * dv)
        calls.append(
            {"layer": "attention", "q": q, "k": k, "v": v, "queries": T, "keys": S, "heads": heads}
        )
        split = [split_heads(x.double()[None], heads) for x in (q, k, v)]
        output, weight = scaled_dot_product_attention(*split, return_weights=True)
        outputs.append(join_heads(output))
        weights.append(weight)
    check(javascript, calls, outputs)
    for found, wanted in zip(javascript(LAYERS, calls), weights, strict=True):
        np.testing.assert_allclose(found["weights"], wanted.flatten(), rtol=0, atol=1e-12)


def test_gru_step(javascript: JavaScript) -> None:
    torch.manual_seed(3)
    calls: list[dict[str, Any]] = []
    expected = []
    for inputs, hidden in ((1, 1), (3, 5), (12, 32)):
        cell = nn.GRUCell(inputs, hidden)
        x, h = torch.randn(inputs), torch.rand(hidden) * 2 - 1
        calls.append({"layer": "gruStep", "x": x, "h": h, **dict(cell.state_dict())})
        expected.append(cell.double()(x.double()[None], h.double()[None]))
    check(javascript, calls, expected)
