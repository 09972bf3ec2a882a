"""Data of the head explorer: the built-in case, what each head adds, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .multi_head import MultiHeadAttention

MOST_HEADS = 8  # colours that stay apart
MOST_NUMBERS = 120 * 1024 // 4  # float32 numbers of a page's budget
FAMILIES = ("Diaz", "Kaya", "Lund", "Mori", "Okoye", "Rossi", "Sen", "Wolf")
RINGS = "♠♥♦♣★●▲■"


def wedding(examples: int = 40) -> dict[str, Any]:
    """Make the built-in case: four heads set by hand for the game of the wedding table.

    Six guests, three families of two, three couples with the same ring. Somebody is asked how many
    years the brother or sister is older than the husband or wife: -3 to 3. Head 1 looks at the
    family, head 2 at the ring, head 3 at everybody evenly, head 4 at the right-hand neighbour.
    Heads 1 and 2 give the answer; head 3 adds a little noise and head 4 nothing.

    Args:
        examples: how many tables are laid.

    Returns:
        The arguments of :class:`HeadExplorer` that describe the data.
    """
    generator = torch.Generator().manual_seed(42)  # all seven answers occur
    n, strong, kappa = 6, math.exp(4), 3.0
    near = strong / (strong + n - 2)  # weight on the one that matches, of the five others
    far = (1 - near) / (n - 2)
    difference = torch.arange(-3, 4, dtype=torch.float64)  # what the classes mean
    others = ~torch.eye(n, dtype=torch.bool)
    tokens, weights, contributions, labels, asked = [], [], [], [], []
    for example in range(examples):
        names = torch.randperm(8, generator=generator)[:3].repeat_interleave(2)  # 0 0 1 1 2 2
        rings = torch.randperm(8, generator=generator)[:3].repeat_interleave(2).roll(1)
        seats = torch.randperm(n, generator=generator)
        names, rings = names[seats], rings[seats]
        years = torch.randint(4, (n,), generator=generator)
        kin = (names[:, None] == names) & others
        mate = (rings[:, None] == rings) & others
        heads = torch.stack(
            [
                torch.where(kin, near, far) * others,
                torch.where(mate, near, far) * others,
                others / (n - 1),
                torch.eye(n).roll(1, dims=1),
            ]
        ).double()  # (H, T, S)
        who = example % n
        seen = heads[:, who] @ years.double()  # (H, S) @ (S,) -> (H,): a mean age for each head
        # 2 d c - c² is largest where the class c is the difference d; what both heads see of the
        # three uninvolved guests cancels
        scale = torch.tensor([1.0, -1.0, 0.1, 0.0], dtype=torch.float64)
        shift = torch.tensor([0.0, 0.0, 1.5, 0.0], dtype=torch.float64)
        estimate = scale * (seen - shift) / (near - far)
        contributions.append(2 * kappa * estimate[:, None] * difference)  # (H, C)
        weights.append(heads)
        labels.append(int(years[kin[who]] - years[mate[who]]) + 3)
        asked.append(who)
        tokens.append(
            [
                f"{FAMILIES[a]} {RINGS[b]} {30 + y}"
                for a, b, y in zip(names, rings, years, strict=True)
            ]
        )
    return {
        "tokens": tokens,
        "weights": torch.stack(weights),
        "contributions": torch.stack(contributions),
        "bias": -kappa * difference.square(),
        "labels": labels,
        "classes": ["−3", "−2", "−1", "0", "+1", "+2", "+3"],
        "asked": asked,
        "heads": ["family", "ring", "everybody", "right neighbour"],
        "question": "How many years is the brother or sister older than the husband or wife?",
    }


def contributions_of(
    layer: MultiHeadAttention, readout: nn.Linear, inputs: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Split the logits ``readout(layer(inputs))`` into what each head adds.

    Both maps are linear in the heads' outputs, so ``logits = bias + Σ_h contribution_h`` exactly:
    ``contribution_h = head_h W_o[h] readout``, where W_o[h] are the d rows that meet head h.

    Args:
        layer: multi-head self-attention.
        readout: the linear layer behind it, D -> C.
        inputs: (N, T, Dq).
        mask: boolean, as the layer takes it.

    Returns:
        weights (N, H, T, T), contributions (N, H, T, C) and the bias (C,).
    """
    with torch.no_grad():
        attended = layer(inputs, mask=mask, return_weights=True)
        weights = attended[1]
        N, n, _ = inputs.shape
        H = layer.num_heads
        values = layer.W_v(inputs).view(N, n, H, -1).transpose(1, 2)  # (N, T, D) -> (N, H, T, d)
        heads = weights @ values  # (N, H, T, d)
        onward = (readout.weight @ layer.W_o.weight).view(-1, H, values.shape[-1])  # (C, H, d)
        contributions = torch.einsum("nhtd,chd->nhtc", heads, onward)
        bias = torch.zeros_like(readout.weight[:, 0])
        if layer.W_o.bias is not None:
            bias = bias + readout.weight @ layer.W_o.bias
        if readout.bias is not None:
            bias = bias + readout.bias
    return weights, contributions, bias


