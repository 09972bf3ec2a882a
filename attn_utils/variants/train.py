"""Train what the variant lab shows: a small language model, and what follows from it.

    python -m attn_utils.variants.train [seed]

Writes cafe.npz beside this file, about 90 KB: in half precision the parameters of a model with four
heads of keys and values; of two more, in which groups of heads share theirs, first as the mean and
then after a sixth of the steps more; and for each an indexer. It takes two minutes on one core.
Another machine may get other last digits, and so other models that are as good.

In every second step the first layer sees the last four words and the first one only, so that it
learns to do with those: published models with local layers are trained with them too.
"""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from attn_utils.multi_head import with_kv_heads
from attn_utils.transformer import LanguageModel

from .cafe import (
    DEPTH,
    EMBED_DIM,
    FILE,
    HIDDEN,
    INDEX_DIM,
    LENGTH,
    NUM_HEADS,
    WORDS,
    known,
    orders,
    run,
)
from .selection import Indexer

STEPS, MORE_STEPS, BATCH, RATE, DECAY = 1200, 200, 32, 6e-3, 0.1
INDEX_STEPS, INDEX_RATE = 300, 2e-2


def texts(chance: random.Random, number: int) -> Tensor:
    """Make up texts, (number, LENGTH + 1)."""
    return torch.tensor([orders(chance) for _ in range(number)])


def train(model: LanguageModel, steps: int, chance: random.Random) -> None:
    """Train to predict each next word."""
    optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=DECAY)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, total_steps=steps, pct_start=0.1, cycle_momentum=False
    )
    for _ in range(steps):
        batch = texts(chance, BATCH)
        windows = (chance.choice((4, LENGTH)), LENGTH)
        logits = run(model, batch[:, :-1], windows=windows).logits
        loss = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        rate.step()


def train_indexer(model: LanguageModel, chance: random.Random) -> Indexer:
    """Train an indexer to resemble the weights of the model's last layer, mean over its heads."""
    indexer = Indexer(EMBED_DIM, INDEX_DIM)
    optimiser = torch.optim.Adam(indexer.parameters(), INDEX_RATE)
    future = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1)
    for _ in range(INDEX_STEPS):
        with torch.no_grad():
            read = run(model, texts(chance, BATCH)[:, :-1], windows=(LENGTH, LENGTH))
        scores = indexer(read.streams[-1]).masked_fill(future, -1e9)  # (B, T, T)
        wanted = read.weights[-1].mean(1)
        loss = -(wanted * scores.log_softmax(-1)).sum(-1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return indexer


@torch.no_grad()
def losses(model: LanguageModel, indexer: Indexer | None = None, **variant: Any) -> str:
    """Mean loss of 200 new texts: of all words, and of the drinks of known guests, in nats."""
    batch = texts(random.Random(0), 200)
    variant = {"windows": (LENGTH, LENGTH), "indexer": indexer} | variant
    logits = run(model, batch[:, :-1], **variant).logits
    loss = F.cross_entropy(logits.transpose(1, 2), batch[:, 1:], reduction="none")
    asked = torch.tensor([known(text) for text in batch.tolist()])
    return f"loss {loss.mean():.3f}, of known orders {loss[asked].mean():.3f}"


def main(seed: int = 15) -> None:
    """Train, measure, write."""
    chance = random.Random(seed)
    torch.manual_seed(seed)
    model = LanguageModel(len(WORDS), EMBED_DIM, NUM_HEADS, DEPTH, HIDDEN)
    train(model, STEPS, chance)
    arrays: dict[str, np.ndarray] = {}
    for groups in (4, 2, 1):
        grouped = with_kv_heads(model, groups)
        if groups < NUM_HEADS:
            print(f"{groups} heads by the mean: {losses(grouped)}")
            train(grouped, MORE_STEPS, chance)
        indexer = train_indexer(grouped, chance)
        for part in (grouped, indexer):
            part.half().float()  # what is stored is what is tested
        print(f"{groups} heads of keys and values: {losses(grouped)}")
        print(f"  first layer local: {losses(grouped, windows=(4, LENGTH))}")
        for window in (2, 8, 32):
            own: dict[str, Any] = {"windows": (4, window)}
            print(f"  window {window}: {losses(grouped, **own)}")
            print(f"    without the first word: {losses(grouped, first=False, **own)}")
            for fetched in (1, 2, 4, 8):
                print(f"    {fetched} fetched: {losses(grouped, indexer, fetched=fetched, **own)}")
        for name, part in (("model", grouped), ("indexer", indexer)):
            arrays |= {
                f"{groups}.{name}.{key}": x.numpy().astype(np.float16)
                for key, x in part.state_dict().items()
            }
    arrays["texts"] = texts(random.Random(1), 4).numpy().astype(np.uint8)
    np.savez_compressed(FILE, **arrays)  # type: ignore[arg-type]
    print(f"{FILE.name}: {FILE.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
