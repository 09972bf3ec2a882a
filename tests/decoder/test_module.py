"""The decoder module: shapes, padding, teacher forcing against single steps, the dates."""

from __future__ import annotations

import datetime

import pytest
import torch

from attn_utils import AdditiveAttention, length_mask
from attn_utils.decoder import (
    AttentionDecoder,
    EncoderDecoder,
    EncoderOutput,
    FixedVectorDecoder,
    GRUEncoder,
    all_dates,
    greedy_decode,
    source_tokens,
    target_text,
    target_tokens,
    written_forms,
)
from tests.contracts import MODULE, Module, under
from tests.contracts.faults import NAMED_TUPLE, RECURRENT, VMAP

B, S, T, V = 3, 7, 5, 6
KINDS = ["attention", "fixed"]


def build(kind="attention", dtype=torch.float64, vocab=9):
    torch.manual_seed(0)
    encoder = GRUEncoder(vocab, 4, 5)
    decoder = (
        AttentionDecoder(V, 4, 6, encoder.memory_size, 3)
        if kind == "attention"
        else FixedVectorDecoder(V, 4, 6, encoder.memory_size)
    )
    return EncoderDecoder(encoder, decoder).to(dtype)


def batch():
    generator = torch.Generator().manual_seed(1)
    source = torch.randint(1, 9, (B, S), generator=generator)
    return source, torch.tensor([7, 3, 1]), torch.randint(V, (B, T), generator=generator)


@pytest.mark.parametrize("kind", KINDS)
def test_shapes(kind):
    model = build(kind)
    source, lens, targets = batch()
    memory = model.encoder(source, lens)
    assert memory.states.shape == (B, S, 10)
    assert memory.mask.shape == (B, 1, S)
    assert memory.final_state.shape == (B, 10)
    logits, weights = model(source, lens, targets, return_weights=True)
    assert logits.shape == (B, T, V)
    assert torch.equal(model(source, lens, targets), logits)
    written, looks = greedy_decode(model, source, lens, 4, return_weights=True)
    assert written.shape == (B, 4)
    assert int(written.max()) < V  # the start token is never written
    if kind == "attention":
        assert weights.shape == (B, T, S)
        assert looks.shape == (B, 4, S)
    else:
        assert weights is None
        assert looks is None


