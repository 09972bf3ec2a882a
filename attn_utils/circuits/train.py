"""Train the model that CircuitBench shows.

    python -m attn_utils.circuits.train [seed]

Writes copier.npz beside this file, about 75 KB: the parameters in half precision. It is the recipe
of chapter 16, with patterns of 3 tokens and more, and takes about fifteen seconds on one core.
Another machine may get other last digits, and another seed other heads with the same two jobs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .model import AttentionOnlyModel, layers_of, run_heads
from .patterns import repeated_patterns

TARGET = Path(__file__).with_name("copier.npz")
VOCAB_SIZE, LENGTH, EMBED_DIM, NUM_HEADS, DEPTH = 32, 48, 64, 4, 2
STEPS, BATCH, RATE, PRICE, FREE = 600, 48, 4e-3, 0.05, 150
PERIODS = (3, 23)


def size_of_heads(model: AttentionOnlyModel) -> Tensor:
    """Sum over all heads the norm of what makes their output: their slices of W_v and W_o."""
    total = torch.zeros(())
    for layer in layers_of(model):
        both = torch.cat([layer.W_v.weight, layer.W_o.weight.T], dim=1)
        total = total + sum(part.norm() for part in both.chunk(NUM_HEADS))
    return total


def main(seed: int = 16) -> None:
    """Train, measure, write."""
    torch.manual_seed(seed)
    model = AttentionOnlyModel(VOCAB_SIZE, LENGTH, EMBED_DIM, NUM_HEADS, DEPTH)
    optimiser = torch.optim.AdamW(model.parameters())
    for step in range(STEPS):
        rate = RATE * min(1.0, (step + 1) / 30, (STEPS - step) / (0.4 * STEPS))
        for group in optimiser.param_groups:
            group["lr"] = rate
        tokens, periods = repeated_patterns(BATCH, LENGTH, VOCAB_SIZE, periods=PERIODS)
        seen = torch.arange(LENGTH - 1) >= periods[:, None]
        loss = F.cross_entropy(model(tokens)[:, :-1][seen], tokens[:, 1:][seen])
        if step >= FREE:
            loss = loss + PRICE * size_of_heads(model)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        for parameter in model.parameters():  # what rounding leaves of an idle head is noise
            parameter[parameter.abs() < 1e-3] = 0
    model.half().float()  # what is stored is what is tested
    tokens, periods = repeated_patterns(512, LENGTH, VOCAB_SIZE, periods=PERIODS)
    seen = torch.arange(LENGTH - 1) >= periods[:, None]
    run = run_heads(model, tokens)
    right = (run.logits[:, :-1].argmax(-1) == tokens[:, 1:])[seen].float().mean()
    print(f"accuracy {right:.3f}, size of what each head adds:")
    print(run.outputs.norm(dim=-1).mean(dim=(2, 3)))
    state = {name: x.numpy().astype(np.float16) for name, x in model.state_dict().items()}
    np.savez_compressed(TARGET, **state)
    print(f"{TARGET.name}: {TARGET.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
