"""Transformer blocks and cached writing beside their peers: single-threaded CPU time, as ratios.

    OMP_NUM_THREADS=1 python benchmarks/transformer.py [--quick] [--json results.json]

Blocks: batch 2, width 256, 4 heads, hidden 1024, float32. "fast path" is PyTorch's own inference
kernel for the whole layer. Writing: a language model of width 128 with 4 blocks, n letters one by
one. Exit code 1 if a bound is missed.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from measure import Run, Table, cpu_ratio, inference, main, peak_bytes, training
from torch import nn

from attn_utils.transformer import DecoderBlock, EncoderBlock, LanguageModel

BATCH, WIDTH, HEADS = 2, 256, 4


def writing(model: LanguageModel, n: int, use_cache: bool) -> Run:
    """Write n tokens, always the likeliest."""
    prompt = torch.zeros(1, 1, dtype=torch.int64)
    return lambda: model.generate(prompt, n, temperature=0, use_cache=use_cache)


def measure(table: Table, quick: bool) -> None:
    """Ratios at several lengths n; a row without a bound is shown without a claim."""
    torch.manual_seed(0)
    seconds = 1.5 if quick else 6.0
    lengths = [64, 512] if quick else [64, 256, 1024]
    options: dict[str, Any] = {"dropout": 0.0, "activation": "gelu", "batch_first": True}

    for norm_first, kind in ((True, "pre-norm"), (False, "post-norm")):
        theirs = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, norm_first=norm_first, **options
        )
        ours = EncoderBlock.from_torch(theirs)
        for n in lengths:
            x = torch.randn(BATCH, n, WIDTH)
            theirs.train(), ours.train()
            ratio = cpu_ratio(training(ours, x), training(theirs, x), seconds)
            table.add(f"{kind} encoder, training / torch", ratio, n=n, bound=1.10)
            theirs.eval(), ours.eval()
            mine, other = inference(ours, x), inference(theirs, x)
            ratio = cpu_ratio(mine, other, seconds)
            table.add(f"{kind} encoder, inference / torch's fast path", ratio, n=n)
            table.add("  its memory", peak_bytes(mine) / peak_bytes(other), n=n)

    decoder = nn.TransformerDecoderLayer(WIDTH, HEADS, 4 * WIDTH, norm_first=True, **options)
    ours_decoder = DecoderBlock.from_torch(decoder)
    for n in lengths:
        x, memory = torch.randn(2, BATCH, n, WIDTH)
        past = nn.Transformer.generate_square_subsequent_mask(n)
        causal = {"tgt_mask": past, "tgt_is_causal": True}
        decoder.train(), ours_decoder.train()
        mine, other = training(ours_decoder, x, memory), training(decoder, x, memory, **causal)
        table.add("decoder, training / torch", cpu_ratio(mine, other, seconds), n=n, bound=1.10)
        decoder.eval(), ours_decoder.eval()
        mine, other = inference(ours_decoder, x, memory), inference(decoder, x, memory, **causal)
        table.add("decoder, inference / torch", cpu_ratio(mine, other, seconds), n=n)

    model = LanguageModel(66, 128, 4, 4).eval()
    for n, bound in ((32, None), (128, 0.9)) if quick else ((32, None), (128, 0.9), (512, 0.5)):
        ratio = cpu_ratio(writing(model, n, True), writing(model, n, False), seconds)
        table.add("writing with a cache / without", ratio, n=n, bound=bound)


if __name__ == "__main__":
    sys.exit(main(__doc__.split("\n")[0], measure))
