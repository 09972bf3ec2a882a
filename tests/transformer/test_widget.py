"""The live writer from Python's side: what it reads, what it computes, what it refuses."""

from __future__ import annotations

import math
from unittest.mock import Mock

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F

from attn_utils import load_writer, record_attention
from attn_utils.transformer.widget import CONTEXT, MOST, START, vocabulary, window
from attn_utils.widgets import LiveWriter
from tests.helpers import close


def ids(text: str) -> torch.Tensor:
    return torch.tensor([[vocabulary().index(c) for c in text]])


def test_it_shows_what_the_model_computes():
    writer, model = LiveWriter(), load_writer()
    with torch.no_grad(), record_attention(model) as maps:
        logits = model(ids(START))[0]
    close(torch.tensor(writer.logits), logits[-1])
    close(torch.tensor(writer.probabilities), logits[-1].softmax(-1))
    last = torch.stack([layer[0, :, -1] for layer in maps])
    close(torch.tensor(writer.weights).view(3, 4, len(START)), last)
    losses = F.cross_entropy(logits[:-1], ids(START)[0, 1:], reduction="none")
    close(torch.tensor(writer.losses), losses)


def test_an_earlier_letter_asks():
    whole, beginning = LiveWriter(back=10), LiveWriter(text=START[:-10])
    for name in ("logits", "probabilities", "weights"):
        close(torch.tensor(getattr(whole, name)), torch.tensor(getattr(beginning, name)))
    assert len(whole.losses) == len(START) - 1
    assert len(LiveWriter(text="ab", back=95).weights) == 12  # the first letter


def test_a_long_text_is_cropped_as_generate_does():
    prompt = START[:50]
    text = load_writer().generate(ids(prompt), 150, temperature=0, context=CONTEXT)
    written = "".join(vocabulary()[token] for token in text[0])
    lengths = {}
    for n in range(50, 200):
        likeliest = LiveWriter(text=written[:n]).logits.argmax()
        assert vocabulary()[likeliest] == written[n]
        lengths[n] = len(window(written[:n]))
    assert [lengths[n] for n in (95, 96, 97, 145, 146)] == [95, 96, 48, 96, 48]


def test_unknown_characters_are_left_out():
    known, strange = LiveWriter(text="Mr. Darcy"), LiveWriter(text="é7Mr. D😀arcy§")
    np.testing.assert_array_equal(known.logits, strange.logits)
    for text in ("", "é7"):
        empty = LiveWriter(text=text)
        assert [len(x) for x in empty.reference().values()] == [0, 0, 0, 0]


def test_the_likeliest_letters_remain():
    writer = LiveWriter(text="It is", top_k=5)
    assert (writer.probabilities > 0).sum() == 5
    writer.top_p = 0.05
    assert (writer.probabilities > 0).sum() == 1
    writer.temperature, writer.top_p = 2, 1
    hot = writer.probabilities[writer.probabilities > 0]
    writer.temperature = 0.5
    cold = writer.probabilities[writer.probabilities > 0]
    assert hot.max() < cold.max()
    writer.temperature = 0
    assert writer.probabilities.max() == 1
    assert writer.probabilities.argmax() == writer.logits.argmax()


def test_the_browser_loads_the_parameters_of_the_model():
    ((name, size),) = LiveWriter()._files
    data = LiveWriter.files[name]()
    assert len(data) == size < 1.3e6
    state = load_writer().state_dict()
    found = safetensors.torch.load(data)
    assert found.keys() == state.keys()
    for key, tensor in state.items():
        assert torch.equal(found[key].float(), tensor)  # it was stored in halves


def test_python_computes_for_a_front_end_without_the_model():
    writer = LiveWriter()
    assert writer._known == [START, 0]
    writer.set_state({"text": "She"})
    assert writer._known == ["She", 0]
    np.testing.assert_array_equal(writer.logits, LiveWriter(text="She").logits)
    writer.reference = Mock()  # the browser has the model: nothing is computed twice
    writer.set_state({"text": "He", "logits": np.zeros(66, "<f4").tobytes()})
    writer.set_state({"layer": 2})
    writer.reference.assert_not_called()


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        ({"text": "x" * (MOST + 1)}, "text: expected up to 400 characters, got 401"),
        ({"text": 5}, "text: expected up to 400 characters, got 5"),
        ({"temperature": -0.1}, "temperature: expected a number from 0 to 2, got -0.1"),
        ({"top_k": 0}, "top_k: expected a number from 1 to 66, got 0"),
        ({"top_k": 2.5}, "top_k: expected an integer, got 2.5"),
        ({"top_p": math.nan}, "top_p: expected a number from 0.05 to 1, got nan"),
        ({"layer": 4}, "layer: expected a number from 1 to 3, got 4"),
        ({"head": 5}, "head: expected a number from 1 to 4, got 5"),
        ({"back": 96}, "back: expected a number from 0 to 95, got 96"),
        ({"speed": 1}, "speed: no such control"),
    ],
)
def test_bad_input(controls, message):
    with pytest.raises(ValueError, match=message):
        LiveWriter(**controls)
