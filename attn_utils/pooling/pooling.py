"""Attention pooling by kernel regression: the query decides which values count.

Shapes throughout: ``queries`` (T,); ``keys`` and ``values`` either (S,), shared by all queries, or
(T, S), one row for each query. The output has shape (T,), the weights (T, S).
"""

from __future__ import annotations

from typing import Literal, overload

import torch
from torch import Tensor, nn

from attn_utils.core.arguments import has_values
from attn_utils.core.precision import common_dtype, without_autocast, working_dtype
from attn_utils.core.recording import record

from .kernels import gaussian_weights, kernel_weights, one_number, overflows

__all__ = [
    "NWKernelRegression",
    "average_pooling",
    "leave_one_out_error",
    "nadaraya_watson",
]


@overload
def average_pooling(
    queries: Tensor, keys: Tensor, values: Tensor, *, return_weights: Literal[False] = ...
) -> Tensor: ...
@overload
def average_pooling(
    queries: Tensor, keys: Tensor, values: Tensor, *, return_weights: Literal[True]
) -> tuple[Tensor, Tensor]: ...
@overload
def average_pooling(
    queries: Tensor, keys: Tensor, values: Tensor, *, return_weights: bool
) -> Tensor | tuple[Tensor, Tensor]: ...
def average_pooling(
    queries: Tensor, keys: Tensor, values: Tensor, *, return_weights: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """Answer every query with the mean of the values: attention that ignores query and keys.

    Every weight is 1/S.

    Args:
        queries: (T,); only their number matters.
        keys: (S,) or (T, S); only their number matters.
        values: (S,) or (T, S).
        return_weights: also return the weights.

    Returns:
        The output (T,), or output and weights (T, S).

    Example:
        >>> import torch
        >>> from attn_utils import average_pooling
        >>> queries, keys = torch.tensor([0.0, 5.0]), torch.tensor([1.0, 2.0, 3.0])
        >>> average_pooling(queries, keys, torch.tensor([3.0, 6.0, 9.0]))
        tensor([6., 6.])
    """
    dtype = _check(queries, keys, values)
    shape = (queries.shape[0], keys.shape[-1])  # (T, S)
    weights = torch.full(shape, 1 / shape[1], dtype=working_dtype(dtype), device=values.device)
    return _pool(weights, values, dtype, return_weights)


@overload
def nadaraya_watson(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    kernel: str = ...,
    bandwidth: float | Tensor = ...,
    return_weights: Literal[False] = ...,
) -> Tensor: ...
@overload
def nadaraya_watson(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    kernel: str = ...,
    bandwidth: float | Tensor = ...,
    return_weights: Literal[True],
) -> tuple[Tensor, Tensor]: ...
@overload
def nadaraya_watson(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    kernel: str = ...,
    bandwidth: float | Tensor = ...,
    return_weights: bool,
) -> Tensor | tuple[Tensor, Tensor]: ...
def nadaraya_watson(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    kernel: str = "gaussian",
    bandwidth: float | Tensor = 1.0,
    return_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Kernel regression: average the values, weighted by the keys' closeness to the query.

    ``f(x) = Σ_i α(x, x_i) y_i`` with ``α(x, x_i) = K(u_i) / Σ_j K(u_j)`` and
    ``u_i = (x − x_i) / bandwidth``. For the Gaussian kernel α is the softmax of −u²/2, and is
    computed as such: far from all keys K underflows to 0, the softmax does not.

    A compact kernel may find no key within one bandwidth of a query. There is nothing to attend
    to then: the row of weights is exactly 0 and so is the output.

    Args:
        queries: (T,), the points x, in the same unit as the keys.
        keys: (S,) or (T, S), the points x_i.
        values: (S,) or (T, S), the targets y_i.
        kernel: "gaussian", "boxcar" (K = 1/2), "triangular" (``1 − |u|``) or "epanechnikov"
            (3/4 (1 − u²)); the last three are 0 outside −1 ≤ u ≤ 1.
        bandwidth: width of the kernel in the unit of the keys, a number or a tensor with one
            element (which may require a gradient). Its gradient is 0 under "boxcar", whose
            weights are constant but for jumps.
        return_weights: also return the weights.

    Returns:
        The output (T,), or output and weights (T, S), in the dtype of the inputs. float16 and
        bfloat16 are computed in float32.

    Raises:
        ValueError: NaN or infinity in the inputs, or a bandwidth so small that
            (x − x_i) / bandwidth overflows.

    Example:
        >>> import torch
        >>> from attn_utils import nadaraya_watson
        >>> keys, values = torch.tensor([0.0, 1.0, 4.0]), torch.tensor([2.0, 4.0, 8.0])
        >>> queries = torch.tensor([0.5, 4.0, 9.0])
        >>> output, weights = nadaraya_watson(
        ...     queries, keys, values, kernel="boxcar", return_weights=True
        ... )
        >>> weights  # no key lies within one bandwidth of 9
        tensor([[0.5000, 0.5000, 0.0000],
                [0.0000, 0.0000, 1.0000],
                [0.0000, 0.0000, 0.0000]])
        >>> output
        tensor([3., 8., 0.])
        >>> nadaraya_watson(queries, keys, values)[2].item()  # the Gaussian has no edge
        8.0

    References:
        Nadaraya, E. A. (1964). On estimating regression. Theory of Probability & Its
        Applications 9(1). Watson, G. S. (1964). Smooth regression analysis. Sankhyā A 26(4).
    """
    dtype = _check(queries, keys, values)
    weights = kernel_weights(_differences(queries, keys, dtype), kernel, bandwidth)
    return _pool(weights, values, dtype, return_weights)


class NWKernelRegression(nn.Module):
    """Kernel regression with a learnable width: ``α = softmax(−((x − x_i) w)² / 2)``.

    The one parameter ``w``, of shape (1,), is the inverse of the Gaussian's bandwidth: a large
    ``w`` means a narrow kernel and sharp weights, ``w = 0`` means average pooling. Its sign does
    not matter.

    To learn ``w``, let each training point attend to all *other* points (keys and values of shape
    (n, n − 1)). A point that may attend to itself predicts itself, and ``w`` grows without limit.

    Args:
        w: where to start, a finite number or a tensor with one element; by default drawn
            uniformly from [0, 1).

    Example:
        >>> import torch
        >>> from attn_utils import NWKernelRegression
        >>> queries, keys = torch.tensor([0.0]), torch.tensor([0.0, 1.0])
        >>> values = torch.tensor([2.0, 6.0])
        >>> for w in (0.0, 1.0, 10.0):  # from average pooling to the nearest key
        ...     print(f"{NWKernelRegression(w)(queries, keys, values).item():.2f}")
        4.00
        3.51
        2.00

    References:
        Nadaraya (1964) and Watson (1964), see :func:`nadaraya_watson`.
    """

    def __init__(self, w: float | Tensor | None = None) -> None:
        super().__init__()
        if w is None:
            start = torch.rand(1)
        else:
            start = one_number("w", w).detach().clone().reshape(1)
            if not isinstance(w, Tensor):
                start = start.to(torch.get_default_dtype())
            if has_values(start) and not bool(start.isfinite().all()):
                raise ValueError(f"w: expected a finite number, got {start.item()}")
        self.w = nn.Parameter(start)

    def forward(
        self, queries: Tensor, keys: Tensor, values: Tensor, *, return_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Predict the value at each query.

        Args:
            queries: (n,).
            keys: (n, m), a row for each query, or (m,), shared by all.
            values: (n, m) or (m,).
            return_weights: also return the weights.

        Returns:
            The prediction (n,), or prediction and weights (n, m).
        """
        dtype = _check(queries, keys, values)
        u = _differences(queries, keys, dtype) * self.w.to(working_dtype(dtype))  # (n, m)
        if overflows(u):
            raise ValueError(
                f"w: expected one so small that (x − x_i) w is finite in {u.dtype}, got "
                f"{self.w.item()}"
            )
        return _pool(gaussian_weights(u), values, dtype, return_weights)


def leave_one_out_error(
    keys: Tensor, values: Tensor, *, kernel: str = "gaussian", bandwidth: float | Tensor = 1.0
) -> Tensor:
    """Mean squared error when each value is predicted from all the others.

    ``1/n Σ_i (y_i − f₋ᵢ(x_i))²``, where f₋ᵢ is the kernel regression without the pair i. Its
    minimum over the bandwidth is a good choice of bandwidth.

    Args:
        keys: (n,), n ≥ 2.
        values: (n,).
        kernel: see :func:`nadaraya_watson`.
        bandwidth: see :func:`nadaraya_watson`; the error is differentiable in it.

    Returns:
        A scalar tensor in the squared unit of the values. Where a compact kernel finds no other
        key in its window the prediction is 0, and the error counts it as such.

    Example:
        >>> import torch
        >>> from attn_utils import leave_one_out_error
        >>> keys = torch.tensor([0.0, 1.0, 2.0, 3.0])
        >>> values = torch.tensor([0.0, 0.0, 6.0, 6.0])
        >>> for bandwidth in (0.1, 1.0, 100.0):
        ...     error = leave_one_out_error(keys, values, bandwidth=bandwidth)
        ...     print(f"{error.item():.1f}")
        4.5
        6.1
        16.0
    """
    for name, tensor in (("keys", keys), ("values", values)):
        _check_tensor(name, tensor)
        if tensor.ndim != 1 or tensor.shape != keys.shape or tensor.shape[0] < 2:
            raise ValueError(
                f"{name}: expected keys and values of one shape (n,) with n >= 2, got keys "
                f"{tuple(keys.shape)} and values {tuple(values.shape)}"
            )
    others, other_values = _all_others(keys), _all_others(values)  # (n, n − 1)
    dtype = _check(keys, others, other_values)
    weights = kernel_weights(_differences(keys, others, dtype), kernel, bandwidth)
    prediction = (weights * other_values.to(weights.dtype)).sum(dim=-1)  # (n,)
    return (prediction - values.to(weights.dtype)).square().mean().to(dtype)


def _all_others(x: Tensor) -> Tensor:
    """(n,) -> (n, n − 1); row i holds all entries but the i-th."""
    n = x.shape[0]
    column = torch.arange(n - 1, device=x.device)
    row = torch.arange(n, device=x.device).unsqueeze(1)  # (n, 1)
    return x[column + (column >= row)]  # from the diagonal on, one further: (n, n − 1)


def _differences(queries: Tensor, keys: Tensor, dtype: torch.dtype) -> Tensor:
    working = working_dtype(dtype)
    return queries.to(working).unsqueeze(-1) - keys.to(working)  # (T, 1) − ([T,] S) -> (T, S)


def _pool(
    weights: Tensor, values: Tensor, dtype: torch.dtype, return_weights: bool
) -> Tensor | tuple[Tensor, Tensor]:
    values, weights = values.to(weights.dtype), record(weights)
    with without_autocast(weights):
        if values.ndim == 1:
            output = weights @ values  # (T, S) @ (S,) -> (T,)
        else:
            # one product per query: (T, 1, S) @ (T, S, 1) -> (T, 1, 1) -> (T,)
            output = torch.bmm(weights.unsqueeze(1), values.unsqueeze(2)).flatten()
    output, weights = output.to(dtype), weights.to(dtype)
    return (output, weights) if return_weights else output


def _check(queries: Tensor, keys: Tensor, values: Tensor) -> torch.dtype:
    """Raise ValueError unless the three fit together; return their common dtype."""
    named = (("queries", queries), ("keys", keys), ("values", values))
    for name, tensor in named:
        _check_tensor(name, tensor)
    if queries.ndim != 1:
        raise ValueError(f"queries: expected shape (T,), got {tuple(queries.shape)}")
    num_queries = queries.shape[0]
    for name, tensor in named[1:]:
        fits = tensor.ndim == 1 or (tensor.ndim == 2 and tensor.shape[0] == num_queries)
        if not fits:
            raise ValueError(
                f"{name}: expected shape (S,) or (T, S) with T = {num_queries} queries, "
                f"got {tuple(tensor.shape)}"
            )
        if tensor.shape[-1] == 0:
            raise ValueError(f"{name}: expected at least one, got shape {tuple(tensor.shape)}")
    if keys.shape[-1] != values.shape[-1]:
        raise ValueError(
            f"values: expected one for each of the {keys.shape[-1]} keys of shape "
            f"{tuple(keys.shape)}, got shape {tuple(values.shape)}"
        )
    for name, tensor in named[1:]:
        if tensor.device != queries.device:
            raise ValueError(
                f"{name}: expected the queries' device {queries.device}, got {tensor.device}"
            )
    return common_dtype(queries, keys, values)


def _check_tensor(name: str, tensor: Tensor) -> None:
    if not isinstance(tensor, Tensor):
        raise ValueError(f"{name}: expected a tensor, got {type(tensor).__name__}")
    if not tensor.is_floating_point():
        raise ValueError(
            f"{name}: expected floating-point numbers, got {tensor.dtype} of shape "
            f"{tuple(tensor.shape)}"
        )
    if has_values(tensor) and not bool(tensor.isfinite().all()):
        count = int((~tensor.isfinite()).sum())
        raise ValueError(
            f"{name}: expected finite numbers, got {count} NaN or infinite in shape "
            f"{tuple(tensor.shape)}"
        )
