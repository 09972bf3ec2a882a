"""The transformer: PyTorch's own layers, a cache that changes nothing, causality, bad input."""

from __future__ import annotations

import copy
import itertools
import math
from importlib import resources

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter

from attn_utils.core.masks import causal_mask, length_mask
from attn_utils.explain import record_attention
from attn_utils.positional_encoding import RotaryEmbedding
from attn_utils.transformer import (
    CausalBlock,
    CausalSelfAttention,
    DecoderBlock,
    EncoderBlock,
    FeedForward,
    KVCache,
    LanguageModel,
    TransformerDecoder,
    TransformerEncoder,
    sample,
)
from attn_utils.transformer.sampling import distribution
from tests.contracts import MODULE, Module, under
from tests.contracts.faults import ROTARY
from tests.helpers import close, draw

DTYPES = (torch.float64, torch.float32)
V = 11


def text(B, T, seed=1):
    return torch.randint(V, (B, T), generator=torch.Generator().manual_seed(seed))


def shaken(module, seed=3):
    """Every parameter at random: a bias of 0 or a gain of 1 would hide that it is missing."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
    return module.eval()


def model(dtype=torch.float64, **options):
    torch.manual_seed(0)
    return shaken(LanguageModel(V, 12, 3, 2, 20, **options)).to(dtype)


# --- PyTorch's layers ---------------------------------------------------------------------------

VARIANTS = list(itertools.product([True, False], ["relu", "gelu"], [True, False]))


def pair(block, norm_first=True, activation="gelu", bias=True, dtype=torch.float64, **options):
    """PyTorch's layer and ours with its weights."""
    theirs = {EncoderBlock: nn.TransformerEncoderLayer, DecoderBlock: nn.TransformerDecoderLayer}
    layer = theirs[block](
        12,
        3,
        20,
        norm_first=norm_first,
        activation=activation,
        bias=bias,
        dtype=dtype,
        layer_norm_eps=1e-3,
        batch_first=True,
        **options,
    )
    return shaken(layer), block.from_torch(layer)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("norm_first", "activation", "bias"), VARIANTS)
def test_encoder_block_equals_torch(norm_first, activation, bias, dtype):
    theirs, ours = pair(EncoderBlock, norm_first, activation, bias, dtype)
    x, lens = draw(3, 5, 12, dtype=dtype), torch.tensor([5, 2, 3])
    past = causal_mask(5)
    close(ours(x), theirs(x))
    close(ours(x, is_causal=True), theirs(x, src_mask=~past))
    close(ours(x, mask=past), theirs(x, src_mask=~past))
    padding = ~length_mask(lens, 5)[:, 0]
    close(ours(x, valid_lens=lens), theirs(x, src_key_padding_mask=padding))
    want = theirs(x, src_mask=~past, src_key_padding_mask=padding)
    output, weights = ours(x, valid_lens=lens, is_causal=True, return_weights=True)
    close(output, want)
    close(weights.sum(-1), torch.ones(3, 3, 5, dtype=dtype))
    assert (weights[1, ..., 2:] == 0).all()
    assert (weights.triu(1) == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("norm_first", "activation", "bias"), VARIANTS)
