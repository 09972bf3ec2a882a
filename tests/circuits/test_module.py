"""The model of attention alone, its heads one by one, what is cut and what is read."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from attn_utils import (
    AttentionOnlyModel,
    MultiHeadAttention,
    cut_path,
    ov_matrix,
    qk_matrix,
    record_attention,
    repeated_patterns,
    run_heads,
    stripe_score,
)
from tests.contracts import MODULE, Module, under
from tests.helpers import close, draw

MODULES = [
    Module(AttentionOnlyModel, (7, 24, 8, 2, 2), lambda B, n: torch.randint(7, (B, n))),
]

test_life = under(MODULE, MODULES)


def model_of(depth: int = 2, heads: int = 2) -> AttentionOnlyModel:
    torch.manual_seed(0)
    return AttentionOnlyModel(7, 24, 8, heads, depth).double()


def tokens_of(seed: int = 1, B: int = 3, T: int = 10) -> Tensor:
    return torch.randint(7, (B, T), generator=torch.Generator().manual_seed(seed))


# --- the task -----------------------------------------------------------------------------------


def test_patterns_repeat_and_hold_no_token_twice():
    tokens, periods = repeated_patterns(200, 30, 12, periods=(3, 12))
    assert periods.min() == 3
    assert periods.max() == 12
    for row, period in zip(tokens.tolist(), periods.tolist(), strict=True):
        assert len(set(row[:period])) == period
        assert all(row[t] == row[t - period] for t in range(period, 30))
    assert tokens.unique().tolist() == list(range(12))


def test_patterns_follow_their_generator():
    a, b = (repeated_patterns(4, generator=torch.Generator().manual_seed(3))[0] for _ in range(2))
    assert torch.equal(a, b)
    assert a.shape == (4, 48)
    assert repeated_patterns(0)[0].shape == (0, 48)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": -1}, "count: expected"),
        ({"count": 2, "length": 0}, "length: expected"),
        ({"count": 2, "periods": (5, 4)}, "periods: expected smallest ≤ largest"),
        ({"count": 2, "periods": (5, 33)}, "≤ vocab_size = 32, got (5, 33)"),
        ({"count": 2, "periods": (0, 4)}, "shortest_period: expected"),
    ],
)
def test_patterns_refuse(arguments, message):
    with pytest.raises(ValueError, match="expected") as error:
        repeated_patterns(**arguments)
    assert message in str(error.value)


# --- the model ----------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_run_by_heads_is_the_model(depth):
    model, tokens = model_of(depth), tokens_of()
    run = run_heads(model, tokens)
    with torch.no_grad(), record_attention(model) as weights:
        close(run.logits, model(tokens))
    close(run.weights.transpose(1, 2), torch.stack(weights))
    assert run.outputs.shape == (depth, 2, 3, 10, 8)
    stream = model.embed(tokens) + run.outputs.sum(dim=(0, 1))
    close(model.head(stream), run.logits)


def test_model_is_causal():
    model, tokens = model_of(), tokens_of()
    later = tokens.clone()
    later[:, 6:] = (later[:, 6:] + 1) % 7
    close(model(later)[:, :6], model(tokens)[:, :6])


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (torch.zeros(2, 3), "expected integers"),
        ([1, 2], "expected integers, int64 or int32, got list"),
        (torch.zeros(3, dtype=torch.long), "got (3,)"),
        (torch.zeros(1, 25, dtype=torch.long), "T from 1 to 24, got (1, 25)"),
        (torch.zeros(1, 0, dtype=torch.long), "got (1, 0)"),
        (torch.full((1, 2), 7), "expected tokens from 0 to 6, got 7"),
    ],
)
def test_model_refuses(tokens, message):
    with pytest.raises(ValueError, match=r"^tokens: ") as error:
        model_of()(tokens)
    assert message in str(error.value)


# --- patching -----------------------------------------------------------------------------------


def test_own_output_changes_nothing():
    model, tokens = model_of(), tokens_of()
    whole = run_heads(model, tokens)
    again = run_heads(model, tokens, {(0, 1): whole.outputs[0, 1], (1, 0): whole.outputs[1, 0]})
    close(again.logits, whole.logits)


def test_patching_is_a_hook_on_the_heads():
    """Another way: change what W_o is given, in the model's own forward."""
    model, tokens, others = model_of(), tokens_of(), tokens_of(2)
    seen: list[Tensor] = []
    layer = model.layers[0]
    hook = layer.W_o.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model(others)
    hook.remove()

    def patch(_: nn.Module, given: tuple[Tensor]) -> Tensor:
        joined = given[0].clone()
        joined[..., 4:] = seen[0][..., 4:]  # head 1 of width 4
        return joined

    hook = layer.W_o.register_forward_pre_hook(patch)
    want = model(tokens)
    hook.remove()
    theirs = run_heads(model, others)
    close(run_heads(model, tokens, {(0, 1): theirs.outputs[0, 1]}).logits, want)


