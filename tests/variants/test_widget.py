"""The variant lab from Python's side: its model, its arithmetic of bytes, what it refuses."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from attn_utils import record_attention, with_kv_heads
from attn_utils.variants.cafe import (
    DRINKS,
    FILE,
    GUESTS,
    LENGTH,
    WORDS,
    known,
    load_cafe,
    orders,
    run,
)
from attn_utils.widgets import VariantLab
from tests.helpers import close

CAFE = load_cafe()


def new_texts(number: int = 100) -> list[list[int]]:
    """Texts that no model was trained on, and that the lab does not show."""
    chance = random.Random(99)
    return [orders(chance) for _ in range(number)]


def losses(groups: int = 4, **variant: Any) -> tuple[float, float]:
    """The mean loss of all words and of known orders, over new texts."""
    model, indexer = CAFE.models[groups]
    texts = new_texts()
    batch = torch.tensor(texts)
    variant = {"windows": (LENGTH, LENGTH), "indexer": indexer} | variant
    with torch.no_grad():
        logits = run(model, batch[:, :-1], **variant).logits
    loss = F.cross_entropy(logits.transpose(1, 2), batch[:, 1:], reduction="none")
    return loss.mean().item(), loss[torch.tensor([known(text) for text in texts])].mean().item()


# ---- the language


def test_a_guest_always_orders_the_same() -> None:
    for text in new_texts(20):
        words = [WORDS[word] for word in text]
        assert len(words) == LENGTH + 1
        assert words[0] == "<bos>"
        assert set(words[1::2]) <= set(GUESTS)
        assert set(words[2::2]) <= set(DRINKS)
        pairs = set(zip(words[1::2], words[2::2], strict=True))
        assert len(pairs) == len({guest for guest, _ in pairs})


def test_known_are_the_guests_who_were_there_before() -> None:
    guests = ["Ann", "Ben", "Ann", "Kim", "Ben", *["Leo"] * 27]
    text = [0, *(WORDS.index(word) for guest in guests for word in (guest, "tea"))]
    assert np.flatnonzero(known(text)).tolist() == [5, 9, *range(13, 64, 2)]


def test_the_texts_of_the_lab() -> None:
    for text in CAFE.texts:
        where = np.flatnonzero(known(text))
        assert 12 <= len(where) <= 28
        told = [max(s for s in range(t) if text[s] == text[t]) for t in where]
        assert max(where - told) >= 24  # some orders lie far back


# ---- the model


@pytest.mark.parametrize("groups", [4, 2, 1])
def test_unchanged_it_is_the_model_itself(groups: int) -> None:
    model, _ = CAFE.models[groups]
    text = torch.tensor(CAFE.texts[:2])[:, :-1]
    with torch.no_grad(), record_attention(model) as weights:
        logits = model(text)
    with torch.no_grad():
        found = run(model, text, windows=(LENGTH, LENGTH))
    close(found.logits, logits)
    for mine, recorded in zip(found.weights, weights, strict=True):
        close(mine, recorded)


def test_what_is_hidden_has_no_weight() -> None:
    model, indexer = CAFE.models[2]
    text = torch.tensor(CAFE.texts[:2])[:, :-1]
    with torch.no_grad():
        found = run(model, text, windows=(3, 5), first=False, fetched=2, indexer=indexer, cap=5.0)
    near, fetching = found.masks
    assert near.sum(-1).tolist() == [min(3, t + 1) for t in range(LENGTH)]
    assert (fetching.sum(-1) == torch.arange(1, LENGTH + 1).clamp(max=7)).all()
    for weights, mask in zip(found.weights, found.masks, strict=True):
        hidden = ~mask if mask.ndim == 2 else ~mask[:, None]
        assert weights.masked_select(hidden).eq(0).all()
        close(weights.sum(-1), torch.ones_like(weights[..., 0]))


def test_what_the_lab_is_about_holds_for_new_texts() -> None:
    """Not only for the four that are shown: what its page says of it."""
    all_words, orders_known = losses()
    assert orders_known < 0.05
    assert losses(windows=(4, LENGTH))[1] < 0.05  # layer 1 needs the word before only
    assert losses(windows=(LENGTH, 8))[1] > 0.8  # layer 2 needs all
    near = {"windows": (4, 8)}
    assert losses(**near, first=False)[0] > losses(**near)[0] + 0.25  # the sink is gone
    assert losses(**near, fetched=1)[1] < 0.05  # one key, if it is the right one
    assert losses(cap=20.0)[1] < 0.05
    assert losses(cap=5.0)[1] > 0.8
    for groups in (2, 1):
        mean = with_kv_heads(CAFE.models[4][0], groups)
        batch = torch.tensor(new_texts())
        with torch.no_grad():
            by_mean = F.cross_entropy(mean(batch[:, :-1]).transpose(1, 2), batch[:, 1:]).item()
        assert by_mean > all_words + 0.4
        assert losses(groups)[0] < all_words + 0.1  # trained on


def test_the_file_is_small() -> None:
    assert FILE.stat().st_size < 120_000
    state = VariantLab().get_state()
    assert len(state["_floats"]) < 100_000


# ---- what it shows


def parts_of(lab: VariantLab) -> tuple[Tensor, Tensor]:
    weights = torch.tensor(lab.weights).view(2, 4, LENGTH, LENGTH)
    return weights, torch.tensor(lab.allowed).view(2, LENGTH, LENGTH)


def test_the_bytes_of_the_cache() -> None:
    word = 2 * 4 * 8 * 2  # key and value, heads, their width, bytes of a number
    lab = VariantLab()
    assert lab.kept.tolist() == lab.read.tolist() == [64 * word, 64 * word]
    lab.window1 = 4  # and the first word
    assert lab.kept.tolist() == [5 * word, 64 * word]
    lab.first = False
    assert lab.kept.tolist() == [4 * word, 64 * word]
    lab.window2 = 8
    lab.kv_heads = "2"
    assert lab.kept.tolist() == [4 * word / 2, 8 * word / 2]
    lab.fetched = 3  # now all are kept, each with 4 more numbers, and few are read
    assert lab.kept.tolist() == [4 * word / 2, 64 * word / 2 + 64 * 8]
    assert lab.read.tolist() == [4 * word / 2, 11 * word / 2 + 64 * 8]
    lab.window2 = 64  # nothing is outside
    assert lab.kept.tolist() == lab.read.tolist() == [4 * word / 2, 64 * word / 2]


@pytest.mark.parametrize(("window", "first"), [(63, True), (63, False), (62, True)])
def test_fetching_costs_where_there_is_something_to_fetch(window: int, first: bool) -> None:
    lab = VariantLab(window2=window, first=first, fetched=1)
    assert (lab.kept[1] > 64 * 128) == (window + first < 64)


def test_the_sink_and_the_finder() -> None:
    """What the maps show: heads that find, heads that look back, and one that looks at <bos>."""
    lab = VariantLab()
    weights, _ = parts_of(lab)
    text, known_guests = np.array(lab._texts[0]), lab._known[0]
    same = torch.from_numpy(text[:-1] == text[1:, None])  # the keys that are the next word
    found = (weights[1] * same).sum(-1)[:, known_guests].mean(-1)
    assert float(found.max()) > 0.8
    assert float(weights[1, :, 14::2, 0].mean(-1).max()) > 0.7  # drinks have nothing to find
    assert float(weights[0].diagonal(-1, 1, 2)[:, 1::2].mean(-1).max()) > 0.8  # to the guest


def test_a_cap_bounds_the_weights() -> None:
    weights, allowed = parts_of(VariantLab(cap="2"))
    rows = weights[1][:, 40:, :]
    seen = rows.masked_fill(allowed[1, 40:] == 0, np.inf)
    assert (rows.amax(-1) / seen.amin(-1)).max() < np.exp(4) * 1.001


def test_controls_change_the_results_and_are_observed() -> None:
    lab, seen = VariantLab(), []
    lab.observe(lambda change: seen.append(change.new), "total")
    lab.text = "2"
    assert len(seen) == 1
    assert lab.loss.shape == (LENGTH,)
    assert lab.total[0] == pytest.approx(lab.loss.mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("control", "message"),
    [
        ({"text": "5"}, "text: expected one of 1, 2, 3, 4"),
        ({"kv_heads": "3"}, "kv_heads: expected one of 4, 2, 1"),
        ({"kv_heads": 4}, "kv_heads: expected one of"),
        ({"window1": 0}, "window1: expected a number from 1 to 64"),
        ({"window2": 65}, "window2: expected a number from 1 to 64"),
        ({"window2": 2.5}, "window2: expected an integer, got 2.5"),
        ({"fetched": 9}, "fetched: expected a number from 0 to 8"),
        ({"cap": 5}, "cap: expected one of off, 20"),
        ({"first": 1}, "first: expected True or False"),
        ({"head": 5}, "head: expected a number from 1 to 4"),
        ({"query": 64}, "query: expected a number from 0 to 63"),
        ({"window": 4}, "window: no such control"),
    ],
)
def test_controls_refuse(control: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="expected") as error:
        VariantLab(**control)
    assert message in str(error.value)


def test_the_still_picture_and_the_words() -> None:
    lab = VariantLab(window1=4, window2=8, layer=1, head=2, title="$$ <b>")
    assert len(lab.figure().axes) == 3  # map, colour bar, costs
    data, _ = lab._repr_mimebundle_()
    assert data["text/plain"] == lab.alt
