"""The self-checks of chapter 16 accept right answers and name the mistakes that people make."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attn_utils import ov_matrix, qk_matrix, run_heads, stripe_score
from attn_utils.checks import check

STRIPE = {"first query": 6, "key": 3, "shift": 5, "told": 2, "predicted": 3}


# --- 16.2: the score ----------------------------------------------------------------------------


def score(weights, periods):
    cells = [
        weights[b, t, t - P + 1]
        for b, P in enumerate(periods.tolist())
        for t in range(P, weights.shape[1])
    ]
    return torch.stack(cells).mean()


def score_with(back=1, first=0, mean="all", axes="qk", same=False):
    def wrong(weights, periods):
        w = weights.mT if axes == "kq" else weights
        if same:
            periods = periods[:1].expand(len(periods))
        rows = [
            torch.stack(
                [w[b, t, t - P + back] for t in range(max(P + first, P - back), w.shape[1])]
            )
            for b, P in enumerate(periods.tolist())
        ]
        if mean == "each":
            return torch.stack([row.mean() for row in rows]).mean()
        if mean == "each, summed":
            return torch.stack([row.mean() for row in rows]).sum()
        if mean == "sum":
            return torch.cat(rows).sum()
        if mean == "whole":
            return torch.cat(rows).sum() / weights[:, 0].numel()
        return torch.cat(rows).mean()

    return wrong


# --- 16.3: patching -----------------------------------------------------------------------------


def patched(model, tokens, others, head):
    theirs = run_heads(model, others)
    return run_heads(model, tokens, {head: theirs.outputs[head]}).logits


def patched_with(make):
    """``make(own, theirs, head)`` gives what is patched into the run on tokens."""

    def wrong(model, tokens, others, head):
        own, theirs = run_heads(model, tokens), run_heads(model, others)
        return run_heads(model, tokens, {head: make(own.outputs, theirs.outputs, head)}).logits

    return wrong


def other_way_round(model, tokens, others, head):
    return patched(model, others, tokens, head)


def whole_layer(model, tokens, others, head):
    theirs = run_heads(model, others)
    replace = {(head[0], h): theirs.outputs[head[0], h] for h in range(theirs.outputs.shape[1])}
    return run_heads(model, tokens, replace).logits


def exchanged(model, tokens, others, head):
    head = head[::-1] if head[1] < 2 else head
    return patched(model, tokens, others, head)


# --- 16.4: the matrix ---------------------------------------------------------------------------


def match(model, first, second):
    E = model.embedding.weight.detach()
    return (
        E
        @ qk_matrix(model.layers[second[0]], second[1])
        @ (E @ ov_matrix(model.layers[first[0]], first[1])).T
    )


def match_with(make):
    """``make(E, U, of)`` builds the matrix; ``of("qk", "first")`` is a head's."""

    def wrong(model, first, second):
        heads = {"first": first, "second": second}
        matrices = {"qk": qk_matrix, "ov": ov_matrix}

        def of(kind, which):
            layer, head = heads[which]
            return matrices[kind](model.layers[layer], head)

        return make(model.embedding.weight.detach(), model.head.weight.detach(), of)

    return wrong


RIGHT = [
    ("stripe", STRIPE),
    ("stripe", {name: np.int64(number) for name, number in STRIPE.items()}),
    ("stripe", {name: float(number) for name, number in STRIPE.items()}),
    ("induction_score", score),
    ("induction_score", lambda w, P: stripe_score(w, P - 1, P)),
    ("induction_score", lambda w, P: score(w, P).item()),
    ("induction_score", score_with()),
    ("patched_logits", patched),
    ("patched_logits", patched_with(lambda own, theirs, head: theirs[head])),
    ("match_matrix", match),
    (
        "match_matrix",
        lambda model, first, second: (
            model.embedding.weight
            @ qk_matrix(model.layers[second[0]], second[1])
            @ ov_matrix(model.layers[first[0]], first[1]).T
            @ model.embedding.weight.T
        ),
    ),
    ("ambiguous", "banana"),
    ("ambiguous", "abac"),
    ("ambiguous", "aba"),  # … a b a a b a: an a follows the a, too
]


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_right_answers_pass(name, answer):
    assert check(f"circuits.{name}", answer)