def test_zero_knocks_a_head_out():
    model, tokens = model_of(depth=1), tokens_of()
    run = run_heads(model, tokens, {(0, 0): torch.zeros(())})
    close(run.logits, model.head(model.embed(tokens) + run.outputs[0, 1]))
    assert not run.outputs[0, 0].any()


@pytest.mark.parametrize("reads", ["queries", "keys", "values"])
def test_cutting_all_sources_is_reading_the_embedding(reads):
    """With one head in layer 1, a cut leaves the embedding; a second way computes the target."""
    model, tokens = model_of(heads=1), tokens_of()
    cut = cut_path(model, tokens, (0, 0), (1, 0), reads=reads)
    x = model.embed(tokens)
    y = x + model.layers[0](x, is_causal=True)
    streams = [x if read == reads else y for read in ("queries", "keys", "values")]
    output, weights = model.layers[1](*streams, is_causal=True, return_weights=True)
    close(cut.logits, model.head(y + output))
    close(cut.weights[1, 0], weights[:, 0])


def test_a_cut_reaches_one_target_through_one_reading():
    model, tokens = model_of(depth=3), tokens_of()
    whole = run_heads(model, tokens)
    cut = cut_path(model, tokens, (0, 1), (1, 0), reads="values")
    close(cut.weights[:2], whole.weights[:2])  # values do not change where it looks
    close(cut.outputs[0], whole.outputs[0])
    close(cut.outputs[1, 1], whole.outputs[1, 1])
    assert (cut.outputs[1, 0] - whole.outputs[1, 0]).abs().max() > 1e-3
    assert (cut.weights[2] - whole.weights[2]).abs().max() > 1e-6  # the third layer hears of it


def test_a_path_can_carry_something_else():
    model, tokens = model_of(), tokens_of()
    whole, theirs = run_heads(model, tokens), run_heads(model, tokens_of(2))
    same = cut_path(model, tokens, (0, 1), (1, 0), instead=whole.outputs[0, 1])
    close(same.logits, whole.logits)
    other = cut_path(model, tokens, (0, 1), (1, 0), instead=theirs.outputs[0, 1])
    nothing = cut_path(model, tokens, (0, 1), (1, 0))
    assert (other.logits - nothing.logits).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: run_heads(m, x, {(2, 0): x}), "replace: expected (layer below 2, head"),
        (lambda m, x: run_heads(m, x, {(0, 2): x}), "head below 2), got (0, 2)"),
        (lambda m, x: run_heads(m, x, {3: x}), "got 3"),
        (lambda m, x: cut_path(m, x, (0, 0), (0, 1)), "target: expected a layer above 0"),
        (lambda m, x: cut_path(m, x, (0, 0), (1, 5)), "target: expected (layer below 2"),
        (lambda m, x: cut_path(m, x, (0, -1), (1, 0)), "source: expected (layer below 2"),
        (lambda m, x: cut_path(m, x, (0, 0), (1, 0), reads="key"), "reads: expected one of quer"),
    ],
)
def test_heads_that_are_not_there(call, message):
    with pytest.raises(ValueError, match="expected") as error:
        call(model_of(), tokens_of())
    assert message in str(error.value)


# --- reading ------------------------------------------------------------------------------------