def test_weights_are_a_distribution_and_0_at_the_padding():
    model = build()
    source, lens, targets = batch()
    _, weights = model(source, lens, targets, return_weights=True)
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, T, dtype=torch.float64))
    assert (weights.masked_select(~length_mask(lens, S)) == 0).all()
    assert (weights[2, :, 0] == 1).all()  # a single character gets all of it
    _, looks = greedy_decode(model, source, lens, T, return_weights=True)
    assert (looks.masked_select(~length_mask(lens, S)) == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_padding_does_not_matter(kind):
    """Neither what stands in the padding, nor how much of it there is."""
    model = build(kind)
    source, lens, targets = batch()
    logits = model(source, lens, targets)
    other = torch.where(length_mask(lens, S).squeeze(1), source, 8 - source % 8)
    assert not torch.equal(other, source)
    assert torch.equal(model(other, lens, targets), logits)
    wider = torch.cat([source, torch.full((B, 4), 5)], dim=1)
    torch.testing.assert_close(model(wider, lens, targets), logits)
    for b in range(B):
        alone = model(source[b : b + 1, : lens[b]], lens[b : b + 1], targets[b : b + 1])
        torch.testing.assert_close(alone[0], logits[b])


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_source_is_read(kind):
    model = build(kind)
    source, lens, targets = batch()
    logits = model(source, lens, targets)
    for s in range(int(lens[1])):
        changed = source.clone()
        changed[1, s] = changed[1, s] % 8 + 1
        new = model(changed, lens, targets)
        assert not torch.allclose(new[1], logits[1], atol=1e-7)
        assert torch.equal(new[0], logits[0])


@pytest.mark.parametrize("kind", KINDS)
def test_teacher_forcing_equals_single_steps(kind):
    model = build(kind)
    source, lens, targets = batch()
    logits = model(source, lens, targets)
    memory = model.encoder(source, lens)
    token, state = torch.full((B, 1), V), None
    for t in range(T):
        one, state, _ = model.decoder(token, memory, state)
        torch.testing.assert_close(one[:, 0], logits[:, t])
        token = targets[:, t : t + 1]


@pytest.mark.parametrize("kind", KINDS)
def test_no_logits_see_their_own_target_or_later_ones(kind):
    model = build(kind)
    source, lens, targets = batch()
    logits = model(source, lens, targets)
    for t in range(T):
        changed = targets.clone()
        changed[:, t:] = (changed[:, t:] + 1) % V
        new = model(source, lens, changed)
        assert torch.equal(new[:, : t + 1], logits[:, : t + 1])
        if t + 1 < T:
            assert not torch.allclose(new[:, t + 1], logits[:, t + 1], atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_takes_the_likeliest_after_its_own_tokens(kind):
    model = build(kind)
    source, lens, _ = batch()
    written = greedy_decode(model, source, lens, T)
    # fed with what it has written, teacher forcing finds each token the likeliest
    assert torch.equal(model(source, lens, written).argmax(dim=-1), written)
    assert torch.equal(greedy_decode(model, source, lens, 2), written[:, :2])
    assert not written.requires_grad


def test_the_context_is_additive_attention():
    model = build()
    source, lens, _ = batch()
    memory = model.encoder(source, lens)
    attention = AdditiveAttention(6, 10, 3).double()
    attention.load_state_dict(model.decoder.attention.state_dict())
    states = torch.randn(B, T, 6, dtype=torch.float64)
    context, weights = model.decoder.context(states, memory)
    for b in range(B):  # without a mask, on the valid part alone
        outputs = memory.states[b : b + 1, : lens[b]]
        want, looks = attention(states[b : b + 1], outputs, outputs, return_weights=True)
        torch.testing.assert_close(context[b], want[0])
        torch.testing.assert_close(weights[b, :, : lens[b]], looks[0])


def test_without_attention_the_context_is_the_last_states():
    model = build("fixed")
    source, lens, _ = batch()
    memory = model.encoder(source, lens)
    for b in range(B):
        end = memory.states[b, lens[b] - 1, :5]
        torch.testing.assert_close(memory.final_state[b], torch.cat([end, memory.states[b, 0, 5:]]))
    context, weights = model.decoder.context(torch.zeros(B, T, 6), memory)
    assert weights is None
    assert torch.equal(context, memory.final_state[:, None].expand(-1, T, -1))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind):
    model = build(kind)
    source, lens, targets = batch()
    model(source, lens, targets).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert (parameter.grad != 0).any(), name
    memory = model.encoder(source, lens)
    parts = [x.detach().requires_grad_() for x in (memory.states, memory.final_state)]

    def logits(states, final_state):
        fresh = memory._replace(states=states, final_state=final_state)
        return model.decoder(targets[:, :2], fresh)[0]

    assert torch.autograd.gradcheck(logits, parts)


def test_a_small_model_learns_to_copy():
    torch.manual_seed(2)
    model = build(dtype=torch.float32)
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(400):
        source = torch.randint(V, (64, 4))
        logits = model(source, torch.full((64,), 4), source)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), source.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    source = torch.randint(V, (200, 4))
    written = greedy_decode(model, source, torch.full((200,), 4), 4)
    assert (written == source).all(dim=1).float().mean() > 0.7


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_integers_of_either_size(dtype):
    model = build()
    source, lens, targets = batch()
    want = model(source, lens, targets)
    assert torch.equal(model(source.to(dtype), lens.to(dtype), targets.to(dtype)), want)
    written = greedy_decode(model, source.to(dtype), lens, 3)
    assert torch.equal(written.long(), greedy_decode(model, source, lens, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GRUEncoder(0, 4, 5), "vocab_size: expected an integer"),
        (lambda: AttentionDecoder(6, 4, 6, 10, 0), "attention_size: expected an integer"),
        (lambda: FixedVectorDecoder(6, 4, 0, 10), "num_hiddens: expected an integer"),
        (
            lambda: build()(batch()[0].float(), *batch()[1:]),
            "source: expected a tensor of integers",
        ),
        (lambda: build()(batch()[0][0], *batch()[1:]), r"source: expected shape \(B, number\)"),
        (
            lambda: build()(batch()[0] + 8, *batch()[1:]),
            "source: expected tokens from 0 to 8, got 16",
        ),
        (lambda: build()(batch()[0][:, :0], *batch()[1:]), "at least one token"),
        (
            lambda: build()(batch()[0], torch.tensor([7, 3]), batch()[2]),
            r"shape \(3,\), got shape \(2,\)",
        ),
        (lambda: build()(batch()[0], torch.tensor([7, 3, 0]), batch()[2]), "lengths from 1 to 7"),
        (lambda: build()(batch()[0], torch.tensor([8, 3, 1]), batch()[2]), "valid_lens: expected"),
        (lambda: build()(*batch()[:2], batch()[2] + V), "targets: expected tokens from 0 to 5"),
        (lambda: build()(*batch()[:2], batch()[2][:2]), "previous: expected a batch of 3"),
        (lambda: greedy_decode(build(), *batch()[:2], 0), "num_steps: expected an integer"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- dates ---------------------------------------------------------------------------------------


def test_the_forms_of_a_date():
    forms = written_forms(datetime.date(2019, 3, 3))
    assert len(forms) == len(set(forms)) == 15
    for text in (
        "3 march 2019",
        "mar 3, 19",
        "the 3rd of march, 2019",
        "03.03.2019",
        "sunday, the third of march, in the year 2019",
    ):
        assert text in forms


@pytest.mark.parametrize(
    ("day", "short", "long"),
    [
        (1, "1st", "first"),
        (2, "2nd", "second"),
        (3, "3rd", "third"),
        (11, "11th", "eleventh"),
        (12, "12th", "twelfth"),
        (13, "13th", "thirteenth"),
        (20, "20th", "twentieth"),
        (21, "21st", "twenty-first"),
        (22, "22nd", "twenty-second"),
        (23, "23rd", "twenty-third"),
        (30, "30th", "thirtieth"),
        (31, "31st", "thirty-first"),
    ],
)
def test_ordinals(day, short, long):
    forms = written_forms(datetime.date(2020, 1, day))
    assert f"{short} january 2020" in forms
    assert f"the {long} of january, 2020" in forms


def test_no_text_stands_for_two_dates():
    dates = all_dates()
    assert len(dates) == len(set(dates)) == 36525
    seen: dict[str, datetime.date] = {}
    for date in dates[:: len(dates) // 4000] + dates[-400:]:
        for text in written_forms(date):
            assert seen.setdefault(text, date) == date
    assert max(map(len, seen)) <= 60


def test_tokens_of_texts_and_dates():
    tokens, lens = source_tokens(["3 Mar", "3.3.19"])
    assert lens.tolist() == [5, 6]
    assert tokens.shape == (2, 6)
    assert tokens[0, 5] == 0
    assert torch.equal(source_tokens(["3 mar"])[0][0], tokens[0, :5])
    assert 0 not in source_tokens(written_forms(datetime.date(2000, 2, 29))[:1])[0]
    dates = [datetime.date(2019, 3, 3), datetime.date(1970, 12, 31)]
    assert target_text(target_tokens(dates)) == ["2019-03-03", "1970-12-31"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: source_tokens([]), "at least one"),
        (lambda: source_tokens(["a", ""]), "at least one character"),
        (lambda: source_tokens(["3 März"]), "got \\['ä'\\]"),
        (lambda: written_forms(datetime.date(1969, 12, 31)), "date: expected one from 1970-01-01"),
        (lambda: written_forms(datetime.date(2070, 1, 1)), "2069-12-31"),
    ],
)
def test_bad_texts(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- the life of a module ----------------------------------------------------------------------


def source(B, n):
    return torch.randint(7, (B, n)), torch.arange(1, B + 1).clamp(max=n)


def known(B, n):
    memory = EncoderOutput(torch.randn(B, n, 10), torch.rand(B, 1, n) < 0.8, torch.randn(B, 10))
    return torch.randint(6, (B, 4)), memory


MODULES = [
    Module(GRUEncoder, (7, 4, 5), source, faults=RECURRENT),
    Module(FixedVectorDecoder, (6, 4, 5, 10), known, faults=VMAP | NAMED_TUPLE),
    Module(
        AttentionDecoder,
        (6, 4, 5, 10, 3),
        known,
        faults=VMAP | NAMED_TUPLE,
    ),
    Module(
        EncoderDecoder,
        (7, 6, 5),
        lambda B, n: (*source(B, n), torch.randint(6, (B, 4))),
        build=lambda V, W, h: EncoderDecoder(
            GRUEncoder(V, 4, h), AttentionDecoder(W, 4, h, 2 * h, 3)
        ),
        faults=RECURRENT,
    ),
]

test_life = under(MODULE, MODULES)
