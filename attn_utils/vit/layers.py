"""The parts of a Vision Transformer; :mod:`attn_utils.vit` puts them together.

Shapes: B batch, C channels, N patches, P prefix tokens, S tokens in all, T of them that ask, D
width, H heads, d = D / H.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn_utils.core.arguments import (
    check_probability,
    check_size,
    check_sizes,
    check_tensors,
    check_width,
)
from attn_utils.core.attend import attend, join_heads, split_heads

__all__ = ["DropPath", "PatchEmbedding", "resize_position_embedding"]

EPSILON = 1e-6  # of every LayerNorm; PyTorch's default of 1e-5 shifts the logits


class DropPath(nn.Module):
    """Stochastic depth: in training, skip a residual branch for some samples of the batch.

    One draw per sample: with probability p all of its numbers become 0, otherwise they are
    multiplied by 1 / (1 − p), so that the mean stays. In evaluation it is the identity.

    Args:
        drop_prob: p; 1 drops every sample.

    Example:
        >>> import torch
        >>> from attn_utils import DropPath
        >>> drop = DropPath(0.5)
        >>> dropped = drop(torch.ones(1000, 3))
        >>> dropped.unique().tolist()  # a sample is skipped, or doubled to keep the mean
        [0.0, 2.0]
        >>> (dropped[:, 0] == dropped[:, 2]).all().item()  # as a whole
        True
        >>> drop.eval()(torch.ones(2)).tolist()
        [1.0, 1.0]

    References:
        Huang et al. (2016). Deep networks with stochastic depth.
    """

    def __init__(self, drop_prob: float) -> None:
        super().__init__()
        check_probability("drop_prob", drop_prob)
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        """Drop samples: (B, …) -> (B, …)."""
        if not self.training or self.drop_prob == 0:
            return x
        if self.drop_prob == 1:
            return x * 0  # 1 / (1 − p) would make NaN of it
        keep = 1 - self.drop_prob
        draw = x.new_empty(x.shape[:1] + (1,) * (x.ndim - 1)).bernoulli_(keep)  # (B, 1, …)
        return x * (draw / keep)

    def extra_repr(self) -> str:
        """Show the probability."""
        return f"drop_prob={self.drop_prob:.3g}"


class PatchEmbedding(nn.Module):
    """Cut an image into patches and map each of them linearly to a token.

    A convolution whose stride is its kernel size does both at once: the same as flattening the
    patches and multiplying them by one (C p², D) matrix.

    Args:
        img_size: height and width of an image in pixels, or one number for both.
        patch_size: height and width of a patch, or one number for both.
        in_channels: C.
        embed_dim: D, width of a token.

    Attributes:
        grid_size: how many patches there are downwards and across.
        num_patches: N, their product.

    Example:
        >>> import torch
        >>> from attn_utils import PatchEmbedding
        >>> embedding = PatchEmbedding(32, patch_size=8, in_channels=3, embed_dim=16)
        >>> embedding.grid_size, embedding.num_patches
        ((4, 4), 16)
        >>> embedding(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 16, 16])
    """

    def __init__(
        self,
        img_size: int | tuple[int, int],
        patch_size: int | tuple[int, int],
        in_channels: int,
        embed_dim: int,
    ) -> None:
        super().__init__()
        self.img_size = _pair("img_size", img_size)
        self.patch_size = _pair("patch_size", patch_size)
        in_channels, embed_dim = check_sizes(in_channels=in_channels, embed_dim=embed_dim)
        (height, width), (p, q) = self.img_size, self.patch_size
        if height % p or width % q:
            raise ValueError(
                f"img_size: expected a multiple of patch_size = {self.patch_size}, got "
                f"{self.img_size}"
            )
        self.grid_size = (height // p, width // q)
        self.num_patches = self.grid_size[0] * self.grid_size[1]
        self.in_channels = in_channels
        self.proj = nn.Conv2d(in_channels, embed_dim, self.patch_size, stride=self.patch_size)

    def forward(self, images: Tensor) -> Tensor:
        """Embed the patches, row by row.

        Args:
            images: (B, C, height, width).

        Returns:
            Tokens (B, N, D).
        """
        shape = (self.in_channels, *self.img_size)
        if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1:] != shape:
            got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
            wanted = ", ".join(map(str, shape))
            raise ValueError(f"images: expected shape (B, {wanted}), got {got}")
        if not images.is_floating_point():
            raise ValueError(f"images: expected floating-point numbers, got {images.dtype}")
        patches: Tensor = self.proj(images)  # (B, C, height, width) -> (B, D, rows, columns)
        return patches.flatten(2).transpose(1, 2)  # -> (B, D, N) -> (B, N, D)


class Attention(nn.Module):
    """Multi-head self-attention with one packed layer for queries, keys and values.

    The rows of ``qkv.weight`` are W_q, W_k and W_v in this order, each head by head.
    """

    def __init__(
        self, dim: int, num_heads: int, qkv_bias: bool, attn_drop: float, proj_drop: float
    ) -> None:
        super().__init__()
        dim, num_heads = check_sizes(dim=dim, num_heads=num_heads)
        self.dim = dim
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)
        self.attn_drop = attn_drop

    def forward(
        self, x: Tensor, *, num_queries: int | None = None, return_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Let the first tokens (by default all) attend to all.

        Args:
            x: (B, S, D).
            num_queries: T, how many of the tokens ask.
            return_weights: also return the weights.

        Returns:
            The output (B, T, D), or output and weights (B, H, T, S) before dropout.
        """
        check_tensors(x=x)
        check_width("x", x, self.dim)
        q, k, v = (
            split_heads(part, self.num_heads)  # (B, S, D) -> (B, H, S, d)
            for part in self.qkv(x).chunk(3, dim=-1)  # (B, S, D) -> (B, S, 3 D)
        )
        q = q[:, :, :num_queries]  # (B, H, T, d)
        dropout_p = self.attn_drop if self.training else 0.0
        heads, weights = attend(q, k, v, dropout_p=dropout_p, return_weights=return_weights)
        output: Tensor = self.proj_drop(self.proj(join_heads(heads)))  # (B, T, D)
        return output if weights is None else (output, weights)


