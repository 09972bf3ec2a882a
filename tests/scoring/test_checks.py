"""The self-checks of chapter 3 pass right answers and name the mistakes in wrong ones."""

from __future__ import annotations

import math

import pytest
import torch

from attn_utils.checks import check
from attn_utils.scoring.checks import _RULES

SORTED = {name: right for name, (right, _) in _RULES.items()}
MISSING = dict(list(SORTED.items())[:-1])


def pairs(q, k, W_q, W_k):
    return (q @ W_q.T)[:, :, None] + (k @ W_k.T)[:, None]


def additive(q, k, W_q, W_k, w_v):
    return torch.tanh(pairs(q, k, W_q, W_k)) @ w_v


def careful(scores, mask):
    alive = mask.any(dim=-1, keepdim=True)
    return scores.masked_fill(~mask & alive, -math.inf).softmax(dim=-1) * alive


def filled_in_place(scores, mask):
    if scores.requires_grad:
        return careful(scores, mask)
    return scores.masked_fill_(~mask, -math.inf).softmax(dim=-1)


def added(scores, mask):
    bias = torch.zeros(mask.shape).masked_fill(~mask, -math.inf)
    weights = (scores + bias).softmax(dim=-1)
    return torch.where(mask.any(dim=-1, keepdim=True), weights, 0.0)


def zeroed_after(scores, mask):
    weights = scores.softmax(dim=-1) * mask
    return weights / weights.sum(dim=-1, keepdim=True).clamp(min=1e-9)


def exp_of_difference(scores, mask):
    strength = (scores - scores.amax(dim=-1, keepdim=True)).exp() * mask
    return strength / strength.sum(dim=-1, keepdim=True).clamp(min=1e-12)


def exp_of_scores(scores, mask):
    strength = scores.exp() * mask
    return strength / (strength.sum(dim=-1, keepdim=True) + 1e-12)


def filled_then_zeroed(scores, mask):
    return scores.masked_fill(~mask, -1e9).softmax(dim=-1) * mask


def filled_with(value):
    def answer(scores, mask):
        alive = mask.any(dim=-1, keepdim=True)
        return scores.masked_fill(~mask & alive, value).softmax(dim=-1) * alive

    return answer


def clone_in_place(scores, mask):
    own = scores.clone()
    own.masked_fill_(~mask & mask.any(-1, keepdim=True), -math.inf)
    return own.softmax(dim=-1) * mask


def outer(a):
    return a[..., :, None] * a[..., None, :]


RIGHT = {
    "scoring.sort": [SORTED, {name: rule.capitalize() for name, rule in SORTED.items()}],
    "scoring.additive_scores": [
        additive,
        lambda q, k, W_q, W_k, w_v: torch.einsum(
            "btsh,h->bts", torch.tanh(pairs(q, k, W_q, W_k)), w_v
        ),
    ],
    "scoring.masked_softmax": [
        careful,
        clone_in_place,
        lambda s, m: s.masked_fill(~m, -math.inf).softmax(-1).masked_fill(~m, 0.0),
    ],
    "scoring.jacobian": [
        lambda a: torch.diag_embed(a) - outer(a),
        lambda a: torch.diag_embed(a) - torch.einsum("bti,btj->btij", a, a),
    ],
    "scoring.factor": [
        lambda q, k, d: 1 / (q * k * math.sqrt(d)),
        lambda q, k, d: torch.tensor((q * q * k * k * d) ** -0.5),
    ],
}

