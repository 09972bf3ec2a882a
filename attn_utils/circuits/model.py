"""A model of attention alone, run head by head, with single heads and single paths replaced.

Shapes: B batch, T tokens, L layers, H heads, D = embed_dim, d = D / H, V = vocab_size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from attn_utils.core.arguments import check_range, check_size, check_sizes
from attn_utils.core.attend import attend, split_heads
from attn_utils.multi_head import MultiHeadAttention
from attn_utils.positional_encoding import LearnedPositionalEmbedding

__all__ = ["AttentionOnlyModel", "HeadRun", "cut_path", "run_heads"]

READS = ("queries", "keys", "values")
Head = tuple[int, int]  # layer and head, from 0


class AttentionOnlyModel(nn.Module):
    """Predict the next token by attention layers alone: ``x ← x + attn(x)``, then a linear head.

    No feed-forward networks, no norms, no biases. So the stream x at the end is an exact sum: the
    embedding of the token, that of its position, and what each head of each layer has added.

    Args:
        vocab_size: V.
        num_positions: the largest T.
        embed_dim: D.
        num_heads: H of each layer.
        depth: L, number of layers.

    Example:
        >>> import torch
        >>> from attn_utils import AttentionOnlyModel
        >>> model = AttentionOnlyModel(32, 48, embed_dim=16, num_heads=4, depth=2)
        >>> model(torch.randint(32, (5, 48))).shape  # logits of what follows each token
        torch.Size([5, 48, 32])

    References:
        Elhage et al. (2021). A mathematical framework for transformer circuits.
    """

    def __init__(
        self, vocab_size: int, num_positions: int, embed_dim: int, num_heads: int, depth: int
    ) -> None:
        super().__init__()
        vocab_size, num_positions, embed_dim, depth = check_sizes(
            vocab_size=vocab_size, num_positions=num_positions, embed_dim=embed_dim, depth=depth
        )
        self.vocab_size = vocab_size
        self.num_positions = num_positions
        self.embedding = nn.Embedding(vocab_size, embed_dim)
        self.positions = LearnedPositionalEmbedding(num_positions, embed_dim)
        self.layers = nn.ModuleList(MultiHeadAttention(embed_dim, num_heads) for _ in range(depth))
        self.head = nn.Linear(embed_dim, vocab_size, bias=False)
        nn.init.normal_(self.embedding.weight, std=0.5)
        nn.init.normal_(self.positions.weight, std=0.5)

    def embed(self, tokens: Tensor) -> Tensor:
        """Begin the stream: token and position, (B, T) integers -> (B, T, D)."""
        if not isinstance(tokens, Tensor) or tokens.dtype not in (torch.int64, torch.int32):
            got = tokens.dtype if isinstance(tokens, Tensor) else type(tokens).__name__
            raise ValueError(f"tokens: expected integers, int64 or int32, got {got}")
        if tokens.ndim != 2 or not 1 <= tokens.shape[1] <= self.num_positions:
            raise ValueError(
                f"tokens: expected shape (B, T) with T from 1 to {self.num_positions}, got "
                f"{tuple(tokens.shape)}"
            )
        check_range("tokens", tokens, "tokens", 0, self.vocab_size - 1)
        x: Tensor = self.positions(self.embedding(tokens))
        return x

    def forward(self, tokens: Tensor) -> Tensor:
        """Give the logits of what follows each token, (B, T) integers -> (B, T, V)."""
        x = self.embed(tokens)
        for layer in self.layers:
            x = x + layer(x, is_causal=True)
        logits: Tensor = self.head(x)
        return logits


class HeadRun(NamedTuple):
    """Logits, and each head's weights and contribution.

    It is what :func:`~attn_utils.circuits.run_heads` returns.

    Example:
        >>> import torch
        >>> from attn_utils import AttentionOnlyModel, run_heads
        >>> model = AttentionOnlyModel(32, 48, embed_dim=16, num_heads=4, depth=2)
        >>> tokens = torch.randint(32, (5, 20))
        >>> run = run_heads(model, tokens)
        >>> stream = model.embed(tokens) + run.outputs.sum(dim=(0, 1))
        >>> torch.allclose(model.head(stream), run.logits, atol=1e-5)
        True
    """

    logits: Tensor  # (B, T, V)
    weights: Tensor  # (L, H, B, T, T)
    outputs: Tensor  # (L, H, B, T, D), added to the stream


def attend_by_head(
    layer: MultiHeadAttention, queries: Tensor, keys: Tensor, values: Tensor
) -> tuple[Tensor, Tensor]:
    """Run a causal layer and keep its heads apart: their sum is the layer's output.

    Args:
        layer: multi-head attention without biases.
        queries: (B, T, D), what the queries are made of.
        keys: (B, T, D).
        values: (B, T, D).

    Returns:
        The weights (H, B, T, T), and what each head adds to the stream, (H, B, T, D).
    """
    H = layer.num_heads
    q, k, v = (
        split_heads(project(x), H)  # (B, T, D) -> (B, H, T, d)
        for project, x in ((layer.W_q, queries), (layer.W_k, keys), (layer.W_v, values))
    )
    heads, weights = attend(q, k, v, is_causal=True, return_weights=True)  # (B, H, T, d)
    assert weights is not None
    D = layer.embed_dim
    W_o = layer.W_o.weight.view(D, H, D // H)  # a slice for each head
    return weights.transpose(0, 1), torch.einsum("bhtd,ohd->hbto", heads, W_o)


@torch.no_grad()
def run_heads(
    model: AttentionOnlyModel, tokens: Tensor, replace: Mapping[Head, Tensor] | None = None
) -> HeadRun:
    """Run the model head by head, with what some heads add replaced: patching.

    All that comes after a replaced head reads the replacement. Zeros knock the head out; its
    ``outputs`` in a run on other tokens show what the model does with another answer of this head.

    Args:
        model: the model.
        tokens: (B, T), integers.
        replace: for a head, as (layer, head) from 0, what it adds instead, (B, T, D) or what
            expands to it.

    Returns:
        Logits, weights and contributions; those of the replaced heads are the replacements.

    Example:
        >>> import torch
        >>> from attn_utils import AttentionOnlyModel, run_heads
        >>> model = AttentionOnlyModel(32, 48, embed_dim=16, num_heads=4, depth=2)
        >>> tokens, others = torch.randint(32, (2, 5, 20))
        >>> theirs = run_heads(model, others)
        >>> patched = run_heads(model, tokens, {(0, 3): theirs.outputs[0, 3]})
        >>> torch.equal(patched.outputs[0, 3], theirs.outputs[0, 3])
        True
        >>> patched.weights.shape, patched.outputs.shape
        (torch.Size([2, 4, 5, 20, 20]), torch.Size([2, 4, 5, 20, 16]))

    References:
        Wang et al. (2023). Interpretability in the wild, for patching from runs on other inputs.
    """
    replace = replace or {}
    for place in replace:
        _check_head(model, place, "replace")
    x = model.embed(tokens)
    all_weights, all_outputs = [], []
    for number, layer in enumerate(layers_of(model)):
        weights, outputs = attend_by_head(layer, x, x, x)
        for (where, head), output in replace.items():
            if where == number:
                outputs[head] = output
        x = x + outputs.sum(dim=0)
        all_weights.append(weights)
        all_outputs.append(outputs)
    return HeadRun(model.head(x), torch.stack(all_weights), torch.stack(all_outputs))


@torch.no_grad()
def cut_path(
    model: AttentionOnlyModel,
    tokens: Tensor,
    source: Head,
    target: Head,
    *,
    reads: str = "keys",
    instead: Tensor | float = 0.0,
) -> HeadRun:
    """Cut one path: the target's queries, keys or values are made without what the source adds.

    Every other reader of the stream, the last linear layer included, goes on reading the source.

    Args:
        model: the model.
        tokens: (B, T), integers.
        source: (layer, head) of the head whose contribution is withheld.
        target: (layer, head) of a head in a later layer, from which it is withheld.
        reads: what the target makes of the changed stream: "queries", "keys" or "values".
        instead: what the target reads in its place, (B, T, D); by default nothing.

    Returns:
        Logits, weights and contributions of the run with the path cut.

    Example:
        >>> import torch
        >>> from attn_utils import AttentionOnlyModel, cut_path, run_heads
        >>> model = AttentionOnlyModel(32, 48, embed_dim=16, num_heads=4, depth=2)
        >>> tokens = torch.randint(32, (5, 20))
        >>> whole, cut = run_heads(model, tokens), cut_path(model, tokens, (0, 1), (1, 2))
        >>> changed = (whole.weights != cut.weights).flatten(2).any(-1)
        >>> changed.nonzero().tolist()  # the target's, and no other head's
        [[1, 2]]

    References:
        Goldowsky-Dill et al. (2023). Localizing model behavior with path patching.
    """
    _check_head(model, source, "source")
    _check_head(model, target, "target")
    if reads not in READS:
        raise ValueError(f"reads: expected one of {', '.join(READS)}, got {reads!r}")
    if source[0] >= target[0]:
        raise ValueError(f"target: expected a layer above {source[0]}, got {target}")
    whole = run_heads(model, tokens)
    below = whole.outputs[: target[0]].sum(dim=(0, 1))
    x = model.embed(tokens) + below  # (B, T, D), the stream that the target's layer reads
    changed = x - whole.outputs[source] + instead
    streams = [changed if read == reads else x for read in READS]
    layer = layers_of(model)[target[0]]
    weights, outputs = attend_by_head(layer, streams[0], streams[1], streams[2])
    run = run_heads(model, tokens, {target: outputs[target[1]]})
    run.weights[target] = weights[target[1]]
    return run


def layers_of(model: AttentionOnlyModel) -> list[MultiHeadAttention]:
    """The model's layers, as what they are."""
    return [layer for layer in model.layers if isinstance(layer, MultiHeadAttention)]


def _check_head(model: AttentionOnlyModel, head: Head, name: str) -> None:
    L, H = len(model.layers), layers_of(model)[0].num_heads
    fits = isinstance(head, tuple) and len(head) == 2
    if not fits or not (0 <= check_size(name, head[0], 0) < L and 0 <= head[1] < H):
        raise ValueError(f"{name}: expected (layer below {L}, head below {H}), got {head!r}")