def test_decoder_block_equals_torch(norm_first, activation, bias, dtype):
    theirs, ours = pair(DecoderBlock, norm_first, activation, bias, dtype)
    x, memory = draw(3, 4, 12, dtype=dtype), draw(3, 6, 12, seed=2, dtype=dtype)
    past, lens = ~causal_mask(4), torch.tensor([6, 1, 4])
    close(ours(x, memory), theirs(x, memory, tgt_mask=past))
    close(ours(x, memory, is_causal=False), theirs(x, memory))
    padding = ~length_mask(lens, 6)[:, 0]
    want = theirs(x, memory, tgt_mask=past, memory_key_padding_mask=padding)
    close(ours(x, memory, memory_valid_lens=lens), want)
    across = torch.rand(4, 6, generator=torch.Generator().manual_seed(5)) < 0.6
    across[:, 0] = True
    want = theirs(x, memory, tgt_mask=past, memory_mask=~across)
    close(ours(x, memory, memory_mask=across), want)
    written = torch.tensor([4, 2, 3])
    want = theirs(x, memory, tgt_mask=past, tgt_key_padding_mask=~length_mask(written, 4)[:, 0])
    close(ours(x, memory, valid_lens=written), want)
    own = causal_mask(4) & torch.eye(4, dtype=torch.bool)
    close(ours(x, memory, mask=own, is_causal=False), theirs(x, memory, tgt_mask=~own))
    output, (back, over) = ours(x, memory, memory_mask=across, return_weights=True)
    close(output, theirs(x, memory, tgt_mask=past, memory_mask=~across))
    assert back.shape == (3, 3, 4, 4)
    assert over.shape == (3, 3, 4, 6)
    assert (over[..., ~across] == 0).all()


@pytest.mark.parametrize("block", [EncoderBlock, DecoderBlock])
def test_from_torch_copies(block):
    theirs, ours = pair(block, dropout=0.25)
    assert not ours.training
    assert (ours.dropout, ours.attn.dropout, ours.mlp.dropout) == (0.25,) * 3
    assert type(ours).from_torch(theirs.train()).training
    counts = [sum(p.numel() for p in module.parameters()) for module in (theirs, ours)]
    assert counts[0] == counts[1]
    before = copy.deepcopy(ours.state_dict())
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.zero_()
    assert all(torch.equal(before[name], tensor) for name, tensor in ours.state_dict().items())


def test_from_torch_with_sequence_first():
    theirs = shaken(nn.TransformerEncoderLayer(12, 3, 20, dtype=torch.float64))
    x = draw(2, 5, 12)
    close(EncoderBlock.from_torch(theirs)(x), theirs(x.transpose(0, 1)).transpose(0, 1))


def test_from_torch_refuses_what_it_cannot_reproduce():
    with pytest.raises(ValueError, match=r"layer: expected torch.nn.TransformerEncoderLayer, got"):
        EncoderBlock.from_torch(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"layer: expected torch.nn.TransformerDecoderLayer, got"):
        DecoderBlock.from_torch(nn.TransformerEncoderLayer(4, 2))
    for activation in (nn.SiLU(), nn.GELU(approximate="tanh")):
        with pytest.raises(ValueError, match=r"expected ReLU or the erf form of GELU"):
            EncoderBlock.from_torch(nn.TransformerEncoderLayer(4, 2, activation=activation))
    for activation in (nn.GELU(), nn.ReLU()):
        EncoderBlock.from_torch(nn.TransformerEncoderLayer(4, 2, activation=activation))


@pytest.mark.parametrize("norm_first", [True, False])
def test_stacks_equal_torch(norm_first):
    x, memory = draw(2, 4, 12), draw(2, 6, 12, seed=2)
    last = nn.LayerNorm(12, dtype=torch.float64) if norm_first else None
    layer, ours_layer = pair(EncoderBlock, norm_first)
    theirs = nn.TransformerEncoder(layer, 2, norm=last, enable_nested_tensor=False).eval()
    ours = TransformerEncoder(12, 3, 2, 20, norm_first=norm_first).double().eval()
    for i in range(2):
        ours.blocks[i] = ours_layer
    close(ours(x), theirs(x))
    output, weights = ours(x, is_causal=True, return_weights=True)
    close(output, theirs(x, mask=~causal_mask(4)))
    assert [w.shape for w in weights] == [(2, 3, 4, 4)] * 2
    layer, ours_layer = pair(DecoderBlock, norm_first)
    theirs = nn.TransformerDecoder(layer, 2, norm=last).eval()
    ours = TransformerDecoder(12, 3, 2, 20, norm_first=norm_first).double().eval()
    for i in range(2):
        ours.blocks[i] = ours_layer
    close(ours(x, memory), theirs(x, memory, tgt_mask=~causal_mask(4)))
    lens = torch.tensor([6, 2])
    output, weights = ours(x, memory, memory_valid_lens=lens, return_weights=True)
    close(output, ours(x, memory, memory_valid_lens=lens))
    assert [[w.shape for w in pair] for pair in weights] == [[(2, 3, 4, 4), (2, 3, 4, 6)]] * 2
    assert (weights[0][1][1, ..., 2:] == 0).all()


