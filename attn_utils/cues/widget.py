"""The cue explorer of chapter 1: saliency and intent compete for one fixed amount of light."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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
    front_end,
)

from .cues import cue_weights

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Thing(NamedTuple):
    """A thing on the desk: its key (use, colour, shape), its saliency and where it lies."""

    name: str
    use: str
    colour: str
    shape: str
    salience: float
    x: float  # in a scene 640 wide and 400 high
    y: float


# Saliencies follow the colours: the desk is grey, so whatever is coloured stands out.
THINGS = (
    Thing("newspaper", "read", "white", "flat", 0.15, 110, 105),
    Thing("research paper", "read", "white", "flat", 0.10, 255, 95),
    Thing("coffee cup", "drink", "red", "round", 0.95, 385, 205),
    Thing("notebook", "write", "white", "flat", 0.12, 120, 265),
    Thing("book", "read", "black", "block", 0.22, 540, 110),
    Thing("pen", "write", "black", "long", 0.18, 225, 285),
    Thing("pencil", "write", "yellow", "long", 0.40, 290, 250),
    Thing("apple", "eat", "green", "round", 0.55, 470, 305),
    Thing("banana", "eat", "yellow", "long", 0.60, 345, 335),
    Thing("glass of water", "drink", "blue", "round", 0.35, 400, 80),
    Thing("phone", "talk", "black", "block", 0.25, 575, 265),
    Thing("biscuit", "eat", "yellow", "round", 0.45, 250, 185),
)
USES = ("read", "write", "drink", "eat", "talk")
COLOURS = {
    "white": "#f4f1ea",
    "black": "#2b2b30",
    "red": "#c8201f",
    "green": "#5a9e2f",
    "yellow": "#e8b93a",
    "blue": "#7db9e8",
}
SHAPES = ("flat", "block", "long", "round")


class CueExplorer(LiveWidget):
    r"""Twelve things on a desk, a query and a saliency gain: watch the light move.

    A thing's weight is :math:`\alpha_i = \mathrm{softmax}_i(g_s s_i + g_q\, q^\top k_i)`: its
    saliency :math:`s_i` (the nonvolitional cue) and how many of the asked-for properties its key
    has (the volitional cue), each with a gain.

    Attributes:
        use, colour, shape: what the query asks for; ``"any"`` asks for nothing.
        salience_gain: :math:`g_s`, 0 … 6.
        query_gain: :math:`g_q`, 0 … 6.
        painting: whether painting makes things "brighter" or "dimmer".
        salience: the twelve saliencies, 0 … 1.
        weights: the twelve weights, a NumPy array; can be observed.
    """

    _esm = front_end(__file__, ".js")
    _css = front_end(__file__, ".css")

    title = traitlets.Unicode("Cue explorer: where does the light fall?").tag(sync=True)
    alt = traitlets.Unicode(
        "A desk with twelve things seen from above. Discs of light, largest on the red coffee "
        "cup, show how attention is shared; a list beside it gives each thing's weight."
    )
    use = Choice("any", options=("any", *USES), label="something to")
    colour = Choice("any", options=("any", *COLOURS), label="coloured")
    shape = Choice("any", options=("any", *SHAPES), label="shaped")
    salience_gain = Number(4.0, min=0, max=6, step=0.1, label="saliency gain")
    query_gain = Number(0.0, min=0, max=6, step=0.1, label="query gain")
    salience = Numbers([t.salience for t in THINGS], min=0, max=1, label="saliency")
    painting = Choice("brighter", options=("brighter", "dimmer"), label="painting makes things")
    weights = Buffer()

    _things = traitlets.List([list(thing) for thing in THINGS]).tag(sync=True)
    _palette = traitlets.List([list(pair) for pair in COLOURS.items()]).tag(sync=True)

    @traitlets.validate("salience")
    def _one_each(self, proposal: traitlets.Bunch) -> list[float]:
        if len(proposal.value) != len(THINGS):
            raise ControlError(
                f"salience: expected {len(THINGS)} numbers, got {len(proposal.value)}"
            )
        numbers: list[float] = proposal.value
        return numbers

    def match(self) -> Tensor:
        """How many of the asked-for properties each thing has: the dot product q · k_i."""
        asked = (self.use, self.colour, self.shape)
        return torch.tensor(
            [float(sum(a == k for a, k in zip(asked, t[1:4], strict=True))) for t in THINGS]
        )

    def reference(self) -> dict[str, Tensor]:
        """Compute the weights in torch."""
        return {
            "weights": cue_weights(
                torch.tensor(self.salience),
                self.match(),
                salience_gain=self.salience_gain,
                query_gain=self.query_gain,
            )
        }

    def figure(self) -> Figure:
        """Draw the desk from above, a disc of light for each weight."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        ax = figure.subplots()
        ax.set(xlim=(0, 640), ylim=(400, 0), xticks=[], yticks=[], facecolor="#8b8f98")
        weights = self.reference()["weights"].tolist()
        for thing, weight in zip(THINGS, weights, strict=True):
            ax.scatter(thing.x, thing.y, s=30_000 * weight, color="#ffe9a8", alpha=0.75, zorder=1)
            ax.scatter(thing.x, thing.y, s=260, color=COLOURS[thing.colour], ec="#222", zorder=2)
            label = f"{thing.name} {weight:.2f}"
            ax.text(thing.x, thing.y + 32, label, ha="center", fontsize=7.5, zorder=3)
        ax.set_title(self.title, fontsize=10, parse_math=False)
        return figure
