"""The head explorer of chapter 7: who looks where, and what the task loses without a head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import traitlets
from torch import Tensor, nn

from attn_utils.plots import PALETTE
from attn_utils.widgets.base import (
    Buffer,
    ControlError,
    Integer,
    LiveWidget,
    Numbers,
    Switch,
    front_end,
)

from .multi_head import MultiHeadAttention
from .wedding import checked, contributions_of, wedding

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DASHES = ("-", "--", ":", "-.")  # a second sign beside the colour


class HeadExplorer(LiveWidget):
    r"""Lines from queries to keys, a colour for each head, and a fader for each.

    The task's answer is read linearly from the heads, so it can be recomputed for any faders:
    :math:`\text{logits} = \text{bias}` :math:`+ \sum_h \text{fader}_h \cdot \text{contribution}_h`.
    Without data it shows the game of the wedding table with four heads set by hand; give all of
    ``weights``, ``contributions``, ``bias``, ``labels``, ``tokens`` and ``classes``, or use
    :meth:`from_model`, for heads of your own.

    Args:
        tokens: for each of N examples the names of the S keys.
        weights: attention weights (N, H, T, S), H up to 8.
        contributions: what each head adds to the logits, (N, H, C).
        bias: what the logits are without any head, (C,).
        labels: the right class of each example, N integers from 0.
        classes: names of the C classes.
        query_tokens: for each example the names of the T queries; by default those of the keys.
        asked: for each example the query that the answer is read from; by default none is marked.
        heads: names of the heads; by default "head 1", "head 2", …
        question: what is asked, in words.
        **controls: any of the attributes below.

    Attributes:
        example: 0 … N - 1.
        query: the query whose lines stand out, 0 … T - 1; -1 is the one that is asked.
        faders: a factor for each head, 0 … 2.
        shown: 1 for each head whose lines are drawn, 0 for the others.
        guessing: whether the answer stays hidden until the reader has chosen one.
        logits: of all examples, flat (N · C,).
        predicted: class of the largest logit of each example, (N,).
        accuracy: share of the examples with the right answer, one number.

    Raises:
        ValueError: data that do not fit together, more than 8 heads, more than 120 KiB of
            weights and contributions, or a control that is out of its range or unknown.
    """

    _esm = front_end(__file__, ".js")
    _css = front_end(__file__, ".css")

    title = traitlets.Unicode("Head explorer: which head does the answer need?").tag(sync=True)
    alt = traitlets.Unicode(
        "Names in two rows, queries above and keys below. Coloured lines, a colour and a dash "
        "pattern for each head, join one query to the keys it attends to; thick lines are large "
        "weights. Beside it a fader for each head, a bar for each possible answer, and the share "
        "of right answers over all stored examples."
    )
    example = Integer(0, min=0, max=10_000, step=1, label="example")
    query = Integer(-1, min=-1, max=10_000, step=1, label="query")
    faders = Numbers([1.0], min=0, max=2, label="faders")
    shown = Numbers([1.0], min=0, max=1, step=1, label="lines shown")
    guessing = Switch(False, label="let me guess first")

    logits = Buffer()
    predicted = Buffer()
    accuracy = Buffer()

    _weights = Buffer()
    _contributions = Buffer()
    _bias = Buffer()
    _shape = traitlets.List(traitlets.Int()).tag(sync=True)  # N, H, T, S, C
    _tokens = traitlets.List(traitlets.List(traitlets.Unicode())).tag(sync=True)
    _query_tokens = traitlets.List(traitlets.List(traitlets.Unicode())).tag(sync=True)
    _labels = traitlets.List(traitlets.Int()).tag(sync=True)
    _asked = traitlets.List(traitlets.Int()).tag(sync=True)
    _classes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _heads = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _question = traitlets.Unicode().tag(sync=True)
    _own_data = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        *,
        tokens: Sequence[Sequence[str]] | None = None,
        weights: Any = None,
        contributions: Any = None,
        bias: Any = None,
        labels: Any = None,
        classes: Sequence[str] | None = None,
        query_tokens: Sequence[Sequence[str]] | None = None,
        asked: Any = None,
        heads: Sequence[str] | None = None,
        question: str = "",
        **controls: Any,
    ) -> None:
        needed = {
            "tokens": tokens,
            "weights": weights,
            "contributions": contributions,
            "bias": bias,
            "labels": labels,
            "classes": classes,
        }
        extra = {"query_tokens": query_tokens, "asked": asked, "heads": heads}
        absent = [name for name, value in needed.items() if value is None]
        given = [name for name, value in (needed | extra).items() if value is not None]
        if absent and given:
            raise ValueError(f"{absent[0]}: expected beside {given[0]}, got None")
        data = wedding() if absent else {**needed, **extra, "question": question}
        own = checked(**data)
        N, H, T = own["_shape"][:3]
        self._own_bounds = {"example": (0, N - 1), "query": (-1, T - 1)}
        self._heads_count = H
        super().__init__(**own, _own_data=not absent, **controls)

    @classmethod
    def from_model(
        cls,
        layer: MultiHeadAttention,
        readout: nn.Linear,
        inputs: Tensor,
        *,
        tokens: Sequence[Sequence[str]],
        labels: Any,
        classes: Sequence[str],
        asked: Any = None,
        mask: Tensor | None = None,
        **more: Any,
    ) -> HeadExplorer:
        """Explore a trained model whose logits are ``readout(layer(inputs))``.

        Args:
            layer: multi-head self-attention.
            readout: the linear layer behind it.
            inputs: N examples, (N, T, Dq).
            tokens: for each example the names of its T tokens.
            labels: the right class of each example, (N,).
            classes: names of the classes.
            asked: for each example the position that the answer is read from; by default the mean
                of all positions.
            mask: boolean, as the layer takes it.
            **more: head names, the question, controls.

        Returns:
            The explorer, with the logits that the model has.
        """
        weights, parts, bias = contributions_of(layer, readout, inputs, mask)
        if asked is None:
            parts = parts.mean(dim=2)  # (N, H, T, C) -> (N, H, C)
        else:
            where = torch.as_tensor(asked).view(-1, 1, 1, 1).expand(-1, *parts.shape[1:2], 1, 1)
            where = where.expand(-1, -1, -1, parts.shape[-1])
            parts = parts.gather(2, where)[:, :, 0]  # (N, H, T, C) -> (N, H, C)
        return cls(
            tokens=tokens,
            weights=weights,
            contributions=parts,
            bias=bias,
            labels=labels,
            classes=classes,
            asked=asked,
            **more,
        )

    @traitlets.default("faders")
    def _all_faders(self) -> list[float]:
        return [1.0] * self._heads_count

    @traitlets.default("shown")
    def _all_shown(self) -> list[float]:
        return [1.0] * self._heads_count

    @traitlets.validate("faders", "shown")
    def _one_each(self, proposal: traitlets.Bunch) -> list[float]:
        name, numbers = proposal.trait.name, list(proposal.value)
        H = self._heads_count
        if len(numbers) != H:
            raise ControlError(
                f"{name}: expected {H} numbers, one for each head, got {len(numbers)}"
            )
        if name == "shown" and any(number not in (0, 1) for number in numbers):
            raise ControlError(f"shown: expected 0 or 1 for each head, got {numbers}")
        return numbers

    def reference(self) -> dict[str, Tensor]:
        """Compute the logits with the present faders, and what they answer."""
        N, H, _, _, C = self._shape
        parts = torch.tensor(self._contributions, dtype=torch.float64).view(N, H, C)
        logits = torch.tensor(self._bias, dtype=torch.float64).expand(N, C)
        for h, fader in enumerate(self.faders):  # in the browser's order: the same bits
            logits = logits + fader * parts[:, h]
        predicted = torch.from_numpy(logits.numpy().argmax(axis=1))  # the first one of a tie
        right = predicted == torch.tensor(self._labels)
        return {"logits": logits, "predicted": predicted, "accuracy": right.double().mean()}

    def figure(self) -> Figure:
        """Draw the lines of the present example and the probabilities of its answers."""
        from matplotlib.figure import Figure

        results = self.reference()
        example = int(self.example)
        figure = Figure(figsize=(8.2, 3.8), layout="constrained")
        axes = figure.subplot_mosaic([["lines", "answers"]], width_ratios=[2.3, 1])
        self._draw_lines(axes["lines"])
        probabilities = results["logits"][example].softmax(dim=-1).numpy()
        right, answer = self._labels[example], int(results["predicted"][example])
        colours = ["#009E73" if c == right else "0.7" for c in range(len(probabilities))]
        axes["answers"].barh(range(len(probabilities)), probabilities, color=colours)
        axes["answers"].set_yticks(range(len(probabilities)), self._classes)
        axes["answers"].invert_yaxis()
        for label in axes["answers"].get_yticklabels():
            label.set_parse_math(False)
        axes["answers"].set(xlim=(0, 1), xlabel="probability")
        axes["answers"].set_title(
            f"answer {self._classes[answer]}, right is {self._classes[right]}", parse_math=False
        )
        share = float(results["accuracy"])
        headline = f"{self.title}  Right on {share:.0%} of the examples."
        figure.suptitle(headline, fontsize=11, parse_math=False)
        return figure

    def _draw_lines(self, ax: Axes) -> None:
        N, H, T, S, _ = self._shape
        example = int(self.example)
        query = int(self.query)
        if query < 0:
            query = self._asked[example] if self._asked else 0
        weights = np.asarray(self._weights).reshape(N, H, T, S)[example]
        x_of = [(np.arange(n) + 0.5) / n for n in (T, S)]
        for h in range(H):
            if not self.shown[h]:
                continue
            for s in range(S):
                strength = float(weights[h, query, s]) * min(1.0, self.faders[h])
                if strength > 0.02:
                    aside = 0.012 * (h - (H - 1) / 2)  # heads beside each other
                    ax.plot(
                        [x_of[0][query] + aside, x_of[1][s] + aside],
                        [0.92, 0.08],
                        color=PALETTE[h],
                        linestyle=DASHES[h % len(DASHES)],
                        linewidth=6 * strength,
                        solid_capstyle="round",
                    )
            ax.plot(
                [],
                [],
                color=PALETTE[h],
                linestyle=DASHES[h % len(DASHES)],
                linewidth=3,
                label=f"{self._heads[h]} × {self.faders[h]:g}",
            )
        names = (self._query_tokens or self._tokens)[example], self._tokens[example]
        for y, row, positions in ((1.0, names[0], x_of[0]), (0.0, names[1], x_of[1])):
            for i, (name, x) in enumerate(zip(row, positions, strict=True)):
                bold = "bold" if y == 1 and i == query else "normal"
                ax.text(
                    x, y, name, ha="center", va="center", fontsize=9, weight=bold, parse_math=False
                )
        ax.set(xlim=(0, 1), ylim=(-0.45, 1.1))
        legend = ax.legend(loc="lower center", ncols=2, fontsize=8, frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)
        ax.axis("off")
