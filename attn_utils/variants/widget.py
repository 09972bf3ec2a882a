"""The variant lab of chapter 15: what a smaller cache costs a small trained model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
import traitlets
from torch import Tensor

from attn_utils.multi_head import with_kv_heads
from attn_utils.widgets.base import (
    Buffer,
    Choice,
    Halves,
    Integer,
    LiveWidget,
    Switch,
    front_end,
)

from .cafe import DEPTH, INDEX_DIM, LENGTH, NUM_HEADS, WORDS, known, load_cafe, run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BYTES = 2  # of a number in half precision


class VariantLab(LiveWidget):
    r"""A trained language model of two layers, and what became of attention in later years.

    The model reads 64 words of orders in a café and predicts the one after each. Its weights stay
    as they were trained; only its attention is changed, and what is lost is measured on the text
    that is shown. With fewer heads of keys and values its projections are the means of the groups
    (:func:`~attn_utils.multi_head.with_kv_heads`), or, with ``trained``, those of a copy that was
    trained on for a sixth of the steps, as in Ainslie et al. (2023). Made by
    ``attn_utils/variants/train.py``.

    A word is kept in the cache of a layer with 2 · G · d numbers of two bytes, for G heads of keys
    and values of width d = 8. Where words are fetched, all have to be kept, each with 4 more
    numbers for the :class:`~attn_utils.variants.Indexer`.

    Args:
        **controls: any of the attributes below.

    Attributes:
        text: which of the texts, "1" to "4".
        kv_heads: how many heads of keys and values the four heads share: "4", "2" or "1".
        trained: whether the grouped model was trained on.
        window1, window2: how many words a word sees in layer 1 and 2, itself included, 1 to 64.
        first: whether the first word is seen from everywhere, whatever the windows.
        fetched: how many words outside the window an indexer adds in layer 2, 0 to 8.
        cap: soft cap on all scores: "off", "20", "10", "5" or "2".
        layer, head: whose weights are shown large, from 1.
        query: the word that asks, 0 to 63.
        loss: of the word after each word, in nats, (64,).
        total: mean loss of all words, and of the drinks of guests who were there before, (2,).
        kept: bytes in the cache of each layer, (2,).
        read: bytes that are read of it for the next word, (2,).
        weights: attention (layers · heads · T · T), flat.
        allowed: 1 where a word may be attended to, (layers · T · T), flat.

    Example:
        >>> from attn_utils.widgets import VariantLab
        >>> lab = VariantLab()
        >>> int(lab.kept.sum())  # 2 layers · 64 words · 2 · 4 heads · 8 numbers · 2 bytes
        16384
        >>> lab.window1 = 4  # layer 1 looks at the word before: a window costs it nothing
        >>> bool(lab.total[1] < 0.1), int(lab.kept.sum())
        (True, 8832)
    """

    _esm = front_end(__file__, ".js")
    _css = front_end(__file__, ".css")

    title = traitlets.Unicode("Variant lab: what does a smaller cache cost?").tag(sync=True)
    alt = traitlets.Unicode(
        "A text of orders in a café, word by word. Bars show the bytes that a small trained model "
        "keeps of it and reads for the next word, and its loss, each beside those of the unchanged "
        "model. Below, maps of the attention of four heads in two layers; grey is what a window "
        "or a selection hides."
    )
    text = Choice("1", options=("1", "2", "3", "4"), label="text")
    kv_heads = Choice("4", options=("4", "2", "1"), label="heads of keys and values")
    trained = Switch(False, label="trained on after grouping")
    window1 = Integer(LENGTH, min=1, max=LENGTH, step=1, label="window in layer 1")
    window2 = Integer(LENGTH, min=1, max=LENGTH, step=1, label="window in layer 2")
    first = Switch(True, label="first word always seen")
    fetched = Integer(0, min=0, max=8, step=1, label="words fetched in layer 2")
    cap = Choice("off", options=("off", "20", "10", "5", "2"), label="soft cap")
    layer = Integer(2, min=1, max=DEPTH, step=1, label="layer")
    head = Integer(4, min=1, max=NUM_HEADS, step=1, label="head")
    query = Integer(LENGTH - 1, min=0, max=LENGTH - 1, step=1, label="asking word")

    loss = Buffer()
    total = Buffer()
    kept = Buffer()
    read = Buffer()
    weights = Buffer()
    allowed = Buffer()

    _floats = Halves()
    _shapes = traitlets.List(traitlets.List()).tag(sync=True)  # name, sizes; in the buffer's order
    _sizes = traitlets.List(traitlets.Int()).tag(sync=True)  # heads, width of an indexer
    _words = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _texts = traitlets.List(traitlets.List(traitlets.Int())).tag(sync=True)
    _known = traitlets.List(traitlets.List(traitlets.Int())).tag(sync=True)  # where, in each text

    def __init__(self, **controls: Any) -> None:
        cafe = load_cafe()
        self._models = cafe.models
        parts = [
            (f"{groups}.{kind}.{name}", x)
            for groups, pair in cafe.models.items()
            for kind, part in zip(("model", "indexer"), pair, strict=True)
            for name, x in part.state_dict().items()
        ]
        super().__init__(
            _floats=torch.cat([x.flatten() for _, x in parts]).float().numpy(),
            _shapes=[[name, *x.shape] for name, x in parts],
            _sizes=[NUM_HEADS, INDEX_DIM],
            _words=list(WORDS),
            _texts=cafe.texts,
            _known=[list(np.flatnonzero(known(text)).tolist()) for text in cafe.texts],
            **controls,
        )

    @torch.no_grad()
    def reference(self) -> dict[str, Tensor]:
        """Run the model in torch with the attention that the controls describe."""
        groups = int(self.kv_heads)
        model, indexer = self._models[groups]
        if not self.trained and groups < NUM_HEADS:
            model, indexer = self._models[NUM_HEADS]
            model = with_kv_heads(model, groups)
        which = int(self.text) - 1
        text = torch.tensor(self._texts[which])
        result = run(
            model,
            text[None, :-1],
            windows=(int(self.window1), int(self.window2)),
            first=self.first,
            fetched=int(self.fetched),
            indexer=indexer,
            cap=None if self.cap == "off" else float(self.cap),
        )
        loss = F.cross_entropy(result.logits[0], text[1:], reduction="none")
        masks = torch.stack([mask.expand(1, -1, -1)[0] for mask in result.masks])  # (L, T, T)
        word = 2 * groups * (model.embedding.embedding_dim // NUM_HEADS) * BYTES
        seen = masks[:, -1].sum(-1).double()  # of the last word: what the next one is made of
        kept, index = seen.clone(), torch.zeros_like(seen)
        if self.fetched and self.window2 < LENGTH - self.first:
            kept[-1] = LENGTH  # any of them may be asked for
            index[-1] = LENGTH * INDEX_DIM * BYTES
        return {
            "loss": loss,
            "total": torch.stack([loss.mean(), loss[self._known[which]].mean()]),
            "kept": kept * word + index,
            "read": seen * word + index,
            "weights": torch.cat(result.weights),
            "allowed": masks,
        }

    def figure(self) -> Figure:
        """Draw the weights of the chosen head, with what is hidden in grey, and the costs."""
        from matplotlib.figure import Figure

        results = self.reference()
        figure = Figure(figsize=(8.2, 3.9), layout="constrained")
        axes = figure.subplot_mosaic([["map", "cost"]], width_ratios=[1, 1.25])
        layer, head = int(self.layer) - 1, int(self.head) - 1
        weights = results["weights"].view(DEPTH, NUM_HEADS, LENGTH, LENGTH)[layer, head].clone()
        past = torch.ones(LENGTH, LENGTH).tril().bool()
        weights[past & (results["allowed"][layer] == 0)] = torch.nan
        axes["map"].set_facecolor("0.75")
        image = axes["map"].imshow(weights.numpy(), cmap="Reds", vmin=0, vmax=1)
        figure.colorbar(image, ax=axes["map"], shrink=0.8)
        axes["map"].set(xlabel="Keys", ylabel="Queries")
        axes["map"].set_title(f"layer {layer + 1}, head {head + 1}; grey: hidden", fontsize=10)
        self._draw_cost(axes["cost"], results)
        figure.suptitle(self.title, fontsize=11, parse_math=False)
        return figure

    def _draw_cost(self, ax: Axes, results: dict[str, Tensor]) -> None:
        """Bars, as shares of the unchanged model's cache, and the loss in words."""
        whole = DEPTH * LENGTH * 2 * 32 * BYTES
        kept, read = (float(results[name].sum()) for name in ("kept", "read"))
        names = [f"kept\n{kept:,.0f} bytes", f"read for the\nnext word\n{read:,.0f} bytes"]
        ax.barh(names, [kept / whole, read / whole], color="#0072B2", height=0.5)
        ax.axvline(1, color="0.3", linestyle="--")
        ax.set(xlim=(0, 1.15), xlabel="share of the unchanged model's cache")
        ax.invert_yaxis()
        loss, asked = (float(x) for x in results["total"])
        ax.set_title(f"loss {loss:.2f}, of known orders {asked:.2f} nats", fontsize=10)
