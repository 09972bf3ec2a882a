"""The mask studio of chapter 5: self-attention, matrix by matrix, with every entry open."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import torch
import traitlets
from torch import Tensor

from attn_utils.core.attend import scaled_dot_product_attention
from attn_utils.core.masks import causal_mask, length_mask
from attn_utils.widgets.base import (
    Buffer,
    Choice,
    ControlError,
    Integer,
    LiveWidget,
    Numbers,
    Switch,
    front_end,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 8  # tokens
MASKS = ("none", "causal", "padding", "window", "my own")
WAYS = ("-inf", "-1e9", "zero after softmax", "package")
WORKED = {"a1": (1.0, 1.0), "a2": (1.0, 0.0)}  # the chapter's worked example
STEPS = 7  # inputs; q, k, v; scores; scaled; masked; weights; output


def tokens_of(words: str) -> list[str]:
    """Split at blanks: the simplest tokeniser there is."""
    return [token for token in re.split(r"[ \t\r\n]+", words) if token]


def embedding_of(token: str) -> tuple[float, float]:
    """Two numbers from -2.0 to 2.0 that belong to a token, computed from its letters by a hash.

    They are as good as random and carry no meaning: only that the same token always gets the
    same vector. ``a1`` and ``a2`` have the vectors of the worked example. The browser computes
    the same (FNV-1a over the UTF-8 bytes, then a mixing step).
    """
    if token in WORKED:
        return WORKED[token]
    h = 0x811C9DC5
    # half of a surrogate pair, which UTF-8 does not have, is U+FFFD, as in the browser
    text = token.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    for byte in text.encode("utf-8"):
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    h ^= h >> 16
    h = (h * 0x7FEB352D) & 0xFFFFFFFF
    h ^= h >> 15
    return ((h & 0xFFFF) % 41 - 20) / 10, ((h >> 16) % 41 - 20) / 10


def embed(words: str) -> list[float]:
    """Vectors of the tokens, two numbers each, filled up with zeros to eight tokens."""
    numbers = [number for token in tokens_of(words) for number in embedding_of(token)]
    return numbers + [0.0] * (2 * MOST - len(numbers))


class Words(traitlets.Unicode[str, str | bytes]):
    """One to eight tokens with blanks between them: a text field."""

    def __init__(self, default: str, *, most: int, label: str) -> None:
        super().__init__(default)
        self.most = most
        self.tag(sync=True, control={"kind": "text", "max": 200, "label": label})

    def validate(self, obj: Any, value: Any) -> str:
        """Refuse no token, and more than fit."""
        count = len(tokens_of(value)) if isinstance(value, str) else 0
        if not 1 <= count <= self.most or len(value) > 200:
            got = repr(value) if not isinstance(value, str) else f"{count} of them"
            raise ControlError(f"{self.name}: expected 1 to {self.most} words, got {got}")
        return str(value)


class SelfAttentionExplorer(LiveWidget):
    r"""The mask studio: softmax(QKᵀ/√d + mask) V with every number shown.

    Up to eight tokens with vectors of width 2 go through self-attention,
    :math:`Q = A W_q`, :math:`K = A W_k`, :math:`V = A W_v` (row vectors times matrices). It opens
    with the worked example of the chapter: tokens ``a1`` and ``a2``. Other words get vectors from
    a hash of their letters (``embedding_of``), which have no meaning.

    Attributes:
        words: one to eight tokens, separated by blanks. Setting it sets ``inputs`` as well.
        inputs: the tokens' vectors, two numbers each, -5 … 5; filled up with zeros to 16 numbers.
        w_q, w_k, w_v: the three matrices row by row, four numbers each, -5 … 5.
        scaled: whether scores are divided by √2.
        mask: "none", "causal", "padding" (keys from ``valid`` on are forbidden), "window" (keys
            farther than ``reach`` are forbidden) or "my own" (``cells``).
        valid: number of tokens that are no padding, 0 … 8.
        reach: of the window to both sides, 0 … 7.
        cells: an 8 × 8 mask row by row, 1 = may be attended, 0 = forbidden.
        way: what is done with forbidden cells: "-inf" or "-1e9" takes the score's place before the
            softmax; "zero after softmax" sets the weight to 0 afterwards; "package" is "-inf", and
            a row without any permitted key gets weights of 0, as in ``masked_softmax``.
        shown: how many of the seven steps are revealed.
        scores: QKᵀ, divided by √2 if ``scaled``, before the mask, (n · n,).
        weights: (n · n,), may contain NaN. output: (n · 2,).
        row_sums: of the weights, (n,).
        leaked: of each row, the mass that lies on forbidden keys, or, with zeros after the
            softmax, that forbidden keys took away from the row, (n,).
    """

    _esm = front_end(__file__, ".js")
    _css = front_end(__file__, ".css")

    title = traitlets.Unicode("Mask studio: who may look at whom?").tag(sync=True)
    alt = traitlets.Unicode(
        "Self-attention laid out as a row of small matrices with their numbers: the tokens, W_q, "
        "W_k and W_v, which can be edited, then Q, K and V, the scores, the scaled scores, the "
        "masked scores, in which each cell can be forbidden by a click, the weights with the sum "
        "of each row, and the output."
    )
    words = Words("a1 a2", most=MOST, label="tokens")
    inputs = Numbers(embed("a1 a2"), min=-5, max=5, label="a")
    w_q = Numbers([1.0, 1.0, 0.0, 1.0], min=-5, max=5, label="W_q")
    w_k = Numbers([0.0, 1.0, 1.0, -1.0], min=-5, max=5, label="W_k")
    w_v = Numbers([0.0, 1.0, 1.0, -1.0], min=-5, max=5, label="W_v")
    scaled = Switch(True, label="divide by √2")
    mask = Choice("none", options=MASKS, label="mask")
    valid = Integer(1, min=0, max=MOST, step=1, label="valid tokens")
    reach = Integer(1, min=0, max=MOST - 1, step=1, label="reach")
    cells = Numbers([1.0] * MOST**2, min=0, max=1, step=1, label="cells")
    way = Choice("-inf", options=WAYS, label="forbidden cells")
    shown = Integer(STEPS, min=1, max=STEPS, step=1, label="steps shown")

    scores = Buffer()
    weights = Buffer()
    output = Buffer()
    row_sums = Buffer()
    leaked = Buffer()

    _worked = traitlets.List([[name, *vector] for name, vector in WORKED.items()]).tag(sync=True)

    def __init__(self, **controls: Any) -> None:
        if "words" in controls and "inputs" not in controls:
            words = controls["words"]
            if isinstance(words, str) and len(tokens_of(words)) <= MOST:
                controls["inputs"] = embed(words)
        super().__init__(**controls)
        self.observe(self._new_words, names="words")

    def _new_words(self, change: Any) -> None:
        if not self._from_browser:  # the browser sends the vectors along
            self.inputs = embed(change.new)

    @traitlets.validate("inputs")
    def _pairs(self, proposal: traitlets.Bunch) -> list[float]:
        count = len(proposal.value)
        if count % 2 or count > 2 * MOST:
            raise ControlError(f"inputs: expected 2 numbers for each token, got {count} numbers")
        numbers: list[float] = proposal.value
        return numbers + [0.0] * (2 * MOST - count)

    @traitlets.validate("w_q", "w_k", "w_v")
    def _two_by_two(self, proposal: traitlets.Bunch) -> list[float]:
        if len(proposal.value) != 4:
            name = proposal.trait.name
            raise ControlError(f"{name}: expected 4 numbers (2 × 2), got {len(proposal.value)}")
        numbers: list[float] = proposal.value
        return numbers

    @traitlets.validate("cells")
    def _eight_by_eight(self, proposal: traitlets.Bunch) -> list[float]:
        numbers: list[float] = proposal.value
        if len(numbers) != MOST**2 or not set(numbers) <= {0.0, 1.0}:
            raise ControlError(f"cells: expected 64 numbers that are 0 or 1, got {len(numbers)}")
        return numbers

    def matrices(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The tokens' vectors and their q, k, v: A, Q, K, V, each (n, 2)."""
        n = len(tokens_of(self.words))
        a = torch.tensor(self.inputs, dtype=torch.float64).view(MOST, 2)[:n]
        q, k, v = (a @ torch.tensor(w, dtype=a.dtype).view(2, 2) for w in self._w())
        return a, q, k, v

    def _w(self) -> tuple[list[float], list[float], list[float]]:
        return self.w_q, self.w_k, self.w_v

    def permitted(self) -> Tensor:
        """The mask, (n, n), True = may be attended."""
        n = len(tokens_of(self.words))
        i, j = torch.arange(n)[:, None], torch.arange(n)
        masks = {
            "none": torch.ones(n, n, dtype=torch.bool),
            "causal": causal_mask(n),
            "padding": length_mask(torch.tensor([min(int(self.valid), n)]), n)[0].expand(n, n),
            "window": (i - j).abs() <= self.reach,
            "my own": torch.tensor(self.cells).view(MOST, MOST)[:n, :n] > 0.5,
        }
        return masks[self.mask]

    def reference(self) -> dict[str, Tensor]:
        """Compute scores, weights and output in torch, in float64."""
        _, q, k, v = self.matrices()
        permitted = self.permitted()
        scale = 1 / math.sqrt(2) if self.scaled else 1.0
        scores = q @ k.T * scale  # (n, n)
        if self.way == "package":
            output, weights = scaled_dot_product_attention(
                q, k, v, permitted, scale=scale, return_weights=True
            )
            lost = torch.zeros_like(weights)
        else:
            weights, lost = self._warned_of(scores, permitted)
            output = weights @ v
        row_sums = weights.sum(dim=-1)
        leaked = (lost * ~permitted).sum(dim=-1) + 0 * row_sums  # NaN where the row is NaN
        return {
            "scores": scores,
            "weights": weights,
            "output": output,
            "row_sums": row_sums,
            "leaked": leaked,
        }

    def _warned_of(self, scores: Tensor, permitted: Tensor) -> tuple[Tensor, Tensor]:
        """Weights by a way of masking that is not the package's, and what leaks of them."""
        if self.way == "zero after softmax":
            before = scores.softmax(dim=-1)
            return before * permitted, before
        fill = -math.inf if self.way == "-inf" else -1e9
        weights = scores.masked_fill(~permitted, fill).softmax(dim=-1)
        return weights, weights

    def figure(self) -> Figure:
        """Draw tokens, Q, K, V, scores, weights and output as they stand."""
        from matplotlib.figure import Figure

        a, q, k, v = (matrix.numpy() for matrix in self.matrices())
        n = len(a)
        found = {name: value.numpy() for name, value in self.reference().items()}
        permitted = self.permitted().numpy()
        panels = [
            ("a", a),
            ("Q", q),
            ("K", k),
            ("V", v),
            ("scores", found["scores"]),
            ("weights", found["weights"]),
            ("output", found["output"]),
        ]
        figure = Figure(figsize=(9.0, 1.3 + 0.32 * n), layout="constrained")
        axes = figure.subplots(1, len(panels), width_ratios=[p.shape[1] + 0.5 for _, p in panels])
        for ax, (name, values) in zip(axes, panels, strict=True):
            top = max(1e-9, abs(values[values == values]).max(initial=0.0))
            weights = name == "weights"
            ax.imshow(
                values,
                cmap="Reds" if weights else "PuOr_r",
                vmin=0 if weights else -1.6 * top,
                vmax=1.4 if weights else 1.6 * top,
            )
            for (i, j), number in zip(
                ((i, j) for i in range(n) for j in range(values.shape[1])), values.flat, strict=True
            ):
                closed = values.shape[1] == n and name in ("scores", "weights")
                text = "✕" if name == "scores" and not permitted[i, j] else f"{number:.2f}"
                ax.text(
                    j,
                    i,
                    text,
                    ha="center",
                    va="center",
                    fontsize=8 if n < 5 else 6,
                    color="0.5" if closed and not permitted[i, j] else "black",
                )
            ax.set(xticks=[], yticks=[])
            ax.set_title(name, fontsize=9)
        labels = axes[0].set_yticks(range(n), tokens_of(self.words), fontsize=9)
        for label in labels:
            label.label1.set_parse_math(False)
        figure.suptitle(self.title, fontsize=10, parse_math=False)
        return figure
