"""The one attention core: what its fast path may not do differently from its formula."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from attn_utils.core.attend import join_heads, scaled_dot_product_attention, split_heads
from attn_utils.cost import peak_bytes

LENGTHS = [1, 2, 3, 7, 8, 15, 16, 17, 40]


def drawn(*leading: int, T: int, S: int, dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(*leading, n, 8, generator=generator).to(dtype) for n in (T, S, S)]


@pytest.mark.parametrize("S", LENGTHS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("is_causal", [False, True])
def test_a_nan_upstream_never_looks_like_an_answer(S, dtype, is_causal):
    """With few keys the CPU's fused kernel by itself answers 0 where all scores are NaN."""
    q, k, v = drawn(1, 2, T=S, S=S, dtype=dtype)
    bad_query, bad_keys = q.clone(), k.clone()
    bad_query[0, 0, S // 2] = torch.nan
    bad_keys[0, 0, 0] = torch.nan
    for query, keys in ((bad_query, k), (q, bad_keys), (q, k * torch.nan)):
        fused = scaled_dot_product_attention(query, keys, v, is_causal=is_causal)
        explicit, _ = scaled_dot_product_attention(
            query, keys, v, is_causal=is_causal, return_weights=True
        )
        assert torch.equal(fused.isnan(), explicit.isnan())
        assert fused.isnan().any()


def test_a_nan_stays_when_compiled():
    torch._dynamo.reset()
    graphs = CompileCounter()
    attend = torch.compile(scaled_dot_product_attention, fullgraph=True, backend=graphs)
    for S in (5, 7, 9, 15, 16, 20, 30):
        q, k, v = drawn(1, 2, T=3, S=S)
        assert attend(q, k * torch.nan, v).isnan().all()
    assert graphs.frame_count <= 3  # one length, any below 16, any other


@pytest.mark.parametrize("S", LENGTHS)
def test_a_key_at_minus_infinity_has_weight_0(S):
    q, k, v = (x.abs() + 0.1 for x in drawn(1, 2, T=3, S=S + 1))
    k[..., -1, :] = -torch.inf  # every score with it is −∞
    without = scaled_dot_product_attention(q, k[..., :-1, :], v[..., :-1, :])
    torch.testing.assert_close(scaled_dot_product_attention(q, k, v), without)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (2, 3, 2), (2, 1, 3, 2)])
@pytest.mark.parametrize("masked", ["none", "causal", "mask", "both"])
def test_any_leading_axes(lead, masked):
    """Leading axes are independent, whatever their number; the kernel gets four axes."""
    q, k, v = drawn(*lead, T=20, S=30)
    options = {"is_causal": masked in ("causal", "both")}
    if masked in ("mask", "both"):
        generator = torch.Generator().manual_seed(4)
        options["mask"] = torch.rand(*lead[-1:], 20, 30, generator=generator) < 0.5
        if len(lead) > 1:  # the last leading axis, the heads, has an axis of its own
            options["mask"] = options["mask"][(None,) * (len(lead) - 1)]
    fused = scaled_dot_product_attention(q, k, v, **options)
    explicit, weights = scaled_dot_product_attention(q, k, v, **options, return_weights=True)
    assert fused.shape == (*lead, 20, 8)
    assert weights.shape == (*lead, 20, 30)
    torch.testing.assert_close(fused, explicit, rtol=1e-5, atol=1e-5)


def test_more_axes_need_no_more_memory():
    q, k, v = drawn(2, 4, T=512, S=512)
    four = peak_bytes(lambda: scaled_dot_product_attention(q, k, v))
    q, k, v = (x.view(2, 2, 2, *x.shape[2:]) for x in (q, k, v))
    assert peak_bytes(lambda: scaled_dot_product_attention(q, k, v)) == four < q.shape[-2] ** 2


def test_second_derivatives_exist_where_the_weights_do():
    q, k, v = drawn(T=3, S=20, dtype=torch.float64)
    q.requires_grad_()

    def explicit(q):
        return scaled_dot_product_attention(q, k, v, return_weights=True)[0]

    assert torch.autograd.gradgradcheck(explicit, q)
    fused = scaled_dot_product_attention(q[None], k[None], v[None])
    (slope,) = torch.autograd.grad(fused.sum(), q, create_graph=True)
    with pytest.raises(RuntimeError, match="not implemented"):
        slope.sum().backward()


def test_the_kernel_gets_batch_and_heads_in_their_places(kernel_calls):
    """CUDA limits the number of heads, so items of a batch must not count as heads."""
    for lead in ((5,), (5, 2), (3, 5, 2)):
        scaled_dot_product_attention(*drawn(*lead, T=4, S=4))
    shapes = [args[0].shape for args, _ in kernel_calls]
    assert shapes == [
        (5, 1, 4, 8),
        (5, 2, 4, 8),
        (15, 2, 4, 8),
    ]


def test_heads_are_cut_and_joined_by_slices_of_the_width():
    x = torch.arange(2 * 3 * 8).reshape(2, 3, 8)
    heads = split_heads(x, 4)
    assert heads.shape == (2, 4, 3, 2)
    for h in range(4):
        assert torch.equal(heads[:, h], x[..., 2 * h : 2 * h + 2])
    assert torch.equal(join_heads(heads), x)
    assert split_heads(x[:0], 4).shape == (0, 4, 3, 2)


def test_types_do_not_leak(tmp_path: Path):
    """What a user writes passes mypy in its strict mode: no union where one type is meant."""
    pytest.importorskip("mypy")
    file = tmp_path / "users.py"
    file.write_text(
        "import torch\n"
        "from attn_utils import MultiHeadAttention, average_pooling, nadaraya_watson\n"
        "from attn_utils import scaled_dot_product_attention\n"
        "q = k = v = torch.randn(2, 3, 8)\n"
        "scaled_dot_product_attention(q, k, v).mean()\n"
        "output, weights = scaled_dot_product_attention(q, k, v, return_weights=True)\n"
        "output.mean() + weights.mean()\n"
        "MultiHeadAttention(8, 2)(q).mean()\n"
        "x = torch.randn(3)\n"
        "average_pooling(x, x, x).mean() + nadaraya_watson(x, x, x).mean()\n"
        "nadaraya_watson(x, x, x, return_weights=True)[1].mean()\n"
    )
    root = Path(__file__).parents[2]  # with the options and so the cache of make lint
    command = [sys.executable, "-m", "mypy", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0, done.stdout
