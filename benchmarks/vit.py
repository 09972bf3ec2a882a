"""ViT-B/16 inference beside straightforward code in timm's style: CPU time, as ratios.

    OMP_NUM_THREADS=1 python benchmarks/vit.py [--quick] [--json results.json]

224×224 pixels, batch 1 and 8, the same weights in both. Exit code 1 if a bound is missed.
"""

from __future__ import annotations

import copy
import sys
from typing import Any

import torch
import torch.nn.functional as F
from measure import Table, cpu_ratio, inference, main
from torch import Tensor, nn

from attn_utils.vit import VisionTransformer, vit_base_patch16_224


class Plain(nn.Module):
    """What timm's model computes: packed projections, every token in every block."""

    def __init__(self, ours: VisionTransformer) -> None:
        super().__init__()
        self.model = ours

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (B, 3, 224, 224) -> (B, 1000)."""
        model: Any = self.model
        x = model.patch_embed.proj(images).flatten(2).transpose(1, 2)
        x = torch.cat([model.cls_token.expand(len(x), -1, -1), x], dim=1) + model.pos_embed
        for block in model.blocks:
            B, n, D = x.shape
            qkv = block.attn.qkv(block.norm1(x)).reshape(B, n, 3, block.attn.num_heads, -1)
            q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
            heads = F.scaled_dot_product_attention(q, k, v)
            x = x + block.attn.proj(heads.transpose(1, 2).reshape(B, n, D))
            hidden = F.gelu(block.mlp.fc1(block.norm2(x)))
            x = x + block.mlp.fc2(hidden)
        logits: Tensor = model.head(model.norm(x)[:, 0])
        return logits


def measure(table: Table, quick: bool) -> None:
    """Ratios for each batch size; a row without a bound is shown without a claim."""
    torch.manual_seed(0)
    seconds = 6.0 if quick else 30.0
    ours = vit_base_patch16_224().eval()
    half = copy.deepcopy(ours).bfloat16()
    plain = Plain(ours)
    for batch in (1, 8):
        images = torch.randn(batch, 3, 224, 224)
        with torch.inference_mode():
            torch.testing.assert_close(ours(images), plain(images), rtol=0, atol=1e-5)
        other = inference(plain, images)
        ratio = cpu_ratio(inference(ours, images), other, seconds)
        table.add(f"batch {batch}, float32 / plain", ratio, bound=0.98)
        ratio = cpu_ratio(inference(half, images.bfloat16()), other, seconds)
        table.add(f"batch {batch}, bfloat16 weights / plain in float32", ratio)


if __name__ == "__main__":
    sys.exit(main(__doc__.split("\n")[0], measure))
