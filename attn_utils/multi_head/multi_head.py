"""Multi-head attention: several small attentions side by side, each free to look elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attn_utils.core.arguments import (
    check_probability,
    check_same_length,
    check_sizes,
    check_tensors,
    check_width,
)
from attn_utils.core.attend import attend, join_heads, split_heads
from attn_utils.core.masks import join_masks

__all__ = ["MultiHeadAttention"]


class MultiHeadAttention(nn.Module):
    """Attend with H heads at once: ``W_o [head_1; …; head_H]``.

    ``head_i = softmax(q_i k_iᵀ / √d) v_i``, where q_i, k_i and v_i are the i-th slices of width d
    of ``W_q queries``, ``W_k keys`` and ``W_v values``. One large projection cut into H slices is
    the same as H small ones, and faster. Queries, keys and values have a projection each: as fast
    as a packed one for long sequences, and what cross-attention needs anyway.

    With the same weights it computes what ``torch.nn.MultiheadAttention`` does (see
    :meth:`from_torch`), except that True in a mask means "may be attended" here, and that a query
    with nothing to attend to gets ``W_o``'s bias, or 0 without one, where the other yields NaN.

    With fewer heads of keys and values, ``num_kv_heads`` = G, this is grouped-query attention, with
    G = 1 multi-query attention: H / G heads of queries in a row share a head of keys and values,
    ``head_i = softmax(q_i k_gᵀ / √d) v_g`` with g = ⌊i G / H⌋, and what a decoder has to keep
    shrinks to G / H. :func:`with_kv_heads` converts weights from one number of heads to another.

    It has D (Dq + D) + G d (Dk + Dv) parameters, and 2 D + 2 G d more with biases.

    Args:
        embed_dim: D, width of the output and of all heads together.
        num_heads: H, a divisor of D.
        num_kv_heads: G, a divisor of H; by default H.
        query_size: Dq, width of a query; by default D.
        key_size: Dk, width of a key; by default D.
        value_size: Dv, width of a value; by default D.
        bias: whether the four layers have a bias.
        dropout: probability of dropping a weight in training.

    Example:
        >>> import torch
        >>> from attn_utils import MultiHeadAttention
        >>> attention = MultiHeadAttention(embed_dim=8, num_heads=2)
        >>> x = torch.rand(3, 5, 8)
        >>> valid_lens = torch.tensor([5, 2, 1])
        >>> output, weights = attention(x, valid_lens=valid_lens, return_weights=True)
        >>> output.shape, weights.shape
        (torch.Size([3, 5, 8]), torch.Size([3, 2, 5, 5]))
        >>> weights[2, :, 4]  # one key may be attended in the third sequence
        tensor([[1., 0., 0., 0., 0.],
                [1., 0., 0., 0., 0.]], grad_fn=<SelectBackward0>)
        >>> grouped = MultiHeadAttention(embed_dim=8, num_heads=4, num_kv_heads=2)
        >>> output, weights = grouped(x, return_weights=True)
        >>> weights.shape, grouped.W_k.weight.shape  # four heads; two are of keys
        (torch.Size([3, 4, 5, 5]), torch.Size([4, 8]))

    References:
        Vaswani et al. (2017). Attention is all you need, section 3.2.2. Shazeer (2019). Fast
        transformer decoding: one write-head is all you need, arXiv 1911.02150. Ainslie et al.
        (2023). GQA: training generalized multi-query transformer models from multi-head
        checkpoints, arXiv 2305.13245.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        *,
        num_kv_heads: int | None = None,
        query_size: int | None = None,
        key_size: int | None = None,
        value_size: int | None = None,
        bias: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        query_size = embed_dim if query_size is None else query_size
        key_size = embed_dim if key_size is None else key_size
        value_size = embed_dim if value_size is None else value_size
        embed_dim, num_heads, num_kv_heads, query_size, key_size, value_size = check_sizes(
            embed_dim=embed_dim,
            num_heads=num_heads,
            num_kv_heads=num_kv_heads,
            query_size=query_size,
            key_size=key_size,
            value_size=value_size,
        )
        check_probability("dropout", dropout)
        if embed_dim % num_heads:
            raise ValueError(
                f"embed_dim: expected a multiple of num_heads = {num_heads}, got {embed_dim}"
            )
        check_kv_heads(num_kv_heads, num_heads)
        self.embed_dim = embed_dim
        self.query_size = query_size
        self.key_size = key_size
        self.value_size = value_size
        self.num_heads = num_heads
        self.num_kv_heads = num_kv_heads
        self.dropout = dropout
        kv_dim = embed_dim // num_heads * num_kv_heads
        self.W_q = nn.Linear(query_size, embed_dim, bias=bias)
        self.W_k = nn.Linear(key_size, kv_dim, bias=bias)
        self.W_v = nn.Linear(value_size, kv_dim, bias=bias)
        self.W_o = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights: Glorot uniform, which keeps the scores' variance near 1; biases 0."""
        for layer in (self.W_q, self.W_k, self.W_v, self.W_o):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(
        self,
        queries: Tensor,
        keys: Tensor | None = None,
        values: Tensor | None = None,
        *,
        valid_lens: Tensor | None = None,
        mask: Tensor | None = None,
        is_causal: bool = False,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Answer each query. ``valid_lens``, ``mask`` and ``is_causal`` hold together.

        Without ``return_weights`` PyTorch's fused kernel is used, which never holds the T × S
        weights; ``is_causal`` is cheaper than a causal mask.

        Args:
            queries: (B, T, Dq).
            keys: (B, S, Dk), S ≥ 1; by default the queries (self-attention).
            values: (B, S, Dv); by default the keys.
            valid_lens: integers from 0 to S: how many of the first keys may be attended, for each
                sequence (B,) or for each query (B, T).
            mask: boolean, True = may be attended: (T, S), (B, T, S), (B, H, T, S), or what else
                :mod:`attn_utils.core.masks` lists.
            is_causal: let query t attend to the keys s ≤ t only (top-left aligned for T ≠ S).
            return_weights: also return the weights.

        Returns:
            The output (B, T, D), or output and weights (B, H, T, S) before dropout.
        """
        keys = queries if keys is None else keys
        values = keys if values is None else values
        check_tensors(queries=queries, keys=keys, values=values)
        if queries.ndim != 3:
            raise ValueError(f"queries: expected shape (B, T, Dq), got {tuple(queries.shape)}")
        check_width("queries", queries, self.query_size)
        check_width("keys", keys, self.key_size)
        check_width("values", values, self.value_size)
        check_same_length(keys, values, ("keys", "values"))
        if mask is not None or valid_lens is not None:
            scores_shape = (queries.shape[0], self.num_heads, queries.shape[1], keys.shape[1])
            mask = join_masks(scores_shape, mask, valid_lens)
        heads, weights = attend(  # no names for q, k, v: they can be freed
            split_heads(self.W_q(queries), self.num_heads),  # (B, T, Dq) -> (B, H, T, d)
            split_heads(self.W_k(keys), self.num_kv_heads),  # (B, S, Dk) -> (B, G, S, d)
            split_heads(self.W_v(values), self.num_kv_heads),  # (B, S, Dv) -> (B, G, S, d)
            mask,
            group=self.num_heads // self.num_kv_heads,
            is_causal=is_causal,
            dropout_p=self.dropout if self.training else 0.0,
            return_weights=return_weights,
        )
        output: Tensor = self.W_o(join_heads(heads))  # (B, H, T, d) -> (B, T, D)
        return output if weights is None else (output, weights)

    # --- weights from and to PyTorch's own module ---

    @classmethod
    def from_torch(cls, module: nn.MultiheadAttention) -> MultiHeadAttention:
        """Build a module with a copy of the weights of ``torch.nn.MultiheadAttention``.

        Args:
            module: PyTorch's module, batch first or not, with any ``kdim`` and ``vdim``.

        Returns:
            A module in the same dtype, on the same device and in the same mode. It takes batches
            first, and the negation of the other's boolean masks.

        Raises:
            ValueError: another kind of module, or one with ``add_bias_kv`` or ``add_zero_attn``,
                which put keys and values of their own before the sequence.
        """
        if not isinstance(module, nn.MultiheadAttention):
            raise ValueError(
                f"module: expected torch.nn.MultiheadAttention, got {type(module).__name__}"
            )
        if module.bias_k is not None or module.add_zero_attn:
            raise ValueError(
                "module: expected add_bias_kv=False and add_zero_attn=False, got "
                f"{module.bias_k is not None} and {module.add_zero_attn}"
            )
        weight = module.out_proj.weight
        ours = (
            cls(
                module.embed_dim,
                module.num_heads,
                key_size=module.kdim,
                value_size=module.vdim,
                bias=module.in_proj_bias is not None,
                dropout=module.dropout,
            )
            .to(weight.device, weight.dtype)
            .train(module.training)
        )
        with torch.no_grad():
            for own, other in zip(_tensors(ours), _torch_tensors(module), strict=True):
                own.copy_(other)
        return ours

    def to_torch(self) -> nn.MultiheadAttention:
        """Build a batch-first ``torch.nn.MultiheadAttention`` with a copy of the weights.

        Returns:
            PyTorch's module in the same dtype, on the same device and in the same mode.

        Raises:
            ValueError: PyTorch's module takes queries as wide as ``embed_dim`` only, and has no
                groups (:func:`with_kv_heads` repeats their keys and values).
        """
        if self.num_kv_heads != self.num_heads:
            raise ValueError(
                f"num_kv_heads: expected num_heads = {self.num_heads}, got {self.num_kv_heads}"
            )
        if self.W_q.in_features != self.embed_dim:
            raise ValueError(
                f"query_size: expected embed_dim = {self.embed_dim}, got {self.W_q.in_features}"
            )
        weight = self.W_o.weight
        module = nn.MultiheadAttention(
            self.embed_dim,
            self.num_heads,
            dropout=self.dropout,
            bias=self.W_o.bias is not None,
            kdim=self.W_k.in_features,
            vdim=self.W_v.in_features,
            batch_first=True,
            device=weight.device,
            dtype=weight.dtype,
        ).train(self.training)
        with torch.no_grad():
            for own, other in zip(_tensors(self), _torch_tensors(module), strict=True):
                other.copy_(own)
        return module


def check_kv_heads(num_kv_heads: int, num_heads: int) -> None:
    """Raise ValueError unless groups of equal size share the heads of keys and values."""
    if num_heads % num_kv_heads:
        raise ValueError(
            f"num_kv_heads: expected a divisor of num_heads = {num_heads}, got {num_kv_heads}"
        )


def _tensors(module: MultiHeadAttention) -> list[Tensor]:
    layers = (module.W_q, module.W_k, module.W_v, module.W_o)
    biases = [layer.bias for layer in layers if layer.bias is not None]
    return [layer.weight for layer in layers] + biases


def _torch_tensors(module: nn.MultiheadAttention) -> list[Tensor]:
    """Weights, then biases, in the order of :func:`_tensors`; slices are views."""
    named = dict(module.named_parameters())  # only those that exist
    if "in_proj_weight" in named:  # packed: D rows each for q, k, v
        weights = list(named["in_proj_weight"].chunk(3))
    else:
        weights = [named[f"{x}_proj_weight"] for x in "qkv"]
    weights.append(named["out_proj.weight"])
    if "in_proj_bias" in named:
        weights += [*named["in_proj_bias"].chunk(3), named["out_proj.bias"]]
    return weights
