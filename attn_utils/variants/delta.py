"""The delta rule: a memory matrix that overwrites what it knows about a key, and can forget.

Shapes: T tokens, d width of queries and keys, dv width of values, C tokens in a chunk; ``…`` stands
for any leading axes, as a rule B and H.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attn_utils.core.arguments import (
    check_same_length,
    check_size,
    check_tensors,
    check_width,
    has_values,
)

__all__ = ["delta_rule", "delta_rule_chunkwise"]


def delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    decay: Tensor | None = None,
    *,
    state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Write and read, token by token: ``S ← αS + β k (v − kᵀ αS)``, then ``output = qᵀ S``.

    Linear attention adds ``k vᵀ`` to its memory for ever. Here the memory is asked first what it
    would answer to k, and only the difference to v is written: with β = 1 and a key of length 1,
    ``kᵀ S`` is v afterwards, whatever it was. The decay α < 1 lets all of the memory fade before
    each write: the gated delta rule.

    Args:
        q: (…, T, d), the queries; they are not scaled.
        k: (…, T, d), the keys, of length 1 as a rule; with longer ones the memory can explode.
        v: (…, T, dv), the values.
        beta: (…, T), how much of the difference is written, from 0 to 1.
        decay: (…, T), α, above 0 and at most 1; None is 1, the delta rule without a gate.
        state: (…, d, dv), the memory at the beginning; by default 0.

    Returns:
        The output (…, T, dv), and the memory after each token (…, T, d, dv), whose last matrix is
        the ``state`` with which a text goes on.

    Example:
        >>> import torch
        >>> from attn_utils import delta_rule
        >>> k = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
        >>> v = torch.tensor([[5.0], [6.0], [7.0]])  # the third overwrites the first
        >>> output, states = delta_rule(k, k, v, beta=torch.ones(3))
        >>> states[-1]
        tensor([[7.],
                [6.]])

    References:
        Schlag et al. (2021). Linear transformers are secretly fast weight programmers,
        arXiv:2102.11174. Yang et al. (2024). Gated delta networks: improving Mamba2 with delta
        rule, arXiv:2412.06464.
    """
    decay, S = _check_inputs(q, k, v, beta, decay, state)
    states = []
    for t in range(q.shape[-2]):
        S = decay[..., t, None, None] * S
        key = k[..., t, :, None]  # (…, d, 1)
        error = v[..., t, None, :] - key.transpose(-2, -1) @ S  # (…, 1, dv)
        S = S + beta[..., t, None, None] * (key @ error)
        states.append(S)
    memory = torch.stack(states, -3)  # (…, T, d, dv)
    return (q.unsqueeze(-2) @ memory).squeeze(-2), memory


def delta_rule_chunkwise(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    decay: Tensor | None = None,
    *,
    state: Tensor | None = None,
    chunk_size: int = 64,
) -> tuple[Tensor, Tensor]:
    """Compute :func:`delta_rule` chunk by chunk, by matrix products in place of T steps.

    What token i writes, u_i, depends on what the earlier ones of its chunk wrote: a triangular
    system, ``(I + L) u = β (v − (∏α) k S)`` with ``L_ij = β_i (∏α) k_i · k_j`` for j < i, solved
    at once. Then the chunk is masked linear attention with the values u.

    Args:
        q: (…, T, d), as for :func:`delta_rule`, and so are the others.
        k: (…, T, d).
        v: (…, T, dv).
        beta: (…, T).
        decay: (…, T).
        state: (…, d, dv).
        chunk_size: C, tokens in a chunk.

    Returns:
        The output (…, T, dv), and the memory after the last token (…, d, dv).

    Example:
        >>> import torch
        >>> from attn_utils import delta_rule, delta_rule_chunkwise
        >>> q, k, v = torch.randn(3, 10, 4)
        >>> k = torch.nn.functional.normalize(k, dim=-1)
        >>> beta, decay = torch.rand(10), 1 - 0.5 * torch.rand(10)
        >>> output, states = delta_rule(q, k, v, beta, decay)
        >>> chunked, state = delta_rule_chunkwise(q, k, v, beta, decay, chunk_size=4)
        >>> torch.allclose(chunked, output, atol=1e-5)
        True
        >>> torch.allclose(state, states[-1], atol=1e-5)
        True

    References:
        Yang et al. (2024). Parallelizing linear transformers with the delta rule over sequence
        length, arXiv:2406.06484; gated: arXiv:2412.06464.
    """
    decay, S = _check_inputs(q, k, v, beta, decay, state)
    chunk_size = check_size("chunk_size", chunk_size)
    outputs = []
    for t in range(0, q.shape[-2], chunk_size):
        near = slice(t, t + chunk_size)
        queries, keys, values = (x[..., near, :] for x in (q, k, v))
        logs = decay[..., near].log().cumsum(-1)  # of α_1 ⋯ α_i
        # the decay from j to i by a difference: a quotient of the products could be 0 / 0
        between = (logs.unsqueeze(-1) - logs.unsqueeze(-2)).tril().exp().tril()  # (…, C, C)
        since = logs.exp().unsqueeze(-1)  # (…, C, 1), the decay since the chunk began
        strength = beta[..., near, None]
        system = strength * between * (keys @ keys.transpose(-2, -1))  # its diagonal counts as 1
        wanted = strength * (values - since * (keys @ S))
        written = torch.linalg.solve_triangular(system, wanted, upper=False, unitriangular=True)
        scores = between * (queries @ keys.transpose(-2, -1))
        outputs.append(since * (queries @ S) + scores @ written)
        left = between[..., -1, :, None]  # (…, C, 1), what is left of each write at the end
        S = since[..., -1:, :] * S + (left * keys).transpose(-2, -1) @ written
    return torch.cat(outputs, -2), S


def _check_inputs(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, decay: Tensor | None, state: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the decay and the first memory, after checks of everything."""
    check_tensors(q=q, k=k, v=v)
    check_width("k", k, q.shape[-1])
    check_same_length(q, k, ("q", "k"))
    check_same_length(q, v, ("q", "v"))
    decay = torch.ones_like(beta) if decay is None else decay
    for name, x in (("beta", beta), ("decay", decay)):
        if x.shape != q.shape[:-1] or x.dtype != q.dtype:
            raise ValueError(
                f"{name}: expected {q.dtype} of shape (…, T) = {tuple(q.shape[:-1])}, got "
                f"{x.dtype} of shape {tuple(x.shape)}"
            )
    if has_values(decay) and not ((decay > 0) & (decay <= 1)).all():
        raise ValueError("decay: expected numbers above 0 and at most 1, got others among them")
    shape = (*q.shape[:-2], q.shape[-1], v.shape[-1])
    if state is None:
        return decay, q.new_zeros(shape)
    if state.shape != shape or state.dtype != q.dtype:
        raise ValueError(
            f"state: expected {q.dtype} of shape (…, d, dv) = {shape}, got {state.dtype} of shape "
            f"{tuple(state.shape)}"
        )
    return decay, state
