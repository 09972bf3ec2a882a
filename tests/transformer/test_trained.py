"""The writer that the package brings along writes words, and its file is what the script makes."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from attn_utils.transformer import load_writer, train, trained
from attn_utils.transformer.train import held_out


def novel():
    text = train.TEXT.read_text(encoding="utf-8")
    return text, sorted(set(text))


def test_it_predicts_held_out_text_better_than_counting():
    text, letters = novel()
    cut = len(text) * 9 // 10
    unseen = torch.tensor([letters.index(c) for c in text[cut:]])
    assert held_out(load_writer(), unseen) < 1.39  # counting with four letters reaches 1.40


def test_it_writes_words_also_beyond_the_trained_length():
    text, letters = novel()
    prompt = torch.tensor([[letters.index(c) for c in "She "]]).expand(10, -1)
    torch.manual_seed(0)
    written = load_writer().generate(prompt, 300, temperature=0.5, context=train.LENGTH)
    found = [
        word
        for row in written
        for word in re.findall("[a-z']+", "".join(letters[i] for i in row).lower())[1:-1]
    ]
    known = set(re.findall("[a-z']+", text.lower()))
    assert sum(word in known for word in found) / len(found) > 0.85


def test_its_file_is_small_and_in_half_precision():
    file = Path(trained.__file__).with_name("writer.npz")
    assert file == train.TARGET
    assert file.stat().st_size < 1_300_000
    assert all(x.half().float().equal(x) for x in load_writer().parameters())
    assert not load_writer().training
