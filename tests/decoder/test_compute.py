"""The date readers' arithmetic in JavaScript against their reference: random models and texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from attn_utils import decoder
from attn_utils.decoder.dates import SOURCE_CHARACTERS, TARGET_CHARACTERS, all_dates, written_forms
from attn_utils.decoder.model import (
    AttentionDecoder,
    EncoderDecoder,
    FixedVectorDecoder,
    GRUEncoder,
)
from attn_utils.decoder.widget import MOST, readable
from attn_utils.widgets import AlignmentExplorer
from tests.conftest import JavaScript

COMPUTE = Path(decoder.__file__).with_name("compute.js")
TRAITS = ("text", "_floats", "_shapes", "_characters")
DATES = all_dates()


def random_models(random: np.random.Generator) -> tuple[EncoderDecoder, EncoderDecoder]:
    """Small ones of any size, with weights that let different texts lead to different dates."""
    models = []
    for kind in (AttentionDecoder, FixedVectorDecoder):
        embed, hidden, state, looks = (int(n) for n in random.integers(1, 9, 4))
        encoder = GRUEncoder(len(SOURCE_CHARACTERS) + 1, embed, hidden)
        sizes = (len(TARGET_CHARACTERS), embed + 1, state, encoder.memory_size)
        more = {"attention_size": looks} if kind is AttentionDecoder else {}
        models.append(EncoderDecoder(encoder, kind(*sizes, **more)))
        with torch.no_grad():
            for parameter in models[-1].parameters():
                parameter.copy_(torch.from_numpy(random.normal(0, 1.2, parameter.shape)))
    return models[0], models[1]


def random_text(random: np.random.Generator) -> str:
    """A date as people write it, in any case, with slips of the pen; or characters as they come."""
    if random.random() < 0.6:
        forms = written_forms(DATES[random.integers(len(DATES))])
        characters = list(forms[random.integers(len(forms))])
        for _ in range(random.integers(0, 4)):
            slip = "aZ9 -€ßİ漢😀\t"[random.integers(11)]
            characters.insert(random.integers(len(characters) + 1), slip)
        text = "".join(c.upper() if random.random() < 0.3 else c for c in characters)
    else:
        count = random.integers(1, MOST + 1)
        codes = random.integers(32, random.choice([127, 1000, 0xD800]), count)
        text = "".join(chr(code) for code in codes)
    text = text[:MOST]
    return text if readable(text).strip() else random_text(random)


def test_compute_equals_the_reference(javascript: JavaScript) -> None:
    random = np.random.default_rng(4)
    torch.manual_seed(4)
    calls: list[dict[str, Any]] = []
    expected = []
    for models in [(), *(random_models(random) for _ in range(19))]:
        explorer = AlignmentExplorer(*models)
        for _ in range(11):
            explorer.text = random_text(random)
            calls.append({name: getattr(explorer, name) for name in TRAITS})
            expected.append(explorer.reference())
    for call, wanted, found in zip(calls, expected, javascript(COMPUTE, calls), strict=True):
        assert found.keys() == wanted.keys()
        for name, x in wanted.items():
            exact = x.flatten().numpy()
            bound = 1e-11 * np.abs(exact).max()
            np.testing.assert_allclose(
                found[name], exact, rtol=0, atol=bound, err_msg=f"{name} of {call['text']!r}"
            )
