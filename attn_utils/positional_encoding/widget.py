"""The position explorer of chapter 6: clock hands, scores of positions, and shuffled words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import traitlets
from torch import Tensor

from attn_utils.widgets.base import (
    Buffer,
    Choice,
    ControlError,
    LiveWidget,
    Number,
    Numbers,
    Switch,
    front_end,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

POSITIONS = 96  # rows of the matrix
TRAINED = 64  # rows of the learned table; also the side of the score matrix
WORDS = ("old", "dog", "bites", "young", "man")
LAYER = 8  # width of the tiny attention layer


def _stand_in() -> Tensor:
    """Make a (64, 64) table that looks trained: random numbers, smooth along the positions."""
    noise = torch.randn(TRAINED, 64, generator=torch.Generator().manual_seed(6))
    places = torch.arange(TRAINED, dtype=torch.float32)
    kernel = torch.exp(-0.5 * ((places[:, None] - places) / 2.5) ** 2)
    smooth = kernel @ noise
    return smooth / smooth.std(dim=0) * math.sqrt(0.5)  # rows about as long as sinusoidal ones


def _layer() -> Tensor:
    """Draw embeddings (5, 8), W_q, W_k, W_v (8, 8 each), one after the other."""
    generator = torch.Generator().manual_seed(3)
    embeddings = torch.randn(len(WORDS), LAYER, generator=generator)
    weights = torch.randn(3, LAYER, LAYER, generator=generator) / math.sqrt(LAYER)
    return torch.cat([embeddings.flatten(), weights.flatten()])


def _starts() -> list[float]:
    """Draw the angles at which a word's query points before it is turned, one for each pair."""
    angles = 2 * math.pi * torch.rand(32, generator=torch.Generator().manual_seed(9))
    return [round(angle, 3) for angle in angles.tolist()]


TABLE, WEIGHTS, STARTS = _stand_in(), _layer(), _starts()


