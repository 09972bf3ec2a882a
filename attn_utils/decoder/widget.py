"""The alignment explorer of chapter 4: two models read a date while it is typed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import traitlets
from torch import Tensor

from attn_utils.widgets.base import (
    Buffer,
    ControlError,
    Halves,
    Integer,
    LiveWidget,
    front_end,
)

from .dates import SOURCE_CHARACTERS, TARGET_CHARACTERS, source_tokens, target_text
from .model import AttentionDecoder, EncoderDecoder, FixedVectorDecoder, GRUEncoder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = 10  # of a date such as 2019-03-03
MOST = 80  # characters of a text
MOST_NUMBERS = 150_000  # 300 KB in half precision: what one page may hold
EXAMPLES = (
    "3 March 2019",
    "mar 3, 19",
    "the 3rd of March, 2019",
    "03.03.2019",
    "Sunday, the third of March, in the year 2019",
    "tue 29 feb 00",
)


def readable(text: str) -> str:
    """The characters of a text that the models know, in lower case."""
    return "".join(c for c in text.lower() if c in SOURCE_CHARACTERS)


class Text(traitlets.Unicode[str, str | bytes]):
    """A line of text with at least one character that the models know: a text field."""

    def __init__(self, default: str, *, label: str) -> None:
        super().__init__(default)
        readable_somewhere = ".*[a-zA-Z0-9,./-].*"
        spec = {"kind": "text", "max": MOST, "pattern": readable_somewhere, "label": label}
        self.tag(sync=True, control=spec)

    def validate(self, obj: Any, value: Any) -> str:
        """Refuse what is no text, is too long, or holds nothing that can be read."""
        if not isinstance(value, str) or len(value) > MOST or not readable(value).strip():
            raise ControlError(
                f"{self.name}: expected up to {MOST} characters, some of them letters or digits, "
                f"got {value!r}"
            )
        return value


# --- the models that come with the package ------------------------------------------------------


def build(state: dict[str, Tensor]) -> EncoderDecoder:
    """Rebuild a model from its parameters alone: their shapes give every size."""
    vocab, embed = state["encoder.embedding.weight"].shape
    encoder = GRUEncoder(vocab, embed, state["encoder.gru.weight_hh_l0"].shape[1])
    targets, hidden = state["decoder.output.weight"].shape
    sizes = (targets, state["decoder.embedding.weight"].shape[1], hidden, encoder.memory_size)
    attention = state.get("decoder.attention.W_q.weight")
    decoder = (
        FixedVectorDecoder(*sizes)
        if attention is None
        else AttentionDecoder(*sizes, attention_size=len(attention))
    )
    model = EncoderDecoder(encoder, decoder)
    model.load_state_dict(state)
    return model.eval()


def ready_made() -> tuple[EncoderDecoder, EncoderDecoder]:
    """Load the models, with and without attention, that ``attn_utils/decoder/train.py`` made."""
    with np.load(Path(__file__).with_name("date_reader.npz"), allow_pickle=False) as file:
        arrays = {name: torch.from_numpy(file[name]).float() for name in file.files}
    with_attention, without = (
        build({n.removeprefix(f"{kind}."): x for n, x in arrays.items() if n.startswith(kind)})
        for kind in ("attention", "fixed")
    )
    return with_attention, without


def _check_model(name: str, model: Any, kind: type[FixedVectorDecoder]) -> None:
    if not isinstance(model, EncoderDecoder) or type(model.decoder) is not kind:
        got = type(getattr(model, "decoder", model)).__name__
        raise ValueError(f"{name}: expected an EncoderDecoder with {kind.__name__}, got {got}")
    sizes = (model.encoder.embedding.num_embeddings, model.decoder.start)
    expected = (len(SOURCE_CHARACTERS) + 1, len(TARGET_CHARACTERS))
    if sizes != expected:
        raise ValueError(f"{name}: expected vocabularies of {expected} tokens, got {sizes}")


class AlignmentExplorer(LiveWidget):
    r"""Type a date; see how it is read, with attention and without, and where each step looks.

    Both models are encoder–decoders at character level that write a date as year-month-day. They
    run in the browser, anew with every key that is pressed. Upper case is read as lower case;
    characters that the models do not know are left out, and said.

    Args:
        model: a trained :class:`~attn_utils.decoder.EncoderDecoder` with an ``AttentionDecoder``
            on the chapter's characters; it is copied, with its weights rounded to half precision,
            in which they travel. By default a small one that comes with the package, trained by
            ``attn_utils/decoder/train.py``.
        fixed: the same with a ``FixedVectorDecoder``; give both models or none.
        **controls: any of the attributes below.

    Attributes:
        text: what is read, up to 80 characters.
        step: the character of the output, from 0 to 9, whose attention is shown.
        weights: attention of each output character (10 · S), flat; S counts the characters that
            the models know.
        logits: of the model with attention (10 · 11), flat, as it decodes greedily.
        probabilities: their softmax.
        fixed_logits, fixed_probabilities: the same without attention.

    Raises:
        ValueError: models that do not fit or are too large for a page, a control that is out of
            its range or unknown.
    """

    _esm = front_end(__file__, ".js")
    _css = front_end(__file__, ".css")

    title = traitlets.Unicode("Type a date, and see which characters are read when").tag(sync=True)
    alt = traitlets.Unicode(
        "A field with a written date. Below it the date as the model with attention writes it, "
        "year-month-day, and as the one without does. A heatmap has a row for each character "
        "written and a column for each character read: a few dark cells in each row, on the "
        "year's digits for the year, on the month's name for the month."
    )
    text = Text("Sunday, the 3rd of March, 2019", label="a date")
    step = Integer(3, min=0, max=STEPS - 1, step=1, label="output character")

    weights = Buffer()
    logits = Buffer()
    probabilities = Buffer()
    fixed_logits = Buffer()
    fixed_probabilities = Buffer()

    _floats = Halves()
    _shapes = traitlets.List(traitlets.List()).tag(sync=True)  # name, sizes; in the buffer's order
    _characters = traitlets.List(traitlets.Unicode()).tag(sync=True)  # source, target
    _examples = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _own_model = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        model: EncoderDecoder | None = None,
        fixed: EncoderDecoder | None = None,
        **controls: Any,
    ) -> None:
        own = model is not None or fixed is not None
        models: tuple[Any, Any] = (model, fixed) if own else ready_made()
        _check_model("model", models[0], AttentionDecoder)
        _check_model("fixed", models[1], FixedVectorDecoder)
        # The weights as they travel, rounded to half precision; computed in double precision, like
        # the browser: 60 steps of a GRU add up their rounding.
        self._models = [copy.deepcopy(m).cpu().half().double().eval() for m in models]
        states = [
            (f"{kind}.{name}", x.float())
            for kind, m in zip(("attention", "fixed"), self._models, strict=True)
            for name, x in m.state_dict().items()
        ]
        count = sum(x.numel() for _, x in states)
        if count > MOST_NUMBERS:
            raise ValueError(
                f"model, fixed: expected at most {MOST_NUMBERS:,} parameters together (300 KB in "
                f"the page), got {count:,}"
            )
        super().__init__(
            _floats=torch.cat([x.flatten() for _, x in states]).numpy(),
            _shapes=[[name, *x.shape] for name, x in states],
            _characters=[SOURCE_CHARACTERS, TARGET_CHARACTERS],
            _examples=list(EXAMPLES),
            _own_model=own,
            **controls,
        )

    @torch.no_grad()
    def _decode(self, model: EncoderDecoder) -> tuple[Tensor, Tensor | None]:
        """Greedy decoding that keeps the logits (10, 11) and the weights (10, S)."""
        source, lens = source_tokens([readable(self.text)])
        memory = model.encoder(source, lens)
        token, state, logits, looks = torch.tensor([[model.decoder.start]]), None, [], []
        for _ in range(STEPS):
            now, state, weights = model.decoder(token, memory, state)
            token = now.argmax(dim=-1)
            logits.append(now[0, 0])
            looks.append(weights)
        return torch.stack(logits), None if looks[0] is None else torch.cat(looks, dim=1)[0]

    def reference(self) -> dict[str, Tensor]:
        """Decode with both models in torch."""
        logits, weights = self._decode(self._models[0])
        fixed, _ = self._decode(self._models[1])
        assert weights is not None
        return {
            "weights": weights,
            "logits": logits,
            "probabilities": logits.softmax(dim=-1),
            "fixed_logits": fixed,
            "fixed_probabilities": fixed.softmax(dim=-1),
        }

    def answers(self) -> tuple[str, str]:
        """What the models write, with attention and without."""
        both = (self.logits, self.fixed_logits)
        first, second = target_text(
            torch.tensor(np.stack([x.reshape(STEPS, -1).argmax(axis=1) for x in both]))
        )
        return first, second

    def figure(self) -> Figure:
        """Draw the alignment as a heatmap, with what both models write."""
        from matplotlib.figure import Figure

        text, (answer, fixed) = readable(self.text), self.answers()
        figure = Figure(figsize=(min(9.0, 2.2 + 0.15 * len(text)), 2.9), layout="constrained")
        ax = figure.subplots()
        shades = ax.imshow(
            self.weights.reshape(STEPS, -1), cmap="Reds", vmin=0, vmax=1, aspect="auto"
        )
        ax.set_xticks(range(len(text)), list(text), fontfamily="monospace")
        ax.set_yticks(range(STEPS), list(answer), fontfamily="monospace")
        ax.set(xlabel="Keys: the characters read", ylabel="Queries: written")
        ax.set_title(f"with attention {answer}, without {fixed}", fontsize=10)
        figure.colorbar(shades, ax=ax, shrink=0.8)
        return figure
