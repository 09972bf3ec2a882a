"""Multi-head attention as Keras defines it, in PyTorch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, SupportsIndex

import torch
from torch import Tensor, nn

from attn_utils.core.arguments import (
    check_probability,
    check_same_length,
    check_size,
    check_sizes,
    check_tensors,
    check_width,
)
from attn_utils.core.attend import attend, join_heads
from attn_utils.core.masks import broadcast_mask

__all__ = ["KerasMultiHeadAttention"]


class KerasMultiHeadAttention(nn.Module):
    """``keras.layers.MultiHeadAttention`` with the same weights gives the same numbers.

    In the letters of ``torch.einsum``, with a batch, b position, c feature, d head, e width:

    1. projections, ``abc,cde->abde``: each head gets its own queries, keys and values;
    2. scores, ``aecd,abcd->acbe`` with keys before queries, divided by √K, softmax over the keys,
       and values averaged under the weights, ``acbe,aecd->abcd``;
    3. output, ``abcd,cde->abe``: all heads together, mapped to the output's width.

    It is computed with matrix products, since a kernel (Dq, H, K) is a matrix (Dq, H · K) whose
    columns have two names. Attention itself has no parameters; there are
    H K (Dq + Dk + 2) + H V (Dv + 1) + (H V + 1) O, of which the last 1 in each bracket, and the 2,
    are biases.

    Unlike Keras's layer, a query with nothing to attend to has weights of exactly 0 (Keras answers
    with the average of the masked values or with 0, depending on its path), and masks have to be
    boolean.

    Args:
        num_heads: H.
        key_dim: K, width of a query and of a key within a head.
        value_dim: V, width of a value within a head; by default K.
        dropout: probability of dropping a weight in training.
        use_bias: whether projections and output have a bias.
        output_shape: O, a size or several (then the output is ``(B, T, *output_shape)``); by
            default query_size.
        query_size: Dq, width of the query. Keras finds out at the first call.
        value_size: Dv, width of the value.
        key_size: Dk, width of the key; by default Dv.

    Example:
        >>> import torch
        >>> from attn_utils import KerasMultiHeadAttention
        >>> attention = KerasMultiHeadAttention(2, 3, query_size=8, value_size=6)
        >>> query, value = torch.rand(4, 5, 8), torch.rand(4, 7, 6)
        >>> output, weights = attention(query, value, return_attention_scores=True)
        >>> output.shape, weights.shape
        (torch.Size([4, 5, 8]), torch.Size([4, 2, 5, 7]))
        >>> attention.query_kernel.shape, attention.output_kernel.shape
        (torch.Size([8, 2, 3]), torch.Size([2, 3, 8]))

    References:
        Vaswani et al. (2017), section 3.2.2; Keras's API documentation, MultiHeadAttention.
    """

    query_bias: nn.Parameter | None
    key_bias: nn.Parameter | None
    value_bias: nn.Parameter | None
    output_bias: nn.Parameter | None

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        *,
        query_size: int,
        value_size: int,
        key_size: int | None = None,
    ) -> None:
        super().__init__()
        value_dim = key_dim if value_dim is None else value_dim
        key_size = value_size if key_size is None else key_size
        num_heads, key_dim, value_dim, query_size, value_size, key_size = check_sizes(
            num_heads=num_heads,
            key_dim=key_dim,
            value_dim=value_dim,
            query_size=query_size,
            value_size=value_size,
            key_size=key_size,
        )
        check_probability("dropout", dropout)
        if output_shape is None:
            output_shape = (query_size,)
        elif isinstance(output_shape, SupportsIndex):
            output_shape = (output_shape,)
        if not isinstance(output_shape, Sequence) or not output_shape:
            raise ValueError(
                f"output_shape: expected a size or a sequence of sizes, got {output_shape!r}"
            )
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.value_dim = value_dim
        self.dropout = dropout
        self.use_bias = use_bias
        self.output_shape = tuple(check_size("output_shape", size) for size in output_shape)

        H, K, V = num_heads, key_dim, value_dim
        self.query_kernel = nn.Parameter(torch.empty(query_size, H, K))
        self.key_kernel = nn.Parameter(torch.empty(key_size, H, K))
        self.value_kernel = nn.Parameter(torch.empty(value_size, H, V))
        self.output_kernel = nn.Parameter(torch.empty(H, V, *self.output_shape))
        biases = {"query": (H, K), "key": (H, K), "value": (H, V), "output": self.output_shape}
        for name, shape in biases.items():
            bias = nn.Parameter(torch.empty(shape)) if use_bias else None
            self.register_parameter(f"{name}_bias", bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights as Keras does: Glorot uniform, ±√(6 / (fan_in + fan_out)); biases 0.

        The fans are those of the matrices that the kernels stand for: Dq + H · K for the queries,
        H · V + O for the output. (Keras up to 3.12 computed them as if for a convolution, which
        gave smaller weights.)
        """
        with torch.no_grad():
            for name, kernel in self.named_parameters():
                if name.endswith("_bias"):
                    kernel.zero_()
                    continue
                inputs = 2 if name == "output_kernel" else 1  # axes that are summed over
                fans = math.prod(kernel.shape[:inputs]) + math.prod(kernel.shape[inputs:])
                bound = math.sqrt(6 / fans)
                kernel.uniform_(-bound, bound)

    def forward(
        self,
        query: Tensor,
        value: Tensor,
        key: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        use_causal_mask: bool = False,
        return_attention_scores: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Answer each query. Mind the order: query, value, key.

        Without ``return_attention_scores`` PyTorch's fused kernel is used.

        Args:
            query: (B, T, Dq).
            value: (B, S, Dv), S ≥ 1.
            key: (B, S, Dk); by default the value.
            attention_mask: boolean, True = may be attended: (B, T, S), (B, H, T, S), or what else
                :mod:`attn_utils.core.masks` lists.
            use_causal_mask: let query t attend to the keys s ≤ t only (top-left aligned), in
                addition to the mask.
            return_attention_scores: also return the weights, which Keras calls scores.

        Returns:
            The output ``(B, T, *output_shape)``, or output and weights (B, H, T, S) before dropout.
        """
        key = value if key is None else key
        check_tensors(query=query, value=value, key=key)
        if query.ndim != 3:
            raise ValueError(f"query: expected shape (B, T, Dq), got {tuple(query.shape)}")
        check_width("query", query, self.query_kernel.shape[0])
        check_width("value", value, self.value_kernel.shape[0])
        check_width("key", key, self.key_kernel.shape[0])
        check_same_length(value, key, ("value", "key"))
        if attention_mask is not None:
            scores_shape = (query.shape[0], self.num_heads, query.shape[1], key.shape[1])
            attention_mask = broadcast_mask(attention_mask, scores_shape, "attention_mask")

        heads, weights = attend(  # no names for q, k, v: they can be freed
            _project(query, self.query_kernel, self.query_bias),  # (B, T, Dq) -> (B, H, T, K)
            _project(key, self.key_kernel, self.key_bias),  # (B, S, Dk) -> (B, H, S, K)
            _project(value, self.value_kernel, self.value_bias),  # (B, S, Dv) -> (B, H, S, V)
            attention_mask,
            is_causal=use_causal_mask,
            dropout_p=self.dropout if self.training else 0.0,
            return_weights=return_attention_scores,
        )
        output = self._output(heads)
        return output if weights is None else (output, weights)

    def _output(self, heads: Tensor) -> Tensor:
        """'abcd,cde->abe' on heads that come as (B, H, T, V)."""
        joined = join_heads(heads)  # (B, H, T, V) -> (B, T, H · V)
        matrix = self.output_kernel.flatten(0, 1).flatten(1)  # (H, V, …) -> (H · V, O)
        bias = None if self.output_bias is None else self.output_bias.flatten()
        output = nn.functional.linear(joined, matrix.T, bias)  # (B, T, O)
        return output.reshape(*output.shape[:2], *self.output_shape)

    # --- weights from and to Keras's own layer ---

    @classmethod
    def from_keras(cls, layer: Any) -> KerasMultiHeadAttention:
        """Build a module with a copy of the weights of ``keras.layers.MultiHeadAttention``.

        Args:
            layer: Keras's layer on any backend, built (called once, or ``layer.build(…)``).

        Returns:
            A module with the layer's sizes, dropout and dtype, on the CPU, in evaluation mode, in
            which Keras's layer answers when nobody says that it trains.

        Raises:
            ValueError: a layer that is not built or does what this module does not: attention
                over other axes than the second, a gate, a sliding window.
        """
        config = _keras_config(layer)
        arrays = _keras_weights(layer)
        query, key, value, output = arrays[:: 2 if config["use_bias"] else 1]
        ours = cls(
            config["num_heads"],
            config["key_dim"],
            config["value_dim"],
            config["dropout"],
            config["use_bias"],
            tuple(output.shape[2:]),
            query_size=query.shape[0],
            value_size=value.shape[0],
            key_size=key.shape[0],
        )
        ours.to(getattr(torch, layer.variable_dtype))
        with torch.no_grad():
            for own, other in zip(ours._in_keras_order(), arrays, strict=True):
                own.copy_(other)
        return ours.eval()

    def to_keras(self, layer: Any) -> None:
        """Copy the weights into a ``keras.layers.MultiHeadAttention`` of the same sizes.

        Args:
            layer: Keras's layer on any backend, built; its weights are overwritten.

        Raises:
            ValueError: as for :meth:`from_keras`, or sizes that differ; nothing is copied then.
        """
        _keras_config(layer)
        own = self._in_keras_order()
        want = [tuple(x.shape) for x in own]
        have = [tuple(x.shape) for x in _keras_weights(layer)]
        if have != want:
            raise ValueError(f"layer: expected weights of shapes {want}, got {have}")
        layer.set_weights([x.detach().cpu().double().numpy() for x in own])

    def _in_keras_order(self) -> list[Tensor]:
        """Kernel and bias of query, key, value, output."""
        named = dict(self.named_parameters())
        parts = ("query", "key", "value", "output")
        names = [f"{part}_{kind}" for part in parts for kind in ("kernel", "bias")]
        return [named[name] for name in names if name in named]


def _project(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """'abc,cde->abde', with the heads before the positions: (B, n, D) -> (B, H, n, K)."""
    matrix = kernel.flatten(1)  # (D, H, K) -> (D, H · K), a view
    projected = nn.functional.linear(x, matrix.T, None if bias is None else bias.flatten())
    return projected.reshape(*x.shape[:2], *kernel.shape[1:]).transpose(1, 2)


def _keras_config(layer: Any) -> dict[str, Any]:
    if not (hasattr(layer, "get_config") and "key_dim" in layer.get_config()):
        raise ValueError(
            f"layer: expected keras.layers.MultiHeadAttention, got {type(layer).__name__}"
        )
    config: dict[str, Any] = layer.get_config()
    if not layer.built:
        raise ValueError("layer: expected a built layer, got one that was never called")
    for option, plain in (("attention_axes", (1,)), ("use_gate", False), ("sliding_window", None)):
        got = config.get(option, plain)
        got = tuple(got) if isinstance(got, list) else got
        if got != plain:
            raise ValueError(f"layer: expected {option}={plain!r}, got {got!r}")
    return config


def _keras_weights(layer: Any) -> list[Tensor]:
    return [torch.as_tensor(array.astype("float64")) for array in layer.get_weights()]