def checked(
    tokens: Any,
    weights: Any,
    contributions: Any,
    bias: Any,
    labels: Any,
    classes: Any,
    query_tokens: Any = None,
    asked: Any = None,
    heads: Any = None,
    question: str = "",
) -> dict[str, Any]:
    """Refuse data that do not fit together; return them as the widget's traits."""
    arrays = {
        "weights": _array("weights", weights, "(N, H, T, S)"),
        "contributions": _array("contributions", contributions, "(N, H, C)"),
        "bias": _array("bias", bias, "(C,)"),
    }
    N, H, T, S = arrays["weights"].shape
    if H > MOST_HEADS:
        raise ValueError(f"weights: expected up to {MOST_HEADS} heads, got {H}")
    C = arrays["bias"].shape[0]
    if arrays["contributions"].shape != (N, H, C):
        raise ValueError(
            f"contributions: expected shape {(N, H, C)} to fit weights and bias, got "
            f"{arrays['contributions'].shape}"
        )
    size = arrays["weights"].size + arrays["contributions"].size
    if size > MOST_NUMBERS:
        raise ValueError(
            f"weights: expected up to {MOST_NUMBERS} numbers together with contributions, got "
            f"{size}; take fewer than {N} examples"
        )
    if (arrays["weights"] < 0).any() or (arrays["weights"] > 1 + 1e-4).any():
        raise ValueError("weights: expected numbers from 0 to 1")
    labels = _integers("labels", labels, N, 0, C - 1)
    asked = [] if asked is None else _integers("asked", asked, N, 0, T - 1)
    rows = [("tokens", tokens, S)] + ([("query_tokens", query_tokens, T)] if query_tokens else [])
    if not query_tokens and T != S:
        raise ValueError(f"query_tokens: expected names of {T} queries, got None")
    for name, lists, length in rows:
        if len(lists) != N:
            raise ValueError(f"{name}: expected a list for each of {N} examples, got {len(lists)}")
        for row in lists:
            _names(name, row, length)
    _names("classes", classes, C)
    heads = [f"head {h + 1}" for h in range(H)] if heads is None else list(heads)
    _names("heads", heads, H)
    return {
        "_shape": [N, H, T, S, C],
        "_labels": labels,
        "_asked": asked,
        "_question": str(question),
        "_weights": arrays["weights"].ravel(),
        "_bias": arrays["bias"],
        "_contributions": arrays["contributions"].ravel(),
        "_tokens": [list(row) for row in tokens],
        "_classes": list(classes),
        "_heads": heads,
        "_query_tokens": [list(row) for row in query_tokens] if query_tokens else [],
    }


def _array(name: str, value: Any, shape: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    if isinstance(value, Tensor):
        value = value.detach().cpu().double().numpy()
    try:
        array = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected numbers of shape {shape}, got {error}") from error
    if array.ndim != shape.count(",") + (not shape.endswith(",)")) or array.size == 0:
        raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")
    return array


def _integers(name: str, value: Any, count: int, low: int, high: int) -> list[int]:
    numbers = value.tolist() if isinstance(value, Tensor | np.ndarray) else list(value)
    fits = all(isinstance(k, int) and low <= k <= high for k in numbers)
    if len(numbers) != count or not fits:
        raise ValueError(
            f"{name}: expected {count} integers from {low} to {high}, got {len(numbers)}"
            + (f" of them, {numbers}" if len(numbers) < 9 else "")
        )
    return numbers


def _names(name: str, row: Any, count: int) -> None:
    if isinstance(row, str) or not all(isinstance(text, str) for text in row):
        raise ValueError(f"{name}: expected lists of strings, got {row!r}")
    if len(row) != count:
        raise ValueError(f"{name}: expected {count} strings, got {len(row)}: {row!r}")
