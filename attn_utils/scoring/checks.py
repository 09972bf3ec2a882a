"""Self-checks of chapter 3, scoring functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from attn_utils.checks import Mistake, compare, exercise

_RULES = {
    "the weights do not change when the keys and values are shuffled": (
        "location",
        "only a rule that looks at no key of any value keeps its weights when these are shuffled",
    ),
    "it has no parameters": ("dot", "the other two have linear layers"),
    "query and key must have the same size": (
        (
            "dot",
            "the other two take vectors of different sizes",
        )
    ),
    "no key can get a score above a fixed bound": (
        (
            "additive",
            "which rule passes everything through a function that stays between -1 and 1?",
        )
    ),
    "the number of values is part of a weight's shape": (
        (
            "location",
            "which linear layer has one output for each value?",
        )
    ),
    "for a fixed query, the score is linear in the key": (
        (
            "dot",
            "tanh is not linear, and the location-based rule scores slots, not keys",
        )
    ),
}


@exercise("scoring.sort")
def _sort(answer: Any) -> None:
    """Exercise 3.1: which statement belongs to which rule."""
    if not isinstance(answer, Mapping):
        raise Mistake("give a dictionary: statement → rule")
    missing = [name for name in _RULES if name not in answer]
    if missing:
        raise Mistake(f"there is no answer for “{missing[0]}”")
    for name, (right, why) in _RULES.items():
        given = answer[name]
        given = given.strip().lower() if isinstance(given, str) else given
        if given in ("?", "", None, ...):
            raise Mistake(f"“{name}” is not answered yet")
        if given not in ("location", "additive", "dot"):
            raise Mistake(f"write 'location', 'additive' or 'dot', not {given!r}")
        if given != right:
            raise Mistake(f"“{name}”: not '{given}'; {why}")


@exercise("scoring.additive_scores")
def _additive_scores(answer: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Any]) -> None:
    """Exercise 3.2: additive scores (B, T, S) for many queries and keys."""
    g = torch.Generator().manual_seed(3)
    # T = S in the second case: shapes no longer tell queries from keys
    for T, S, dq, dk in ((3, 5, 4, 2), (4, 4, 3, 3)):
        q, k = torch.randn(2, T, dq, generator=g), torch.randn(2, S, dk, generator=g)
        W_q, W_k = torch.randn(6, dq, generator=g), torch.randn(6, dk, generator=g)
        w_v = torch.randn(6, generator=g)
        pairs = (q @ W_q.T)[:, :, None] + (k @ W_k.T)[:, None]  # (B, T, S, dh)
        want = torch.tanh(pairs) @ w_v
        mistakes = {
            "these are the weights; the exercise asks for the scores, before the softmax": (
                torch.softmax(want, dim=-1)
            ),
            "the tanh is missing: without it the score is a sum of a term of the query and a "
            "term of the key, and the query has no say in the order of the keys": pairs @ w_v,
            "tanh belongs to the hidden units, before the sum with w_v": torch.tanh(pairs @ w_v),
            "w_v is not used: weight the hidden units with it": torch.tanh(pairs).sum(dim=-1),
            "the scores are transposed: one row for each query, one column for each key": (
                want.transpose(1, 2)
            ),
            "query and key are added inside one tanh, not each in its own": (
                (torch.tanh(q @ W_q.T)[:, :, None] + torch.tanh(k @ W_k.T)[:, None]) @ w_v
            ),
            "this rule is not divided by √dh; tanh keeps its scores small": want / math.sqrt(6),
            "there is one number per hidden unit: take the sum with w_v over the last axis": (
                torch.tanh(pairs)
            ),
        }
        if dq == dk:
            swapped = (k @ W_q.T)[:, None] + (q @ W_k.T)[:, :, None]
            mistakes["W_q belongs to the queries and W_k to the keys: they are swapped"] = (
                torch.tanh(swapped) @ w_v
            )
            each = torch.tanh(q @ W_q.T + k @ W_k.T) @ w_v
            mistakes[
                "query t meets key t only: every query has to meet every key, "
                "(B, T, 1, dh) + (B, 1, S, dh)"
            ] = each
        compare(answer(q, k, W_q, W_k, w_v), want, "the scores", mistakes, tolerance=1e-5)


@exercise("scoring.masked_softmax")
def _masked_softmax(answer: Callable[[Tensor, Tensor], Any]) -> None:
    """Exercise 3.3: exact zeros, dead rows of zeros, finite gradients."""
    g = torch.Generator().manual_seed(4)
    _masked_weights(answer, torch.randn(3, 3, 3, generator=g))
    _masked_weights_beside_dead_rows(answer, torch.randn(3, 2, 4, generator=g))
    _masked_weights_of_extreme_scores(answer)


def _masked_weights(answer: Callable[[Tensor, Tensor], Any], scores: Tensor) -> None:
    # B = T = S: nothing is found by its shape alone; and whichever way the mask is turned, and
    # along whichever axis the softmax runs, something is visible, so that no NaN hides a mistake
    sees = torch.tensor([[True, True, False], [False, True, True], [True, False, True]])
    mask = torch.stack([sees, sees.roll(1, 0), sees.roll(2, 0)])
    filled = scores.masked_fill(~mask, -math.inf)
    got = answer(scores, mask)
    compare(
        got,
        filled.softmax(dim=-1),
        "the weights",
        {
            "the mask is not used": scores.softmax(dim=-1),
            "the mask is the wrong way round: True means that a key may be attended to": (
                scores.masked_fill(mask, -math.inf).softmax(dim=-1)
            ),
            "masked weights were set to 0 after the softmax, so that the rows no longer sum "
            "to 1": scores.softmax(dim=-1) * mask,
            "masked scores were set to 0 instead of minus infinity: e⁰ = 1 is not 0": (
                (scores * mask).softmax(dim=-1)
            ),
            "these are masked scores; the softmax is missing": filled,
            "the softmax runs over the queries: it has to be the keys, dim=-1": (
                filled.softmax(dim=1)
            ),
            "the softmax runs over the batch: it has to be the keys, dim=-1": filled.softmax(dim=0),
        },
        tolerance=1e-6,
    )
    if bool(torch.as_tensor(got)[~mask].any()):
        raise Mistake("masked weights should be exactly 0: fill with minus infinity")


def _masked_weights_beside_dead_rows(
    answer: Callable[[Tensor, Tensor], Any], scores: Tensor
) -> None:
    mask = torch.tensor([[True, True, False, True], [False] * 4, [False, True, False, False]])
    mask = mask[:, None]  # (B, 1, S), the same for all queries; a sequence without a single key
    leaf = scores.clone().requires_grad_()
    got = answer(leaf, mask)
    if not isinstance(got, Tensor):
        raise Mistake(f"the weights should be a tensor, not {type(got).__name__}")
    if got.shape != scores.shape:
        compare(got, scores, "the weights")
    dead = got[1].detach()
    if dead.isnan().any():
        raise Mistake("a row that may attend to nothing gives NaN; it should give weights of 0")
    if torch.allclose(dead, torch.full_like(dead, 1 / 4), atol=1e-5):
        raise Mistake(
            "a row that may attend to nothing gives equal weights (a large negative number "
            "instead of minus infinity): its output is the mean of the padding; it should be 0"
        )
    if dead.abs().max() > 0:
        raise Mistake("a row that may attend to nothing should have weights of exactly 0")
    want = scores.masked_fill(~mask, -math.inf).softmax(dim=-1)
    compare(got[[0, 2]], want[[0, 2]], "the weights beside a row without keys", tolerance=1e-6)
    got[..., 0].sum().backward()  # type: ignore[no-untyped-call]
    if leaf.grad is None or not bool(leaf.grad.isfinite().all()):
        raise Mistake(
            "the weights are right, but the gradient holds NaN: the row of minus infinities still "
            "went through the softmax; give dead rows finite scores before it"
        )


def _masked_weights_of_extreme_scores(answer: Callable[[Tensor, Tensor], Any]) -> None:
    """The last key is masked; the first two are visible, and their weights are right or not."""
    visible = torch.tensor([True, True, False])
    for dtype, row, wrong in (
        (
            torch.float32,
            [0.0, 1.0, 40.0],
            "a masked score of 40 takes the weight from the visible keys: it has to be filled with "
            "minus infinity before the softmax, not removed after it",
        ),
        (
            torch.float32,
            [100.0, 99.0, 0.0],
            "e¹⁰⁰ is too large for a float: a softmax subtracts the largest score first",
        ),
        (
            torch.float64,
            [-800.0, -801.0, 0.0],
            "the visible scores are very low, and their weights are lost: fill the masked score "
            "with minus infinity before the softmax",
        ),
        (
            torch.float32,
            [-2e9, -2e9 - 512, 0.0],
            "with very low scores a masked key wins, or takes the weight from the visible ones: "
            "the fill value has to be minus infinity",
        ),
    ):
        scores = torch.tensor([[row]], dtype=dtype)
        want = scores.masked_fill(~visible, -math.inf).softmax(dim=-1)
        got = answer(scores, visible.expand(1, 1, 3))
        if not isinstance(got, Tensor) or got.shape != want.shape:
            compare(got, want, "the weights")
        elif not torch.allclose(got.detach().to(dtype), want, atol=1e-6):
            raise Mistake(wrong)


@exercise("scoring.jacobian")
def _jacobian(answer: Callable[[Tensor], Any]) -> None:
    """Exercise 3.4: diag(α) - ααᵀ for weights (B, T, S)."""
    g = torch.Generator().manual_seed(5)
    for T in (2, 4):  # then T = S
        a = torch.randn(3, T, 4, generator=g).softmax(dim=-1)
        outer = a[..., :, None] * a[..., None, :]
        want = torch.diag_embed(a) - outer
        compare(
            answer(a),
            want,
            "the Jacobian",
            {
                "the diagonal alone: a larger score also lowers the other weights, "
                "−α_i α_j": torch.diag_embed(a),
                "only the diagonal α_i (1 − α_i); every weight depends on every score": (
                    torch.diag_embed(a * (1 - a))
                ),
                "these are the slopes α_i (1 − α_i) of single weights; the Jacobian has an entry "
                "for each pair": a * (1 - a),
                "the sign is wrong: it is diag(α) − ααᵀ": -want,
                "plus where minus is meant: diag(α) − ααᵀ": torch.diag_embed(a) + outer,
                "the outer product alone; the diagonal α_i is missing": outer,
                "the outer product has the wrong sign and the diagonal is missing": -outer,
                "1 on the diagonal instead of α_i": torch.eye(4) - outer,
            },
            tolerance=1e-6,
        )


@exercise("scoring.factor")
def _factor(answer: Callable[[float, float, int], Any]) -> None:
    """Exercise 3.5: the factor that brings the dot product to variance 1."""
    for q, k, d in ((1.5, 0.4, 50), (0.5, 3.0, 8)):
        root = math.sqrt(d)
        compare(
            answer(q, k, d),
            torch.tensor(1 / (q * k * root)),
            "the factor",
            {
                "this divides by the variance; the factor enters the variance squared, so take the "
                "square root": torch.tensor(1 / (q * q * k * k * d)),
                "1/√d is right for standard deviations of 1 only": torch.tensor(1 / root),
                "1/d: the standard deviation of the dot product grows like √d": torch.tensor(1 / d),
                "this is the standard deviation; multiply by its inverse": (
                    torch.tensor(q * k * root)
                ),
                "this is the variance of the dot product; what factor brings it to 1?": (
                    torch.tensor(q * q * k * k * d)
                ),
                "d adds up the variances: it is √d, not d, beside σ_q σ_k": (
                    torch.tensor(1 / (q * k * d))
                ),
                "σ_q and σ_k enter to the first power, not squared, beside √d": (
                    torch.tensor(1 / (q * q * k * k * root))
                ),
                "the standard deviations multiply; they do not add": (
                    torch.tensor(1 / ((q + k) * root))
                ),
                "the dimension is missing": torch.tensor(1 / (q * k)),
            },
            tolerance=1e-6,
        )
