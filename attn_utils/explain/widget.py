"""Draw a digit, chapter 13: a Vision Transformer reads while the reader writes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
import traitlets
from torch import Tensor

from attn_utils.core.recording import record_attention
from attn_utils.core.rollout import attention_rollout
from attn_utils.vit import VisionTransformer
from attn_utils.widgets.base import (
    Buffer,
    ControlError,
    Halves,
    Integer,
    LiveWidget,
    Switch,
    front_end,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 32  # of the paper, in dots
SIZE = 8  # of the image that the model sees
DOTS = SIDE // SIZE  # a pixel counts the ink in DOTS × DOTS of them
MOST_NUMBERS = 150_000  # 300 KB in half precision: what one page may hold
MOST_EXAMPLES = 12

Bitmap = npt.NDArray[np.bool_]


# --- paper, ink and pixels (ink.js does the same) ----------------------------------------------


def pack(bitmap: npt.ArrayLike) -> str:
    """Write a 32 × 32 bitmap as 256 hexadecimal digits, row by row."""
    return np.packbits(np.asarray(bitmap, dtype=bool)).tobytes().hex()


def unpack(text: str) -> Bitmap:
    """Read what :func:`pack` wrote: a boolean array (32, 32)."""
    packed = np.frombuffer(bytes.fromhex(text), dtype=np.uint8)
    return np.unpackbits(packed).reshape(SIDE, SIDE).astype(bool)


def fitted(bitmap: Bitmap) -> Bitmap:
    """Enlarge the ink to the full height and centre it, as the data were made.

    If it is wider than high, it is enlarged to the full width. Each dot takes the colour of the
    dot of the drawing that lies below its centre.
    """
    rows, columns = (np.flatnonzero(bitmap.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return bitmap
    lengths = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    new = [max(1, (2 * SIDE * length + max(lengths)) // (2 * max(lengths))) for length in lengths]
    starts = [(SIDE - length) // 2 for length in new]
    i, j = (
        first[0] + (2 * np.arange(n) + 1) * length // (2 * n)
        for first, length, n in zip((rows, columns), lengths, new, strict=True)
    )
    result = np.zeros_like(bitmap)
    result[starts[0] : starts[0] + new[0], starts[1] : starts[1] + new[1]] = bitmap[np.ix_(i, j)]
    return result


def counts_of(bitmap: Bitmap) -> npt.NDArray[np.int64]:
    """Count the ink in blocks of 4 × 4 dots: (32, 32) -> (8, 8), 0 … 16."""
    counts: npt.NDArray[np.int64] = bitmap.reshape(SIZE, DOTS, SIZE, DOTS).sum(axis=(1, 3))
    return counts


def bitmap_of(counts: npt.ArrayLike) -> Bitmap:
    """Invent a bitmap whose :func:`counts_of` are the given ones, (8, 8).

    The original bitmaps of scikit-learn's digits are not part of the data. Here the image is
    enlarged smoothly, and in each block as many dots are inked as it counts, the darkest first.
    """
    wanted = np.asarray(counts).astype(int)
    smooth = F.interpolate(
        torch.from_numpy(wanted[None, None].astype(np.float64)),
        scale_factor=DOTS,
        mode="bicubic",
        align_corners=False,
    )[0, 0].numpy()
    blocks = smooth.reshape(SIZE, DOTS, SIZE, DOTS).transpose(0, 2, 1, 3).reshape(SIZE, SIZE, -1)
    rank = (-blocks).argsort(axis=-1, kind="stable").argsort(axis=-1)  # 0 = darkest of its block
    inked = (rank < wanted[..., None]).reshape(SIZE, SIZE, DOTS, DOTS)
    bitmap: Bitmap = inked.transpose(0, 2, 1, 3).reshape(SIDE, SIDE)
    return bitmap


class Drawing(traitlets.Unicode[str, str | bytes]):
    """Ink on paper, 32 × 32 dots, kept as 256 hexadecimal digits."""

    def __init__(self) -> None:
        digits = SIDE * SIDE // 4
        super().__init__("0" * digits)
        spec = {
            "kind": "text",
            "max": digits,
            "pattern": f"[0-9a-f]{{{digits}}}",
            "label": "drawing",
        }
        self.tag(sync=True, control=spec)

    def validate(self, obj: Any, value: Any) -> str:
        """Take the digits, or a (32, 32) array of 0 and 1."""
        if isinstance(value, str):
            if len(value) != SIDE * SIDE // 4 or set(value) - set("0123456789abcdef"):
                raise ControlError(
                    f"drawing: expected {SIDE * SIDE // 4} hexadecimal digits, got {len(value)} "
                    "characters"
                )
            return value
        dots = np.asarray(value)
        if dots.shape != (SIDE, SIDE) or not np.isin(dots, (0, 1)).all():
            raise ControlError(
                f"drawing: expected {SIDE} × {SIDE} zeros and ones, got shape {dots.shape}"
            )
        return pack(dots)


# --- the model that comes with the package ------------------------------------------------------


def ready_made() -> tuple[VisionTransformer, tuple[Tensor, Tensor]]:
    """Load a trained model and test images for it, made by ``attn_utils/explain/train.py``.

    Returns:
        The model in evaluation mode, and a pair: images (K, 1, 8, 8), labels (K,).
    """
    with np.load(Path(__file__).with_name("digit_reader.npz"), allow_pickle=False) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in file.files}
    images, labels = arrays.pop("images").float() / DOTS**2, arrays.pop("labels").long()
    heads = int(arrays.pop("num_heads"))
    width, _, patch, _ = arrays["patch_embed.proj.weight"].shape
    model = VisionTransformer(
        SIZE,
        patch,
        1,
        len(arrays["head.bias"]),
        embed_dim=width,
        num_heads=heads,
        depth=sum(name.endswith("norm1.weight") for name in arrays),
        mlp_ratio=len(arrays["blocks.0.mlp.fc1.bias"]) / width,
    )
    model.load_state_dict({name: array.float() for name, array in arrays.items()})
    return model.eval(), (images, labels)


def _check_model(model: Any) -> None:
    if not isinstance(model, VisionTransformer):
        raise ValueError(f"model: expected a VisionTransformer, got {type(model).__name__}")
    embed = model.patch_embed
    shape = (embed.in_channels, *embed.img_size)
    if shape != (1, SIZE, SIZE):
        raise ValueError(f"model: expected one for images of shape (1, 8, 8), got one for {shape}")
    if model.dist_token is not None or not isinstance(model.pre_logits, torch.nn.Identity):
        raise ValueError("model: expected no distillation token and no representation layer")
    if not isinstance(model.head, torch.nn.Linear) or model.head.out_features > 10:
        raise ValueError("model: expected a head for at most 10 classes, the digits from 0")
    count = sum(parameter.numel() for parameter in model.parameters())
    if count > MOST_NUMBERS:
        raise ValueError(
            f"model: expected at most {MOST_NUMBERS:,} parameters (300 KB in the page), got "
            f"{count:,}"
        )


def _checked_examples(examples: Any) -> list[list[Any]]:
    """Each example as its drawing and its label."""
    try:
        images, labels = (torch.as_tensor(x).detach().cpu() for x in examples)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError("examples: expected a pair, images and labels") from error
    if images.numel() == 0 or images.shape[-2:] != (SIZE, SIZE) or images.numel() % SIZE**2:
        raise ValueError(
            f"examples: expected images of shape (K, 1, 8, 8), got {tuple(images.shape)}"
        )
    counts = images.double().reshape(-1, SIZE, SIZE) * DOTS**2
    if labels.ndim != 1 or len(labels) != len(counts) or len(counts) > MOST_EXAMPLES:
        raise ValueError(
            f"examples: expected a label for each of 1 to {MOST_EXAMPLES} images, got "
            f"{tuple(labels.shape)} labels and {len(counts)} images"
        )
    if not (((counts - counts.round()).abs() < 1e-3) & (counts >= 0) & (counts <= 16)).all():
        raise ValueError("examples: expected pixels that are multiples of 1/16 from 0 to 1")
    return [
        [pack(bitmap_of(count.round().numpy())), int(label)]
        for count, label in zip(counts, labels, strict=True)
    ]


class DigitReader(LiveWidget):
    r"""Paper to draw on, and a Vision Transformer that reads along in the browser.

    A drawing has 32 × 32 dots. Like the forms from which scikit-learn's digits were made, it is
    enlarged to the full height and centred (``fit``), and then the ink is counted in blocks of
    4 × 4: the model sees 8 × 8 numbers from 0 to 16, divided by 16. Its logits, all its attention
    weights and the rollout are computed anew with every move of the pen.

    Args:
        model: a trained :class:`~attn_utils.vit.VisionTransformer` for images (1, 8, 8) from 0 to
            1, at most 10 classes and 150,000 parameters. It is copied, and the copy's parameters
            are rounded to half precision, in which they travel: results may differ from the
            model's own in the third digit. By default a small one that comes with the package,
            trained by ``attn_utils/explain/train.py``.
        examples: images (K, 1, 8, 8) and labels (K,) to load at a click, K up to 12; by default
            test images that the packaged model has not been trained on. The first one is shown.
        **controls: any of the attributes below.

    Attributes:
        drawing: the ink, as 256 hexadecimal digits; a (32, 32) array of 0 and 1 may be given.
        fit: whether the ink is enlarged and centred. The examples are already; they are not.
        layer: whose attention is shown large, from 1; 0 is the rollout through all layers.
        head: which head of this layer, from 1; 0 is the mean over the heads.
        query: the token that asks: 0 is the class token, then the patches row by row.
        seen: what the model sees, 8 × 8 counts from 0 to 16, flat.
        logits, probabilities: for each class.
        weights: attention (layers · heads · S · S), flat; S is one more than the patches.
        rollout: (S · S), flat.
    """

    _esm = front_end(__file__, ".js")
    _css = front_end(__file__, ".css")

    title = traitlets.Unicode("Draw a digit, and see where the model looks").tag(sync=True)
    alt = traitlets.Unicode(
        "On the left paper with a handwritten digit. Beside it the eight by eight grey pixels that "
        "the model sees, coloured by the attention of the class token, and a bar for the "
        "probability of each digit. Below, small maps of the attention of each head in each layer."
    )
    drawing = Drawing()
    fit = Switch(True, label="enlarge and centre")
    layer = Integer(0, min=0, max=100, step=1, label="layer (0: rollout)")
    head = Integer(0, min=0, max=100, step=1, label="head (0: mean)")
    query = Integer(0, min=0, max=64, step=1, label="asking token")

    seen = Buffer()
    logits = Buffer()
    probabilities = Buffer()
    weights = Buffer()
    rollout = Buffer()

    _floats = Halves()
    _shapes = traitlets.List(traitlets.List()).tag(sync=True)  # name, sizes; in the buffer's order
    _sizes = traitlets.List(traitlets.Int()).tag(sync=True)  # rows and columns of patches, heads
    _examples = traitlets.List(traitlets.List()).tag(sync=True)  # drawing, label
    _own_model = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        model: VisionTransformer | None = None,
        *,
        examples: tuple[Any, Any] | Sequence[Any] | None = None,
        **controls: Any,
    ) -> None:
        own = model is not None
        packaged, test_images = ready_made()
        model = packaged if model is None else model
        _check_model(model)
        kept = _checked_examples(test_images if examples is None else examples)
        # the weights as they travel, rounded; the sums in double precision, like the browser's
        self._model = copy.deepcopy(model).cpu().half().double().eval()
        state = self._model.state_dict()
        if not all(bool(x.isfinite().all()) for x in state.values()):
            raise ValueError("model: expected parameters that half precision can hold")
        grid, depth = model.patch_embed.grid_size, len(model.blocks)
        heads = int(next(iter(self._model.blocks)).attn.num_heads)  # type: ignore[arg-type,union-attr]
        self._own_bounds = {
            "layer": (0, depth),
            "head": (0, heads),
            "query": (0, grid[0] * grid[1]),
        }
        self._first = kept[0][0]
        if "drawing" not in controls:
            controls = {"fit": False, **controls}  # an example: it fits already
        super().__init__(
            _floats=torch.cat([x.flatten() for x in state.values()]).float().numpy(),
            _shapes=[[name, *x.shape] for name, x in state.items()],
            _sizes=[*grid, heads],
            _examples=kept,
            _own_model=own,
            **{"drawing": self._first, **controls},
        )

    def paper(self) -> Bitmap:
        """The ink as the model gets it, (32, 32): enlarged and centred if ``fit``."""
        bitmap = unpack(self.drawing)
        return fitted(bitmap) if self.fit else bitmap

    @torch.no_grad()
    def reference(self) -> dict[str, Tensor]:
        """Run the model in torch, with all its attention."""
        seen = torch.from_numpy(counts_of(self.paper())).double()
        with record_attention(self._model) as weights:
            logits = self._model(seen[None, None] / DOTS**2)[0]
        return {
            "seen": seen,
            "logits": logits,
            "probabilities": logits.softmax(dim=-1),
            "weights": torch.cat(weights),
            "rollout": attention_rollout(weights)[0],
        }

    def shown(self) -> Tensor:
        """The map that is shown large: what the asking token gives each token, (S,)."""
        results = self.reference()
        layer, head, query = int(self.layer), int(self.head), int(self.query)
        if layer == 0:
            return results["rollout"][query].float()
        maps = results["weights"][layer - 1, :, query].float()  # (L, H, S, S) -> (H, S)
        return maps[head - 1] if head else maps.mean(dim=0)

    def figure(self) -> Figure:
        """Draw the paper, what the model sees with the attention over it, and the bars."""
        from matplotlib.figure import Figure

        results = self.reference()
        rows, columns, _ = self._sizes
        figure = Figure(figsize=(8.4, 3.2), layout="constrained")
        paper, image, bars = figure.subplots(1, 3)
        paper.imshow(unpack(self.drawing), cmap="Greys", vmin=0, vmax=1)
        paper.set_title("drawing", fontsize=10)
        attention = self.shown()[1:].view(rows, columns).numpy()
        shades = image.imshow(attention, cmap="Reds", vmin=0, extent=(0, SIZE, SIZE, 0))
        ink = np.zeros((SIZE, SIZE, 4))
        ink[..., 3] = 0.8 * results["seen"].numpy() / DOTS**2
        image.imshow(ink, extent=(0, SIZE, SIZE, 0))
        name = f"layer {self.layer:g}, head {self.head:g}" if self.layer else "rollout"
        image.set_title(f"seen, and {name}", fontsize=10)
        figure.colorbar(shades, ax=image, shrink=0.8)
        for ax in (paper, image):
            ax.set(xticks=[], yticks=[])
        probabilities = results["probabilities"].numpy()
        best = int(probabilities.argmax())
        colours = ["#D55E00" if c == best else "0.65" for c in range(len(probabilities))]
        bars.barh(range(len(probabilities)), probabilities, color=colours)
        bars.set(xlim=(0, 1), yticks=range(len(probabilities)), xlabel="probability")
        bars.invert_yaxis()
        bars.set_title(f"reads {best}", fontsize=10)
        figure.suptitle(self.title, fontsize=11, parse_math=False)
        return figure