def test_matrices_are_what_the_layer_computes():
    layer = MultiHeadAttention(12, 3).double()
    x = draw(2, 5, 12)
    output, weights = layer(x, return_weights=True)
    for head in range(3):
        scores = x @ qk_matrix(layer, head) @ x.mT
        close(scores.softmax(-1), weights[:, head])
        assert torch.linalg.matrix_rank(qk_matrix(layer, head)) == 4
    close(sum(weights[:, h] @ x @ ov_matrix(layer, h) for h in range(3)), output)


@pytest.mark.parametrize("matrix", [qk_matrix, ov_matrix])
def test_matrices_refuse(matrix):
    layer = MultiHeadAttention(12, 3)
    for head in (3, -1):
        with pytest.raises(ValueError, match=r"^head: expected an integer"):
            matrix(layer, head)


def test_stripe_score_by_a_loop():
    weights, shifts, firsts = draw(2, 3, 6, 6).softmax(-1), [4, 1, 3], [5, 0, 2]
    rows = [
        weights[:, b, t, t - shifts[b]]
        for b in range(3)
        for t in range(6)
        if t >= max(shifts[b], firsts[b])
    ]
    got = stripe_score(weights, torch.tensor(shifts), torch.tensor(firsts))
    close(got, torch.stack(rows).mean(dim=0))
    close(stripe_score(weights, 1), weights.diagonal(-1, -2, -1).mean(dim=(1, 2)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(6, 6), 1), "weights: expected shape (…, B, T, T), got (6, 6)"),
        ((torch.zeros(2, 6, 5), 1), "got (2, 6, 5)"),
        ((torch.zeros(2, 6, 6), torch.tensor([1, 2, 3])), "shift: expected an integer or 2"),
        ((torch.zeros(2, 6, 6), 1.5), "shift: expected an integer"),
        ((torch.zeros(2, 6, 6), -1), "shift: expected integers from 0"),
        ((torch.zeros(2, 6, 6), 6), "shift: expected one that leaves a query"),
        ((torch.zeros(2, 6, 6), 1, torch.tensor([1, 2, 3])), "first: expected an integer or 2"),
    ],
)
def test_stripe_score_refuses(arguments, message):
    with pytest.raises(ValueError, match="expected") as error:
        stripe_score(*arguments)
    assert message in str(error.value)


# --- a circuit set by hand ----------------------------------------------------------------------


def test_two_heads_set_by_hand_continue_any_pattern():
    """Width V + T + V: what stands here, where, and what stands before."""
    V, T = 6, 16
    D = V + T + V
    model = AttentionOnlyModel(V, T, 2 * D, 2, 2)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    now, where, before = slice(0, V), slice(V, V + T), slice(V + T, D)
    sharp = 40 * (D**0.5)
    with torch.no_grad():
        model.embedding.weight[:, now] = torch.eye(V)
        model.positions.weight[:, where] = torch.eye(T)
        first, second = model.layers
        first.W_q.weight[where, where] = sharp * torch.eye(T).roll(-1, dims=0)  # t asks for t - 1
        first.W_k.weight[where, where] = torch.eye(T)
        first.W_v.weight[now, now] = torch.eye(V)
        first.W_o.weight[before, now] = torch.eye(V)
        second.W_q.weight[now, now] = sharp * torch.eye(V)
        second.W_k.weight[now, before] = torch.eye(V)
        second.W_k.weight[now, V] = -1  # but not position 0, which has nothing before it
        second.W_v.weight[now, now] = torch.eye(V)
        second.W_o.weight[now, now] = 3 * torch.eye(V)
        model.head.weight[:, now] = torch.eye(V)
    tokens, periods = repeated_patterns(20, T, V, periods=(3, 6))
    run = run_heads(model, tokens)
    seen = torch.arange(T - 1) >= periods[:, None]
    assert (run.logits[:, :-1].argmax(-1) == tokens[:, 1:])[seen].all()
    assert stripe_score(run.weights, 1)[0, 0] > 0.99
    cut = cut_path(model, tokens, (0, 0), (1, 0))
    assert not (cut.logits[:, :-1].argmax(-1) == tokens[:, 1:])[seen].any()
    for reads in ("queries", "values"):
        same = cut_path(model, tokens, (0, 0), (1, 0), reads=reads)
        assert (same.logits[:, :-1].argmax(-1) == tokens[:, 1:])[seen].all()
