"""Tensors in half precision, as the bytes of a safetensors file."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import safetensors.torch
import torch

from attn_utils.core.halves import half_bytes, read_half
from tests.helpers import draw

TENSORS = {
    "naïve": draw(3, 4).float(),
    "a": torch.tensor(2.5),
    "empty": torch.zeros(0, 2),
}
ABOUT = {"licence": "ä"}


def test_another_reader_finds_the_same(tmp_path: Path) -> None:
    data = half_bytes(TENSORS)
    (tmp_path / "tensors").write_bytes(data)
    ours, theirs = read_half(tmp_path / "tensors"), safetensors.torch.load(data)
    assert ours.keys() == theirs.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert torch.equal(theirs[name], tensor.half())
        assert torch.equal(ours[name], tensor.half().float())


def test_the_same_tensors_in_another_order_give_the_same_bytes() -> None:
    data = half_bytes(TENSORS, ABOUT)
    assert half_bytes(dict(reversed(TENSORS.items())), ABOUT) == data
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    assert header["__metadata__"] == ABOUT
    assert [*header][1:] == sorted(TENSORS)


def test_numbers_beyond_half_precision_are_refused() -> None:
    with pytest.raises(ValueError, match="big: expected numbers that half precision can hold"):
        half_bytes({"big": torch.tensor([1e6])})
