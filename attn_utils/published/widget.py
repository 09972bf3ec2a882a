"""The reaction explorer, chapter 17: a published model reads a reaction, and atoms are matched."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import traitlets
from torch import Tensor

from attn_utils.widgets.base import Buffer, ControlError, Integer, LiveWidget, front_end

from .mapping import MappedReaction, mapped_reactions
from .model import ReactionReader, load_reaction_reader
from .molecules import reaction_bonds
from .smiles import reaction_symbols, reaction_tokens, vocabulary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WEIGHTS = "reaction_reader.safetensors"
FIRST = "CC(C)S.Fc1cccnc1F>>CC(C)Sc1ncccc1F"
MOST = 900  # characters of a reaction
# what symbols are made of; `fits` (kit/share.js) asks for this of a link
CHARACTERS = rf"[-A-Za-z0-9()\[\]@+=#.>:/\\%~*$?]{{1,{MOST}}}"


class Reaction(traitlets.Unicode[str, str | bytes]):
    """A reaction in SMILES that the model can read: a text field."""

    def __init__(self, default: str, *, label: str) -> None:
        super().__init__(default)
        spec = {"kind": "text", "max": MOST, "pattern": CHARACTERS, "label": label}
        self.tag(sync=True, control=spec)

    def validate(self, obj: Any, value: Any) -> str:
        """Refuse what cannot be read, with its first fault."""
        if isinstance(value, str) and len(value) > MOST:
            raise ControlError(f"{self.name}: expected at most {MOST} characters, got {len(value)}")
        try:
            reaction_bonds(reaction_symbols(value))
        except ValueError as error:
            raise ControlError(str(error)) from error
        return str(value)


@cache
def _reader() -> ReactionReader:
    return load_reaction_reader()


def _truth(reaction: MappedReaction) -> list[list[int]]:
    """Find for each atom of the product the reactants' atoms that it may be, counted from 0."""
    number = {place: k for k, place in enumerate(reaction.sources)}
    return [
        sorted(number[source] for source in reaction.origins[place])
        for place in sorted(reaction.origins)
    ]


class ReactionExplorer(LiveWidget):
    r"""Two sides of a reaction as molecules, and where a head sees the product's atoms come from.

    The model of :func:`~attn_utils.published.load_reaction_reader` reads the reaction in the
    browser, once its reader has asked for the weights (1.5 MB). Pointing at an atom of the product
    shows the attention that it pays to the atoms of the reactants, and where it goes most.

    Args:
        **controls: any of the attributes below.

    Attributes:
        reaction: reactants and product in SMILES, "reactants>>product", at most 900 characters.
        layer: the pass through the block, from 1 to 12.
        head: the head, from 1 to 8.
        atom: the atom of the product that is pinned, from 1, as they are written; 0 for none.
        weights: attention of this head in this pass (T · T), flat; T tokens, [CLS] and [SEP] too.
    """

    _esm = front_end(__file__, ".js")
    _css = front_end(__file__, ".css")
    files: ClassVar = {WEIGHTS: Path(__file__).with_name(WEIGHTS).read_bytes}

    title = traitlets.Unicode("Where did this atom come from?").tag(sync=True)
    alt = traitlets.Unicode(
        "The attention of one head in a chemical reaction, as a heatmap: a row for each symbol of "
        "the product, a column for each symbol of the reactants. In the live page both sides are "
        "drawn as molecules, and pointing at an atom of the product shows where it came from."
    )
    reaction = Reaction(FIRST, label="reaction")
    layer = Integer(9, min=1, max=12, step=1, label="pass")
    head = Integer(1, min=1, max=8, step=1, label="head")
    atom = Integer(0, min=0, max=MOST, step=1, label="atom of the product")

    weights = Buffer()

    _vocabulary = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _examples = traitlets.List(traitlets.List()).tag(sync=True)  # name, reaction, where atoms are

    def __init__(self, **controls: Any) -> None:
        super().__init__(
            _vocabulary=list(vocabulary()),
            _examples=[[r.name, r.text, _truth(r)] for r in mapped_reactions()],
            **controls,
        )

    @torch.no_grad()
    def reference(self) -> dict[str, Tensor]:
        """Run the model in torch and take the map of this pass and head."""
        _, kept = _reader()(reaction_tokens(self.reaction)[None], return_weights=True)
        return {"weights": kept[int(self.layer) - 1][0, int(self.head) - 1]}

    def figure(self) -> Figure:
        """Draw the head's map from the product's symbols to the reactants'."""
        from matplotlib.figure import Figure

        symbols = reaction_symbols(self.reaction)
        arrow = symbols.index(">>")
        weights = self.reference()["weights"][arrow + 2 : -1, 1 : arrow + 1]
        rows, columns = weights.shape
        size = max(7.0, 2 + 0.17 * columns), max(4.2, 1 + 0.17 * rows)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(weights.numpy(), cmap="Reds", vmin=0, vmax=1, aspect="auto")
        sides = ((axes.xaxis, symbols[:arrow]), (axes.yaxis, symbols[arrow + 1 :]))
        for axis, side in sides:
            axis.set_ticks(range(len(side)), side, fontsize=8, parse_math=False)
        axes.set_xlabel("reactants")
        axes.set_ylabel("product")
        axes.set_title(f"pass {self.layer:g}, head {self.head:g}", fontsize=10)
        figure.colorbar(image, label="attention")
        return figure
