"""The position explorer of chapter 6: clock hands, scores of positions, and shuffled words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
import traitlets
from torch import Tensor, nn

from attn_utils.core.attend import scaled_dot_product_attention
from attn_utils.widgets.base import (
    Buffer,
    Choice,
    ControlError,
    Integer,
    LiveWidget,
    Number,
    Numbers,
    Switch,
    front_end,
)

from .positional_encoding import (
    LearnedPositionalEmbedding,
    RotaryEmbedding,
    SinusoidalPositionalEncoding,
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
    """Draw embeddings (5, 8), then W_q, W_k, W_v (8, 8 each, as nn.Linear holds them)."""
    generator = torch.Generator().manual_seed(3)
    embeddings = torch.randn(len(WORDS), LAYER, generator=generator)
    weights = torch.randn(3, LAYER, LAYER, generator=generator) / math.sqrt(LAYER)
    return torch.cat([embeddings.flatten(), weights.transpose(1, 2).flatten()])


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
    position = Integer(5, min=0, max=POSITIONS - 1, step=1, label="position")
    width = Number(32, min=4, max=64, step=2, label="width d")
    base = Number(10_000, min=10, max=100_000, step="any", label="base")
    look_back = Integer(0, min=0, max=20, step=1, label="look back")
    positions_on = Switch(False, label="tell the layer the positions")
    order = Numbers(
        list(range(len(WORDS))), min=0, max=len(WORDS) - 1, step=1, label="order of words"
    )

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

    @traitlets.validate("width")
    def _even(self, proposal: traitlets.Bunch) -> float:
        if proposal.value % 2:
            raise ControlError(f"width: expected an even number, got {proposal.value:g}")
        return float(proposal.value)

    @traitlets.validate("order")
    def _permutation(self, proposal: traitlets.Bunch) -> list[float]:
        numbers: list[float] = proposal.value
        if sorted(numbers) != list(range(len(WORDS))):
            raise ControlError(f"order: expected a permutation of 0 to 4, got {numbers}")
        return numbers

    def _add_positions(self, x: Tensor) -> Tensor:
        """Add the encoding of the widget to x (T, d), by the module that does so."""
        T, d = x.shape
        module: LearnedPositionalEmbedding | SinusoidalPositionalEncoding
        if self.encoding == "learned":
            with torch.device("meta"):  # no random numbers are drawn for a table that is given
                module = LearnedPositionalEmbedding(TRAINED, d)
            module.weight = nn.Parameter(TABLE[:, :d], requires_grad=False)
        else:
            module = SinusoidalPositionalEncoding(d, max_len=T, base=self.base).double()
            module.reset_parameters()  # the table in float64
        total: Tensor = module(x[None])
        return total[0]

    def encodings(self) -> Tensor:
        """Return the matrix (96, width); rows that the learned table lacks are 0."""
        d = int(self.width)
        if self.encoding == "rotary":
            starts = torch.tensor(STARTS[: d // 2], dtype=torch.float64)
            query = torch.stack([starts.cos(), starts.sin()], dim=-1).flatten()  # unit pairs
            turned: Tensor = RotaryEmbedding(d, self.base)(query.expand(POSITIONS, d))
            return turned
        rows = TRAINED if self.encoding == "learned" else POSITIONS
        matrix = self._add_positions(torch.zeros(rows, d, dtype=torch.float64))
        return F.pad(matrix, (0, 0, 0, POSITIONS - rows))

    def _looking_back(self, p: Tensor) -> Tensor:
        """Turn queries (T, d) back, so that they look for an earlier position."""
        if self.encoding == "learned" or not self.look_back:
            return p
        # the hands of sine and cosine turn clockwise: (sin, cos) -> the other way round
        by = -self.look_back if self.encoding == "rotary" else self.look_back
        turned: Tensor = RotaryEmbedding(p.shape[1], self.base)(p, torch.full((len(p),), by))
        return turned

    def attend(self, order: list[int]) -> Tensor:
        """Run the tiny layer on the words in this order: (5, 8)."""
        rows = WEIGHTS.double().view(-1, LAYER)
        x = rows[: len(WORDS)][order]  # (T, 8)
        told = self.encoding if self.positions_on else None
        if told in ("learned", "sinusoidal"):
            x = self._add_positions(x)
        q, k, v = (F.linear(x, w) for w in rows[len(WORDS) :].chunk(3))
        if told == "rotary":
            rotary = RotaryEmbedding(LAYER, self.base)
            q, k = rotary(q), rotary(k)
        return scaled_dot_product_attention(q[None], k[None], v[None])[0]

    def reference(self) -> dict[str, Tensor]:
        """Compute everything the panels show with the package's modules, in float64."""
        matrix = self.encodings()
        p = matrix[:TRAINED]
        scores = self._looking_back(p) @ p.T / (int(self.width) / 2)  # (64, 64)
        offsets = range(-TRAINED + 1, TRAINED)  # i - j: the diagonals from the upper right
        curve = torch.stack([scores.diagonal(-offset).mean() for offset in offsets])
        order = [int(i) for i in self.order]
        outputs = self.attend(order)
        moved = (outputs - self.attend(sorted(order))[order]).abs().amax(dim=1)
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
        limit = float(abs(matrix).max())
        image = axes["matrix"].imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
        axes["matrix"].axhline(position, color="black")
        axes["matrix"].set(xlabel="column", ylabel="position")
        figure.colorbar(image, ax=axes["matrix"])
        scores = results["scores"].numpy()
        image = axes["scores"].imshow(scores, cmap="Reds", vmin=min(0.0, float(scores.min())))
        axes["scores"].set(xlabel="key position", ylabel="query position")
        figure.colorbar(image, ax=axes["scores"], shrink=0.7)
        axes["curve"].plot(range(-TRAINED + 1, TRAINED), results["curve"].numpy())
        axes["curve"].set(xlabel="offset i − j", ylabel="score")
        figure.suptitle(self.title, fontsize=11, parse_math=False)
        return figure


def _circle(x: float) -> Patch:
    from matplotlib.patches import Circle

    return Circle((x, 0), 1, fill=False, color="0.75")