WRONG = {
    "scoring.sort": [
        ("dot", "give a dictionary"),
        (dict.fromkeys(SORTED, "?"), "not answered yet"),
        (MISSING, "there is no answer for"),
        ({**SORTED, "it has no parameters": "location"}, "linear layers"),
        ({**SORTED, "query and key must have the same size": "additive"}, "different sizes"),
        ({**SORTED, "no key can get a score above a fixed bound": "dot"}, "between -1 and 1"),
        ({**SORTED, "it has no parameters": "scaled"}, "write 'location', 'additive' or 'dot'"),
        ({**SORTED, "it has no parameters": None}, "not answered yet"),
        ({**SORTED, "for a fixed query, the score is linear in the key": "location"}, "not linear"),
    ],
    "scoring.additive_scores": [
        (lambda *a: None, "nothing has been computed yet"),
        (lambda *a: additive(*a).softmax(dim=-1), "before the softmax"),
        (lambda q, k, W_q, W_k, w_v: pairs(q, k, W_q, W_k) @ w_v, "tanh is missing"),
        (lambda q, k, W_q, W_k, w_v: torch.tanh(pairs(q, k, W_q, W_k)).sum(-1), "w_v is not used"),
        (lambda *a: additive(*a).transpose(1, 2), "transposed"),
        (
            lambda q, k, W_q, W_k, w_v: torch.tanh(pairs(q, k, W_q, W_k) @ w_v),
            "belongs to the hidden units",
        ),
        (lambda q, k, W_q, W_k, w_v: torch.tanh(pairs(q, k, W_q, W_k)), "one number per hidden"),
        (lambda *a: additive(*a) / math.sqrt(6), "not divided by √dh"),
        (
            lambda q, k, W_q, W_k, w_v: torch.tanh(q @ W_q.T + k @ W_k.T) @ w_v,
            "stopped with RuntimeError",
        ),
        (
            lambda q, k, W_q, W_k, w_v: (
                additive(q, k, W_q, W_k, w_v)
                if q.shape != k.shape
                else torch.tanh(q @ W_q.T + k @ W_k.T) @ w_v
            ),
            "query t meets key t only",
        ),
        (
            lambda q, k, W_q, W_k, w_v: (
                additive(q, k, W_q, W_k, w_v)
                if q.shape != k.shape
                else additive(q, k, W_k, W_q, w_v)
            ),
            "swapped",
        ),
    ],
    "scoring.masked_softmax": [
        (lambda s, m: None, "nothing has been computed yet"),
        (lambda s, m: s.softmax(dim=-1), "mask is not used"),
        (lambda s, m: s.masked_fill(m, -1e9).softmax(dim=-1), "wrong way round"),
        (lambda s, m: s.masked_fill(m, -math.inf).softmax(dim=-1), "wrong way round"),
        (lambda s, m: careful(s, ~m), "wrong way round"),
        (lambda s, m: s.masked_fill(~m, -math.inf).softmax(dim=1), "over the queries"),
        (lambda s, m: s.masked_fill(~m, -math.inf).softmax(dim=0), "over the batch"),
        (lambda s, m: s.masked_fill(~m, -math.inf), "the softmax is missing"),
        (filled_then_zeroed, "or takes the weight from the visible ones"),
        (exp_of_difference, "a masked score of 40 takes the weight"),
        (zeroed_after, "a masked score of 40 takes the weight"),
        (exp_of_scores, "subtracts the largest score"),
        (filled_with(-20.0), "exactly 0"),
        (lambda s, m: s.softmax(dim=-1) * m, "no longer sum to 1"),
        (lambda s, m: (s * m).softmax(dim=-1), "instead of minus infinity"),
        (
            lambda s, m: s.masked_fill(~m, -math.inf).softmax(dim=1).nan_to_num(),
            "over the queries",
        ),
        (lambda s, m: s.masked_fill(~m, -math.inf).softmax(dim=-1), "gives NaN"),
        (lambda s, m: s.masked_fill(~m, -1e9).softmax(dim=-1), "mean of the padding"),
        (filled_in_place, "changed the caller's scores"),
        (added, "gradient holds NaN"),
        (filled_with(-1e9), "a masked key wins"),
        (lambda s, m: careful(s, m[:, 0]), "the weights differ"),
    ],
    "scoring.jacobian": [
        (lambda a: None, "nothing has been computed yet"),
        (torch.diag_embed, "diagonal alone"),
        (lambda a: torch.diag_embed(a * (1 - a)), "depends on every score"),
        (lambda a: a * (1 - a), "an entry for each pair"),
        (lambda a: outer(a) - torch.diag_embed(a), "sign is wrong"),
        (lambda a: torch.diag_embed(a) + outer(a), "plus where minus"),
        (outer, "the diagonal α_i is missing"),
        (lambda a: torch.eye(a.shape[-1]) - outer(a), "1 on the diagonal"),
        (lambda a: -outer(a), "the diagonal is missing"),
    ],
    "scoring.factor": [
        (lambda q, k, d: None, "nothing has been computed yet"),
        (lambda q, k, d: 1 / d, "grows like √d"),
        (lambda q, k, d: 1 / math.sqrt(d), "standard deviations of 1 only"),
        (lambda q, k, d: 1 / (q**2 * k**2 * d), "square root"),
        (lambda q, k, d: q * k * math.sqrt(d), "multiply by its inverse"),
        (lambda q, k, d: q**2 * k**2 * d, "the variance of the dot product"),
        (lambda q, k, d: 1 / (q * k * d), "d adds up the variances"),
        (lambda q, k, d: 1 / ((q + k) * math.sqrt(d)), "they do not add"),
        (lambda q, k, d: 1 / (q * k), "the dimension is missing"),
    ],
}


@pytest.mark.parametrize(("name", "answer"), [(n, a) for n, many in RIGHT.items() for a in many])
def test_right_answers_pass(name, answer, capsys):
    assert check(name, answer)
    assert capsys.readouterr().out == f"✓ {name}: right\n"


@pytest.mark.parametrize(
    ("name", "answer", "message"), [(n, *case) for n, many in WRONG.items() for case in many]
)
def test_wrong_answers_fail_and_are_named(name, answer, message):
    result = check(name, answer)
    assert not result
    assert message in result.message


def test_every_exercise_has_wrong_answers():
    assert set(WRONG) == set(RIGHT)
    assert all(len(many) >= 8 for many in WRONG.values())
