"""The live writer of chapter 9: the packaged language model writes on, letter by letter."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
import traitlets
from torch import Tensor

from attn_utils.core.halves import half_bytes
from attn_utils.core.recording import record_attention
from attn_utils.widgets.base import Buffer, ControlError, Integer, LiveWidget, Number, front_end

from .language_model import LanguageModel
from .sampling import distribution
from .trained import load_writer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 400  # characters of a text
CONTEXT = 96  # letters that the model was trained to read
SHOWN = 12  # of the next letters
START = "a single man in possession of a good fortune, must be in want of a w"


@cache
def packaged() -> LanguageModel:
    """Load the model once; its sums are in double precision, like the browser's."""
    return load_writer().double()


@cache
def parameters() -> bytes:
    """Write its parameters as the browser loads them; they are stored in halves anyway."""
    return half_bytes(load_writer().state_dict())


@cache
def vocabulary() -> str:
    """Collect the characters of the novel: a character's place is its number."""
    file = resources.files("attn_utils") / "texts" / "pride-and-prejudice.txt"
    return "".join(sorted(set(file.read_text(encoding="utf-8"))))


def window(text: str) -> list[int]:
    """Give the numbers of the characters that the model reads of a text.

    What it does not know is left out. When the context is full, the older half is forgotten, as
    ``generate(…, context=96)`` does for a text that is written letter by letter.
    """
    tokens = [vocabulary().index(c) for c in text if c in vocabulary()]
    forgotten = CONTEXT // 2 + 1  # each time
    times = max(0, -(-(len(tokens) - CONTEXT) // forgotten))
    return tokens[times * forgotten :]


class Text(traitlets.Unicode[str, str | bytes]):
    """A text of up to 400 characters."""

    def __init__(self, default: str, *, label: str) -> None:
        super().__init__(default)
        self.tag(sync=True, control={"kind": "text", "max": MOST, "label": label})

    def validate(self, obj: Any, value: Any) -> str:
        """Refuse what is no text or is too long."""
        if not isinstance(value, str) or len(value) > MOST:
            got = f"{len(value)} characters" if isinstance(value, str) else repr(value)
            raise ControlError(f"{self.name}: expected up to {MOST} characters, got {got}")
        return value


class LiveWriter(LiveWidget):
    """Type a text; see what the model expects next and where each head looks; let it write on.

    It is the model of :func:`~attn_utils.transformer.load_writer`, which knows 66 characters and
    was trained on pieces of 96. Others are left out, and of a longer text the last 48 to 96 are
    read. The browser loads the parameters when the reader asks for them; until then it shows what
    Python has computed.

    Args:
        **controls: any of the attributes below.

    Attributes:
        text: up to 400 characters.
        temperature: divides the logits; 0 takes the likeliest letter.
        top_k: how many letters remain.
        top_p: of these, the fewest likeliest whose probabilities sum to at least this.
        layer, head: whose attention colours the text, from 1.
        back: the letter that asks, counted backwards from the last one that is read, 0.
        logits, probabilities: for each letter that may follow the asking one.
        weights: attention of the asking letter, (layers · heads · letters up to it), flat.
        losses: −ln p of each letter that is read, but the first.
    """

    _esm = front_end(__file__, ".js")
    _css = front_end(__file__, ".css")
    files: ClassVar = {"writer.safetensors": parameters}

    title = traitlets.Unicode("Write with the model").tag(sync=True)
    alt = traitlets.Unicode(
        "A text, and a bar for the probability of each letter that may come next. Below the text a "
        "strip for each of twelve heads, which shows how much attention the last letter gives to "
        "each letter before it."
    )
    text = Text(START, label="text")
    temperature = Number(1.0, min=0, max=2, step=0.1, label="temperature")
    top_k = Integer(66, min=1, max=66, step=1, label="top-k")
    top_p = Number(1.0, min=0.05, max=1, step=0.05, label="top-p")
    layer = Integer(1, min=1, max=3, step=1, label="layer")
    head = Integer(1, min=1, max=4, step=1, label="head")
    back = Integer(0, min=0, max=CONTEXT - 1, step=1, label="letters before the last")

    logits = Buffer()
    probabilities = Buffer()
    weights = Buffer()
    losses = Buffer()

    _letters = traitlets.Unicode().tag(sync=True)
    _sizes = traitlets.List(traitlets.Int()).tag(sync=True)  # layers, heads, context
    _known: traitlets.List[Any] = traitlets.List().tag(sync=True)  # text and back of the results

    def __init__(self, **controls: Any) -> None:
        blocks = packaged().blocks
        heads = int(blocks[0].attn.num_heads)  # type: ignore[arg-type, union-attr]
        super().__init__(_letters=vocabulary(), _sizes=[len(blocks), heads, CONTEXT], **controls)

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Compute for a front end that has not loaded the model."""
        super().set_state(sync_data)
        if {"text", "back"} & sync_data.keys() and "logits" not in sync_data:
            self._refresh()

    def _refresh(self) -> None:
        super()._refresh()
        if not self._from_browser:
            self._known = [self.text, int(self.back)]

    @torch.no_grad()
    def reference(self) -> dict[str, Tensor]:
        """Run the model in torch on the letters that it reads, all at once."""
        tokens = window(self.text)
        if not tokens:
            return dict.fromkeys(("logits", "probabilities", "weights", "losses"), torch.zeros(0))
        asking = max(0, len(tokens) - 1 - int(self.back))
        ids = torch.tensor(tokens)
        with record_attention(packaged()) as maps:
            logits = packaged()(ids[None])[0]  # (T, V)
        seen = torch.cat(maps)[:, :, asking, : asking + 1]  # (layers, H, letters)
        return {
            "logits": logits[asking],
            "probabilities": distribution(
                logits[asking], self.temperature, int(self.top_k), self.top_p
            ),
            "weights": seen,
            "losses": F.cross_entropy(logits[:-1], ids[1:], reduction="none"),
        }

    def figure(self) -> Figure:
        """Draw the end of the text with a strip for each head, and the likeliest letters."""
        from matplotlib.figure import Figure

        results = self.reference()
        depth, heads, _ = self._sizes
        figure = Figure(figsize=(8.4, 3.8), layout="constrained")
        strips, bars = figure.subplots(1, 2, width_ratios=(3, 1))
        tokens = window(self.text)[: results["weights"].shape[-1] if len(results["weights"]) else 0]
        letters = [visible(self._letters[token]) for token in tokens][-40:]
        if letters:
            rows = results["weights"].flatten(0, 1)[:, -len(letters) :]
            shades = strips.imshow(rows, cmap="Reds", vmin=0, vmax=1, aspect="auto")
            figure.colorbar(shades, ax=strips, location="bottom", shrink=0.5, label="weight")
        names = [f"layer {at // heads + 1}, head {at % heads + 1}" for at in range(depth * heads)]
        strips.set(xticks=range(len(letters)), yticks=range(len(names)), yticklabels=names)
        strips.set_xticklabels(letters, parse_math=False)
        strips.set_title("where the last letter shown looks", fontsize=10)
        order = results["logits"].argsort(descending=True)[:SHOWN]
        bars.barh(range(len(order)), results["probabilities"][order], color="#D55E00")
        bars.set(xlim=(0, 1), yticks=range(len(order)), xlabel="probability")
        bars.set_yticklabels([visible(self._letters[i]) for i in order], parse_math=False)
        bars.invert_yaxis()
        bars.set_title("the next letter", fontsize=10)
        figure.suptitle(self.title, fontsize=11, parse_math=False)
        return figure


def visible(letter: str) -> str:
    """Show blanks and line breaks."""
    return {" ": "␣", "\n": "¶"}.get(letter, letter)