# --- blocks -------------------------------------------------------------------------------------


def test_number_of_parameters():
    D, h = 12, 20

    def count(module):
        return sum(p.numel() for p in module.parameters())

    assert count(EncoderBlock(D, 3, h)) == 4 * D * D + 2 * D * h + 9 * D + h
    assert count(DecoderBlock(D, 3, h)) == 8 * D * D + 2 * D * h + 15 * D + h
    assert count(EncoderBlock(D, 3)) == 12 * D * D + 13 * D
    assert count(FeedForward(D, bias=False)) == 8 * D * D


def test_where_the_norm_stands():
    x = draw(2, 5, 12)
    for norm_first in (True, False):
        block = shaken(EncoderBlock(12, 3, norm_first=norm_first).double())
        if norm_first:
            h = x + block.attn(block.norm1(x))
            want = h + block.mlp(block.norm2(h))
        else:
            h = block.norm1(x + block.attn(x))
            want = block.norm2(h + block.mlp(h))
        close(block(x), want)


def test_a_block_that_adds_nothing_is_the_identity():
    block = EncoderBlock(12, 3).double().eval()
    with torch.no_grad():
        for layer in (block.attn.W_o, block.mlp.fc2):
            layer.weight.zero_()
            layer.bias.zero_()
    x = draw(2, 5, 12)
    assert torch.equal(block(x), x)


def test_feed_forward_looks_at_one_token_at_a_time():
    ff, x = shaken(FeedForward(12).double()), draw(2, 5, 12)
    other = x.clone()
    other[:, 2] = 7.0
    changed = (ff(x) != ff(other)).any(-1)
    assert changed.tolist() == [[False, False, True, False, False]] * 2


@pytest.mark.parametrize("norm_first", [True, False])
def test_dropout_acts_in_training_only(norm_first):
    x, memory = draw(2, 5, 12), draw(2, 3, 12, seed=2)
    for block, inputs in (
        (EncoderBlock(12, 3, norm_first=norm_first, dropout=0.5).double(), (x,)),
        (DecoderBlock(12, 3, norm_first=norm_first, dropout=0.5).double(), (x, memory)),
    ):
        assert not torch.allclose(block(*inputs), block(*inputs))
        block.eval()
        assert torch.equal(block(*inputs), block(*inputs))


def test_what_is_added_passes_dropout():
    block = EncoderBlock(12, 3, dropout=1.0).double().train()
    x = draw(2, 5, 12)
    assert torch.equal(block(x), x)  # all that would be added is dropped


def test_decoder_is_causal_and_encoder_is_not():
    x, memory = draw(2, 5, 12), draw(2, 3, 12, seed=2)
    future = x.clone()
    future[:, 3:] = 100.0
    decoder = shaken(DecoderBlock(12, 3).double())
    assert torch.equal(decoder(x, memory)[:, :3], decoder(future, memory)[:, :3])
    encoder = shaken(EncoderBlock(12, 3).double())
    assert torch.equal(encoder(x, is_causal=True)[:, :3], encoder(future, is_causal=True)[:, :3])
    assert (encoder(x)[:, :3] != encoder(future)[:, :3]).all()


def test_padding_in_the_memory_does_not_matter():
    block, x = shaken(DecoderBlock(12, 3).double()), draw(2, 4, 12)
    memory, lens = draw(2, 6, 12, seed=2), torch.tensor([6, 2])
    changed = memory.clone()
    changed[1, 2:] = -5.0
    output = block(x, memory, memory_valid_lens=lens)
    assert torch.equal(output, block(x, changed, memory_valid_lens=lens))
    close(output[1:], block(x[1:], memory[1:, :2]))


