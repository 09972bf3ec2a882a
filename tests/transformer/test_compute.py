"""The live writer's arithmetic in JavaScript against the model in torch, with its cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attn_utils.transformer import LanguageModel, widget
from attn_utils.transformer.widget import CONTEXT, MOST, LiveWriter, vocabulary
from tests.conftest import JavaScript

CASES = Path(__file__).with_name("writer_cases.js")
CONTROLS = ("text", "temperature", "top_k", "top_p", "back")
STRANGE = "é§7😀"


def random_states(random: np.random.Generator) -> list[dict[str, Any]]:
    """Texts that grow, shrink, change anywhere, are empty, and hold unknown characters."""
    letters, text, states = vocabulary() + STRANGE, "", []
    for _ in range(240):
        kind, at = random.integers(6), int(random.integers(len(text) + 1))
        fresh = "".join(letters[i] for i in random.integers(len(letters), size=random.integers(90)))
        if kind < 3:
            text = (text + fresh[: 1 if kind else 90])[:MOST]
        elif kind == 3:
            text = text[:at]
        elif kind == 4:
            text = (text[:at] + fresh[:3] + text[at + 2 :])[:MOST]
        else:
            text = fresh
        states.append(
            {
                "text": text,
                "temperature": round(0.1 * int(random.integers(21)), 1),
                "top_k": int(random.integers(1, 67)),
                "top_p": round(0.05 * int(random.integers(1, 21)), 2),
                "back": int(random.integers(CONTEXT)) if random.random() < 0.5 else 0,
            }
        )
    return states


def shaken(model: LanguageModel) -> LanguageModel:
    """Weights so large that the attention is not even."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.4)
    return model.half().double().eval()


@pytest.mark.parametrize("size", ["small", "packaged"])
def test_compute_equals_the_reference(
    javascript: JavaScript, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    random = np.random.default_rng(9)
    torch.manual_seed(9)
    states = random_states(random)
    lengths = [len(state["text"]) for state in states]
    assert min(lengths) == 0
    assert max(lengths) > 3 * CONTEXT
    if size == "small":
        model = shaken(LanguageModel(66, 12, 2, 2))
        monkeypatch.setattr(widget, "packaged", lambda: model)
    else:
        states = states[::8]
    writers = [LiveWriter(**state) for state in states]
    call = {
        "tensors": {
            name: {"shape": list(x.shape), "floats": x.flatten().numpy()}
            for name, x in widget.packaged().state_dict().items()
        },
        "states": [{name: getattr(writer, name) for name in CONTROLS} for writer in writers],
        "_letters": vocabulary(),
        "_sizes": writers[0]._sizes,
    }
    (found,) = javascript(CASES, [call])
    results = [writer.reference() for writer in writers]
    for name in ("logits", "probabilities", "weights", "losses"):
        want = torch.cat([result[name].flatten() for result in results]).double().numpy()
        assert len(found[name]) == len(want) > 1000
        bound = 1e-6 * np.abs(want).max()  # torch turns the pairs by angles in float32
        np.testing.assert_allclose(found[name], want, rtol=0, atol=bound, err_msg=name)
