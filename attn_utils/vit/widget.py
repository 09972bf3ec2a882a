"""The patch explorer of chapter 12: an image cut into patches, and whom each of them looks at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import traitlets
from torch import Tensor

from attn_utils.core.recording import record_attention
from attn_utils.core.rollout import attention_rollout
from attn_utils.widgets.base import (
    Buffer,
    Choice,
    Integer,
    LiveWidget,
    Number,
    front_end,
)

from .hand_made import hand_made_attention, hand_made_tokens, model_images, photographs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .model import VisionTransformer

REAL = 224  # pixels of a photograph, as a ViT takes it
PATCHES = ("14", "16", "28", "32", "56", "112")  # of 224 pixels; all are whole when halved
WIDTH = 768  # of a token in ViT-Base, for the counts
VIEWS = ("one head", "mean of heads", "rollout")


class PatchExplorer(LiveWidget):
    r"""An image in patches, one of which asks: its attention over the others.

    Without arguments it shows two photographs of 224×224 pixels (stored at 112×112), cut as you
    like, and an attention **set by hand** that is computed in the browser: three layers of four
    heads that compare mean colours and positions (``hand_made.hand_made_attention``). Nothing in it
    is learned. With weights it shows what a model attends to: use :meth:`from_model`.

    Args:
        images: one or up to 40 of them, (M, C, height, width) or (C, height, width), C = 1 or 3.
            Without weights they are photographs, cropped to a square and reduced to 112×112. By
            default an astronaut and a cat, which come with scikit-image.
        weights: (M, L, H, T, T), attention of all layers; rows and columns are P prefix tokens,
            then the patches row by row.
        patch_size: of the model, in pixels.
        embed_dim: D of the model, for the counts.
        num_prefix_tokens: P, 1 or 2.
        names: of the images.
        **controls: any of the attributes below.

    Attributes:
        picture: which image, 0 … M - 1.
        patch: size of a patch of the photographs: "14", "16", "28", "32", "56" or "112" of 224
            pixels. Without effect on a model's images.
        down, across: the point of the image, 0 … 1, whose patch asks.
        asking: "patch" or "class token", of which only a model has one.
        layer: 1 … L.
        head: 1 … H, for "one head".
        view: "one head", "mean of heads", or "rollout" over the layers up to ``layer``.
        sharpness: of the hand-made heads, 0 … 4.
        row: the weights shown, (T,), or (N,) for photographs; they sum to 1.
        small: the weights of all layers and heads for this query, flat (L · H · T).
        patches_used: :math:`e^{\text{entropy}}` of ``row``: over how many tokens it is spread.
        counts: tokens with the prefix, numbers in a patch, parameters of the patch embedding,
            numbers in the position embedding, weights of one head.

    Raises:
        ValueError: data that do not fit together or exceed 240 KiB, or a control that is out of
            its range or unknown.
    """

    _esm = front_end(__file__, ".js")
    _css = front_end(__file__, ".css")

    title = traitlets.Unicode("Patch explorer: an image as a sequence").tag(sync=True)
    alt = traitlets.Unicode(
        "An image under a grid of patches, one of them framed. Beside it the same grid, coloured "
        "by how much attention the framed patch pays to each, a small map of the same kind for "
        "each layer and head, and a table with the numbers of tokens, parameters and weights."
    )
    picture = Integer(0, min=0, max=1000, step=1, label="picture")
    patch = Choice("16", options=PATCHES, label="patch size in pixels")
    down = Number(0.77, min=0, max=1, step=0.001, label="down")
    across = Number(0.35, min=0, max=1, step=0.001, label="across")
    asking = Choice("patch", options=("patch", "class token"), label="who asks")
    layer = Integer(1, min=1, max=1000, step=1, label="layer")
    head = Integer(1, min=1, max=1000, step=1, label="head")
    view = Choice("one head", options=VIEWS, label="show")
    sharpness = Number(1.0, min=0, max=4, step=0.05, label="sharpness")

    row = Buffer()
    small = Buffer()
    patches_used = Buffer()
    counts = Buffer()

    _own_data = traitlets.Bool().tag(sync=True)  # images that no line of Python brings
    _pixels = traitlets.Bytes().tag(sync=True)  # (M, height, width, 3), uint8
    _weights = Buffer()  # of a model; empty for photographs
    _shape = traitlets.List(traitlets.Int()).tag(sync=True)  # M, height, width
    _model = traitlets.List(traitlets.Int()).tag(sync=True)  # P, patch, C, D; empty for photographs
    _heads = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _layers = traitlets.Int().tag(sync=True)
    _names = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(
        self,
        images: Any = None,
        weights: Any = None,
        *,
        patch_size: int | None = None,
        embed_dim: int | None = None,
        num_prefix_tokens: int = 1,
        names: Sequence[str] | None = None,
        **controls: Any,
    ) -> None:
        if weights is None:
            own = photographs(images, names)
        else:
            needed = {"images": images, "patch_size": patch_size, "embed_dim": embed_dim}
            for name, value in needed.items():
                if value is None:
                    raise ValueError(f"{name}: expected beside weights, got None")
            own = model_images(images, weights, patch_size, embed_dim, num_prefix_tokens, names)
        self._own_bounds = {
            "picture": (0, own["_shape"][0] - 1),
            "layer": (1, own["_layers"]),
            "head": (1, len(own["_heads"])),
        }
        super().__init__(_own_data=images is not None, **own, **controls)

    @classmethod
    def from_model(
        cls,
        model: VisionTransformer,
        images: Tensor,
        *,
        names: Sequence[str] | None = None,
        **controls: Any,
    ) -> PatchExplorer:
        """Explore what a vision transformer attends to in a few images.

        Args:
            model: its patches must be square.
            images: (M, C, height, width), as the model takes them.
            names: of the images.
            **controls: attributes of the explorer.
        """
        with torch.no_grad(), record_attention(model) as recorded:
            model(images)
        return cls(
            images,
            torch.stack(recorded, dim=1),  # L times (M, H, T, T) -> (M, L, H, T, T)
            patch_size=model.patch_embed.patch_size[0],
            embed_dim=model.pos_embed.shape[-1],
            num_prefix_tokens=model.num_prefix_tokens,
            names=names,
            **controls,
        )

    def grid(self) -> tuple[int, int]:
        """Return how many patches there are downwards and across."""
        if self._model:
            return self._shape[1] // self._model[1], self._shape[2] // self._model[1]
        return (REAL // int(self.patch),) * 2

    def query(self) -> int:
        """Return which token asks: its row in the weights."""
        if self._model and self.asking == "class token":
            return 0
        rows, columns = self.grid()
        down, across = (
            min(int(place * n), n - 1) for place, n in ((self.down, rows), (self.across, columns))
        )
        return (self._model[0] if self._model else 0) + down * columns + across

    def pixels(self) -> Tensor:
        """Return the present image, (height, width, 3), uint8."""
        _, height, width = self._shape
        size = height * width * 3
        start = int(self.picture) * size
        flat = np.frombuffer(self._pixels[start : start + size], dtype=np.uint8)
        return torch.from_numpy(flat.copy()).view(height, width, 3)

    def attention(self) -> Tensor:
        """Return the weights of all layers and heads for the present image, (L, H, T, T)."""
        if not self._model:
            return hand_made_attention(
                hand_made_tokens(self.pixels(), self.grid()[0]), self.sharpness
            )
        rows, columns = self.grid()
        T = self._model[0] + rows * columns
        stored = torch.from_numpy(self._weights).view(-1, self._layers, len(self._heads), T, T)
        return stored[int(self.picture)].double()

    def reference(self) -> dict[str, Tensor]:
        """Compute the weights shown and the counts."""
        weights = self.attention()
        query, layer = self.query(), int(self.layer) - 1
        if self.view == "one head":
            row = weights[layer, int(self.head) - 1, query]
        else:
            row = weights[layer, :, query].mean(dim=0)
        if self.view == "rollout":
            row = attention_rollout(weights[: layer + 1, None].unbind())[0, query]
        entropy = torch.special.entr(row).sum()
        P, patch, C, D = self._model or (1, int(self.patch), 3, WIDTH)
        tokens = P + self.grid()[0] * self.grid()[1]
        numbers = patch * patch * C
        counts = [tokens, numbers, numbers * D + D, tokens * D, tokens**2]
        return {
            "row": row,
            "small": weights[:, :, query],
            "patches_used": entropy.exp(),
            "counts": torch.tensor(counts, dtype=torch.float64),
        }

    def figure(self) -> Figure:
        """Draw the image with its patches, and the attention of the one that asks."""
        from matplotlib.figure import Figure

        rows, columns = self.grid()
        P = self._model[0] if self._model else 0
        query = self.query() - P
        _, height, width = self._shape
        row = self.reference()["row"][P:]
        others = row[torch.arange(len(row)) != query]
        figure = Figure(figsize=(7.6, 3.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        box = (0, columns, rows, 0)  # in patches
        left.imshow(self.pixels().numpy(), extent=box, aspect=height / rows / (width / columns))
        shown = right.imshow(
            row.view(rows, columns).numpy(),
            extent=box,
            cmap="Reds",
            vmin=0,
            vmax=float(others.max()) if len(others) else 1.0,
            aspect=left.get_aspect(),
        )
        for ax in (left, right):
            ax.set(xticks=range(columns + 1), yticks=range(rows + 1))
            ax.tick_params(length=0, labelbottom=False, labelleft=False)
            ax.grid(color="white" if ax is left else "0.85", linewidth=0.5)
            if query >= 0:
                x, y = query % columns, query // columns
                ax.plot([x, x + 1, x + 1, x, x], [y, y, y + 1, y + 1, y], color="#0072B2", lw=2)
        figure.colorbar(shown, ax=right, shrink=0.8)
        what = self.view if self.view != "one head" else self._heads[int(self.head) - 1]
        left.set_title(f"{rows} × {columns} patches", fontsize=10)
        right.set_title(f"layer {int(self.layer)}, {what}", fontsize=10, parse_math=False)
        return figure
