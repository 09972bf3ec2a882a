"""Tests of the checks of arguments that several modules share."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attn_utils.core.arguments import check_size, check_sizes, check_tensors
from attn_utils.cost import attention_bytes, attention_flops, block_flops
from attn_utils.masks import causal_mask, length_mask

INTEGERS = [3, np.int64(3), np.int8(3), np.uint16(3), np.array(3)]
NO_SIZES = [0, -1, True, np.bool_(True), 3.0, np.float64(3), "3", None, torch.tensor(3), np.ones(2)]


@pytest.mark.parametrize("size", INTEGERS, ids=lambda x: type(x).__name__)
def test_a_size_is_any_integer_and_comes_back_plain(size):
    assert type(check_size("size", size)) is int
    assert check_sizes(a=size, b=4) == [3, 4]


@pytest.mark.parametrize("size", NO_SIZES, ids=repr)
def test_what_is_no_size_is_refused(size):
    with pytest.raises(ValueError, match="size: expected an integer of at least 1, got"):
        check_size("size", size)


def test_functions_count_with_any_integer():
    for integer in (np.int64, np.int8):
        assert attention_flops(integer(100), integer(64)) == attention_flops(100, 64)
        assert type(attention_bytes(integer(100), 64, itemsize=integer(2))["scores"]) is int
        assert block_flops(integer(100), 64, mlp_ratio=integer(4)) == block_flops(100, 64)
        assert torch.equal(causal_mask(integer(3), integer(5)), causal_mask(3, 5))
        lengths = torch.tensor([1, 3])
        assert torch.equal(length_mask(lengths, integer(5)), length_mask(lengths, 5))


def test_double_precision_is_not_mixed_under_autocast():
    """Autocast leaves it as it is, and a product with another dtype would fail later."""
    single, double = torch.zeros(1, 2, 4), torch.zeros(1, 2, 4, dtype=torch.float64)
    with torch.autocast("cpu", torch.bfloat16):
        check_tensors(q=single, k=single.half())
        for q, k in ((single, double), (double, single)):
            with pytest.raises(ValueError, match=f"k: expected {q.dtype} on cpu like q"):
                check_tensors(q=q, k=k)