# --- the cache ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cuts", [[7], [1] * 7, [3, 4], [4, 1, 2], [1, 5, 1]])
@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_reading_in_pieces_is_reading_at_once(cuts, norm_first, dtype):
    lm, tokens = model(dtype, norm_first=norm_first), text(2, 7)
    want = lm(tokens)
    cache, parts = None, []
    for piece in tokens.split(cuts, dim=1):
        logits, cache = lm.extend(piece, cache)
        parts.append(logits)
    close(torch.cat(parts, 1), want)
    assert [c.keys.shape for c in cache] == [(2, 3, 7, 4)] * 2
    assert all(c.keys.shape == c.values.shape for c in cache)


def test_cached_attention_by_hand():
    torch.manual_seed(0)
    layer = CausalSelfAttention(8, 2).double()
    x = draw(2, 5, 8)
    rotary = RotaryEmbedding(4)

    def cut(y):
        return y.view(2, 5, 2, 4).transpose(1, 2)

    q, k, v = rotary(cut(layer.W_q(x))), rotary(cut(layer.W_k(x))), cut(layer.W_v(x))
    scores = (q @ k.mT / 2).masked_fill(torch.ones(5, 5).triu(1).bool(), -math.inf)
    want = layer.W_o((scores.softmax(-1) @ v).transpose(1, 2).reshape(2, 5, 8))
    output, cache = layer(x)
    close(output, want)
    close(cache.keys, k)
    close(cache.values, v)
    _, cache = layer(x[:, :3])
    output, new_cache, weights = layer(x[:, 3:], cache, return_weights=True)
    close(output, want[:, 3:])
    close(weights, scores.softmax(-1)[:, :, 3:])
    close(new_cache.keys, k)
    assert cache.keys.shape[2] == 3  # the caller's cache is as it was


def test_a_cache_can_be_continued_twice():
    lm, start = model(), text(1, 4)
    _, cache = lm.extend(start)
    for seed in (5, 6):
        rest = text(1, 3, seed)
        close(lm.extend(rest, cache)[0], lm(torch.cat([start, rest], 1))[:, 4:])


# --- the language model -------------------------------------------------------------------------


@pytest.mark.parametrize("norm_first", [True, False])
def test_language_model_is_causal(norm_first):
    lm, tokens = model(norm_first=norm_first), text(2, 6)
    for t in range(1, 6):
        other = tokens.clone()
        other[:, t:] = (other[:, t:] + 1) % V
        assert torch.equal(lm(tokens)[:, :t], lm(other)[:, :t])
        assert (lm(tokens)[:, t:] != lm(other)[:, t:]).any(-1).all()


def test_language_model_knows_the_order():
    lm, tokens = model(), text(1, 6)
    swapped = tokens[:, [1, 0, 2, 3, 4, 5]]
    assert not torch.equal(tokens, swapped)
    assert not torch.allclose(lm(tokens)[:, -1], lm(swapped)[:, -1])


def test_record_attention_sees_every_layer():
    lm = model()
    with record_attention(lm) as weights:
        lm(text(2, 6))
    assert [w.shape for w in weights] == [(2, 3, 6, 6)] * 2
    assert all((w.triu(1) == 0).all() for w in weights)


