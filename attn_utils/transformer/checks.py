"""Self-checks of chapter 9, The transformer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from attn_utils.checks import Mistake, compare, compare_entries, exercise

_SIZES = {
    "attention": 66_048,
    "network": 131_712,
    "norms": 512,
    "block": 198_272,
    "cache": 1_536_000,
}
_SIZE_MISTAKES: dict[str, dict[int, str]] = {
    "attention": {
        65_536: "attention: the four biases of length D are missing",
        49_536: "attention: the output matrix W_o (with its bias) is missing",
        49_152: "attention: the output matrix W_o is missing, and so are the biases",
        528_384: "attention: the heads are slices of shared matrices, so H does not count",
        8_256: "attention: the matrices are D by D, all heads together",
    },
    "network": {
        131_072: "network: the two biases are missing",
        131_328: "network: the first bias is as long as the inner width, 4 D",
        131_584: "network: the second bias, of length D, is missing",
        132_096: "network: the second bias is as long as the output, D",
        66_048: "network: there are two matrices, up and down",
        32_768: "network: the inner width is 4 D, not D",
    },
    "norms": {
        256: "norms: each of the two has a gain and a bias for each feature",
        1024: "norms: a block has two norms, with a gain and a bias each",
        4: "norms: a gain and a bias for each of the D features, not one for all",
        768: "norms: an encoder block has two norms; three are for a decoder block",
        8: "norms: a gain and a bias for each of the D features",
    },
    "block": {
        197_760: "block: the norms are missing",
        66_560: "block: the network is missing",
        132_224: "block: attention is missing",
        196_608: "block: that is 12 D²; biases and norms are missing",
        1_189_632: "block: that is all six layers; one block is asked for",
        394_752: "block: that looks like two networks; add attention, network and norms once each",
    },
    "cache": {
        768_000: "cache: keys and values are kept, both",
        256_000: "cache: that is one layer; there are six",
        128_000: "cache: that is the keys of one layer; values and the other layers are missing",
        12_288_000: "cache: all heads together are D wide, so H does not count",
        192_000: "cache: that is one head of 16 features; there are 8 of them",
        2_304_000: "cache: queries are not kept, only keys and values",
        3_072_000: "cache: that is bytes at two a number; numbers are asked for",
        6_144_000: "cache: that is bytes at four a number; numbers are asked for",
        1_536_000_000: "cache: it holds a key and a value for each token, not for each pair",
    },
}


@exercise("transformer.sizes")
def _check_sizes(answers: Any) -> None:
    """Exercise 9.1: where the numbers are."""
    compare_entries(answers, _SIZES, _SIZE_MISTAKES, "write it as a formula in D first")


@exercise("transformer.pre_norm")
def _check_pre_norm(pre_norm: Callable[..., Any]) -> None:
    """Exercise 9.2: a pre-norm block."""
    generator = torch.Generator().manual_seed(9)
    D = 6
    x = 3 * torch.randn(2, 4, D, generator=generator)
    A, N = torch.randn(2, D, D, generator=generator) / 2
    gain = torch.rand(2, D, generator=generator) + 0.5

    def attend(h: Tensor) -> Tensor:  # looks around: a running sum
        total: Tensor = (h @ A).cumsum(dim=-2)
        return total

    def network(h: Tensor) -> Tensor:
        return torch.tanh(h @ N) + 0.3

    def norm1(h: Tensor) -> Tensor:
        return F.layer_norm(h, (D,), gain[0])

    def norm2(h: Tensor) -> Tensor:
        return F.layer_norm(h, (D,), gain[1]) + 0.1

    h = x + attend(norm1(x))
    want = h + network(norm2(h))
    post = norm1(x + attend(x))
    n1 = norm1(x)
    on_norm = n1 + attend(n1)
    got = pre_norm(x, attend, network, norm1, norm2)
    compare(
        got,
        want,
        "the block's output",
        {
            "that is post-norm: the norms stand on the stream, behind the sums; put them inside "
            "the brackets of attend and network": norm2(post + network(post)),
            "the norms are missing": x + attend(x) + network(x + attend(x)),
            "the second sum is missing: add the network's result to h": network(norm2(h)),
            "the first sum is missing: add what attention found to x": (
                attend(norm1(x)) + network(norm2(attend(norm1(x))))
            ),
            "both sums are missing: a block adds to the stream": network(norm2(attend(norm1(x)))),
            "the stream itself is normalised: add to x and h, not to their normalised copies": (
                on_norm + network(norm2(on_norm))
            ),
            "the second line adds to the normalised h: add to h itself": (
                norm2(h) + network(norm2(h))
            ),
            "the network reads x: it should read h, after the attention": (
                x + attend(norm1(x)) + network(norm2(x))
            ),
            "h is lost: the last line adds the network's result to x, not to h": (
                x + network(norm2(h))
            ),
            "norm1 is used twice: the network has a norm of its own, norm2": h + network(norm1(h)),
            "the two norms are exchanged": _exchanged(x, attend, network, norm1, norm2),
            "attention and network are exchanged: first look around, then think": (
                _exchanged(x, network, attend, norm1, norm2)
            ),
            "attention and network are exchanged (with the norms): first look around, then think": (
                _exchanged(x, network, attend, norm2, norm1)
            ),
            "the network is missing": h,
            "there is one norm too many: none stands at the end of a block": norm2(want),
        },
    )


def _exchanged(x: Tensor, attend: Any, network: Any, norm1: Any, norm2: Any) -> Tensor:
    h: Tensor = x + attend(norm2(x))
    last: Tensor = h + network(norm1(h))
    return last


@exercise("transformer.examples")
def _check_examples(examples: Callable[[Tensor, int], Any]) -> None:
    """Exercise 9.3: inputs, and the same one later."""
    for n, length in ((23, 5), (21, 5), (20, 5), (9, 8)):
        text = 100 + torch.arange(n).square() % 61  # a successor is not "one more"
        N = (n - 1) // length
        want_in = text[: N * length].view(N, length)
        want_out = text[1 : N * length + 1].view(N, length)
        got = examples(text, length)
        if got is None or got is Ellipsis:
            raise Mistake(f"the answer is {got}: nothing has been computed yet")
        if not isinstance(got, tuple | list) or len(got) != 2:
            raise Mistake("return two tensors, inputs and targets")
        inputs, targets = (torch.stack(list(x)) if _rows(x) else x for x in got)
        fits = n // length
        what = f"of {n} tokens in pieces of {length}"
        last_early = (
            {
                "the last input has no successor: N is the whole part of (n − 1) / length": (
                    text[: fits * length].view(fits, length)
                ),
            }
            if fits > N
            else {}
        )
        stride_one = (
            {
                "the examples overlap: side by side means that the next begins where one ends": (
                    text[: n - 1].unfold(0, length, 1)
                ),
            }
            if N > 1
            else {}
        )
        if tuple(getattr(targets, "shape", ())) == (N, length):
            _named_targets(targets, inputs, text, want_in, want_out)
        compare(
            inputs,
            want_in,
            f"inputs {what}",
            last_early
            | stride_one
            | {
                "the shape is (length, N): each example is a row": want_in.T,
                "inputs and targets are exchanged": want_out,
            },
        )
        compare(targets, want_out, f"targets {what}")


def _rows(x: Any) -> bool:
    """Whether x is a list of equally long tensors, which is as good as a tensor."""
    return (
        isinstance(x, tuple | list)
        and len(x) > 0
        and all(isinstance(row, Tensor) and row.shape == x[0].shape for row in x)
    )


def _named_targets(
    targets: Tensor, got_inputs: Any, text: Tensor, inputs: Tensor, want: Tensor
) -> None:
    """Look at targets of the right shape, before the inputs, whose mistakes are fewer."""
    exchanged = isinstance(got_inputs, Tensor) and torch.equal(got_inputs, want)
    if exchanged and torch.equal(targets, inputs):
        raise Mistake("inputs and targets are exchanged: the targets are the later ones")
    place = torch.arange(inputs.numel()).view_as(inputs)
    mistakes = {
        "the targets are the inputs: the model would learn to repeat": inputs,
        "the targets are the inputs plus 1: that is the next *number*, not the next token of the "
        "text": inputs + 1,
        "the last target of each row is its own first input: `roll` turns it in a circle": (
            inputs.roll(-1, 1)
        ),
        "the last target of the last row is the first token: `roll` turns it in a circle": (
            inputs.flatten().roll(-1).view_as(inputs)
        ),
        "the targets are one too late: shift by one": text[(place + 2).clamp_max(len(text) - 1)],
        "the targets are the tokens *before*: shift to the other side": text[place - 1],
    }
    compare(targets, want, "targets", mistakes)


@exercise("transformer.cache_mask")
def _check_cache_mask(cache_mask: Callable[[int, int], Any]) -> None:
    """Exercise 9.4: causal, aligned at the bottom right."""
    for new, past in ((3, 4), (1, 5), (4, 0), (2, 1)):
        got = cache_mask(new, past)
        if got is None or got is Ellipsis:
            raise Mistake(f"the mask is {got}: nothing has been computed yet")
        if not isinstance(got, Tensor):
            raise Mistake(f"the mask should be a tensor, not {type(got).__name__}")
        if got.dtype != torch.bool:
            raise Mistake(f"the mask should be boolean (True = may be attended), not {got.dtype}")
        total = new + past
        ones = torch.ones(new, total, dtype=torch.bool)
        want = ones.tril(past)
        compare(
            got.int(),
            want.int(),
            f"the mask for {new} new and {past} cached",
            {
                message: wrong.int()
                for message, wrong in {
                    "it is aligned at the top left: the first new query sees the oldest key only; "
                    "its position is `past`, not 0": ones.tril(),
                    "a token may also look at itself: ≤ instead of <": ones.tril(past - 1),
                    "the polarity is wrong: True means may be attended": ~want,
                    "it is the future that is allowed: exchange the sides": ones.triu(past),
                    "new tokens may not see the new ones behind them": ones,
                    "only the cache is allowed: a new query also sees itself and the new ones "
                    "before it": torch.arange(total).expand(new, total) < past,
                    "one too far: each query sees its successor": ones.tril(past + 1),
                    "rows are queries and columns keys: it is transposed": want.T,
                    "there is a row for the old queries as well: they are not asked again": (
                        torch.ones(total, total, dtype=torch.bool).tril()
                    ),
                    "the cached keys have no columns: keys are past + new": (
                        torch.ones(new, new, dtype=torch.bool).tril()
                    ),
                }.items()
                if wrong.shape != want.shape or not torch.equal(wrong, want)
            },
        )


@exercise("transformer.nucleus")
def _check_nucleus(nucleus: Callable[[Tensor, float], Any]) -> None:
    """Exercise 9.5: the smallest set of likeliest tokens with mass p."""
    probabilities = torch.tensor([0.1, 0.35, 0.05, 0.2, 0.3])
    cases = ((0.5, [1, 4]), (0.2, [1]), (0.7, [1, 3, 4]), (0.9, [0, 1, 3, 4]), (1.0, [*range(5)]))
    for p, stays in cases:
        what = f"the probabilities for p = {p}"
        kept = torch.zeros(5)
        kept[stays] = probabilities[stays]
        got = nucleus(probabilities.log() - 1.0, p)
        if isinstance(got, Tensor) and got.isnan().all():
            raise Mistake(
                f"{what} are 0 / 0: nothing is left. The likeliest token stays always: compare "
                "the sum *before* a token with p"
            )
        right = kept / kept.sum()
        wrongs = _wrong_nuclei(probabilities, p, kept)
        # in some of the cases a mistake gives the right answer
        named = {m: w for m, w in wrongs.items() if not torch.allclose(w, right, atol=1e-4)}
        compare(got, right, what, named)
    tied = nucleus(torch.zeros(4), 0.5)
    compare(
        torch.as_tensor(tied).sort().values,
        torch.tensor([0.0, 0.0, 0.5, 0.5]),
        "sorted, the probabilities of four equal logits for p = 0.5",
        {
            "two of four equal tokens are enough for p = 0.5: a tie is no reason to keep more": (
                torch.full((4,), 0.25)
            )
        },
    )


def _wrong_nuclei(probabilities: Tensor, p: float, kept: Tensor) -> dict[str, Tensor]:
    """What the mistakes lead to, for probabilities of which ``kept`` should stay."""
    falling, order = probabilities.sort(descending=True)
    sums = falling.cumsum(0)
    rising, up = probabilities.sort()

    def put_back(x: Tensor, places: Tensor) -> Tensor:
        return torch.zeros_like(x).scatter(0, places, x)

    def share(x: Tensor) -> Tensor:
        return x / x.sum().clamp_min(1e-9)

    crossing = falling * (sums - falling < p)
    short = falling * (sums <= p)
    unlikely = put_back(rising * (rising.cumsum(0) - rising < p), up)
    return {
        "the probabilities do not sum to 1: divide by what is left": kept,
        "the token that crosses the line is missing: compare the sum *before* it with p": (
            share(put_back(short, order))
        ),
        "the token that crosses the line is missing, and the sum is not 1": put_back(short, order),
        "the result is in the sorted order: put it back (scatter)": share(crossing),
        "the result is in the sorted order, and does not sum to 1": crossing,
        "in the sorted order, without the token that crosses the line, and not summing to 1": short,
        "it keeps the least likely tokens: sort in falling order": share(unlikely),
        "nothing has been left out. Is the running sum one of probabilities, or of logits?": (
            probabilities
        ),
        "it keeps the tokens with at least p times the largest probability (min-p): sum them up": (
            share(probabilities * (probabilities >= p * probabilities.max()))
        ),
        "it keeps two tokens whatever p is: that is top-k": (
            share(probabilities * (probabilities >= falling[1]))
        ),
        "it keeps every token whose own probability is at least p: sum them up": (
            share(probabilities * (probabilities >= p))
        ),
    }
