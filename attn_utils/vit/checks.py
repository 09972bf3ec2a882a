"""Self-checks of chapter 12, The Vision Transformer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from attn_utils.checks import Mistake, compare, compare_entries, exercise

_ANSWERS: dict[str, Any] = {
    "patches": 96,
    "numbers in a patch": 192,
    "tokens": (16, 97, 384),
    "weights": (16, 6, 97, 97),
    "queries": (16, 6, 97, 64),
    "logits": (16, 10),
}
_KNOWN: dict[str, dict[Any, str]] = {
    "patches": {
        97: "patches: the class token is none of them",
        144: "patches: the image is not square; there are 96/8 rows and 64/8 columns",
        64: "patches: the image is not square; there are 96/8 rows and 64/8 columns",
        6144: "patches: those are the pixels; a patch covers 8 · 8 of them",
        768: "patches: divide by the patch's side in both directions",
    },
    "numbers in a patch": {
        64: "numbers in a patch: each pixel has three colours",
        384: "numbers in a patch: that is the width of a token, after the projection",
    },
    "tokens": {
        (16, 96, 384): "tokens: the class token is missing",
        (16, 97, 192): "tokens: the projection has made them as wide as the model",
        (16, 384, 97): "tokens: (B, tokens, width), the width comes last",
        (97, 384): "tokens: the batch axis is missing",
    },
    "weights": {
        (16, 6, 96, 96): "weights: the class token attends and is attended to, as all others",
        (16, 97, 97): "weights: each head has a matrix of its own",
        (16, 6, 97, 64): "weights: those are the queries; a weight belongs to two tokens",
        (16, 4, 97, 97): "weights: in one block there is one matrix for each of the 6 heads",
    },
    "queries": {
        (16, 6, 97, 384): "queries: the heads share the width, each has 384/6 of it",
        (16, 97, 6, 64): "queries: the heads come before the tokens, (B, H, T, d)",
        (16, 97, 384): "queries: cut into heads, (B, H, T, d)",
        (16, 6, 96, 64): "queries: the class token asks as well",
    },
    "logits": {
        (16, 97, 10): "logits: the head reads the class token only",
        (10,): "logits: one row for each image of the batch",
        (16, 384): "logits: that is the class token; the head makes 10 numbers of it",
    },
}


@exercise("vit.shapes")
def _check_shapes(answers: Any) -> None:
    """Exercise 12.1: shapes and sizes of a small model."""
    compare_entries(answers, _ANSWERS, _KNOWN, "follow one image through")


def _unpatchify(patches: Tensor, p: int, C: int, h: int, w: int, kind: str = "") -> Tensor:
    """The inverse of cutting; ``kind`` names a way to get it wrong."""
    B, rows, columns = len(patches), h // p, w // p
    if kind == "columns first":
        x = patches.reshape(B, columns, rows, C, p, p)  # read column by column
        return x.permute(0, 3, 2, 4, 1, 5).reshape(B, C, h, w)
    if kind == "channels last":
        x = patches.reshape(B, rows, columns, p, p, C)
        return x.permute(0, 5, 1, 3, 2, 4).reshape(B, C, h, w)
    x = patches.reshape(B, rows, columns, C, p, p)
    orders = {
        "": (0, 3, 1, 4, 2, 5),
        "transposed": (0, 3, 1, 5, 2, 4),
        "pixels outside": (0, 3, 4, 1, 5, 2),
        "no order": (0, 3, 1, 2, 4, 5),
    }
    return x.permute(orders[kind]).reshape(B, C, h, w)


@exercise("vit.unpatchify")
def _check_unpatchify(unpatchify: Callable[..., Any]) -> None:
    """Exercise 12.2: patches (B, N, C·p²) back to images (B, C, h, w)."""
    # rows, columns, C and p all differ, so that no wrong order keeps the numbers
    for B, p, C, h, w in ((2, 4, 3, 8, 20), (1, 3, 2, 12, 6)):
        images = torch.arange(B * C * h * w, dtype=torch.float32).view(B, C, h, w)
        x = images.reshape(B, C, h // p, p, w // p, p).permute(0, 2, 4, 1, 3, 5)
        patches = x.reshape(B, -1, C * p * p)
        sizes = (p, C, h, w)
        compare(
            unpatchify(patches, *sizes),
            images,
            "the images",
            {
                "the numbers are only given another shape: a patch's rows must be spread over the "
                "image's rows, which takes a permute": patches.reshape(B, C, h, w),
                "the permute brings rows and columns of patches together, and the pixels behind "
                "them: each patch row must stand beside its pixel row": (
                    _unpatchify(patches, *sizes, "no order")
                ),
                "the pixels of a patch are spread over the image: the patch's row must come before "
                "the pixel's row": _unpatchify(patches, *sizes, "pixels outside"),
                "inside each patch, rows and columns are swapped": (
                    _unpatchify(patches, *sizes, "transposed")
                ),
                "the patches are read column by column: they are stored row by row": (
                    _unpatchify(patches, *sizes, "columns first")
                ),
                "the channels of a patch are taken to be last: they come first, (C, p, p)": (
                    _unpatchify(patches, *sizes, "channels last")
                ),
                "the image has its axes in another order: channels come first, (B, C, h, w)": (
                    images.permute(0, 2, 3, 1)
                ),
            },
        )


def _count(img: int, p: int, C: int, D: int, L: int, classes: int, distilled: bool) -> int:
    extra = int(distilled)
    tokens = (1 + extra) * D + ((img // p) ** 2 + 1 + extra) * D
    blocks = L * (12 * D**2 + 13 * D) + 2 * D
    return p * p * C * D + D + tokens + blocks + (1 + extra) * (D * classes + classes)


@exercise("vit.count_parameters")
def _check_count_parameters(count_parameters: Callable[..., Any]) -> None:
    """Exercise 12.3: the closed form with a distillation token."""
    img, p, C, D, L, classes = 64, 8, 1, 96, 3, 7
    for distilled in (False, True):
        arguments = (img, p, C, D, L, classes, distilled)
        got = count_parameters(*arguments)
        if got is None or got is Ellipsis:
            raise Mistake(f"the number is {got}: nothing has been computed yet")
        want = _count(*arguments)
        N, head = (img // p) ** 2, D * classes + classes
        mistakes = {
            "the norms of the blocks are missing, 4D in each": want - L * 4 * D,
            "the last norm is missing, 2D": want - 2 * D,
            "the biases of the blocks are missing (or some of 13D per block)": want - L * 9 * D,
            "all 13D per block are missing: biases and norms": want - L * 13 * D,
            "D is missing: the bias of the patch embedding, the class token, or its position": (
                want - D
            ),
            "the bias of the head is missing": want - (1 + int(distilled)) * classes,
            "the positions are missing": want - (N + 1 + int(distilled)) * D,
            "three colours are assumed: use C": want + 2 * p * p * D,
            "the position embedding has a row for each patch and each extra token, not for each "
            "pixel": want + (img * img - N) * D,
            "there is only one position embedding, not one in each block": (
                want + (L - 1) * (N + 1 + int(distilled)) * D
            ),
        }
        if distilled:
            mistakes = {
                "it is the same as without distillation: `distilled` is not used": (
                    _count(img, p, C, D, L, classes, False)
                ),
                "the distillation token has a head of its own": want - head,
                "the distillation token has a position as well, and is one itself: 2D": want - D,
                "the distillation token and its position are missing": want - 2 * D,
            } | mistakes
        for message, wrong in mistakes.items():
            if got == wrong and wrong != want:
                raise Mistake(message)
        compare(got, torch.tensor(want), "the number of parameters")
    large = count_parameters(224, 14, 3, 1280, 32, 1000, False)
    if isinstance(large, float):  # exact in 64 bits, not in the 32 of a tensor
        large = torch.tensor(large, dtype=torch.float64)
    compare(
        large,
        torch.tensor(632_045_800),
        "the number for ViT-H/14",
    )


@exercise("vit.drop_path")
def _check_drop_path(drop_path: Callable[[Tensor, float, bool], Any]) -> None:
    """Exercise 12.4: one draw per image, the mean kept, p = 1 gives zeros."""
    x = torch.rand(4000, 3, 2, generator=torch.Generator().manual_seed(12)) + 1
    state = torch.get_rng_state()
    torch.manual_seed(12)
    try:
        _judge_drop_path(drop_path, x)
    finally:
        torch.set_rng_state(state)


def _judge_drop_path(drop_path: Callable[[Tensor, float, bool], Any], x: Tensor) -> None:
    p = 0.3
    got = drop_path(x, p, True)
    if not isinstance(got, Tensor) or got.shape != x.shape:
        compare(got, x, "the result")  # says what is wrong with it
    ratio = got / x
    share = (ratio == 0).double().mean(dim=(1, 2))  # of each image, how much was dropped
    if ((share > 0) & (share < 1)).any():
        raise Mistake(
            "parts of an image are dropped: make one draw for each image, not for each number"
        )
    dropped = (share == 1).double().mean().item()
    if dropped in (0.0, 1.0):
        again = {float((drop_path(x, p, True) == 0).all()) for _ in range(40)}
        if len(again) > 1:
            raise Mistake("all images share one draw: draw len(x) numbers, one for each")
        raise Mistake(f"with p = {p}, {'no' if not dropped else 'every'} image was dropped")
    if abs(dropped - (1 - p)) < 0.05:
        raise Mistake("p is the probability of dropping, not of keeping")
    if abs(dropped - p) > 0.05:
        raise Mistake(f"with p = {p}, a share of {dropped:.2f} of the images was dropped")
    factor = ratio[share == 0]
    for message, wrong in (
        ("what is kept has to be divided by 1 - p, so that the mean stays", 1.0),
        ("what is kept is divided by p: divide by the probability of keeping, 1 - p", 1 / p),
        ("what is kept is multiplied by 1 - p: divide by it", 1 - p),
    ):
        if torch.allclose(factor, torch.tensor(wrong), atol=1e-3):
            raise Mistake(message)
    compare(factor, torch.full_like(factor, 1 / (1 - p)), "the factor of what is kept")
    if not torch.equal(drop_path(x, p, False), x):
        raise Mistake("outside training nothing should happen")
    compare(drop_path(x, 0.0, True), x, "the result for p = 0")
    everything = drop_path(x, 1.0, True)
    if isinstance(everything, Tensor) and everything.isnan().any():
        raise Mistake("p = 1 gives NaN, 0/0: return zeros")
    compare(everything, torch.zeros_like(x), "the result for p = 1")
    flat = drop_path(x[:, :, 0], p, True)
    if not isinstance(flat, Tensor) or flat.shape != x.shape[:2]:
        raise Mistake("it should work for any number of axes behind the batch")
    whole = (flat != 0).any(dim=1, keepdim=True)
    compare(flat, x[:, :, 0] * whole / (1 - p), "the result for an axis less")


def _resized(
    pos: Tensor,
    new: tuple[int, int],
    prefix: int,
    *,
    mode: str = "bicubic",
    front: int = -1,
    antialias: bool = True,
    corners: bool = False,
    mix: bool = False,
    factor: float | None = None,
) -> Tensor:
    """Resize; the options are ways to get it wrong."""
    front = prefix if front < 0 else front
    grid = pos[:, prefix:]
    side = int(grid.shape[1] ** 0.5)
    D = pos.shape[-1]
    picture = (
        grid.reshape(1, D, side, side) if mix else grid.transpose(1, 2).reshape(1, D, side, side)
    )
    smooth = mode in ("bicubic", "bilinear")
    picture = F.interpolate(
        picture,
        size=None if factor else new,
        scale_factor=factor,
        mode=mode,
        align_corners=corners if smooth else None,
        antialias=antialias and smooth and not corners,
    )
    return torch.cat([pos[:, :front], picture.flatten(2).transpose(1, 2)], dim=1)


@exercise("vit.resize_positions")
def _check_resize_positions(resize: Callable[[Tensor, tuple[int, int], int], Any]) -> None:
    """Exercise 12.5: stretch the grid part, keep the prefix."""
    generator = torch.Generator().manual_seed(12)
    # of 37 to 39 a factor makes 38
    for side, prefix, new in ((6, 1, (9, 5)), (5, 2, (3, 7)), (37, 1, (39, 39))):
        pos = torch.randn(1, prefix + side**2, 8, generator=generator)
        count = prefix + new[0] * new[1]
        want = _resized(pos, new, prefix)
        line = F.interpolate(pos.transpose(1, 2), size=count, mode="linear").transpose(1, 2)
        nearest = F.interpolate(pos.transpose(1, 2), size=count).transpose(1, 2)
        in_line = (
            "the positions are stretched as one line: the grid is a picture with rows and "
            "columns, and the prefix is no part of it"
        )
        mistakes = {
            in_line: line,
            in_line + ".": nearest,
            "the prefix is put behind: it belongs in front": torch.cat(
                [want[:, prefix:], want[:, :prefix]], dim=1
            ),
            "the prefix is lost: the class token's position belongs in front": want[:, prefix:],
            "the mode is bilinear, asked is bicubic": _resized(pos, new, prefix, mode="bilinear"),
            "the mode is nearest, asked is bicubic": _resized(pos, new, prefix, mode="nearest"),
            "align_corners should be False": _resized(pos, new, prefix, corners=True),
            "antialias=True is missing: it matters when a side gets smaller": (
                _resized(pos, new, prefix, antialias=False)
            ),
            "the D numbers of a position are mixed with the positions: bring D before the grid "
            "with a transpose, a reshape alone does not": _resized(pos, new, prefix, mix=True),
            "rows and columns of the new grid are swapped": _resized(pos, new[::-1], prefix),
        }
        if side == 37:
            mistakes["`scale_factor` rounds down, and 37 becomes 38 instead of 39: give `size`"] = (
                _resized(pos, new, prefix, factor=39 / 37)
            )
        if prefix == 2:
            mistakes["there may be two tokens in front: cut off `prefix`, not 1"] = torch.cat(
                [pos[:, :1], want[:, prefix:]], dim=1
            )
        compare(
            resize(pos, new, prefix),
            want,
            f"the positions for a {side}×{side} grid to {new}",
            mistakes,
        )
        same = resize(pos, (side, side), prefix)
        compare(same, pos, "the positions for the same grid")
