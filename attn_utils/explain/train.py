"""Train the model that DigitReader shows when it is given none, and choose its examples.

    python -m attn_utils.explain.train

Writes digit_reader.npz beside this file, about 130 KB: the parameters in half precision under
timm's names, the number of heads, and a dozen test images with their labels. It is the recipe of
chapter 13 with ten epochs more, on the same split of scikit-learn's digits, and takes half a minute
on one core. Another machine may get other last digits, and so another model that is as good.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from attn_utils.training import accuracy, fit
from attn_utils.vit import VisionTransformer

TARGET = Path(__file__).with_name("digit_reader.npz")
HEADS = 4


def wobble(images: Tensor) -> Tensor:
    """Turn, stretch and shift each image a little."""
    n = len(images)
    angle = math.radians(10) * (2 * torch.rand(n) - 1)
    size = 1 + 0.1 * (2 * torch.rand(n) - 1)
    move = 0.12 * (2 * torch.rand(n, 2) - 1)
    cos, sin = size * angle.cos(), size * angle.sin()
    affine = torch.stack([cos, -sin, move[:, 0], sin, cos, move[:, 1]], 1).view(n, 2, 3)
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def main() -> None:
    """Train, choose, write."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(13))
    train, valid, test = torch.split(order, [1097, 300, 400])

    torch.manual_seed(13)
    model = VisionTransformer(8, 2, 1, 10, embed_dim=48, depth=3, num_heads=HEADS, mlp_ratio=2.0)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.reset_parameters()  # PyTorch's scale, 1/√inputs: 0.01 suits wider models
    nn.init.normal_(model.pos_embed, std=0.3)
    fit(
        model,
        (images[train], labels[train]),
        (images[valid], labels[valid]),
        epochs=50,
        augment=wobble,
        seed=13,
    )

    model.half().float()  # what is stored is what is tested
    print(f"test accuracy {accuracy(model, images[test], labels[test]):.3f}")
    with torch.no_grad():
        probabilities = model(images[test]).softmax(dim=-1)
    right = probabilities[torch.arange(len(test)), labels[test]]
    answers = probabilities.argmax(dim=-1)
    chosen = [
        next(i for i in range(len(test)) if labels[test[i]] == digit == answers[i])
        for digit in range(10)
    ]
    chosen += [int(i) for i in right.argsort()[:2]]  # the two that the model reads worst
    shown = test[torch.tensor(chosen)]
    arrays = {name: x.numpy().astype(np.float16) for name, x in model.state_dict().items()}
    np.savez_compressed(
        TARGET,
        **arrays,
        num_heads=np.int64(HEADS),
        labels=labels[shown].numpy().astype(np.uint8),
        images=(16 * images[shown]).numpy().astype(np.uint8),
    )
    print(f"{TARGET.name}: {TARGET.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main()
