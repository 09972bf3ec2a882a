"""Chapter 13's lines for one's own model, which readers see as text: they run, and see a sink."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch
import transformers

from tests.chapters import ROOT

TEXT = torch.randint(3, 100, (1, 12), generator=torch.Generator().manual_seed(0))


def recipe() -> str:
    """The one block of Python in the chapter's prose."""
    text = (ROOT / "book/13-reading-attention.ipynb").read_text(encoding="utf-8")
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
    prose = "\n".join("".join(cell["source"]) for cell in cells)
    (block,) = re.findall(r"^```python\n(.*?)^```$", prose, flags=re.MULTILINE | re.DOTALL)
    return str(block)


def random_model(attn_implementation: str = "sdpa") -> Any:
    config = transformers.LlamaConfig(
        vocab_size=100,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    torch.manual_seed(0)
    make: Any = transformers.AutoModelForCausalLM.from_config
    return make(config, attn_implementation=attn_implementation).eval()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A model and a tokenizer without a download; what is drawn is kept."""

    def tokenizer(name: str) -> Any:
        return lambda text, return_tensors: {"input_ids": TEXT}

    def model(name: str, **options: Any) -> Any:
        return random_model(**options)

    drawn: list[Any] = []
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", tokenizer)
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", model)
    monkeypatch.setattr("attn_utils.show_heatmaps", lambda *args, **_: drawn.append(args))
    return drawn


def test_the_lines_run_on_a_model_that_has_learned_nothing(offline: list[Any]) -> None:
    namespace: dict[str, Any] = {}
    exec(recipe(), namespace)
    ((shares, xlabel, ylabel),) = offline
    assert shares.shape == (1, 1, 3, 4)  # a heatmap of layers and heads
    assert (xlabel, ylabel) == ("Heads", "Layers")
    even = (1 / torch.arange(2.0, 13)).mean()  # query t sees t + 1 tokens, if it looks at all alike
    assert torch.allclose(shares, even.expand_as(shares), atol=0.02)
    weights = namespace["weights"]
    assert len(weights) == 3
    assert weights[0].shape == (1, 4, 12, 12)


def test_without_eager_there_are_no_weights() -> None:
    assert not random_model()(TEXT, output_attentions=True).attentions
