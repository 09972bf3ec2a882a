"""Train the writer of chapter 9: a language model that has read sixteen chapters of Jane Austen.

    python -m attn_utils.transformer.train [seed]

Writes writer.npz beside this file, about 1.2 MB: the parameters in half precision. It takes six to
ten minutes on one core. Another machine may get other last digits, and so another model that is as
good.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .language_model import LanguageModel

TARGET = Path(__file__).with_name("writer.npz")
TEXT = Path(__file__).parents[1] / "texts" / "pride-and-prejudice.txt"
EMBED_DIM, NUM_HEADS, DEPTH = 128, 4, 3
STEPS, BATCH, LENGTH, RATE, DROPOUT = 1800, 12, 96, 4e-3, 0.15


def main(seed: int = 9) -> None:
    """Train, measure, write."""
    novel = TEXT.read_text(encoding="utf-8")
    number = {c: i for i, c in enumerate(sorted(set(novel)))}
    text = torch.tensor([number[c] for c in novel])
    cut = len(novel) * 9 // 10
    torch.manual_seed(seed)
    model = LanguageModel(len(number), EMBED_DIM, NUM_HEADS, DEPTH, dropout=DROPOUT)
    optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95))
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, total_steps=STEPS, pct_start=0.05, cycle_momentum=False
    )
    for step in range(1, STEPS + 1):
        starts = torch.randint(cut - LENGTH, (BATCH, 1))
        pieces = text[starts + torch.arange(LENGTH + 1)]  # (B, T + 1)
        loss = F.cross_entropy(model(pieces[:, :-1]).flatten(0, 1), pieces[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        rate.step()
        if step % 100 == 0:
            print(f"step {step}: loss {loss:.2f}", flush=True)
    model.half().float().eval()  # what is stored is what is tested
    print(f"held-out loss {held_out(model, text[cut:]):.3f} nats a character")
    state = {name: x.numpy().astype(np.float16) for name, x in model.state_dict().items()}
    np.savez_compressed(TARGET, **state)
    print(f"{TARGET.name}: {TARGET.stat().st_size / 1000:.0f} KB")


@torch.no_grad()
def held_out(model: LanguageModel, text: Tensor, length: int = LENGTH) -> float:
    """Mean loss over the text, cut into pieces of ``length`` characters, in nats."""
    count = (len(text) - 1) // length
    inputs = text[: count * length].view(count, length)
    targets = text[1 : count * length + 1].view(count, length)
    return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten()).item()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
