"""The self-checks of chapter 9 accept right answers and name the mistakes that people make."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attn_utils.checks import check
from attn_utils.core.masks import causal_mask

D = 128
SIZES = {
    "attention": 4 * D * D + 4 * D,
    "network": 8 * D * D + 5 * D,
    "norms": 4 * D,
    "block": 12 * D * D + 13 * D,
    "cache": 2 * 6 * 1000 * D,
}


def pre_norm(x, attend, network, norm1, norm2):
    h = x + attend(norm1(x))
    return h + network(norm2(h))


def post_norm(x, attend, network, norm1, norm2):
    h = norm1(x + attend(x))
    return norm2(h + network(h))


def in_place(x, attend, network, norm1, norm2):
    x += attend(norm1(x))
    return x + network(norm2(x))


def on_the_copy(x, attend, network, norm1, norm2):
    x = norm1(x)
    h = x + attend(x)
    return h + network(norm2(h))


def examples(text, length):
    N = (len(text) - 1) // length
    return text[: N * length].view(N, length), text[1 : N * length + 1].view(N, length)


def rolled(text, length):
    inputs, _ = examples(text, length)
    return inputs, inputs.roll(-1, dims=1)


def first_attempt(text, length):
    N = len(text) // length
    inputs = text[: N * length].view(N, length)
    return inputs, inputs.roll(-1, dims=1)


def overlapping(text, length):
    return text[:-1].unfold(0, length, 1), text[1:].unfold(0, length, 1)


def shifted(text, length, by):
    place = torch.arange(len(examples(text, length)[0]) * length) + by
    return text[place.clamp_max(len(text) - 1)].view(-1, length)


def cache_mask(new, past):
    return torch.arange(past + new) <= past + torch.arange(new)[:, None]


def nucleus(logits, p):
    probabilities, order = logits.softmax(-1).sort(descending=True)
    before = probabilities.cumsum(-1) - probabilities
    kept = torch.zeros_like(probabilities).scatter(0, order, probabilities * (before < p))
    return kept / kept.sum()


def nucleus_by_loop(logits, p):
    probabilities = logits.softmax(-1)
    kept, total = torch.zeros_like(probabilities), 0.0
    for i in probabilities.argsort(descending=True).tolist():
        if total < p:
            kept[i] = probabilities[i]
            total += probabilities[i].item()
    return kept / kept.sum()


def sorted_nucleus(crossing, renormalise):
    def answer(logits, p):
        probabilities = logits.softmax(-1).sort(descending=True).values
        sums = probabilities.cumsum(-1)
        kept = probabilities * ((sums - probabilities < p) if crossing else (sums <= p))
        return kept / kept.sum() if renormalise else kept

    return answer


def without_crossing(logits, p):
    probabilities, order = logits.softmax(-1).sort(descending=True)
    kept = torch.zeros_like(probabilities).scatter(
        0, order, probabilities * (probabilities.cumsum(-1) <= p)
    )
    return kept / kept.sum().clamp_min(1e-9)


def not_summing_to_1(logits, p):
    probabilities = logits.softmax(-1)
    return probabilities * (nucleus(logits, p) > 0)


def rising(logits, p):
    probabilities, order = logits.softmax(-1).sort()
    kept = torch.zeros_like(probabilities).scatter(
        0, order, probabilities * (probabilities.cumsum(-1) - probabilities < p)
    )
    return kept / kept.sum()


def where(stays):
    """A wrong nucleus: `stays` says which probabilities remain."""

    def answer(logits, p):
        probabilities = logits.softmax(-1)
        kept = probabilities * stays(probabilities, logits, p)
        return kept / kept.sum()

    return answer


def running_sum_of(numbers):
    def stays(probabilities, logits, p):
        x, order = numbers(logits).sort(descending=True)
        return torch.zeros_like(logits).scatter(0, order, 1.0 * (x.cumsum(0) - x < p))

    return where(stays)


RIGHT = [
    ("sizes", SIZES),
    ("pre_norm", pre_norm),
    ("examples", examples),
    ("examples", lambda text, length: list(examples(text, length))),
    ("examples", lambda text, length: [list(x) for x in examples(text, length)]),
    ("sizes", {name: float(size) for name, size in SIZES.items()}),
    ("sizes", {name: np.int64(size) for name, size in SIZES.items()}),
    ("cache_mask", cache_mask),
    ("cache_mask", lambda new, past: causal_mask(new, new + past, align="bottom-right")),
    ("nucleus", nucleus),
    ("nucleus", nucleus_by_loop),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_right_answers_pass(name, answer):
    assert check(f"transformer.{name}", answer)


def block(form):
    """A wrong block: `form` gets everything by name."""

    def answer(x, attend, network, norm1, norm2):
        return form(x, attend, network, norm1, norm2, x + attend(norm1(x)))

    return answer


WRONG = [
    ("sizes", 7, "should be a dictionary"),
    ("sizes", {}, "no answer yet for 'attention' (5 to go)"),
    ("sizes", {**SIZES, "cache": ...}, "no answer yet for 'cache' (1 to go)"),
    ("sizes", {**SIZES, "attention": 4 * D * D}, "biases of length D are missing"),
    ("sizes", {**SIZES, "attention": 3 * D * D + 3 * D}, "W_o (with its bias) is missing"),
    ("sizes", {**SIZES, "attention": 8 * (4 * D * D + 4 * D)}, "H does not count"),
    ("sizes", {**SIZES, "network": 8 * D * D}, "two biases are missing"),
    ("sizes", {**SIZES, "network": 8 * D * D + 2 * D}, "as long as the inner width"),
    ("sizes", {**SIZES, "network": 8 * D * D + 4 * D}, "the second bias, of length D"),
    ("sizes", {**SIZES, "norms": 2 * D}, "a gain and a bias for each feature"),
    ("sizes", {**SIZES, "norms": 6 * D}, "three are for a decoder"),
    ("sizes", {**SIZES, "block": 12 * D * D}, "biases and norms are missing"),
    ("sizes", {**SIZES, "block": SIZES["block"] - 4 * D}, "the norms are missing"),
    ("sizes", {**SIZES, "cache": 6 * 1000 * D}, "keys and values are kept, both"),
    ("sizes", {**SIZES, "cache": 2 * 1000 * D}, "there are six"),
    ("sizes", {**SIZES, "cache": 8 * 2 * 6 * 1000 * D}, "H does not count"),
    ("sizes", {**SIZES, "cache": 2 * SIZES["cache"]}, "bytes at two a number"),
    ("sizes", {**SIZES, "block": SIZES["attention"] + SIZES["norms"]}, "the network is missing"),
    ("sizes", {**SIZES, "cache": 5}, "cache: 5 is not right"),
    ("sizes", {**SIZES, "cache": "many"}, "cache: many is not right"),
    ("pre_norm", lambda *_: None, "nothing has been computed"),
    ("pre_norm", post_norm, "that is post-norm"),
    ("pre_norm", on_the_copy, "the stream itself is normalised"),
    ("pre_norm", in_place, "changed the caller's x"),
    ("pre_norm", block(lambda x, a, n, n1, n2, h: n(n2(h))), "the second sum is missing"),
    ("pre_norm", block(lambda x, a, n, n1, n2, h: x + a(x) + n(x + a(x))), "norms are missing"),
    ("pre_norm", block(lambda x, a, n, n1, n2, h: h + n(n1(h))), "norm1 is used twice"),
    ("pre_norm", block(lambda x, a, n, n1, n2, h: x + n(n2(h))), "h is lost"),
    ("pre_norm", block(lambda x, a, n, n1, n2, h: h + n(n2(x))), "the network reads x"),
    ("pre_norm", block(lambda x, a, n, n1, n2, h: n2(h) + n(n2(h))), "adds to the normalised h"),
    ("pre_norm", block(lambda x, a, n, n1, n2, h: n2(h + n(n2(h)))), "one norm too many"),
    ("pre_norm", block(lambda x, a, n, n1, n2, h: h), "the network is missing"),
    ("pre_norm", block(lambda x, a, n, n1, n2, h: pre_norm(x, a, n, n2, n1)), "are exchanged"),
    ("pre_norm", block(lambda x, a, n, n1, n2, h: pre_norm(x, n, a, n2, n1)), "first look around"),
    ("pre_norm", block(lambda x, a, n, n1, n2, h: n(n2(a(n1(x))))), "both sums are missing"),
    ("examples", lambda *_: ..., "nothing has been computed"),
    ("examples", lambda text, length: examples(text, length)[0], "return two tensors"),
    ("examples", rolled, "turns it in a circle"),
    ("examples", first_attempt, "turns it in a circle"),
    ("examples", overlapping, "the examples overlap"),
    ("examples", lambda t, n: (examples(t, n)[0],) * 2, "would learn to repeat"),
    ("examples", lambda t, n: (examples(t, n)[0], shifted(t, n, -1)), "the tokens *before*"),
    ("examples", lambda t, n: (examples(t, n)[0], shifted(t, n, 2)), "one too late"),
    ("examples", lambda t, n: (examples(t, n)[0], examples(t, n)[0] + 1), "the next *number*"),
    ("examples", lambda t, n: examples(t, n)[::-1], "are exchanged"),
    ("examples", lambda t, n: tuple(x.T for x in examples(t, n)), "each example is a row"),
    ("cache_mask", lambda *_: None, "nothing has been computed"),
    ("cache_mask", lambda new, past: [[True]], "should be a tensor"),
    ("cache_mask", lambda new, past: cache_mask(new, past).float(), "should be boolean"),
    ("cache_mask", lambda new, past: causal_mask(new, new + past), "aligned at the top left"),
    ("cache_mask", lambda new, past: ~cache_mask(new, past), "polarity"),
    (
        "cache_mask",
        lambda new, past: (
            cache_mask(new, past - 1)[:, :1].expand(new, 1)
            & (torch.arange(past + new) < past + torch.arange(new)[:, None])
        ),
        "look at itself",
    ),
    ("cache_mask", lambda new, past: cache_mask(new, past) | True, "new ones behind them"),
    ("cache_mask", lambda new, past: cache_mask(new, past).T, "transposed"),
    ("cache_mask", lambda new, past: causal_mask(new + past), "a row for the old queries"),
    ("cache_mask", lambda new, past: causal_mask(new), "no columns"),
    ("nucleus", lambda *_: None, "nothing has been computed"),
    ("nucleus", without_crossing, "the token that crosses the line is missing: compare"),
    ("nucleus", not_summing_to_1, "divide by what is left"),
    ("nucleus", sorted_nucleus(True, True), "sorted order: put it back"),
    ("nucleus", sorted_nucleus(True, False), "sorted order, and does not sum to 1"),
    ("nucleus", sorted_nucleus(False, False), "without the token that crosses"),
    ("nucleus", where(lambda q, z, p: q >= p), "compare the sum *before* a token"),
    ("nucleus", where(lambda q, z, p: q >= p * q.max()), "min-p"),
    ("nucleus", where(lambda q, z, p: q >= q.topk(2).values[-1]), "that is top-k"),
    ("nucleus", where(lambda q, z, p: q >= q[nucleus(z, p) > 0].min()), "a tie is no reason"),
    ("nucleus", running_sum_of(lambda z: z), "of probabilities, or of logits"),
    ("nucleus", running_sum_of(torch.exp), "of probabilities, or of logits"),
    ("nucleus", rising, "sort in falling order"),
    ("nucleus", lambda logits, p: logits.softmax(-1), "nothing has been left out"),
    ("nucleus", lambda logits, p: nucleus(logits, p)[None], "have shape (1, 5), expected (5,)"),
]


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_wrong_answers_fail_and_are_named(name, answer, message):
    result = check(f"transformer.{name}", answer)
    assert not result
    assert message in result.message
