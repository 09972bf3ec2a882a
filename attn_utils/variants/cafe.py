"""The small world of the variant lab: orders in a café, and a language model that has read many.

Twelve guests; each has a drink of their own for a text, and orders it whenever they come: "Ann tea,
Ben milk, Ann tea". Who comes next is chance. What a guest drinks is chance the first time, and
stands in the text from then on: a model has to find it, however far back.

Shapes: B batch, T words, H heads, d width of a head.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from attn_utils.core import causal_mask, scaled_dot_product_attention
from attn_utils.core.attend import join_heads, repeat_heads, split_heads
from attn_utils.scoring import soft_cap_attention
from attn_utils.transformer import CausalBlock, CausalSelfAttention, LanguageModel

from .selection import Indexer, top_k_mask
from .windows import window_mask

GUESTS = ("Ann", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gwen", "Hugo", "Ida", "Jack", "Kim", "Leo")
DRINKS = ("tea", "milk", "wine", "juice", "cocoa", "water", "cola", "coffee")
WORDS = ("<bos>", *GUESTS, *DRINKS)
FILE = Path(__file__).with_name("cafe.npz")
LENGTH = 64  # words that a model reads; it predicts the one after each
EMBED_DIM, NUM_HEADS, DEPTH, HIDDEN, INDEX_DIM = 32, 4, 2, 32, 4
NEARER = 1e-6  # what a word less of distance counts, to an indexer: it decides between equals


def orders(chance: random.Random) -> list[int]:
    """Make up a text of LENGTH + 1 words, as their numbers in WORDS."""
    drink_of = {guest: chance.choice(DRINKS) for guest in GUESTS}
    text = ["<bos>"]
    while len(text) <= LENGTH:
        guest = chance.choice(GUESTS)
        text += [guest, drink_of[guest]]
    return [WORDS.index(word) for word in text[: LENGTH + 1]]


def known(text: Sequence[int]) -> list[bool]:
    """Whether a word is a guest who was there before: then the next one can be known."""
    return [t % 2 == 1 and text[t] in text[:t] for t in range(LENGTH)]


class Run(NamedTuple):
    """What a model makes of texts."""

    logits: Tensor  # (B, T, V)
    weights: list[Tensor]  # (B, H, T, T) for each layer
    masks: list[Tensor]  # True = may be attended, (T, T), or (B, T, T) where words are fetched
    streams: list[Tensor]  # what each layer's attention reads, (B, T, D)


def run(
    model: LanguageModel,
    text: Tensor,
    *,
    windows: Sequence[int],
    first: bool = True,
    fetched: int = 0,
    indexer: Indexer | None = None,
    cap: float | None = None,
) -> Run:
    """Read texts with another attention than the model was made with; its weights stay.

    Args:
        model: the model.
        text: (B, T), integers.
        windows: for each layer, how many words a word sees, itself included.
        first: whether the first word is seen from everywhere.
        fetched: in the last layer, how many words outside the window the indexer adds.
        indexer: needed if ``fetched`` is above 0.
        cap: soft cap on all scores.

    Returns:
        The logits, and what led to them.
    """
    T = text.shape[1]
    causal, place = causal_mask(T), torch.arange(T)
    result = Run(torch.empty(0), [], [], [])
    x = model.embedding(text)
    for module, window in zip(model.blocks, windows, strict=True):
        block = cast(CausalBlock, module)

        def look_back(
            h: Tensor, attn: CausalSelfAttention = block.attn, window: int = window
        ) -> Tensor:
            mask = window_mask(T, window=window)
            if first:
                mask = mask | causal & (place == 0)
            if fetched and len(result.masks) == len(windows) - 1:
                assert indexer is not None
                scores = indexer(h) - NEARER * (place[:, None] - place)  # (B, T, T)
                mask = mask | top_k_mask(scores, fetched, causal & ~mask)
            q = attn.rotary(split_heads(attn.W_q(h), attn.num_heads))
            k = attn.rotary(split_heads(attn.W_k(h), attn.num_kv_heads))
            v = split_heads(attn.W_v(h), attn.num_kv_heads)
            k, v = (repeat_heads(y, attn.num_heads // attn.num_kv_heads) for y in (k, v))
            if cap is None:
                heads, weights = scaled_dot_product_attention(q, k, v, mask, return_weights=True)
            else:
                heads, weights = soft_cap_attention(q, k, v, mask, cap=cap, return_weights=True)
            result.weights.append(weights)
            result.masks.append(mask)
            result.streams.append(h)
            output: Tensor = attn.W_o(join_heads(heads))
            return output

        x = block.add(x, block.norm1, look_back)
        x = block.add(x, block.norm2, block.mlp)
    return result._replace(logits=model.head(model.norm(x)))


class Cafe(NamedTuple):
    """What the package brings along: models with their indexers, and texts that none has read."""

    models: dict[int, tuple[LanguageModel, Indexer]]  # by the number of heads of keys and values
    texts: list[list[int]]


def load_cafe() -> Cafe:
    """Load what ``train.py`` made, in double precision."""
    with np.load(FILE, allow_pickle=False) as file:
        arrays = {name: torch.from_numpy(file[name].astype(np.float64)) for name in file.files}
    texts = arrays.pop("texts").long().tolist()
    models = {}
    for groups in (4, 2, 1):
        model = LanguageModel(
            len(WORDS), EMBED_DIM, NUM_HEADS, DEPTH, HIDDEN, num_kv_heads=groups
        ).double()
        indexer = Indexer(EMBED_DIM, INDEX_DIM).double()
        for kind, part in (("model", model), ("indexer", indexer)):
            path = f"{groups}.{kind}."
            part.load_state_dict({name: arrays[path + name] for name in part.state_dict()})
        models[groups] = (model.eval(), indexer)
    return Cafe(models, texts)
