"""Masks: what may be attended. The one place where the book's mask rules are written down.

**Meaning.** A mask is boolean and **True means: may be attended**. PyTorch's
``scaled_dot_product_attention`` and Keras agree; ``nn.MultiheadAttention`` means the opposite. A
mask of another dtype is an error, never a guess.

**Shape.** Scores have the shape (B, T, S) or, with heads, (B, H, T, S): batch, heads, queries,
keys. How a mask fits is decided by its *number of axes* alone, never by sizes that happen to be
equal (B == H, B == T):

======================  ===========================  ==========================================
mask                    against scores               is read as
======================  ===========================  ==========================================
(S,)                    any                          one rule for all queries
(T, S)                  any                          one rule for all batch items and heads
(B, T, S)               (B, T, S)                    itself
(B, T, S)               (B, H, T, S)                 (B, 1, T, S): the head axis is inserted
(B, H, T, S)            (B, H, T, S)                 itself
======================  ===========================  ==========================================

Axes of size 1 broadcast: one rule for each batch item is (B, 1, S), not (B, S); one for each head
is (1, H, T, S), not (H, T, S). With more leading axes the head axis is still the third from last.

**Nothing to attend to.** A query whose keys are all masked has weights of exactly 0, hence an
output of 0, and finite gradients. It gets neither NaN (a softmax over −∞ only) nor the average of
the padding (a softmax over a large negative number only).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .arguments import check_range, check_size, is_exported
from .precision import working_dtype

__all__ = ["causal_mask", "length_mask", "masked_softmax"]

_INTEGERS = (torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8)


def length_mask(valid_lens: Tensor, num_keys: int) -> Tensor:
    """Let a query attend to the first ``valid_lens`` keys: ``mask[…, s] = s < valid_lens``.

    Args:
        valid_lens: integers from 0 to ``num_keys``; (B,) is one length for each sequence, (B, T)
            one for each query.
        num_keys: S, the number of keys, at least 1.

    Returns:
        A boolean mask on the device of ``valid_lens``, (B, 1, S) for (B,) and (B, T, S) for
        (B, T).

    Raises:
        ValueError: lengths outside 0 … ``num_keys``; not where the values cannot be looked at, as
            while torch compiles or exports. A length above is S there.

    Example:
        >>> import torch
        >>> from attn_utils import length_mask
        >>> mask = length_mask(torch.tensor([1, 3]), num_keys=3)  # two sequences
        >>> mask.shape
        torch.Size([2, 1, 3])
        >>> mask.int().tolist()
        [[[1, 0, 0]], [[1, 1, 1]]]
    """
    num_keys = check_size("num_keys", num_keys)
    if not isinstance(valid_lens, Tensor):
        raise ValueError(f"valid_lens: expected a tensor, got {type(valid_lens).__name__}")
    shape = tuple(valid_lens.shape)
    if valid_lens.dtype not in _INTEGERS or valid_lens.ndim not in (1, 2):
        raise ValueError(
            f"valid_lens: expected integers of shape (B,) or (B, T), got {valid_lens.dtype} of "
            f"shape {shape}"
        )
    check_range("valid_lens", valid_lens, "lengths", 0, num_keys)
    if valid_lens.ndim == 1:
        valid_lens = valid_lens.unsqueeze(1)  # (B,) -> (B, 1)
    position = torch.arange(num_keys, device=valid_lens.device)  # (S,)
    return position < valid_lens.unsqueeze(-1)  # (S,) < (B, T, 1) -> (B, T, S)


def causal_mask(
    num_queries: int,
    num_keys: int | None = None,
    *,
    align: str = "top-left",
    device: torch.device | str | None = None,
) -> Tensor:
    """Let a query attend to the past and to itself: ``mask[t, s] = s <= t``.

    When there are as many queries as keys, both alignments are the same lower triangle.

    Args:
        num_queries: T.
        num_keys: S; by default T.
        align: "top-left": the *first* query sees the first key, as in PyTorch and Keras.
            "bottom-right": the *last* query sees the last key, ``s <= t + S − T``; right when the
            queries are the newest T of S tokens whose keys are cached. With T > S it leaves the
            first T − S queries nothing to attend to.
        device: where to put the mask.

    Returns:
        A boolean mask (T, S).

    Example:
        >>> from attn_utils import causal_mask
        >>> causal_mask(3).int()
        tensor([[1, 0, 0],
                [1, 1, 0],
                [1, 1, 1]], dtype=torch.int32)
        >>> causal_mask(1, 3, align="bottom-right")  # the newest token sees all
        tensor([[True, True, True]])
    """
    num_queries = check_size("num_queries", num_queries, 0)
    num_keys = num_queries if num_keys is None else check_size("num_keys", num_keys, 0)
    if align not in ("top-left", "bottom-right"):
        raise ValueError(f'align: expected "top-left" or "bottom-right", got {align!r}')
    diagonal = 0 if align == "top-left" else num_keys - num_queries
    mask = torch.ones(num_queries, num_keys, dtype=torch.bool, device=device)
    return mask.tril(diagonal)


def masked_softmax(scores: Tensor, mask: Tensor | None = None, dim: int = -1) -> Tensor:
    """Softmax over what the mask allows: ``exp(s_i) / Σ_{j allowed} exp(s_j)``, 0 elsewhere.

    Masked weights are exactly 0, and so are all weights of a row without an allowed entry; their
    gradients are 0. A NaN score makes the allowed entries of its row NaN and no others.

    Args:
        scores: floating-point numbers of any shape, (B, T, S) or (B, H, T, S) as a rule; not
            changed.
        mask: boolean, True = allowed, in a shape that the table above lists.
        dim: the axis along which the weights sum to 1.

    Returns:
        The weights, in shape and dtype of the scores. float16 and bfloat16 are computed in
        float32.

    Example:
        >>> import torch
        >>> from attn_utils import masked_softmax
        >>> scores = torch.tensor([[1.0, 1.0, 9.0], [1.0, 1.0, 9.0]])
        >>> mask = torch.tensor([[True, True, False], [False, False, False]])
        >>> masked_softmax(scores, mask)  # the second row has nothing to attend to
        tensor([[0.5000, 0.5000, 0.0000],
                [0.0000, 0.0000, 0.0000]])
    """
    if not isinstance(scores, Tensor) or not scores.is_floating_point():
        got = scores.dtype if isinstance(scores, Tensor) else type(scores).__name__
        raise ValueError(f"scores: expected floating-point numbers, got {got}")
    if not -scores.ndim <= dim < scores.ndim:
        raise ValueError(f"dim: expected an axis of scores {tuple(scores.shape)}, got {dim}")
    if scores.shape[dim] == 0:
        raise ValueError(
            f"scores: expected at least one entry along axis {dim}, got shape {tuple(scores.shape)}"
        )
    if mask is not None:
        mask = broadcast_mask(mask, scores.shape)
    return softmax(scores, mask, dim)


def broadcast_mask(mask: Tensor, shape: Sequence[int], name: str = "mask") -> Tensor:
    """Give a mask as many axes as the scores, so that it broadcasts, by the table above.

    Args:
        mask: boolean, True = may be attended.
        shape: shape of the scores, (…, T, S); with four or more axes the third from last counts
            the heads.
        name: what error messages call the mask.

    Returns:
        A view of the mask with ``len(shape)`` axes that broadcasts to ``shape``.
    """
    shape = tuple(shape)
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        got = f"{mask.dtype}" if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(f"{name}: expected a boolean tensor (True = may be attended), got {got}")
    fitted = mask
    if len(shape) >= 4 and fitted.ndim == len(shape) - 1:
        fitted = fitted.unsqueeze(-3)  # (B, T, S) -> (B, 1, T, S)
    if fitted.ndim <= 2:
        fitted = fitted[(None,) * (len(shape) - fitted.ndim)]  # (T, S) -> (1, …, T, S)
    fits = fitted.ndim == len(shape) and all(
        have in (1, want) for have, want in zip(fitted.shape, shape, strict=True)
    )
    if not fits:
        advice = ""
        if len(shape) >= 3 and tuple(mask.shape) == (shape[0], shape[-1]):
            advice = f"; a (B, S) mask needs an axis for the queries: {name}.unsqueeze(1)"
        raise ValueError(
            f"{name}: expected a shape that fits scores of shape {shape}, got "
            f"{tuple(mask.shape)}{advice}"
        )
    return fitted


def join_masks(
    shape: Sequence[int], mask: Tensor | None, valid_lens: Tensor | None = None
) -> Tensor | None:
    """Join a mask and lengths to one mask that broadcasts to scores of ``shape`` (B, H, T, S)."""
    if mask is not None:
        mask = broadcast_mask(mask, shape)
    if valid_lens is None:
        return mask
    inside = length_mask(valid_lens, shape[-1]).unsqueeze(1)  # (B, 1, 1 or T, S)
    B, T = shape[0], shape[-2]
    if tuple(valid_lens.shape) not in ((B,), (B, T)):
        raise ValueError(
            f"valid_lens: expected shape {(B,)} or {(B, T)} to fit the queries, got "
            f"{tuple(valid_lens.shape)}"
        )
    return inside if mask is None else inside & mask


def softmax(scores: Tensor, mask: Tensor | None, dim: int = -1, *, inplace: bool = False) -> Tensor:
    """:func:`masked_softmax` without its checks, for a mask from :func:`broadcast_mask`.

    ``inplace=True`` hands the scores over: they are overwritten where no gradient needs them, so
    that inference holds one score matrix instead of two.
    """
    dtype = scores.dtype
    if dtype != working_dtype(dtype):
        scores, inplace = scores.to(working_dtype(dtype)), True
    inplace = inplace and not (scores.requires_grad or is_exported())
    if mask is None:
        return (_softmax_(scores, dim) if inplace else torch.softmax(scores, dim)).to(dtype)

    # A softmax over −∞ only would be NaN, and so would its gradient, whatever is put in its place
    # afterwards. So a fully masked row keeps its finite scores and is set to 0 at the end; its
    # gradient stops there.
    fully_masked = ~mask.any(dim, keepdim=True)  # (…, T, 1)
    hidden = ~(mask | fully_masked)  # (…, T, S)
    if inplace:
        weights = _softmax_(scores.masked_fill_(hidden, -math.inf), dim)
        return weights.masked_fill_(~mask, 0.0).to(dtype)
    weights = torch.softmax(scores.masked_fill(hidden, -math.inf), dim)
    return weights.masked_fill(~mask, 0.0).to(dtype)


def sharp_softmax(scores: Tensor, factor: float) -> Tensor:
    """``softmax(factor · scores)`` over the last axis for any finite factor, by differences.

    The largest product is subtracted before it is formed, so that none overflows: it becomes a 0.
    """
    limits = torch.finfo(working_dtype(scores.dtype))
    factor = max(-limits.max, min(factor, limits.max))
    scores = scores.to(working_dtype(scores.dtype))
    top = scores.amax(-1, keepdim=True) if factor >= 0 else scores.amin(-1, keepdim=True)
    return torch.softmax((scores - top.detach()) * factor, -1)


def _softmax_(scores: Tensor, dim: int) -> Tensor:
    """Softmax in the memory of its argument."""
    try:
        return torch.softmax(scores, dim, out=scores)  # one pass over the memory instead of five
    except RuntimeError:  # vmap and forward-mode gradients know no out=
        pass
    scores.sub_(scores.amax(dim, keepdim=True)).exp_()
    return scores.div_(scores.sum(dim, keepdim=True))
