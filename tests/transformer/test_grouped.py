"""Grouped heads in the language model: the model with all heads, and the size of the cache."""

from __future__ import annotations

import math

import pytest
import torch

from attn_utils.cost import attention_flops, kv_cache_bytes
from attn_utils.explain import record_attention
from attn_utils.multi_head import with_kv_heads
from attn_utils.transformer import CausalBlock, CausalSelfAttention, LanguageModel, load_writer
from attn_utils.transformer.train import TEXT, held_out
from tests.contracts import MODULE, Module, under
from tests.contracts.faults import ROTARY
from tests.helpers import close, draw
from tests.transformer.test_module import shaken, text

H, D, DEPTH, V = 6, 24, 2, 11
GROUPS = [1, 2, 3]


def model(G, dtype=torch.float64, **options):
    torch.manual_seed(0)
    return shaken(LanguageModel(V, D, H, DEPTH, num_kv_heads=G, **options)).to(dtype)


@pytest.mark.parametrize("G", GROUPS)
def test_shared_heads_are_repeated_heads(G):
    """The same projections with their rows repeated, in a layer with as many heads as queries."""
    grouped, full = (CausalSelfAttention(D, H, num_kv_heads=n).double() for n in (G, None))
    state = dict(grouped.state_dict())
    for name in ("W_k.weight", "W_v.weight"):
        rows = state[name].split(D // H)
        state[name] = torch.cat([rows[h * G // H] for h in range(H)])
    full.load_state_dict(state, strict=True)
    x = draw(2, 20, D)
    for a, b in zip(grouped(x, return_weights=True), full(x, return_weights=True), strict=True):
        if isinstance(a, torch.Tensor):
            close(a, b)
    close(grouped(x)[0], full(x)[0])


@pytest.mark.parametrize("G", GROUPS)
@pytest.mark.parametrize("norm_first", [True, False])
def test_the_language_model_is_the_one_with_all_heads(G, norm_first):
    lm, tokens = model(G, norm_first=norm_first), text(2, 20)
    full = with_kv_heads(lm, H)
    close(full(tokens), lm(tokens))
    want = full.generate(tokens[:, :4], 6, temperature=0)
    assert torch.equal(lm.generate(tokens[:, :4], 6, temperature=0), want)
    assert torch.equal(lm.generate(tokens[:, :4], 6, temperature=0, use_cache=False), want)
    back = with_kv_heads(full, G).state_dict()
    assert all(torch.equal(back[name], value) for name, value in lm.state_dict().items())
    with record_attention(lm) as weights:
        lm(tokens)
    assert [w.shape for w in weights] == [(2, H, 20, 20)] * DEPTH


@pytest.mark.parametrize("G", GROUPS)
@pytest.mark.parametrize("cuts", [[7], [1] * 7, [3, 4], [4, 1, 2]])
def test_reading_in_pieces_is_reading_at_once(G, cuts):
    lm, tokens = model(G), text(2, 7)
    cache, parts = None, []
    for piece in tokens.split(cuts, dim=1):
        logits, cache = lm.extend(piece, cache)
        parts.append(logits)
    close(torch.cat(parts, 1), lm(tokens))


@pytest.mark.parametrize("G", [*GROUPS, H])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_cache_is_as_large_as_computed(G, dtype):
    lm = model(G, dtype)
    with torch.no_grad():
        _, cache = lm.extend(text(2, 5))
        _, cache = lm.extend(text(2, 2, seed=2), cache)
    held = {x.untyped_storage().data_ptr(): x.untyped_storage() for c in cache for x in c}
    assert len(held) == 2 * DEPTH
    assert [x.shape for c in cache for x in c] == [(2, G, 7, D // H)] * 2 * DEPTH
    size = kv_cache_bytes(
        7, depth=DEPTH, num_kv_heads=G, head_dim=D // H, batch=2, itemsize=dtype.itemsize
    )
    assert sum(storage.nbytes() for storage in held.values()) == size


@pytest.mark.parametrize("G", [*GROUPS, H])
def test_projections_cost_what_is_computed(G):
    layer = CausalSelfAttention(D, H, num_kv_heads=G)
    weights = sum(x.numel() for x in layer.parameters())
    parts = attention_flops(5, D, num_heads=H, num_kv_heads=G, batch=2)
    assert parts["projections"] + parts["output"] == 2 * 2 * 5 * weights


def test_a_cache_of_all_heads_does_not_fit():
    _, cache = model(None).extend(text(2, 3))
    with pytest.raises(ValueError, match=r"cache: expected keys of shape \(2, 2, 'S', 4\)"):
        model(2).extend(text(2, 3), cache)


@pytest.mark.parametrize(
    "make",
    [
        lambda G: CausalSelfAttention(D, H, num_kv_heads=G),
        lambda G: CausalBlock(D, H, num_kv_heads=G),
        lambda G: LanguageModel(V, D, H, 1, num_kv_heads=G),
    ],
)
def test_bad_numbers_of_heads(make):
    for number in (0, True, 4, 12, 2.0):
        with pytest.raises(ValueError, match="num_kv_heads: expected"):
            make(number)


def test_the_writer_with_fewer_heads_of_keys_is_worse_than_before_and_better_than_chance():
    """Trained weights, grouped by the mean and not trained again."""
    novel = TEXT.read_text(encoding="utf-8")
    number = {c: i for i, c in enumerate(sorted(set(novel)))}
    rest = torch.tensor([number[c] for c in novel[len(novel) * 9 // 10 :][:2000]])
    writer = load_writer()
    losses = [held_out(with_kv_heads(writer, G), rest) for G in (4, 2, 1)]
    assert losses[0] + 0.5 < losses[1] < losses[2] - 0.3 < math.log(len(number)) - 1


MODULES = [
    Module(
        CausalSelfAttention,
        (8, 4),
        lambda B, n: torch.randn(B, n, 8),
        {"num_kv_heads": 2},
        faults=ROTARY,
    ),
    Module(
        LanguageModel,
        (7, 8, 4, 2),
        lambda B, n: torch.randint(7, (B, n)),
        {"num_kv_heads": 1},
        faults=ROTARY,
    ),
]

test_life = under(MODULE, MODULES)
