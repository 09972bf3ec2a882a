"""The alignment explorer in Python: what it computes, what it refuses, what it draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attn_utils import AttentionDecoder, EncoderDecoder, FixedVectorDecoder, GRUEncoder
from attn_utils.decoder import all_dates, greedy_decode, source_tokens, written_forms
from attn_utils.decoder.widget import EXAMPLES, build, readable, ready_made
from attn_utils.widgets import AlignmentExplorer


def small(kind="attention", vocab=42, width=8):
    torch.manual_seed(1)
    encoder = GRUEncoder(vocab, 4, 5)
    decoder = (
        AttentionDecoder(11, 4, width, 10, 3)
        if kind == "attention"
        else FixedVectorDecoder(11, 4, width, 10)
    )
    return EncoderDecoder(encoder, decoder)


def test_the_packaged_models_read():
    dates = all_dates()[::97]
    texts = [written_forms(date)[i % 15] for i, date in enumerate(dates)]
    shares = []
    for model in ready_made():
        written = greedy_decode(model, *source_tokens(texts), 10)
        want = torch.tensor(["0123456789-".index(c) for d in dates for c in f"{d}"])
        shares.append((written == want.view(-1, 10)).all(dim=1).float().mean().item())
    assert shares[0] > 0.98
    assert 0.4 < shares[1] < shares[0] - 0.05


def test_examples_are_read_rightly_and_the_year_is_looked_at():
    for text in EXAMPLES:
        widget = AlignmentExplorer(text=text)
        assert widget.answers()[0] == ("2000-02-29" if "29 feb" in text else "2019-03-03")
    widget = AlignmentExplorer()
    weights = widget.weights.reshape(10, -1)
    assert weights.shape[1] == len(widget.text)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert weights[2:4, -4:].sum(axis=1).min() > 0.9


def test_results_are_those_of_the_models():
    # weights that half precision holds exactly: it is how they travel
    models = small().half().float(), small("fixed").half().float()
    widget = AlignmentExplorer(*models, text="3 may 19")
    source, lens = source_tokens(["3 may 19"])
    for model, logits in zip(models, (widget.logits, widget.fixed_logits), strict=True):
        written, weights = greedy_decode(model, source, lens, 10, return_weights=True)
        want = model(source, lens, written)[0].detach()
        np.testing.assert_allclose(logits.reshape(10, 11), want, atol=1e-5)
        if weights is not None:
            np.testing.assert_allclose(widget.weights.reshape(10, 8), weights[0], atol=1e-6)
    total = widget.fixed_probabilities.reshape(10, 11).sum(axis=1)
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert all(p.grad is None and p.dtype == torch.float32 for p in models[0].parameters())


def test_results_follow_the_text_and_unknown_characters_are_left_out():
    widget, seen = AlignmentExplorer(text="3 march 2019"), []
    widget.observe(lambda change: seen.append(change.new), names="weights")
    before = widget.logits.copy()
    widget.text = "3 MARCH 2019!€"
    np.testing.assert_array_equal(widget.logits, before)
    widget.text = "4 march 2019"
    assert not np.array_equal(widget.logits, before)
    assert seen
    assert readable("3 Mär€ 19\t") == "3 mr 19"
    widget.step = 9
    assert widget.step == 9


def test_sizes_are_read_from_the_parameters():
    for kind in ("attention", "fixed"):
        model = small(kind)
        again = build(model.state_dict())
        assert str(again) == str(model)


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        ({"text": ""}, "text: expected up to 80 characters"),
        ({"text": "  "}, "text: expected up to 80 characters"),
        ({"text": "€€"}, "some of them letters or digits"),
        ({"text": "a" * 81}, "text: expected up to 80"),
        ({"text": 3}, "text: expected up to 80"),
        ({"step": 10}, "step: expected a number from 0 to 9"),
        ({"step": 1.5}, "step: expected an integer"),
        ({"words": "a"}, "words: no such control"),
    ],
)
def test_bad_controls(controls, message):
    with pytest.raises(ValueError, match=message):
        AlignmentExplorer(**controls)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ((small(),), "fixed: expected an EncoderDecoder with FixedVectorDecoder, got NoneType"),
        (
            (small("fixed"), small("fixed")),
            "model: expected an EncoderDecoder with AttentionDecoder",
        ),
        ((small(), small()), "fixed: expected an EncoderDecoder with FixedVectorDecoder"),
        ((torch.nn.Linear(2, 2), small("fixed")), "model: expected an EncoderDecoder"),
        ((small(vocab=50), small("fixed")), "model: expected vocabularies"),
        ((small(width=240), small("fixed")), "at most 150,000 parameters together"),
    ],
)
def test_models_that_do_not_fit(models, message):
    with pytest.raises(ValueError, match=message):
        AlignmentExplorer(*models)


def test_picture_and_text_for_readers_without_javascript():
    data, _ = AlignmentExplorer(text="$$ 3 may 19 <b>")._repr_mimebundle_()
    assert "heatmap" in data["text/plain"]
    assert len(data["image/png"]) > 8000
    assert AlignmentExplorer()._floats.nbytes < 300_000
