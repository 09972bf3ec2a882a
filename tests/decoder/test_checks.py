from __future__ import annotations

import pytest
import torch

from attn_utils import AdditiveAttention, length_mask
from attn_utils.checks import check


def shift(targets, start):
    return torch.cat([torch.full((len(targets), 1), start), targets[:, :-1]], dim=1)


def exact(written, targets):
    return (written == targets).all(dim=1).float().mean()


def attend(state, outputs, lens, W_q, W_k, w_v, *, fill=-torch.inf, dim=-1, zero=False, tanh=True):
    scores = (state @ W_q)[:, None] + outputs @ W_k
    scores = (torch.tanh(scores) if tanh else scores) @ w_v
    padding = torch.arange(outputs.shape[1]) >= lens[:, None]
    weights = (scores if fill is None else scores.masked_fill(padding, fill)).softmax(dim)
    weights = weights.masked_fill(padding, 0) if zero else weights
    return (weights[:, None] @ outputs)[:, 0]


def packaged(state, outputs, lens, W_q, W_k, w_v):
    attention = AdditiveAttention(3, 5, 6)
    with torch.no_grad():
        attention.W_q.weight.copy_(W_q.T)
        attention.W_k.weight.copy_(W_k.T)
        attention.w_v.weight.copy_(w_v[None])
    mask = length_mask(lens, outputs.shape[1])
    return attention(state[:, None], outputs, outputs, mask)[:, 0]


def greedy(step, start, state, num_steps, *, feed=True, carry=True, pick=torch.argmax, keep=False):
    token, written = start, [start] if keep else []
    for _ in range(num_steps):
        logits, new = step(token if feed else start, state)
        token = int(pick(logits))
        state = new if carry else state
        written.append(token)
    return written


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("shift", shift),
        ("shift", lambda y, s: torch.nn.functional.pad(y, (1, 0), value=s)[:, :-1]),
        ("exact_match", exact),
        ("exact_match", lambda w, t: sum(map(torch.equal, w, t)) / len(t)),
        ("attend", attend),
        ("attend", packaged),
        ("greedy", greedy),
        ("greedy", lambda *a: torch.tensor(greedy(*a))),
    ],
)
def test_right_answers_pass(name, answer):
    result = check(f"decoder.{name}", answer)
    assert result, result.message


def in_place(targets, start):
    targets[:, 1:] = targets[:, :-1].clone()
    targets[:, 0] = start
    return targets


WRONG = [
    ("shift", lambda y, s: ..., "nothing has been computed"),
    ("shift", lambda y, s: y, "nothing is shifted"),
    ("shift", lambda y, s: torch.cat([y[:, 1:], torch.full((2, 1), s)], 1), "to the left"),
    ("shift", lambda y, s: torch.nn.functional.pad(y, (1, 0), value=s), "one token too many"),
    ("shift", lambda y, s: y.roll(1, 1), "came round"),
    ("shift", lambda y, s: torch.cat([torch.full((1, 4), s), y[:-1]]), "the axis is 1"),
    ("shift", lambda y, s: y[:, :-1], "start token is missing"),
    ("shift", in_place, "changed the caller's targets"),
    ("shift", lambda y, s: shift(y, 11), "whatever `start` is"),
    ("shift", lambda y, s: shift(y, s).float(), "tokens are integers"),
    ("shift", lambda y, s: torch.cat([torch.full((2, 1), s), y[:2, :-1]], 1), "has shape"),
    ("exact_match", lambda w, t: (w.sum(1) == t.sum(1)).float().mean(), "in another order"),
    (
        "exact_match",
        lambda w, t: (w.sort(1)[0] == t.sort(1)[0]).all(1).float().mean(),
        "in another order",
    ),
    ("exact_match", lambda w, t: None, "nothing has been computed"),
    ("exact_match", lambda w, t: (w == t).float().mean(), "share of right characters"),
    ("exact_match", lambda w, t: (w == t).any(1).float().mean(), "`all`, not `any`"),
    ("exact_match", lambda w, t: 1 - exact(w, t), "share of wrong"),
    ("exact_match", lambda w, t: (w == t).all(1).sum(), "number of right"),
    ("exact_match", lambda w, t: (w == t).all(0).float().mean(), "wrong axis"),
    ("exact_match", lambda w, t: float(torch.equal(w, t)), "over everything"),
    ("exact_match", lambda w, t: 0.2, "everything is right"),
    ("attend", lambda *a: None, "nothing has been computed"),
    ("attend", lambda *a: attend(*a, fill=None), "padding is not masked"),
    ("attend", lambda *a: attend(*a, fill=None, zero=True), "denominator"),
    ("attend", lambda *a: attend(*a, fill=0.0), "e⁰ is 1"),
    ("attend", lambda *a: attend(*a, dim=0), "over the batch"),
    ("attend", lambda s, o, n, *w: attend(s, o, n + 1, *w), "one character too many"),
    ("attend", lambda s, o, n, *w: attend(s, o, 4 - n, *w), "turned round"),
    ("attend", lambda *a: attend(*a, tanh=False), "tanh is missing"),
    (
        "attend",
        lambda s, o, n, *w: attend(
            s, torch.eye(4).expand(4, 4, 4), n, w[0], torch.zeros(4, 6), w[2]
        ),
        "has shape",
    ),
    ("attend", lambda s, o, n, *w: attend(s, o, n, w[0], w[1], torch.zeros(6)), "no say"),
    ("greedy", lambda *a: ..., "nothing has been computed"),
    ("greedy", lambda *a: greedy(*a, feed=False), "reads the start token"),
    ("greedy", lambda *a: greedy(*a, carry=False), "pass the new state on"),
    ("greedy", lambda *a: greedy(*a, feed=False, carry=False), "every step is the first"),
    ("greedy", lambda *a: greedy(*a, pick=torch.argmin), "argmax, not argmin"),
    ("greedy", lambda *a: greedy(*a, keep=True), "read, never written"),
    ("greedy", lambda *a: greedy(*a, keep=True)[:-1], "last token is missing"),
    ("greedy", lambda *a: greedy(*a)[:-1], "one step too few"),
    ("greedy", lambda f, s, c, n: greedy(f, s, c, 8), "has shape"),
    ("greedy", lambda f, s, c, n: greedy(f, 5, c, n), "differs from the right one"),
]


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_wrong_answers_fail_and_are_named(name, answer, message):
    result = check(f"decoder.{name}", answer)
    assert not result
    assert message in result.message
