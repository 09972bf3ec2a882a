"""A language model: causal blocks with a cache of keys and values.

Shapes: B batch, T tokens (with a cache: the new ones), S all tokens so far, H heads, G heads of
keys and values, D = embed_dim, d = D / H, V = vocab_size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from attn_utils.core.arguments import check_range, check_size, check_sizes
from attn_utils.core.attend import attend, join_heads, split_heads
from attn_utils.core.masks import causal_mask
from attn_utils.core.precision import is_autocast
from attn_utils.multi_head import MultiHeadAttention
from attn_utils.positional_encoding import RotaryEmbedding

from .blocks import FeedForward, Residual, check_stream
from .sampling import sample

__all__ = ["CausalBlock", "CausalSelfAttention", "KVCache", "LanguageModel"]


class KVCache(NamedTuple):
    """Keys (already rotated) and values of the tokens so far, (B, G, S, d) each, of one layer.

    Example:
        >>> import torch
        >>> from attn_utils import LanguageModel
        >>> model = LanguageModel(vocab_size=10, embed_dim=8, num_heads=2, depth=3)
        >>> _, cache = model.extend(torch.tensor([[3, 1, 4, 1]]))
        >>> len(cache), cache[0].keys.shape  # a pair for each block: (B, G, S, d)
        (3, torch.Size([1, 2, 4, 4]))
        >>> _, cache = model.extend(torch.tensor([[5]]), cache)
        >>> cache[0].keys.shape  # one token longer
        torch.Size([1, 2, 5, 4])
    """

    keys: Tensor
    values: Tensor


Cache = KVCache  # its older name


class CausalSelfAttention(nn.Module):
    """Causal multi-head self-attention with rotary positions and a cache that goes in and out.

    ``softmax(R(q) R(k)ᵀ / √d + causal) v``. The new tokens stand behind the cached ones, so their
    positions start at S − T, and the causal mask is aligned at the bottom right: the *last* query
    sees the last key. The module keeps nothing: whoever writes holds the cache.

    With fewer heads of keys and values the cache is smaller: 2 B S G d numbers.

    Args:
        embed_dim: D.
        num_heads: H, with D / H even.
        num_kv_heads: G, as in :class:`~attn_utils.multi_head.MultiHeadAttention`; by default H.
        bias: whether the four layers have a bias.
        dropout: probability of dropping a weight in training.

    Example:
        >>> import torch
        >>> from attn_utils import CausalSelfAttention
        >>> attention = CausalSelfAttention(embed_dim=8, num_heads=2)
        >>> x = torch.rand(1, 5, 8)
        >>> whole, _ = attention(x)
        >>> first, cache = attention(x[:, :3])
        >>> rest, _ = attention(x[:, 3:], cache)  # in two pieces
        >>> torch.allclose(torch.cat([first, rest], dim=1), whole, atol=1e-6)
        True
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        *,
        num_kv_heads: int | None = None,
        bias: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        layers = MultiHeadAttention(
            embed_dim, num_heads, num_kv_heads=num_kv_heads, bias=bias, dropout=dropout
        )
        self.embed_dim = layers.embed_dim
        self.num_heads = layers.num_heads
        self.num_kv_heads = layers.num_kv_heads
        self.dropout = dropout
        self.W_q, self.W_k, self.W_v, self.W_o = layers.W_q, layers.W_k, layers.W_v, layers.W_o
        self.rotary = RotaryEmbedding(self.embed_dim // self.num_heads)

    def forward(
        self, x: Tensor, cache: KVCache | None = None, *, return_weights: bool = False
    ) -> tuple[Tensor, KVCache] | tuple[Tensor, KVCache, Tensor]:
        """Attend from the new tokens to the cached ones and to each other.

        Args:
            x: (B, T, D), the new tokens.
            cache: what the last call returned; None at the beginning of a text.
            return_weights: also return the weights.

        Returns:
            The output (B, T, D) and the cache with the new tokens, and with ``return_weights`` the
            weights (B, H, T, S).
        """
        check_stream("x", x, self.embed_dim)
        T, past = x.shape[1], 0 if cache is None else cache.keys.shape[2]
        positions = torch.arange(past, past + T, device=x.device)
        q = split_heads(self.W_q(x), self.num_heads)  # (B, T, D) -> (B, H, T, d)
        k, v = (split_heads(f(x), self.num_kv_heads) for f in (self.W_k, self.W_v))  # (B, G, T, d)
        q, k = self.rotary(q, positions), self.rotary(k, positions)
        if cache is not None:
            _check_cache(cache, k)
            k, v = torch.cat([cache.keys, k], 2), torch.cat([cache.values, v], 2)  # (B, G, S, d)
        # without a past "causal" needs no mask; a single new token may see everything
        mask = None
        if cache is not None and T > 1:
            mask = causal_mask(T, past + T, align="bottom-right", device=x.device)
        heads, weights = attend(
            q,
            k,
            v,
            mask,
            group=self.num_heads // self.num_kv_heads,
            is_causal=cache is None,
            dropout_p=self.dropout if self.training else 0.0,
            return_weights=return_weights,
        )
        output, new_cache = self.W_o(join_heads(heads)), KVCache(k, v)
        return (output, new_cache) if weights is None else (output, new_cache, weights)


class CausalBlock(Residual):
    """One layer of :class:`LanguageModel`: cached causal self-attention, then a feed-forward.

    Args:
        embed_dim: D.
        num_heads: H, with D / H even.
        hidden: inner width of the feed-forward network; by default 4 D.
        num_kv_heads: G, as in :class:`~attn_utils.multi_head.MultiHeadAttention`; by default H.
        norm_first: pre-norm or post-norm.
        dropout: as in :class:`EncoderBlock`.

    Example:
        >>> import torch
        >>> from attn_utils import CausalBlock
        >>> block = CausalBlock(embed_dim=8, num_heads=2)
        >>> x, cache = block(torch.rand(1, 5, 8))
        >>> x.shape, cache.values.shape
        (torch.Size([1, 5, 8]), torch.Size([1, 2, 5, 4]))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        hidden: int | None = None,
        *,
        num_kv_heads: int | None = None,
        norm_first: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(norm_first, dropout)
        embed_dim = self.embed_dim = check_size("embed_dim", embed_dim)
        self.norm1 = nn.LayerNorm(embed_dim)
        self.attn = CausalSelfAttention(
            embed_dim, num_heads, num_kv_heads=num_kv_heads, dropout=dropout
        )
        self.norm2 = nn.LayerNorm(embed_dim)
        self.mlp = FeedForward(embed_dim, hidden, dropout=dropout)

    def forward(self, x: Tensor, cache: KVCache | None = None) -> tuple[Tensor, KVCache]:
        """Pass the new tokens on, (B, T, D) -> (B, T, D), and append them to the cache."""
        check_stream("x", x, self.embed_dim)
        new_cache: list[KVCache] = []

        def look_back(h: Tensor) -> Tensor:
            output, now = self.attn(h, cache)
            new_cache.append(now)
            return cast(Tensor, output)

        x = self.add(x, self.norm1, look_back)
        x = self.add(x, self.norm2, self.mlp)
        return x, new_cache[0]


class LanguageModel(nn.Module):
    """Predict the next token from those before it: embedding, ``depth`` causal blocks, head.

    Positions are rotary, so no length is built in; beyond the lengths it was trained on, a model
    is nevertheless out of its depth.

    Args:
        vocab_size: V, how many different tokens there are.
        embed_dim: D.
        num_heads: H, with D / H even.
        depth: number of blocks.
        hidden: inner width of the feed-forward networks; by default 4 D.
        num_kv_heads: G, as in :class:`~attn_utils.multi_head.MultiHeadAttention`; by default H.
        norm_first: pre-norm (with one more norm at the end) or post-norm.
        dropout: as in :class:`EncoderBlock`.

    Example:
        >>> import torch
        >>> from attn_utils import LanguageModel
        >>> model = LanguageModel(vocab_size=10, embed_dim=8, num_heads=2, depth=3).eval()
        >>> prompt = torch.tensor([[3, 1, 4]])
        >>> model(prompt).shape  # logits of what follows each token
        torch.Size([1, 3, 10])
        >>> text = model.generate(prompt, steps=5)
        >>> text.shape, text[0, :3].tolist()
        (torch.Size([1, 8]), [3, 1, 4])

    References:
        Radford et al. (2019). Language models are unsupervised multitask learners. Su et al.
        (2021), for the positions.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int,
        num_heads: int,
        depth: int,
        hidden: int | None = None,
        *,
        num_kv_heads: int | None = None,
        norm_first: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        vocab_size, embed_dim, depth = check_sizes(
            vocab_size=vocab_size, embed_dim=embed_dim, depth=depth
        )
        self.vocab_size = vocab_size
        self.embedding = nn.Embedding(vocab_size, embed_dim)
        self.blocks = nn.ModuleList(
            CausalBlock(
                embed_dim,
                num_heads,
                hidden,
                num_kv_heads=num_kv_heads,
                norm_first=norm_first,
                dropout=dropout,
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim) if norm_first else nn.Identity()
        self.head = nn.Linear(embed_dim, vocab_size)

    def forward(self, tokens: Tensor) -> Tensor:
        """Give the logits of what follows each token, (B, T) integers -> (B, T, V)."""
        return self.extend(tokens)[0]

    def extend(
        self, tokens: Tensor, cache: Sequence[KVCache] | None = None
    ) -> tuple[Tensor, list[KVCache]]:
        """Read the next tokens of a text of which the cache holds what was read before.

        Reading a text in pieces gives the logits of reading it at once, up to rounding.

        Args:
            tokens: (B, T), the new tokens, integers below V.
            cache: what the last call returned; None at the beginning of a text.

        Returns:
            The logits of the new tokens, (B, T, V), and the cache with the new tokens in it,
            one entry per block.
        """
        self._check(tokens)
        pasts = [None] * len(self.blocks) if cache is None else list(cache)
        if len(pasts) != len(self.blocks):
            raise ValueError(f"cache: expected {len(self.blocks)} entries, got {len(pasts)}")
        new_cache = []
        x = self.embedding(tokens)  # (B, T) -> (B, T, D)
        for block, past in zip(self.blocks, pasts, strict=True):
            x, now = block(x, past)
            new_cache.append(now)
        return self.head(self.norm(x)), new_cache

    @torch.no_grad()
    def generate(
        self,
        prompt: Tensor,
        steps: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        use_cache: bool = True,
        context: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Write on: draw a token, append it, read it, and so on. Set ``eval()`` mode before.

        Args:
            prompt: (B, T), T ≥ 1.
            steps: how many tokens to write.
            temperature: divides the logits; 0 always takes the likeliest token.
            top_k: draw among the k likeliest only.
            top_p: draw among the fewest likeliest whose probabilities sum to at least this; with
                ``top_k`` among those of the k.
            use_cache: read only the new token at each step (T = 1), or all again. The logits are
                the same up to rounding, since products of other shapes are summed in another order.
                In half precision that may decide between two tokens: of 80 greedy texts of 60
                tokens in bfloat16, 6 came out different somewhere, in float32 none.
            context: how many tokens the model may read at once, as a rule the length that it was
                trained on, since longer texts go wrong. When they are full, the older half is
                forgotten. By default everything is read.
            generator: source of randomness; by default PyTorch's own.

        Returns:
            The prompt and what was written, (B, T + steps).
        """
        self._check(prompt, "prompt")
        steps = check_size("steps", steps, 0)
        if context is not None:
            context = check_size("context", context)
        text, first = prompt, 0 if context is None else max(0, prompt.shape[1] - context)
        cache: list[KVCache] | None = None
        for _ in range(steps):
            if context is not None and text.shape[1] - first > context:
                first, cache = text.shape[1] - (context + 1) // 2, None
            if use_cache:
                logits, cache = self.extend(text[:, -1:] if cache else text[:, first:], cache)
            else:
                logits = self(text[:, first:])
            new = sample(logits[:, -1], temperature, top_k, generator, top_p=top_p)[:, None]
            text = torch.cat([text, new], dim=1)
        return text

    def _check(self, tokens: Tensor, name: str = "tokens") -> None:
        if not isinstance(tokens, Tensor) or tokens.dtype not in (torch.int64, torch.int32):
            got = tokens.dtype if isinstance(tokens, Tensor) else type(tokens).__name__
            raise ValueError(f"{name}: expected integers, int64 or int32, got {got}")
        if tokens.ndim != 2 or tokens.shape[1] == 0:
            raise ValueError(f"{name}: expected shape (B, T ≥ 1), got {tuple(tokens.shape)}")
        check_range(name, tokens, "tokens", 0, self.vocab_size - 1)


def _check_cache(cache: KVCache, new: Tensor) -> None:
    B, G, _, d = new.shape
    for name, old in zip(("keys", "values"), cache, strict=True):
        fits = old.ndim == 4 and (*old.shape[:2], old.shape[3]) == (B, G, d)
        mixed = is_autocast(new) and old.is_floating_point()
        if not fits or (old.dtype != new.dtype and not mixed) or old.device != new.device:
            raise ValueError(
                f"cache: expected {name} of shape {(B, G, 'S', d)}, {new.dtype} on {new.device}, "
                f"got {tuple(old.shape)}, {old.dtype} on {old.device}"
            )