class Block(nn.Module):
    """``x + attention(norm(x))``, then ``x + mlp(norm(x))``: the norm comes first."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float,
        qkv_bias: bool,
        drop: float,
        attn_drop: float,
        drop_path: float,
    ) -> None:
        super().__init__()
        dim = check_size("dim", dim)
        hidden = int(dim * mlp_ratio)
        self.norm1 = nn.LayerNorm(dim, eps=EPSILON)
        self.attn = Attention(dim, num_heads, qkv_bias, attn_drop, drop)
        self.norm2 = nn.LayerNorm(dim, eps=EPSILON)
        self.mlp = nn.Sequential(
            OrderedDict(
                fc1=nn.Linear(dim, hidden),
                act=nn.GELU(),  # with erf, not its tanh approximation
                drop1=nn.Dropout(drop),
                fc2=nn.Linear(hidden, dim),
                drop2=nn.Dropout(drop),
            )
        )
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, num_queries: int | None = None) -> Tensor:
        """Update the first tokens (by default all): (B, S, D) -> (B, T, D)."""
        some = {} if num_queries is None else {"num_queries": num_queries}
        attended = self.attn(self.norm1(x), **some)
        x = x[:, :num_queries] + self.drop_path(attended)
        updated: Tensor = x + self.drop_path(self.mlp(self.norm2(x)))
        return updated


#: Kinds of modules in a block: beside the attention, all of them treat each token by itself.
BLOCK_PARTS = (
    Block,
    Attention,
    DropPath,
    nn.Sequential,
    nn.Linear,
    nn.LayerNorm,
    nn.GELU,
    nn.Dropout,
)


def resize_position_embedding(
    pos_embed: Tensor,
    new_grid: Sequence[int],
    *,
    old_grid: Sequence[int] | None = None,
    num_prefix_tokens: int = 1,
    antialias: bool = True,
) -> Tensor:
    """Stretch learned positions to another grid of patches, as for images of another size.

    The positions of the patches are taken for a picture with D channels and resized to the new
    grid: bicubic, by target size, ``align_corners=False``. Those of the prefix tokens stay.

    Args:
        pos_embed: (1, P + N, D).
        new_grid: patches downwards and across.
        old_grid: the same of ``pos_embed``; by default it is square.
        num_prefix_tokens: P.
        antialias: smooth before shrinking, as timm does and Hugging Face does not; it makes no
            difference when the grid grows.

    Returns:
        (1, P + N', D) in the same dtype; ``pos_embed`` itself if the grid is the same.

    Example:
        >>> import torch
        >>> from attn_utils import resize_position_embedding
        >>> learned = torch.rand(1, 1 + 14 * 14, 8)  # 224 × 224 pixels, patches of 16
        >>> resized = resize_position_embedding(learned, (24, 24))  # for 384 × 384
        >>> resized.shape
        torch.Size([1, 577, 8])
        >>> torch.equal(resized[:, 0], learned[:, 0])  # the class token
        True
    """
    if not isinstance(pos_embed, Tensor) or pos_embed.ndim != 3 or len(pos_embed) != 1:
        got = tuple(pos_embed.shape) if isinstance(pos_embed, Tensor) else type(pos_embed).__name__
        raise ValueError(f"pos_embed: expected shape (1, P + N, D), got {got}")
    patches = pos_embed.shape[1] - num_prefix_tokens
    if old_grid is None:
        side = math.isqrt(max(patches, 0))
        old_grid = (side, side)
    old, new = tuple(old_grid), tuple(new_grid)
    for name, grid in (("old_grid", old), ("new_grid", new)):
        if len(grid) != 2:
            raise ValueError(f"{name}: expected two numbers, got {grid}")
    new = tuple(check_size(f"new_grid[{i}]", side) for i, side in enumerate(new))
    if patches < 1 or old[0] * old[1] != patches:
        raise ValueError(
            f"old_grid: expected {patches} patches, since pos_embed has the shape "
            f"{tuple(pos_embed.shape)} with {num_prefix_tokens} prefix tokens, got {old}"
        )
    if old == new:
        return pos_embed
    prefix, grid_part = pos_embed[:, :num_prefix_tokens], pos_embed[:, num_prefix_tokens:]
    picture = grid_part.reshape(1, *old, -1).permute(0, 3, 1, 2)  # (1, N, D) -> (1, D, rows, cols)
    resized = F.interpolate(
        picture.float() if picture.dtype in (torch.float16, torch.bfloat16) else picture,
        size=new,
        mode="bicubic",
        align_corners=False,
        antialias=antialias,
    )
    flat = resized.to(pos_embed.dtype).flatten(2).transpose(1, 2)  # -> (1, D, N') -> (1, N', D)
    return torch.cat([prefix, flat], dim=1)


def _pair(name: str, size: int | tuple[int, int]) -> tuple[int, int]:
    pair = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(pair) != 2:
        raise ValueError(f"{name}: expected a number or a pair, got {size!r}")
    return check_size(name, pair[0]), check_size(name, pair[1])