class PositionExplorer(LiveWidget):
    r"""Scrub a position over a row of clock hands; see its row, its scores, and shuffled words.

    Hand :math:`j` turns by :math:`\omega_j = \text{base}^{-2j/d}` radians a position. The score of
    query position i and key position j is :math:`p_i^\top p_j / (d/2)`; ``look_back`` turns the
    query back by that many positions first, so that it looks for position i − look_back.

    Attributes:
        encoding: "sinusoidal" (sine and cosine of each hand, added), "learned" (a fixed stand-in
            for a trained table of 64 rows: smooth random numbers, added) or "rotary" (a query of
            unit pairs, turned).
        position: 0 … 95.
        width: d, even, 4 … 64.
        base: 10 … 100000.
        look_back: 0 … 20; a learned table cannot do it and ignores it.
        positions_on: whether the tiny attention layer is told the positions of its words.
        order: the five words' order, a permutation of 0 … 4.
        vector: the encoding of the position, (width,); all 0 where the learned table has none.
        matrix: the encodings of 96 positions, flat (96 · width,).
        scores: of 64 query and 64 key positions, flat (4096,).
        curve: the mean score at offsets i − j from −63 to 63, (127,).
        outputs: what the layer returns, a row for each word in the present order, flat (5 · 8,).
        changes: for each word (in the order of the sentence) the largest change of its output
            against the unshuffled sentence, (5,).
    """

    _esm = front_end(__file__, ".js")
    _css = front_end(__file__, ".css")

    title = traitlets.Unicode("Position bench: what time is it in this sentence?").tag(sync=True)
    alt = traitlets.Unicode(
        "A row of clock hands, fast ones at the left, slow ones at the right, beside a binary "
        "counter. Below, the matrix of encodings with one row marked, the scores of all pairs of "
        "positions, bright along the diagonal, and the score against the offset, a peak at 0."
    )
    encoding = Choice(
        "sinusoidal", options=("sinusoidal", "learned", "rotary"), label="positions are"
    )
    position = Number(5, min=0, max=POSITIONS - 1, step=1, label="position")
    width = Number(32, min=4, max=64, step=2, label="width d")
    base = Number(10_000, min=10, max=100_000, step="any", label="base")
    look_back = Number(0, min=0, max=20, step=1, label="look back")
    positions_on = Switch(False, label="tell the layer the positions")
    order = Numbers(list(range(len(WORDS))), min=0, max=len(WORDS) - 1, label="order of words")

    vector = Buffer()
    matrix = Buffer()
    scores = Buffer()
    curve = Buffer()
    outputs = Buffer()
    changes = Buffer()

    _table = Buffer()
    _layer = Buffer()
    _starts = traitlets.List(STARTS).tag(sync=True)
    _words = traitlets.List(list(WORDS)).tag(sync=True)
    _sizes = traitlets.List([POSITIONS, TRAINED, LAYER]).tag(sync=True)

    def __init__(self, **controls: object) -> None:
        super().__init__(_table=TABLE.numpy().ravel(), _layer=WEIGHTS.numpy(), **controls)

    @traitlets.validate("position", "look_back", "width")
    def _whole(self, proposal: traitlets.Bunch) -> float:
        name, value = proposal.trait.name, float(proposal.value)
        step = 2 if name == "width" else 1
        if value % step:
            expected = "an even number" if step == 2 else "a whole number"
            raise ControlError(f"{name}: expected {expected}, got {value:g}")
        return value

    @traitlets.validate("order")
    def _permutation(self, proposal: traitlets.Bunch) -> list[float]:
        numbers: list[float] = proposal.value
        if sorted(numbers) != list(range(len(WORDS))):
            raise ControlError(f"order: expected a permutation of 0 to 4, got {numbers}")
        return numbers

    def frequencies(self, width: int | None = None) -> Tensor:
        """Radians a position for each hand, (width / 2,)."""
        d = int(self.width) if width is None else width
        exponents = -torch.arange(0, d, 2, dtype=torch.float64) / d
        return torch.exp(exponents * math.log(self.base))

    def encodings(self) -> Tensor:
        """Return the matrix (96, width); rows that the learned table lacks are 0."""
        d = int(self.width)
        if self.encoding == "learned":
            missing = torch.zeros(POSITIONS - TRAINED, d, dtype=torch.float64)
            return torch.cat([TABLE[:, :d].double(), missing])
        angles = torch.outer(torch.arange(POSITIONS).double(), self.frequencies())  # (96, d/2)
        if self.encoding == "rotary":
            turned = angles + torch.tensor(STARTS[: d // 2], dtype=torch.float64)
            return torch.stack([turned.cos(), turned.sin()], dim=-1).flatten(1)
        return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)

    def attend(self, order: list[int]) -> Tensor:
        """Run the tiny layer on the words in this order: (5, 8)."""
        weights = WEIGHTS.double()
        count = len(WORDS)
        x = weights[: count * LAYER].view(count, LAYER)[order]  # (T, 8)
        w_q, w_k, w_v = weights[count * LAYER :].view(3, LAYER, LAYER)
        angles = torch.outer(torch.arange(count).double(), self.frequencies(LAYER))  # (T, 4)
        if self.positions_on and self.encoding == "learned":
            x = x + TABLE[:count, :LAYER].double()
        elif self.positions_on and self.encoding == "sinusoidal":
            x = x + torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
        q, k, v = x @ w_q, x @ w_k, x @ w_v
        if self.positions_on and self.encoding == "rotary":
            q, k = _turn(q, angles), _turn(k, angles)
        outputs: Tensor = (q @ k.T / math.sqrt(LAYER)).softmax(dim=-1) @ v  # (T, 8)
        return outputs

    def reference(self) -> dict[str, Tensor]:
        """Compute everything the panels show in torch, in float64."""
        matrix = self.encodings()
        d = int(self.width)
        p = matrix[:TRAINED]
        queries = p
        if self.encoding != "learned":
            back = (-self.look_back * self.frequencies()).expand(TRAINED, d // 2)
            # the hands of sine and cosine turn clockwise: (sin, cos) -> the other way round
            queries = _turn(p, back if self.encoding == "rotary" else -back)
        scores = queries @ p.T / (d / 2)  # (64, 64)
        offsets = range(-TRAINED + 1, TRAINED)  # i - j: the diagonals from the upper right
        curve = torch.stack([scores.diagonal(-offset).mean() for offset in offsets])
        order = [int(i) for i in self.order]
        outputs = self.attend(order)
        moved = (outputs - self.attend(list(range(len(WORDS))))[order]).abs().amax(dim=1)
        changes = torch.zeros(len(WORDS), dtype=torch.float64)
        changes[order] = moved
        return {
            "vector": matrix[int(self.position)],
            "matrix": matrix,
            "scores": scores,
            "curve": curve,
            "outputs": outputs,
            "changes": changes,
        }

    def figure(self) -> Figure:
        """Draw the hands, the matrix, the scores and their curve."""
        from matplotlib.figure import Figure

        results = self.reference()
        d, position = int(self.width), int(self.position)
        figure = Figure(figsize=(8.0, 4.6), layout="constrained")
        axes = figure.subplot_mosaic(
            [["hands"] * 3, ["matrix", "scores", "curve"]], height_ratios=[1, 2.6]
        )
        ax = axes["hands"]
        pairs = results["vector"].view(-1, 2).tolist()
        for j, (a, b) in enumerate(pairs):
            x, y = (b, a) if self.encoding == "rotary" else (a, b)
            ax.add_patch(_circle(2.2 * j))
            ax.plot([2.2 * j, 2.2 * j + x], [0, y], color="#0072B2", linewidth=2)
        ax.set(aspect="equal", xlim=(-1.2, 2.2 * d / 2 - 1), ylim=(-1.2, 1.2))
        ax.set_title(f"{self.encoding}, position {position}: one clock hand for each pair")
        ax.axis("off")
        matrix = results["matrix"].numpy()
        limit = abs(matrix).max()
        image = axes["matrix"].imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
        axes["matrix"].axhline(position, color="black")
        axes["matrix"].set(xlabel="column", ylabel="position")
        figure.colorbar(image, ax=axes["matrix"])
        image = axes["scores"].imshow(results["scores"].numpy(), cmap="Reds", vmin=0)
        axes["scores"].set(xlabel="key position", ylabel="query position")
        figure.colorbar(image, ax=axes["scores"], shrink=0.7)
        axes["curve"].plot(range(-TRAINED + 1, TRAINED), results["curve"].numpy())
        axes["curve"].set(xlabel="offset i − j", ylabel="score")
        figure.suptitle(self.title, fontsize=11)
        return figure


def _turn(x: Tensor, angles: Tensor) -> Tensor:
    """Turn neighbouring pairs of x (T, d) by the angles (T, d/2)."""
    a, b = x[:, 0::2], x[:, 1::2]
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1).flatten(1)


def _circle(x: float) -> Patch:
    from matplotlib.patches import Circle

    return Circle((x, 0), 1, fill=False, color="0.75")
