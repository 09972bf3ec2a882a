"""The writer that the package brings along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from .language_model import LanguageModel

__all__ = ["load_writer"]


def load_writer() -> LanguageModel:
    """Load a language model that has read chapters 1 to 16 of *Pride and Prejudice*.

    0.6 million parameters, stored in half precision: width 128, 4 heads, 3 blocks. Its tokens are
    the numbers of the novel's 66 characters in the order of ``sorted(set(novel))``; the novel lies
    in ``attn_utils/texts``. It was trained on pieces of 96 characters of the first nine tenths, by
    ``attn_utils/transformer/train.py``; longer texts need ``generate(…, context=96)``.

    Returns:
        The model in evaluation mode.

    Example:
        >>> import torch
        >>> from pathlib import Path
        >>> import attn_utils
        >>> folder = Path(attn_utils.__file__).parent / "texts"
        >>> novel = (folder / "pride-and-prejudice.txt").read_text(encoding="utf-8")
        >>> letters = sorted(set(novel))
        >>> prompt = torch.tensor([[letters.index(letter) for letter in "Mr. Benn"]])
        >>> text = attn_utils.load_writer().generate(prompt, steps=2, temperature=0)
        >>> "".join(letters[i] for i in text[0])
        'Mr. Bennet'
    """
    with np.load(Path(__file__).with_name("writer.npz"), allow_pickle=False) as file:
        state = {name: torch.from_numpy(file[name].astype(np.float32)) for name in file.files}
    vocab_size, embed_dim = state["embedding.weight"].shape
    model = LanguageModel(vocab_size, embed_dim, num_heads=4, depth=3)
    model.load_state_dict(state)
    return model.eval()
