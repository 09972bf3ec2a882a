"""The encoder that reads reactions: one transformer block, used twelve times.

Shapes: B batch, T tokens, H heads, D = embed_dim, E = embedding_dim, V = vocab_size.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn_utils.core.arguments import check_range, check_sizes
from attn_utils.core.halves import read_half
from attn_utils.positional_encoding import LearnedPositionalEmbedding
from attn_utils.transformer import EncoderBlock

__all__ = ["ReactionReader", "load_reaction_reader"]


class ReactionReader(nn.Module):
    """Read tokens with one shared block, ``x ← block(x)``, ``depth`` times (ALBERT).

    The embedding is factorised: vectors of width E, V of them, and one matrix that widens all to
    D. The block is post-norm. :meth:`predict` fills masked tokens; its last layer is the embedding
    once more. With the default sizes it has 735,311 parameters.

    Args:
        vocab_size: V, how many different tokens there are.
        embed_dim: D.
        num_heads: H.
        depth: how many times the block is passed.
        hidden: inner width of the feed-forward network.
        embedding_dim: E.
        num_positions: longest sequence.

    Example:
        >>> import torch
        >>> from attn_utils import ReactionReader
        >>> model = ReactionReader(vocab_size=10, embed_dim=8, num_heads=2, depth=3)
        >>> tokens = torch.tensor([[3, 1, 4, 1]])
        >>> states, weights = model(tokens, return_weights=True)
        >>> states.shape, len(weights), weights[0].shape
        (torch.Size([1, 4, 8]), 3, torch.Size([1, 2, 4, 4]))
        >>> model.predict(states).shape  # logits of each token
        torch.Size([1, 4, 10])

    References:
        Lan et al. (2020). ALBERT. Schwaller et al. (2021), for these sizes.
    """

    def __init__(
        self,
        vocab_size: int = 591,
        embed_dim: int = 256,
        num_heads: int = 8,
        depth: int = 12,
        hidden: int = 512,
        *,
        embedding_dim: int = 128,
        num_positions: int = 512,
    ) -> None:
        super().__init__()
        self.vocab_size, self.num_positions, self.depth = check_sizes(
            vocab_size=vocab_size, num_positions=num_positions, depth=depth
        )
        embed_dim, embedding_dim = check_sizes(embed_dim=embed_dim, embedding_dim=embedding_dim)
        self.embedding = nn.Embedding(self.vocab_size, embedding_dim)
        self.positions = LearnedPositionalEmbedding(self.num_positions, embedding_dim)
        self.norm = nn.LayerNorm(embedding_dim, eps=1e-12)
        self.widen = nn.Linear(embedding_dim, embed_dim)
        self.block = EncoderBlock(
            embed_dim, num_heads, hidden, norm_first=False, bias=True, eps=1e-12
        )
        self.narrow = nn.Linear(embed_dim, embedding_dim)
        self.head_norm = nn.LayerNorm(embedding_dim, eps=1e-12)
        self.head_bias = nn.Parameter(torch.zeros(self.vocab_size))

    def embed(self, tokens: Tensor) -> Tensor:
        """Give each token its vector and its position's, (B, T) -> (B, T, D)."""
        longest = self.num_positions
        got: object = type(tokens).__name__
        if isinstance(tokens, Tensor):
            got = tuple(tokens.shape) if not tokens.is_floating_point() else tokens.dtype
        if not isinstance(got, tuple) or len(got) != 2 or not 1 <= got[1] <= longest:
            raise ValueError(
                f"tokens: expected integers of shape (B, T) with T from 1 to {longest}, got {got}"
            )
        check_range("tokens", tokens, "token numbers", 0, self.vocab_size - 1)
        embedded: Tensor = self.widen(self.norm(self.positions(self.embedding(tokens))))
        return embedded

    def forward(
        self, tokens: Tensor, *, valid_lens: Tensor | None = None, return_weights: bool = False
    ) -> Tensor | tuple[Tensor, list[Tensor]]:
        """Read tokens (B, T), with ``valid_lens`` (B,) if some rows are padded.

        Returns:
            The states after the last pass, (B, T, D), or these and the weights of each pass,
            (B, H, T, T).
        """
        x = self.embed(tokens)
        kept = []
        for _ in range(self.depth):
            result = self.block(x, valid_lens=valid_lens, return_weights=return_weights)
            if return_weights:
                x, weights = result
                kept.append(weights)
            else:
                x = result
        return (x, kept) if return_weights else x

    def predict(self, states: Tensor) -> Tensor:
        """Compute the logits of the token at each position, (B, T, D) -> (B, T, V)."""
        features = self.head_norm(F.gelu(self.narrow(states)))
        tokens = torch.arange(self.vocab_size, device=states.device)
        return F.linear(features, self.embedding(tokens), self.head_bias)


def load_reaction_reader() -> ReactionReader:
    """Load the model that Schwaller et al. (2021) trained on reactions from US patents.

    It learned to fill masked symbols of written reactions, and nothing else. The weights are in
    half precision on disk; ``attn_utils/published/convert.py`` made them from the authors' package
    ``rxnmapper`` (MIT licence).

    Returns:
        The model in evaluation mode.

    Example:
        >>> from attn_utils import load_reaction_reader, reaction_tokens
        >>> model = load_reaction_reader()
        >>> states = model(reaction_tokens("CC(=O)O.OCC>>CC(=O)OCC")[None])
        >>> states.shape  # [CLS], 21 symbols, [SEP]
        torch.Size([1, 23, 256])
    """
    model = ReactionReader()
    model.load_state_dict(read_half(Path(__file__).with_name("reaction_reader.safetensors")))
    return model.eval()