def test_a_tiny_model_learns_a_rhyme():
    torch.manual_seed(0)
    lm = LanguageModel(V, 16, 2, 1)
    tokens = torch.arange(64).remainder(V)[None]
    optimiser = torch.optim.Adam(lm.parameters(), 1e-2)
    for _ in range(60):
        loss = nn.functional.cross_entropy(lm(tokens[:, :-1])[0], tokens[0, 1:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.1
    lm.eval()
    assert torch.equal(lm.generate(tokens[:, :5], 20, temperature=0), tokens[:, :25])


# --- writing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"temperature": 0}, {}, {"temperature": 0.7, "top_k": 3}])
@pytest.mark.parametrize("B", [1, 3])
def test_generation_with_a_cache_is_generation_without(options, B):
    lm, prompt = model(), text(B, 3)
    results = []
    for use_cache in (True, False):
        generator = torch.Generator().manual_seed(1)
        results.append(lm.generate(prompt, 12, use_cache=use_cache, generator=generator, **options))
    assert torch.equal(*results)
    assert results[0].shape == (B, 15)
    assert torch.equal(results[0][:, :3], prompt)


@pytest.mark.parametrize("context", [1, 4, 5])
@pytest.mark.parametrize("use_cache", [True, False])
def test_with_a_context_the_model_never_reads_more(context, use_cache):
    lm, start = model(), text(2, 7)
    seen, reads = (
        [],
        lm.embedding.register_forward_hook(lambda _, given, out: seen.append(given[0])),
    )
    written = lm.generate(start, 9, temperature=0, context=context, use_cache=use_cache)
    reads.remove()
    assert max(tokens.shape[1] for tokens in seen) == context
    first = 7 - context
    for t in range(7, 16):
        if t - first > context:
            first = t - (context + 1) // 2
        assert torch.equal(written[:, t], lm(written[:, first:t])[:, -1].argmax(-1))


def test_a_context_that_is_never_full_changes_nothing():
    lm, start = model(), text(2, 3)
    assert torch.equal(
        lm.generate(start, 9, temperature=0, context=12), lm.generate(start, 9, temperature=0)
    )


def test_generation_takes_the_likeliest_of_what_came_before():
    lm = model()
    written = lm.generate(text(2, 3), 5, temperature=0)
    for t in range(3, 8):
        assert torch.equal(written[:, t], lm(written[:, :t])[:, -1].argmax(-1))


def test_generation_is_seeded_and_leaves_no_graph():
    lm, prompt = model(), text(1, 2)
    draws = [
        lm.generate(prompt, 20, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(lm.generate(prompt, 0), prompt)


def test_sample_follows_the_probabilities():
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    generator = torch.Generator().manual_seed(0)

    def shares(**options):
        drawn = sample(logits.expand(20_000, 4), generator=generator, **options)
        return torch.bincount(drawn, minlength=4) / 20_000

    close(shares(), torch.tensor([0.5, 0.3, 0.15, 0.05]), within=0.02)
    close(shares(top_k=2), torch.tensor([0.625, 0.375, 0, 0]), within=0.02)
    squares = torch.tensor([0.25, 0.09, 0.0225, 0.0025])
    close(shares(temperature=0.5), squares / squares.sum(), within=0.02)
    assert shares(temperature=0).tolist() == [1, 0, 0, 0]
    assert shares(top_k=1).tolist() == [1, 0, 0, 0]
    assert sample(logits.expand(2, 3, 4)).shape == (2, 3)


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.01, 1), (0.49, 1), (0.51, 2), (0.79, 2), (0.81, 3), (0.96, 4), (1, 4)]
)
def test_top_p_keeps_the_fewest_that_reach_it(top_p, kept):
    shares = torch.tensor([0.15, 0.5, 0.05, 0.3])
    found = distribution(shares.log(), top_p=top_p)
    want = shares * (shares >= shares.sort(descending=True).values[kept - 1])
    close(found, want / want.sum())
    rows = torch.stack([shares, shares.flip(0)]).log()[None]  # each row by itself
    close(distribution(rows, top_p=top_p), torch.stack([found, found.flip(0)])[None])


def test_top_p_counts_what_top_k_and_the_temperature_leave():
    shares = torch.tensor([0.4, 0.3, 0.2, 0.1])
    # of the two likeliest the first has 4/7, more than a half
    assert distribution(shares.log(), top_k=2, top_p=0.5).tolist() == [1, 0, 0, 0]
    flat = distribution(shares.log(), temperature=100, top_p=0.5)
    assert (flat > 0).tolist() == [True, True, False, False]
    assert distribution(shares.log(), temperature=0, top_p=0.5).tolist() == [1, 0, 0, 0]
    lm, prompt = model(), text(1, 3)
    assert torch.equal(lm.generate(prompt, 9, top_p=1e-6), lm.generate(prompt, 9, temperature=0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, *DTYPES])
@pytest.mark.parametrize("temperature", [1e-4, 1e-30, 1e-320, 1e-2, 1e300])
def test_sample_at_any_temperature(dtype, temperature):
    logits = (20 * draw(50, 30)).to(dtype)
    logits[:, 3] = -torch.inf  # forbidden
    drawn = sample(logits, temperature)
    assert (drawn != 3).all()
    if temperature < 1e-2:
        assert torch.equal(logits.gather(1, drawn[:, None])[:, 0], logits.amax(1))
    if temperature > 1:
        assert len(drawn.unique()) > 10


def test_an_empty_batch_is_written_on():
    assert model().generate(text(0, 3), 4).shape == (0, 7)
    assert sample(torch.zeros(0, 5)).shape == (0,)


# --- compilers ----------------------------------------------------------------------------------


def test_compiled_writing_makes_few_graphs():
    lm, prompt = model(torch.float32), text(2, 6)
    torch._dynamo.reset()
    graphs = CompileCounter()
    extend = torch.compile(lm.extend, fullgraph=True, backend=graphs)
    want = lm.generate(prompt, 24, temperature=0)
    tokens, cache, written = prompt, None, [prompt]
    with torch.no_grad():
        for _ in range(24):
            logits, cache = extend(tokens, cache)
            tokens = logits[:, -1:].argmax(-1)
            written.append(tokens)
    assert torch.equal(torch.cat(written, 1), want)
    assert graphs.frame_count <= 4  # prompt, first token, any length, and what is below 16 keys


def test_gradients_of_each_sample():
    lm, tokens = model(), text(3, 5)
    parameters = {name: x.detach() for name, x in lm.named_parameters()}

    def loss(parameters, tokens):
        logits = torch.func.functional_call(lm, parameters, tokens[None])
        return nn.functional.cross_entropy(logits[0, :-1], tokens[1:])

    each = torch.vmap(torch.func.grad(loss), (None, 0))(parameters, tokens)
    for i, one in enumerate(tokens):
        for name, x in torch.func.grad(loss)(parameters, one).items():
            close(each[name][i], x, name, scale=1)


def test_a_cache_from_outside_autocast():
    lm, tokens = model(torch.float32), text(2, 7)
    _, cache = lm.extend(tokens[:, :4])
    with torch.autocast("cpu", torch.bfloat16):
        logits, _ = lm.extend(tokens[:, 4:], cache)
    close(logits, lm(tokens)[:, 4:], scale=4)


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: model().generate(text(1, 3), 2, context=0), r"context: expected an integer"),
        (lambda: EncoderBlock(12, 5), r"embed_dim: expected a multiple of num_heads = 5, got 12"),
        (lambda: EncoderBlock(12, 3, 0), r"hidden: expected an integer of at least 1, got 0"),
        (lambda: EncoderBlock(12, 3, dropout=2), r"dropout: expected a probability"),
        (lambda: FeedForward(4, activation="tanh"), r"activation: expected one of .*got 'tanh'"),
        (lambda: TransformerEncoder(12, 3, 0), r"depth: expected an integer"),
        (lambda: TransformerDecoder(12, 3, 0), r"depth: expected an integer"),
        (lambda: LanguageModel(0, 12, 3, 1), r"vocab_size: expected an integer"),
        (lambda: LanguageModel(4, 9, 3, 1), r"head_dim: expected an even number, got 3"),
        (lambda: model()(torch.zeros(2, 3)), r"tokens: expected integers.*got torch.float32"),
        (lambda: model()(text(2, 3)[0]), r"tokens: expected shape \(B, T ≥ 1\), got \(3,\)"),
        (lambda: model()(text(2, 0)), r"tokens: expected shape \(B, T ≥ 1\), got \(2, 0\)"),
        (lambda: model()(text(2, 3) + V), r"tokens: expected tokens from 0 to 10, got 1"),
        (lambda: model().extend(text(2, 3), []), r"cache: expected 2 entries, got 0"),
        (lambda: model().generate(text(2, 3), -1), r"steps: expected an integer .* got -1"),
        (lambda: model().generate(text(2, 0), 1), r"prompt: expected shape \(B, T ≥ 1\)"),
        (lambda: sample(torch.zeros(3), -1), r"temperature: expected a number of at least 0"),
        (lambda: sample(torch.zeros(3), top_k=4), r"top_k: expected .* from 1 to 3, got 4"),
        (lambda: sample(torch.zeros(3), top_p=0), r"top_p: expected a number above 0.*, got 0"),
        (lambda: sample(torch.zeros(3), top_p=1.1), r"top_p: expected .* at most 1, got 1.1"),
        (lambda: sample(torch.zeros(3), top_p=torch.nan), r"top_p: expected .*, got nan"),
        (lambda: FeedForward(4)(torch.zeros(2, 5)), r"x: expected .*D = 4\), got \(2, 5\)"),
        (lambda: CausalSelfAttention(4, 2)(torch.zeros(2, 5)), r"x: expected .*got \(2, 5\)"),
        (lambda: CausalBlock(4, 2)(torch.zeros(1, 2, 5)), r"x: expected .*got \(1, 2, 5\)"),
        (lambda: EncoderBlock(12, 3)(torch.zeros(2, 12)), r"x: expected shape \(B, number, D = 12"),
        (
            lambda: DecoderBlock(12, 3)(torch.zeros(2, 4, 12), torch.zeros(2, 4, 8)),
            r"memory: expected shape \(B, number, D = 12\), got \(2, 4, 8\)",
        ),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_cache_of_another_batch_or_model():
    lm = model()
    _, cache = lm.extend(text(2, 3))
    with pytest.raises(ValueError, match=r"cache: expected keys of shape \(1, 3, 'S', 4\)"):
        lm.extend(text(1, 3), cache)
    halves = [KVCache(c.keys.float(), c.values.float()) for c in cache]
    with pytest.raises(ValueError, match=r"cache: expected keys .* torch.float64 on cpu"):
        lm.extend(text(2, 3), halves)


