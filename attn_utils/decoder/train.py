"""Train the two models that AlignmentExplorer shows when it is given none.

    python -m attn_utils.decoder.train [seed]

Writes date_reader.npz beside this file, about 130 KB: the parameters of both models in half
precision. It is the recipe of chapter 4, and takes half a minute on one core. Another machine may
get other last digits, and so other models that are as good.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .dates import (
    SOURCE_CHARACTERS,
    TARGET_CHARACTERS,
    all_dates,
    source_tokens,
    target_tokens,
    written_forms,
)
from .model import AttentionDecoder, EncoderDecoder, FixedVectorDecoder, GRUEncoder, greedy_decode

TARGET = Path(__file__).with_name("date_reader.npz")
STEPS, BATCH, RATE = 400, 128, 8e-3


def main(seed: int = 4) -> None:
    """Train, measure, write."""
    rng = random.Random(seed)
    dates = all_dates()
    rng.shuffle(dates)
    texts = [rng.choice(written_forms(date)) for date in dates]
    sources, lens = source_tokens(texts)
    targets = target_tokens(dates)
    arrays: dict[str, np.ndarray] = {}
    for name in ("attention", "fixed"):
        torch.manual_seed(seed)
        encoder = GRUEncoder(len(SOURCE_CHARACTERS) + 1, 16, 32)
        if name == "attention":
            decoder: FixedVectorDecoder = AttentionDecoder(len(TARGET_CHARACTERS), 16, 48, 64, 16)
        else:
            decoder = FixedVectorDecoder(len(TARGET_CHARACTERS), 16, 52, 64)
        model = EncoderDecoder(encoder, decoder)
        optimiser = torch.optim.Adam(model.parameters(), RATE, betas=(0.9, 0.98))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=STEPS)
        for _ in range(STEPS):
            pick = torch.randint(1000, len(dates), (BATCH,))  # the first thousand are the test
            source = sources[pick][:, : lens[pick].max()]
            logits = model(source, lens[pick], targets[pick])
            loss = F.cross_entropy(logits.flatten(0, 1), targets[pick].flatten())
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        model.half().float()  # what is stored is what is tested
        written = greedy_decode(model, sources[:1000], lens[:1000], 10)
        exact = torch.eq(written, targets[:1000]).all(dim=1)
        print(f"{name}: exact match {exact.float().mean():.3f} of 1000 dates never seen")
        state = model.state_dict()
        arrays |= {f"{name}.{key}": x.numpy().astype(np.float16) for key, x in state.items()}
    np.savez_compressed(TARGET, **arrays)  # type: ignore[arg-type]
    print(f"{TARGET.name}: {TARGET.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
