"""Self-checks of chapter 16, Circuits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attn_utils.checks import Mistake, compare, compare_entries, exercise

from .model import AttentionOnlyModel, Head, layers_of, run_heads
from .patterns import repeated_patterns
from .reading import ov_matrix, qk_matrix

# "tulipstulipst", period 6: the query is the l at position 8, seen before at position 2
_STRIPE: dict[str, Any] = {
    "first query": 6,
    "key": 3,
    "shift": 5,
    "told": 2,
    "predicted": 3,
}
_STRIPE_MISTAKES: dict[str, dict[Any, str]] = {
    "first query": {
        5: "first query: at position 5 stands the first s; no letter has come twice so far",
        7: "first query: the t at position 6 has been seen already; count positions from 0",
        0: "first query: at position 0 nothing has been seen",
        12: "first query: one round is enough",
    },
    "key": {
        2: "key: that is the earlier l itself, whose letter is l; look at the one behind it",
        1: "key: that is the letter before the earlier l; look at the one behind it",
        7: "key: that is the letter before the query, where a previous-token head looks",
        8: "key: that is the query itself",
        9: "key: that is the future, which is hidden",
    },
    "shift": {
        6: "shift: one whole period back is the same letter; the key is one position nearer",
        7: "shift: the key lies behind the earlier letter, so it is nearer than a period",
        -5: "shift: count backwards, query minus key, as a positive number",
        1: "shift: that is the stripe of the previous-token head",
    },
    "told": {
        3: "told: the key's own letter is not news; which letter stands before it?",
        4: "told: a previous-token head looks back, not ahead",
        7: "told: the key is the earlier position; which position did layer 1 look at from there?",
        8: "told: the key comes before the query and cannot have looked at it",
    },
    "predicted": {
        2: "predicted: that is the present letter again; the head copies what stands at the key",
        8: "predicted: that is the present letter; the head copies what stands at the key",
        9: "predicted: right letter, but it has not been seen yet; where did it stand before?",
        4: "predicted: one too far; the head copies what stands at the key",
    },
}


@exercise("circuits.stripe")
def _check_stripe(answers: Any) -> None:
    """Exercise 16.1: positions in "tulipstulipst"."""
    compare_entries(
        answers, _STRIPE, _STRIPE_MISTAKES, "write the positions 0 to 12 under the letters"
    )


def _stripe(
    weights: Tensor, periods: Tensor, back: int = -1, first: int = 0, each: bool = False
) -> Tensor:
    """Mean weight of query t on key t − P − back − …, from query P + first on."""
    rows = []
    for matrix, period in zip(weights, periods.tolist(), strict=True):
        start = period + first
        cells = [
            matrix[t, t - period - back] for t in range(start, len(matrix)) if t >= period + back
        ]
        rows.append(torch.stack(cells))
    return torch.stack([row.mean() for row in rows]).mean() if each else torch.cat(rows).mean()


@exercise("circuits.induction_score")
def _check_induction_score(score: Callable[[Tensor, Tensor], Any]) -> None:
    """Exercise 16.2: (B, T, T) and (B,) -> the mean weight on the stripe."""
    generator = torch.Generator().manual_seed(16)
    weights = torch.rand(3, 12, 12, generator=generator).tril()
    weights = weights / weights.sum(-1, keepdim=True)
    periods = torch.tensor([3, 5, 4])
    right = _stripe(weights, periods)
    summed = sum((12 - int(period)) for period in periods) * right
    compare(
        score(weights, periods),
        right,
        "the score",
        {
            "shift P is the earlier occurrence itself: the head looks one behind it, t − P + 1": (
                _stripe(weights, periods, back=0)
            ),
            "t − P − 1 is before the earlier occurrence: the head looks one behind it, t − P + 1": (
                _stripe(weights, periods, back=1)
            ),
            "query P − 1 has key 0 on its stripe, but its token has not been seen: begin at P": (
                _stripe(weights, periods, first=-1)
            ),
            "query P counts already: its token has been seen at position 0": (
                _stripe(weights, periods, first=1)
            ),
            "the mean of the sequences' means: average all queries that count together": (
                _stripe(weights, periods, each=True)
            ),
            "the axes are exchanged: rows are queries, weights[b, t, t − P + 1]": (
                _stripe(weights.mT, periods)
            ),
            "that is the sum; divide by the number of queries that count": summed,
            "divided by B · T: divide by the number of queries that count only": summed / 36,
            "each sequence has a period of its own; you use the first one's for all": (
                _stripe(weights, periods[:1].expand(3))
            ),
            "the sum of the sequences' means: average all queries that count together": (
                3 * _stripe(weights, periods, each=True)
            ),
        },
    )
    one = torch.eye(9).roll(-4, dims=1)[None]  # query t puts all its weight on key t − 5 + 1
    compare(score(one, torch.tensor([5])), torch.tensor(1.0), "the score of a perfect stripe")


def _small_model(depth: int = 2) -> AttentionOnlyModel:
    """A model with large weights, in which every head matters; the caller's random numbers stay."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(16)
        model = AttentionOnlyModel(8, 12, 12, 3, depth)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0)
    return model


