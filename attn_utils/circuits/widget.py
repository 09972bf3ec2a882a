"""The circuit bench of chapter 16: eight heads, two of which continue a pattern together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import traitlets
from torch import Tensor

from attn_utils.widgets.base import (
    Buffer,
    Choice,
    ControlError,
    Halves,
    Integer,
    LiveWidget,
    Numbers,
    front_end,
)

from .model import AttentionOnlyModel, attend_by_head, layers_of, run_heads

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SIGNS = LETTERS + "234567"  # the model's 32 tokens
LENGTH = 32  # of the text
LAYERS, HEADS = 2, 4
KEYS = ("as they are", "without layer 1", "from other letters", "from one position earlier")


class Pattern(traitlets.Unicode[str, str | bytes]):
    """Two to sixteen letters: a text field."""

    def __init__(self, default: str, *, label: str) -> None:
        super().__init__(default)
        spec = {"kind": "text", "max": 16, "pattern": "[a-z]{2,16}", "label": label}
        self.tag(sync=True, control=spec)

    def validate(self, obj: Any, value: Any) -> str:
        """Refuse what is no text, and what has too few letters or other characters."""
        if not isinstance(value, str) or not re.fullmatch("[a-z]{2,16}", value):
            raise ControlError(f"{self.name}: expected 2 to 16 letters from a to z, got {value!r}")
        return value


def load_copier() -> tuple[AttentionOnlyModel, Mapping[str, Tensor]]:
    """Load the model that ``attn_utils/circuits/train.py`` has trained, and its parameters."""
    with np.load(Path(__file__).with_name("copier.npz"), allow_pickle=False) as file:
        state = {name: torch.from_numpy(file[name].astype(np.float64)) for name in file.files}
    num_positions, embed_dim = state["positions.weight"].shape
    model = AttentionOnlyModel(len(SIGNS), num_positions, embed_dim, HEADS, LAYERS)
    model.double().load_state_dict(state)
    return model.eval(), state


class CircuitBench(LiveWidget):
    r"""A pattern written again and again, a model that continues it, and switches on its heads.

    The model has two layers of four heads and nothing else (``attn_utils/circuits/train.py``). A
    head that is off adds nothing to the stream. What layer 2 makes its keys of can be replaced; its
    queries and values stay, and no weight is changed.

    Args:
        **controls: any of the attributes below.

    Attributes:
        pattern: 2 to 16 letters, repeated until the text has 32.
        heads: 1 for each head that is on and 0 for the others: four of layer 1, four of layer 2.
        key_source: what layer 2's keys are made of: the stream "as they are", that stream "without
            layer 1", that of a run in which each letter is replaced by the next one of the
            alphabet ("from other letters"), or the stream "from one position earlier".
        first: which head of layer 1 is shown, 1 … 4.
        second: which head of layer 2 is shown, 1 … 4.
        weights: attention, layer by layer and head by head, flat (2 · 4 · 32 · 32).
        probabilities: of all 32 tokens after each letter, flat (32 · 32).
        accuracy: of the letters that follow a letter seen before, the share that was predicted.
    """

    _esm = front_end(__file__, ".js")
    _css = front_end(__file__, ".css")

    title = traitlets.Unicode("Circuit bench: which heads does copying need?").tag(sync=True)
    alt = traitlets.Unicode(
        "A text of 32 letters, a pattern written again and again, and below each letter the one "
        "that the model predicted for its position. Below, two heatmaps of attention: a head of "
        "layer 1 with a line just under the diagonal, each position looking at the one before it; "
        "and a head of layer 2 with stripes further below, each position looking at the letters "
        "that followed earlier occurrences of its own. A switch for each of the eight heads."
    )
    pattern = Pattern("tulips", label="pattern")
    heads = Numbers([1.0] * LAYERS * HEADS, min=0, max=1, step=1, label="heads that are on")
    key_source = Choice(KEYS[0], options=KEYS, label="keys of layer 2")
    first = Integer(1, min=1, max=HEADS, step=1, label="head of layer 1")
    second = Integer(4, min=1, max=HEADS, step=1, label="head of layer 2")

    weights = Buffer()
    probabilities = Buffer()
    accuracy = Buffer()

    _floats = Halves()
    _shapes = traitlets.List(traitlets.List()).tag(sync=True)  # name, sizes; in the buffer's order

    def __init__(self, **controls: Any) -> None:
        self._model, state = load_copier()
        super().__init__(
            _floats=torch.cat([x.flatten() for x in state.values()]).float().numpy(),
            _shapes=[[name, *x.shape] for name, x in state.items()],
            **controls,
        )

    @traitlets.validate("heads")
    def _on_or_off(self, proposal: traitlets.Bunch) -> list[float]:
        numbers = list(proposal.value)
        if len(numbers) != LAYERS * HEADS or set(numbers) - {0, 1}:
            raise ControlError(f"heads: expected 0 or 1 for each of 8 heads, got {numbers}")
        return numbers

    def text(self) -> str:
        """The pattern, repeated to 32 letters."""
        return (self.pattern * LENGTH)[:LENGTH]

    @torch.no_grad()
    def reference(self) -> dict[str, Tensor]:
        """Run the model in torch, with the heads that are on and the keys that are chosen."""
        model = self._model
        tokens = torch.tensor([[LETTERS.index(letter) for letter in self.text()]])
        off = [divmod(i, HEADS) for i, on in enumerate(self.heads) if not on]
        silent = {head: torch.zeros((), dtype=torch.float64) for head in off}

        def stream_of(tokens: Tensor) -> Tensor:
            return model.embed(tokens) + run_heads(model, tokens, silent).outputs[0].sum(dim=0)

        x = stream_of(tokens)
        earlier = (torch.arange(LENGTH) - 1).clamp(min=0)
        keys = {
            KEYS[0]: x,
            KEYS[1]: model.embed(tokens),
            KEYS[2]: stream_of((tokens + 1) % len(LETTERS)),
            KEYS[3]: x[:, earlier],
        }[self.key_source]
        weights, outputs = attend_by_head(layers_of(model)[1], x, keys, x)
        for layer, head in off:
            outputs[head] *= layer == 0
        probabilities = model.head(x + outputs.sum(dim=0))[0].softmax(dim=-1)
        period = len(self.pattern)
        right = probabilities[:-1].argmax(-1) == tokens[0, 1:]
        return {
            "weights": torch.stack([run_heads(model, tokens).weights[0], weights]),
            "probabilities": probabilities,
            "accuracy": right[period:].double().mean(),
        }

    def figure(self) -> Figure:
        """Draw the text with the predictions, and the two heads that are shown."""
        from matplotlib.figure import Figure

        results = self.reference()
        predicted = "".join(SIGNS[i] for i in results["probabilities"].argmax(dim=-1).tolist())
        weights = results["weights"].view(LAYERS, HEADS, LENGTH, LENGTH)
        figure = Figure(figsize=(7.6, 4.6), layout="constrained")
        figure.suptitle(
            f"text        {self.text()}\npredicted   {predicted[:-1]}",
            family="monospace",
            fontsize=11,
        )
        panels = figure.subplots(1, 2)
        for layer, (ax, head) in enumerate(zip(panels, (self.first, self.second), strict=True)):
            image = ax.imshow(weights[layer, int(head) - 1].numpy(), cmap="Reds", vmin=0, vmax=1)
            ax.set(xlabel="Keys", ylabel="Queries", title=f"layer {layer + 1}, head {head:g}")
            ticks = range(LENGTH)
            ax.set_xticks(ticks, self.text(), fontsize=6)
            ax.set_yticks(ticks, self.text(), fontsize=6)
        figure.colorbar(image, ax=panels, shrink=0.7, label="weight")
        return figure