WRONG = [
    ("stripe", {**STRIPE, "first query": 5}, "no letter has come twice"),
    ("stripe", {**STRIPE, "first query": 7}, "count positions from 0"),
    ("stripe", {**STRIPE, "first query": 12}, "one round is enough"),
    ("stripe", {**STRIPE, "key": 2}, "the earlier l itself"),
    ("stripe", {**STRIPE, "key": 1}, "look at the one behind it"),
    ("stripe", {**STRIPE, "key": 7}, "before the query, where"),
    ("stripe", {**STRIPE, "key": 9}, "the future"),
    ("stripe", {**STRIPE, "shift": 6}, "one whole period back is the same letter"),
    ("stripe", {**STRIPE, "shift": 7}, "nearer than a period"),
    ("stripe", {**STRIPE, "shift": -5}, "as a positive number"),
    ("stripe", {**STRIPE, "told": 3}, "which letter stands before it"),
    ("stripe", {**STRIPE, "told": 4}, "looks back"),
    ("stripe", {**STRIPE, "predicted": 2}, "the present letter again"),
    ("stripe", {**STRIPE, "predicted": 9}, "not been seen yet"),
    ("stripe", {**STRIPE, "predicted": ...}, "no answer yet for 'predicted'"),
    ("stripe", {**STRIPE, "predicted": "i"}, "is not right"),
    ("induction_score", score_with(back=0), "the earlier occurrence itself"),
    ("induction_score", score_with(back=-1), "before the earlier occurrence"),
    ("induction_score", score_with(first=-1), "begin at P"),
    ("induction_score", score_with(first=1), "counts already"),
    ("induction_score", score_with(mean="each"), "the mean of the sequences' means"),
    ("induction_score", score_with(mean="each, summed"), "the sum of the sequences' means"),
    ("induction_score", score_with(mean="sum"), "that is the sum"),
    ("induction_score", score_with(mean="whole"), "divided by B · T"),
    ("induction_score", score_with(axes="kq"), "the axes are exchanged"),
    ("induction_score", score_with(same=True), "a period of its own"),
    ("induction_score", lambda w, P: stripe_score(w, 1), "differs"),
    ("induction_score", lambda w, P: w[0].max(), "differs"),
    ("induction_score", lambda w, P: None, "nothing has been computed"),
    ("patched_logits", lambda m, x, y, h: run_heads(m, x).logits, "nothing is patched"),
    ("patched_logits", lambda m, x, y, h: run_heads(m, y).logits, "logits of the other run"),
    ("patched_logits", patched_with(lambda own, theirs, h: own[h]), "nothing is patched"),
    ("patched_logits", patched_with(lambda own, theirs, h: torch.zeros(())), "zeros knock"),
    (
        "patched_logits",
        patched_with(lambda own, theirs, h: own[h].mean(0, keepdim=True)),
        "mean over the batch",
    ),
    (
        "patched_logits",
        patched_with(lambda own, theirs, h: theirs[h].mean(0, keepdim=True)),
        "mean over the other run's batch",
    ),
    (
        "patched_logits",
        patched_with(lambda own, theirs, h: own[h].mean(1, keepdim=True)),
        "mean over the positions",
    ),
    (
        "patched_logits",
        patched_with(lambda own, theirs, h: theirs[h].mean(1, keepdim=True)),
        "mean over the other run's positions",
    ),
    (
        "patched_logits",
        patched_with(lambda own, theirs, h: own[h].mean(dim=(0, 1), keepdim=True)),
        "one mean over all",
    ),
    ("patched_logits", patched_with(lambda own, theirs, h: theirs[h].flip(0)), "another order"),
    ("patched_logits", patched_with(lambda own, theirs, h: theirs[h[0]].sum(0)), "differ"),
    ("patched_logits", other_way_round, "the wrong way round"),
    ("patched_logits", whole_layer, "the whole layer"),
    ("patched_logits", exchanged, "layer and head are exchanged"),
    ("patched_logits", lambda m, x, y, h: patched(m, x, y, (h[0], 0)), "you patch head 0"),
    ("match_matrix", lambda m, a, b: match(m, a, b).T, "transposed: rows"),
    (
        "match_matrix",
        match_with(lambda E, U, of: E @ of("qk", "second") @ E.T),
        "OV matrix is missing",
    ),
    (
        "match_matrix",
        match_with(lambda E, U, of: E @ of("ov", "first") @ of("qk", "second") @ E.T),
        "on the query's side",
    ),
    (
        "match_matrix",
        match_with(lambda E, U, of: E @ of("qk", "second") @ (E @ of("ov", "first").T).T),
        "OV is transposed",
    ),
    (
        "match_matrix",
        match_with(lambda E, U, of: E @ of("qk", "second").T @ (E @ of("ov", "first")).T),
        "QK is transposed",
    ),
    ("match_matrix", lambda m, a, b: match(m, b, a), "the two heads are exchanged"),
    (
        "match_matrix",
        match_with(lambda E, U, of: E @ of("qk", "second") @ (E @ of("ov", "second")).T),
        "OV matrix is the second head's",
    ),
    (
        "match_matrix",
        match_with(lambda E, U, of: E @ of("qk", "first") @ (E @ of("ov", "first")).T),
        "QK matrix is the first head's",
    ),
    ("match_matrix", lambda m, a, b: 2 * match(m, a, b), "the scale 1/√d is missing"),
    ("match_matrix", lambda m, a, b: match(m, a, b) / 2, "counted twice"),
    (
        "match_matrix",
        match_with(lambda E, U, of: E @ of("qk", "second") @ (U @ of("ov", "first")).T),
        "columns are the output layer's",
    ),
    (
        "match_matrix",
        match_with(lambda E, U, of: U @ of("qk", "second") @ (E @ of("ov", "first")).T),
        "rows are the output layer's",
    ),
    (
        "match_matrix",
        match_with(lambda E, U, of: E @ of("ov", "second") @ U.T),
        "what the second head copies",
    ),
    ("match_matrix", lambda m, a, b: match(m, a, b).softmax(-1), "a softmax is too much"),
    ("match_matrix", lambda m, a, b: None, "nothing has been computed"),
    ("ambiguous", "tulips", "no letter stands twice"),
    ("ambiguous", "papa", "the same letter follows it both times"),
    ("ambiguous", "aa", "3 to 16 letters"),
    ("ambiguous", "aaaa", "the same letter follows it both times"),
    ("ambiguous", "Banana", "letters from a to z"),
    ("ambiguous", "to be or not", "letters from a to z"),
    ("ambiguous", "abcdefghijklmnopqrsta", "3 to 16 letters"),
    ("ambiguous", "", "3 to 16 letters"),
    ("ambiguous", list("banana"), "should be a text, not list"),
    ("ambiguous", ..., "should be a text"),
]


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_wrong_answers_fail(capsys, name, answer, message):
    assert not check(f"circuits.{name}", answer)
    assert message in " ".join(capsys.readouterr().out.split())


def test_each_exercise_has_eight_wrong_answers():
    for name in {name for name, _ in RIGHT}:
        assert sum(wrong == name for wrong, _, _ in WRONG) >= 8
