"""Self-checks of chapter 4, Attention in a decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attn_utils.checks import Mistake, compare, exercise


@exercise("decoder.shift")
def _check_shift(shift: Callable[[Tensor, int], Any]) -> None:
    """Exercise 4.1: what the decoder reads under teacher forcing."""
    for start, rows in ((11, [[3, 1, 4, 1], [5, 9, 2, 6]]), (7, [[2, 7, 1], [8, 2, 8], [1, 8, 2]])):
        targets = torch.tensor(rows)
        first = torch.full((len(rows), 1), start)
        before = torch.cat([first, targets[:, :-1]], dim=1)
        got = shift(targets, start)
        compare(
            got,
            before,
            "what the decoder reads",
            {
                "nothing is shifted: each step would read the very token that it should write": (
                    targets
                ),
                "shifted to the left: step t should read the token before it, not the one after "
                "it": torch.cat([targets[:, 1:], first], dim=1),
                "one token too many: the last target is never read, since nothing follows it": (
                    torch.cat([first, targets], dim=1)
                ),
                "the last token came round to the front (roll): the first step reads `start`": (
                    targets.roll(1, dims=1)
                ),
                "the rows are shifted, not the tokens in each row: the axis is 1": (
                    torch.cat([torch.full_like(targets[:1], start), targets[:-1]])
                ),
                "the start token is missing: the first step has to read something": (
                    targets[:, :-1]
                ),
                "the first token is 11, whatever `start` is": (
                    torch.cat([torch.full_like(first, 11), targets[:, :-1]], dim=1)
                ),
            },
        )
        if isinstance(got, Tensor) and got.is_floating_point():
            raise Mistake(f"tokens are integers, as the targets are, not {got.dtype}")


@exercise("decoder.exact_match")
def _check_exact_match(exact_match: Callable[[Tensor, Tensor], Any]) -> None:
    """Exercise 4.2: the share of sequences without any mistake."""
    targets = torch.arange(20).view(4, 5)
    written = targets.clone()
    written[0, 2] = 99
    written[2] = 99
    written[3, 0] = 99
    targets, written = (torch.cat([x, x[2:3]]) for x in (targets, written))
    right = written == targets
    compare(
        exact_match(written, targets),
        torch.tensor(0.2),
        "the share",
        {
            "that is the share of right characters: a date counts only if all of them are right": (
                right.double().mean()
            ),
            "a sequence counts as soon as one character is right: `all`, not `any`": (
                right.any(dim=1).double().mean()
            ),
            "that is the share of wrong sequences": 1 - right.all(dim=1).double().mean(),
            "that is the number of right sequences: divide by how many there are": (
                right.all(dim=1).sum()
            ),
            "`all` runs over everything, or over the wrong axis: not over each row": (
                right.all().double()
            ),
        },
        tolerance=1e-6,
    )
    same = exact_match(targets, targets)
    compare(same, torch.tensor(1.0), "the share when everything is right")
    swapped = torch.tensor([[0, 3, 1, 2], [1, 2, 0, 3]])  # march 12th for december 3rd
    compare(
        exact_match(swapped, torch.tensor([[1, 2, 0, 3], [1, 2, 0, 3]])),
        torch.tensor(0.5),
        "the share when two tokens of a row are swapped",
        {
            "the right tokens in another order count as right: compare position by position": (
                torch.tensor(1.0)
            )
        },
    )


@exercise("decoder.attend")
def _check_attend(attend: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], Any]) -> None:
    """Exercise 4.3: one step of additive attention over a padded batch."""
    generator = torch.Generator().manual_seed(4)

    def rand(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    # B = S, so that a mask or a softmax along the wrong axis keeps all shapes
    state, outputs, lens = rand(4, 3), rand(4, 4, 5), torch.tensor([4, 2, 1, 3])
    W_q, W_k, w_v = rand(3, 6), rand(5, 6), rand(6)
    _judge_context(attend(state, outputs, lens, W_q, W_k, w_v), state, outputs, lens, W_q, W_k, w_v)
    state, outputs, lens = rand(2, 3), rand(2, 6, 5), torch.tensor([3, 6])
    _judge_context(attend(state, outputs, lens, W_q, W_k, w_v), state, outputs, lens, W_q, W_k, w_v)


def _judge_context(
    got: Any, state: Tensor, outputs: Tensor, lens: Tensor, W_q: Tensor, W_k: Tensor, w_v: Tensor
) -> None:
    scores = torch.tanh((state @ W_q)[:, None] + outputs @ W_k) @ w_v  # (B, S)
    positions = torch.arange(outputs.shape[1])
    valid = positions < lens[:, None]
    weights = scores.masked_fill(~valid, -torch.inf).softmax(dim=-1)

    def answer(weights: Tensor) -> Tensor:  # (B, S) -> (B, 5)
        return (weights[:, None] @ outputs)[:, 0]

    columns = scores.masked_fill(~valid, -torch.inf).softmax(dim=0)
    no_tanh = ((state @ W_q)[:, None] + outputs @ W_k) @ w_v
    longer = scores.masked_fill(positions > lens[:, None], -torch.inf).softmax(dim=-1)
    if isinstance(got, Tensor) and got.isnan().any():
        raise Mistake(
            "the context contains NaN: is the mask turned round? A sequence without padding "
            "then has no key left"
        )
    compare(
        got,
        answer(weights),
        "the context",
        {
            "the padding is not masked: lens is not used": answer(scores.softmax(dim=-1)),
            "the padding is set to 0 after the softmax: it still stands in the denominator": (
                answer(scores.softmax(dim=-1) * valid)
            ),
            "scores of the padding are set to 0, but e⁰ is 1: set them to −∞": (
                answer(scores.masked_fill(~valid, 0).softmax(dim=-1))
            ),
            "the mask is turned round: only the padding is attended to": (
                answer(scores.masked_fill(valid, -1e9).softmax(dim=-1))
            ),
            "one character too many: positions count from 0, so padding begins at lens": (
                answer(longer)
            ),
            "the softmax runs over the batch: its axis is the last, the source": answer(columns),
            "the tanh is missing": answer(no_tanh.masked_fill(~valid, -torch.inf).softmax(dim=-1)),
            "you return the weights: they still have to be applied to the outputs": weights,
            "the plain mean of the valid outputs: the state has no say": (
                answer(valid / lens[:, None])
            ),
        },
    )


@exercise("decoder.greedy")
def _check_greedy(greedy: Callable[[Callable[..., Any], int, Any, int], Any]) -> None:
    """Exercise 4.4: decode one sequence, step by step."""
    generator = torch.Generator().manual_seed(4)
    table = torch.randn(6, 40, 5, generator=generator)  # previous token, state -> logits

    def step(token: int, state: int) -> tuple[Tensor, int]:
        return table[int(token), int(state)], (7 * int(state) + int(token) + 1) % 40

    def run(feed: str) -> list[int]:
        token, state, written = start, first, []
        for _ in range(steps):
            logits, new = step(start if feed in ("start", "both") else token, state)
            token = int(logits.argmin() if feed == "least" else logits.argmax())
            state = state if feed in ("state", "both") else new
            written.append(token)
        return written

    for start, first, steps in ((5, 3, 8), (1, 20, 5)):
        got = greedy(step, start, first, steps)
        if isinstance(got, list | tuple):
            got = torch.tensor([int(token) for token in got])
        want = torch.tensor(run(""))
        compare(
            got,
            want,
            "what is written",
            {
                "every step reads the start token: feed back what has been written": (
                    torch.tensor(run("start"))
                ),
                "every step begins from the first state: pass the new state on": (
                    torch.tensor(run("state"))
                ),
                "every step is the first one: read what has been written, and pass the state on": (
                    torch.tensor(run("both"))
                ),
                "the least likely token is taken: argmax, not argmin": torch.tensor(run("least")),
                "the start token is part of the result: it is read, never written": (
                    torch.tensor([start, *run("")])
                ),
                "the start token is part of the result, and the last token is missing": (
                    torch.tensor([start, *run("")[:-1]])
                ),
                "one step too few": want[:-1],
            },
        )