# --- the text -----------------------------------------------------------------------------------


def test_the_text_is_what_its_note_says():
    folder = resources.files("attn_utils") / "texts"
    novel = (folder / "pride-and-prejudice.txt").read_text(encoding="utf-8")
    assert novel.startswith("It is a truth universally acknowledged, that a single man in")
    assert novel.isascii()
    assert len(novel) < 150_000
    note = (folder / "README.md").read_text(encoding="utf-8")
    assert f"{len(novel):,} characters, {len(set(novel))} different ones" in note
    assert "public domain" in note


# --- the life of a module ----------------------------------------------------------------------

MODULES = [
    Module(FeedForward, (8,), lambda B, n: torch.randn(B, n, 8)),
    Module(EncoderBlock, (8, 2), lambda B, n: torch.randn(B, n, 8)),
    Module(
        DecoderBlock,
        (8, 2),
        lambda B, n: (torch.randn(B, n, 8), torch.randn(B, n + 1, 8)),
    ),
    Module(
        TransformerEncoder,
        (8, 2, 2),
        lambda B, n: torch.randn(B, n, 8),
    ),
    Module(
        TransformerDecoder,
        (8, 2, 2),
        lambda B, n: (torch.randn(B, n, 8), torch.randn(B, n + 1, 8)),
    ),
    Module(
        CausalSelfAttention,
        (8, 2),
        lambda B, n: torch.randn(B, n, 8),
        faults=ROTARY,
    ),
    Module(CausalBlock, (8, 2), lambda B, n: torch.randn(B, n, 8), faults=ROTARY),
    Module(
        LanguageModel,
        (7, 8, 2, 2),
        lambda B, n: torch.randint(7, (B, n)),
        faults=ROTARY,
    ),
]

test_life = under(MODULE, MODULES)