@exercise("circuits.patched_logits")
def _check_patched_logits(
    patched_logits: Callable[[AttentionOnlyModel, Tensor, Tensor, Head], Any],
) -> None:
    """Exercise 16.3: the logits of a run in which one head answers as on other tokens."""
    model = _small_model()
    generator = torch.Generator().manual_seed(16)
    tokens, _ = repeated_patterns(3, 12, 8, periods=(3, 6), generator=generator)
    others, _ = repeated_patterns(3, 12, 8, periods=(3, 6), generator=generator)
    own, theirs = run_heads(model, tokens), run_heads(model, others)

    def with_output(head: Head, output: Tensor, base: Tensor = tokens) -> Tensor:
        return run_heads(model, base, {head: output}).logits

    for head in ((0, 1), (1, 2)):
        there, here = theirs.outputs[head], own.outputs[head]
        layer = head[0]
        compare(
            patched_logits(model, tokens, others, head),
            with_output(head, there),
            f"the logits with head {head} patched",
            {
                "nothing is patched: those are the logits of the plain run on tokens": own.logits,
                "those are the logits of the other run; run on tokens and replace one head": (
                    theirs.logits
                ),
                "zeros knock the head out; patch in what it adds in the run on others": (
                    with_output(head, torch.zeros(()))
                ),
                "that is the head's mean over the batch; patch in its output on others": (
                    with_output(head, here.mean(0, keepdim=True))
                ),
                "that is the mean over the other run's batch; patch each sequence with its own": (
                    with_output(head, there.mean(0, keepdim=True))
                ),
                "that is the head's mean over the positions; patch in its output on others": (
                    with_output(head, here.mean(1, keepdim=True))
                ),
                "that is the mean over the other run's positions; patch each with its own": (
                    with_output(head, there.mean(1, keepdim=True))
                ),
                "that is one mean over all; patch in the head's output on others": (
                    with_output(head, here.mean(dim=(0, 1), keepdim=True))
                ),
                "the wrong way round: run on tokens, and take the head's output from others": (
                    with_output(head, here, others)
                ),
                "the whole layer is patched; replace the one head": (
                    run_heads(
                        model, tokens, {(layer, h): theirs.outputs[layer, h] for h in range(3)}
                    ).logits
                ),
                "the batch of the other run is in another order; patch each with its own": (
                    with_output(head, there.flip(0))
                ),
                "layer and head are exchanged: a head is (layer, head)": (
                    with_output((1, 0), theirs.outputs[1, 0]) if head == (0, 1) else own.logits
                ),
                "you patch head 0 whatever is asked": (
                    with_output((layer, 0), theirs.outputs[layer, 0])
                ),
            },
        )


@exercise("circuits.match_matrix")
def _check_match_matrix(
    match_matrix: Callable[[AttentionOnlyModel, Head, Head], Any],
) -> None:
    """Exercise 16.4: how well the present token matches the one before the key, (V, V)."""
    model = _small_model()
    E, U = model.embedding.weight.detach(), model.head.weight.detach()
    for first, second in (((0, 1), (1, 2)), ((0, 2), (1, 0))):
        qk, ov = _matrices(model, first, second)
        other_qk, other_ov = _matrices(model, second, first)
        right = E @ qk @ (E @ ov).T
        d = 4
        compare(
            match_matrix(model, first, second),
            right,
            f"the matrix of heads {first} and {second}",
            {
                "transposed: rows are the query's token, columns the token before the key": right.T,
                "the first head's OV matrix is missing: the key reads what that head has added": (
                    E @ qk @ E.T
                ),
                "the OV matrix stands on the query's side: it belongs to the key": E
                @ ov
                @ qk
                @ E.T,
                "OV is transposed: the key is made of E @ OV": E @ qk @ (E @ ov.T).T,
                "QK is transposed: the query stands on the left, E @ QK @ key.T": (
                    E @ qk.T @ (E @ ov).T
                ),
                "the two heads are exchanged: OV of the first, QK of the second": (
                    E @ other_qk @ (E @ other_ov).T
                ),
                "the OV matrix is the second head's: the first one has written into the key": (
                    E @ qk @ (E @ other_ov).T
                ),
                "the QK matrix is the first head's: the second one compares": (
                    E @ other_qk @ (E @ ov).T
                ),
                "the scale 1/√d is missing; qk_matrix has it": right * d**0.5,
                "1/√d is counted twice; qk_matrix has it already": right / d**0.5,
                "the columns are the output layer's; what the first head read is an embedding": (
                    E @ qk @ (U @ ov).T
                ),
                "the rows are the output layer's; the query is made of an embedding": (
                    U @ qk @ (E @ ov).T
                ),
                "that is what the second head copies, not what it compares": (E @ other_ov @ U.T),
                "a softmax is too much: the matrix holds scores": right.softmax(-1),
            },
        )


def _matrices(model: AttentionOnlyModel, writer: Head, reader: Head) -> tuple[Tensor, Tensor]:
    """QK of the reader and OV of the writer."""
    layers = layers_of(model)
    return (
        qk_matrix(layers[reader[0]], reader[1]),
        ov_matrix(layers[writer[0]], writer[1]),
    )


@exercise("circuits.ambiguous")
def _check_ambiguous(pattern: Any) -> None:
    """Exercise 16.5: a pattern after which a letter is followed by two different ones."""
    if not isinstance(pattern, str):
        raise Mistake(f"the pattern should be a text, not {type(pattern).__name__}")
    if not 3 <= len(pattern) <= 16 or set(pattern) - set("abcdefghijklmnopqrstuvwxyz"):
        raise Mistake("the pattern should have 3 to 16 letters from a to z")
    following = {(a, b) for a, b in zip(pattern, pattern[1:] + pattern[0], strict=True)}
    if len(set(pattern)) == len(pattern):
        raise Mistake("no letter stands twice: each tells what follows it")
    if len(following) == len(set(pattern)):
        raise Mistake(
            "a letter stands twice, but the same letter follows it both times: it still tells "
            "what comes"
        )
