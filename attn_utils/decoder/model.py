"""Attention in a decoder: read a sequence, then write another one while looking back at it."""

from __future__ import annotations

from typing import Literal, NamedTuple, overload

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from attn_utils.core.arguments import check_range, check_size, check_sizes, has_values
from attn_utils.core.masks import length_mask
from attn_utils.scoring import AdditiveAttention

__all__ = [
    "AttentionDecoder",
    "EncoderDecoder",
    "EncoderOutput",
    "FixedVectorDecoder",
    "GRUEncoder",
    "greedy_decode",
]


class EncoderOutput(NamedTuple):
    """What an encoder hands over: all that a decoder may know of the source.

    Example:
        >>> import torch
        >>> from attn_utils import GRUEncoder
        >>> encoder = GRUEncoder(vocab_size=10, embed_size=4, num_hiddens=8)
        >>> source = torch.tensor([[3, 1, 4], [1, 5, 0]])
        >>> memory = encoder(source, valid_lens=torch.tensor([3, 2]))
        >>> memory.states.shape, memory.final_state.shape
        (torch.Size([2, 3, 16]), torch.Size([2, 16]))
        >>> memory.mask.int().tolist()  # the second source is padded by one token
        [[[1, 1, 1]], [[1, 1, 0]]]
    """

    states: Tensor
    """The encoder's states (B, S, memory_size), one for each token; 0 at the padding."""
    mask: Tensor
    """(B, 1, S), boolean, False at the padding."""
    final_state: Tensor
    """The fixed vector (B, memory_size), which joins the last states of both directions."""


Memory = EncoderOutput  # its older name


class GRUEncoder(nn.Module):
    """Embed the source and read it in both directions.

    Args:
        vocab_size: number of different source tokens, padding included.
        embed_size: width of an embedded token.
        num_hiddens: width of the GRU in each direction; ``memory_size`` is twice that.

    Example:
        >>> import torch
        >>> from attn_utils import GRUEncoder
        >>> encoder = GRUEncoder(vocab_size=10, embed_size=4, num_hiddens=8)
        >>> source = torch.tensor([[3, 1, 4], [1, 5, 0]])
        >>> states, mask, final_state = encoder(source, valid_lens=torch.tensor([3, 2]))
        >>> states.shape, final_state.shape  # both directions side by side
        (torch.Size([2, 3, 16]), torch.Size([2, 16]))
        >>> states[1, 2].abs().max().item()  # 0 at the padding
        0.0

    References:
        Cho et al. (2014), for the gated recurrent unit. Bahdanau et al. (2014), section 3.2.
    """

    def __init__(self, vocab_size: int, embed_size: int, num_hiddens: int) -> None:
        super().__init__()
        vocab_size, embed_size, num_hiddens = check_sizes(
            vocab_size=vocab_size, embed_size=embed_size, num_hiddens=num_hiddens
        )
        self.vocab_size = vocab_size
        self.memory_size = 2 * num_hiddens
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.gru = nn.GRU(embed_size, num_hiddens, batch_first=True, bidirectional=True)

    def forward(self, source: Tensor, valid_lens: Tensor) -> EncoderOutput:
        """Read a batch.

        Args:
            source: tokens (B, S).
            valid_lens: (B,), how many of them count, from 1 to S.
        """
        _check_tokens("source", source, self.vocab_size)
        B, S = source.shape
        mask = length_mask(valid_lens, S)  # (B, 1, S), and a check of the type
        if valid_lens.shape != (B,):
            raise ValueError(
                f"valid_lens: expected shape ({B},), got shape {tuple(valid_lens.shape)}"
            )
        check_range("valid_lens", valid_lens, "lengths", 1, S)
        embedded = self.embedding(source)  # (B, S) -> (B, S, embed_size)
        if B == 0 or not has_values(valid_lens):
            return self._read_padded(embedded, valid_lens.long()[:, None], mask)
        # Packed, the backward direction starts at the last valid token, not in the padding.
        packed = pack_padded_sequence(
            embedded, valid_lens.cpu(), batch_first=True, enforce_sorted=False
        )
        states, last = self.gru(packed)
        states, _ = pad_packed_sequence(states, batch_first=True, total_length=S)
        final_state = torch.cat([last[0], last[1]], dim=-1)  # 2 × (B, h) -> (B, 2h)
        return EncoderOutput(states, mask, final_state)

    def _read_padded(self, embedded: Tensor, lens: Tensor, mask: Tensor) -> EncoderOutput:
        """Do the same without packing, which has to look at the lengths (B, 1); twice the work."""
        position = torch.arange(embedded.shape[1], device=lens.device)  # (S,)
        first = self.gru(embedded)[0].chunk(2, -1)[0]  # its forward direction, (B, S, h)
        # the backward direction reads the tokens moved to the right end, and its states move back
        moved = _take(embedded, position + lens)
        second = _take(self.gru(moved)[0].chunk(2, -1)[1], position - lens)
        states = torch.cat([first, second], dim=-1).masked_fill(
            ~mask.transpose(1, 2), 0.0
        )  # (B, S, 2h)
        final_state = torch.cat([_take(first, lens - 1)[:, 0], second[:, 0]], dim=-1)  # (B, 2h)
        return EncoderOutput(states, mask, final_state)


class FixedVectorDecoder(nn.Module):
    r"""Write with one vector of the source: the final state is the context of every step.

    With s_t the state of a GRU that reads the tokens written so far and begins at
    ``tanh(W final_state + b)``, and c_t the context, the logits are ``W_o tanh(W_c [s_t; c_t])``
    (plus biases), as in Luong et al. Since the GRU does not see the context, all steps run at once
    when the tokens are known.

    The token ``start`` = vocab_size is read first and never written.

    Args:
        vocab_size: number of different tokens to write.
        embed_size: width of an embedded token.
        num_hiddens: width of the GRU.
        memory_size: width of the encoder's states.

    Example:
        >>> import torch
        >>> from attn_utils import FixedVectorDecoder, GRUEncoder
        >>> encoder = GRUEncoder(vocab_size=10, embed_size=4, num_hiddens=8)
        >>> decoder = FixedVectorDecoder(5, embed_size=4, num_hiddens=8, memory_size=16)
        >>> memory = encoder(torch.tensor([[3, 1, 4]]), valid_lens=torch.tensor([3]))
        >>> start = torch.tensor([[decoder.start]])
        >>> logits, state, weights = decoder(start, memory)
        >>> logits.shape, state.shape, weights  # there is no attention
        (torch.Size([1, 1, 5]), torch.Size([1, 1, 8]), None)

    References:
        Cho et al. (2014), for the fixed vector. Luong et al. (2015), section 3.
    """

    def __init__(
        self, vocab_size: int, embed_size: int, num_hiddens: int, memory_size: int
    ) -> None:
        super().__init__()
        vocab_size, embed_size, num_hiddens, memory_size = check_sizes(
            vocab_size=vocab_size,
            embed_size=embed_size,
            num_hiddens=num_hiddens,
            memory_size=memory_size,
        )
        self.start = vocab_size
        self.embedding = nn.Embedding(vocab_size + 1, embed_size)
        self.first_state = nn.Linear(memory_size, num_hiddens)
        self.gru = nn.GRU(embed_size, num_hiddens, batch_first=True)
        self.combine = nn.Linear(num_hiddens + memory_size, num_hiddens)
        self.output = nn.Linear(num_hiddens, vocab_size)

    def forward(
        self, previous: Tensor, memory: EncoderOutput, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Go on for T steps.

        Args:
            previous: the tokens before those to be written (B, T), beginning with ``start``.
            memory: from the encoder.
            state: (1, B, num_hiddens) from the call before, or None at the beginning.

        Returns:
            Logits (B, T, vocab_size), the state, and the weights (B, T, S), or None without
            attention.
        """
        _check_tokens("previous", previous, self.start + 1)
        B = memory.final_state.shape[0]  # len(…) would make a constant of it in an exported graph
        if previous.shape[0] != B:
            raise ValueError(
                f"previous: expected a batch of {B} like the memory, got shape "
                f"{tuple(previous.shape)}"
            )
        if state is None:
            first = torch.tanh(self.first_state(memory.final_state))  # (B, memory_size) -> (B, h)
            state = first.unsqueeze(0)
        states, state = self.gru(self.embedding(previous), state)  # (B, T, h), (1, B, h)
        context, weights = self.context(states, memory)  # (B, T, memory_size)
        combined = torch.tanh(self.combine(torch.cat([states, context], dim=-1)))
        return self.output(combined), state, weights

    def context(self, states: Tensor, memory: EncoderOutput) -> tuple[Tensor, Tensor | None]:
        """Give each state (B, T, num_hiddens) its context: here the source's final state."""
        return memory.final_state.unsqueeze(1).expand(-1, states.shape[1], -1), None


class AttentionDecoder(FixedVectorDecoder):
    r"""Write with a context of its own for every step: c_t is the state's answer from the source.

    Additive attention (:class:`~attn_utils.scoring.AdditiveAttention`) with the states as queries
    and the encoder's states as keys and values; padding is masked. Bahdanau et al. let the
    recurrent layer read the context as well, which forces it to go step by step in training too.

    Args:
        vocab_size: number of different tokens to write.
        embed_size: width of an embedded token.
        num_hiddens: width of the GRU.
        memory_size: width of the encoder's states.
        attention_size: width of the attention's tanh layer.

    Example:
        >>> import torch
        >>> from attn_utils import AttentionDecoder, GRUEncoder
        >>> encoder = GRUEncoder(vocab_size=10, embed_size=4, num_hiddens=8)
        >>> decoder = AttentionDecoder(5, 4, 8, memory_size=16, attention_size=8)
        >>> memory = encoder(torch.tensor([[3, 1, 4]]), valid_lens=torch.tensor([3]))
        >>> previous = torch.tensor([[decoder.start, 2]])
        >>> logits, state, weights = decoder(previous, memory)
        >>> logits.shape, weights.shape  # two steps, three source tokens
        (torch.Size([1, 2, 5]), torch.Size([1, 2, 3]))

    References:
        Bahdanau et al. (2014). Luong et al. (2015), section 3.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        num_hiddens: int,
        memory_size: int,
        attention_size: int,
    ) -> None:
        super().__init__(vocab_size, embed_size, num_hiddens, memory_size)
        attention_size = check_size("attention_size", attention_size)
        self.attention = AdditiveAttention(num_hiddens, memory_size, attention_size)

    def context(self, states: Tensor, memory: EncoderOutput) -> tuple[Tensor, Tensor]:
        """Attend: the weights are (B, T, S)."""
        context, weights = self.attention(
            states, memory.states, memory.states, memory.mask, return_weights=True
        )
        return context, weights


class EncoderDecoder(nn.Module):
    """An encoder and a decoder, trained together by teacher forcing.

    Args:
        encoder: maps source and valid lengths to a :class:`EncoderOutput`.
        decoder: maps previous tokens and memory to logits, state and weights.

    Example:
        >>> import torch
        >>> from attn_utils import AttentionDecoder, EncoderDecoder, GRUEncoder
        >>> model = EncoderDecoder(GRUEncoder(10, 4, 8), AttentionDecoder(5, 4, 8, 16, 8))
        >>> source = torch.tensor([[3, 1, 4], [1, 5, 0]])
        >>> valid_lens = torch.tensor([3, 2])
        >>> targets = torch.tensor([[0, 1, 2, 3], [4, 3, 2, 1]])
        >>> logits, weights = model(source, valid_lens, targets, return_weights=True)
        >>> logits.shape, weights.shape
        (torch.Size([2, 4, 5]), torch.Size([2, 4, 3]))
        >>> weights[1, :, 2].tolist()  # no weight on the padding, at any step
        [0.0, 0.0, 0.0, 0.0]
    """

    def __init__(self, encoder: GRUEncoder, decoder: FixedVectorDecoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(
        self, source: Tensor, valid_lens: Tensor, targets: Tensor, *, return_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor | None]:
        """Score the next token at every position of the targets, given the *true* ones before it.

        Args:
            source: tokens (B, S).
            valid_lens: (B,), how many of them count, from 1 to S.
            targets: the tokens that should be written (B, T); logits t see those before t only.
            return_weights: also return the weights.

        Returns:
            Logits (B, T, vocab_size), or logits and weights (B, T, S); the weights are None
            without attention.
        """
        _check_tokens("targets", targets, self.decoder.start)
        start = torch.full_like(targets[:, :1], self.decoder.start)
        previous = torch.cat([start, targets[:, :-1]], dim=1)  # shifted right by one
        logits, _, weights = self.decoder(previous, self.encoder(source, valid_lens))
        return (logits, weights) if return_weights else logits


@overload
def greedy_decode(
    model: EncoderDecoder,
    source: Tensor,
    valid_lens: Tensor,
    num_steps: int,
    *,
    return_weights: Literal[False] = ...,
) -> Tensor: ...
@overload
def greedy_decode(
    model: EncoderDecoder,
    source: Tensor,
    valid_lens: Tensor,
    num_steps: int,
    *,
    return_weights: Literal[True],
) -> tuple[Tensor, Tensor | None]: ...
@overload
def greedy_decode(
    model: EncoderDecoder,
    source: Tensor,
    valid_lens: Tensor,
    num_steps: int,
    *,
    return_weights: bool,
) -> Tensor | tuple[Tensor, Tensor | None]: ...
@torch.no_grad()
def greedy_decode(
    model: EncoderDecoder,
    source: Tensor,
    valid_lens: Tensor,
    num_steps: int,
    *,
    return_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor | None]:
    """Write ``num_steps`` tokens, each the likeliest one after those the model itself has written.

    Args:
        model: see :class:`EncoderDecoder`.
        source: tokens (B, S).
        valid_lens: (B,), how many of them count, from 1 to S.
        num_steps: T, at least 1.
        return_weights: also return the weights.

    Returns:
        Tokens (B, T), or tokens and weights (B, T, S); the weights are None without attention.

    Example:
        >>> import torch
        >>> from attn_utils import AttentionDecoder, EncoderDecoder, GRUEncoder
        >>> from attn_utils import greedy_decode
        >>> model = EncoderDecoder(GRUEncoder(10, 4, 8), AttentionDecoder(5, 4, 8, 16, 8))
        >>> source, valid_lens = torch.tensor([[3, 1, 4]]), torch.tensor([3])
        >>> tokens = greedy_decode(model, source, valid_lens, num_steps=6)
        >>> tokens.shape
        torch.Size([1, 6])
        >>> logits = model(source, valid_lens, tokens)  # given what it has written itself
        >>> torch.equal(logits.argmax(-1), tokens)
        True
    """
    num_steps = check_size("num_steps", num_steps)
    memory = model.encoder(source, valid_lens)
    token = source.new_full((len(source), 1), model.decoder.start)
    state, tokens, looks = None, [], []
    for _ in range(num_steps):
        logits, state, weights = model.decoder(token, memory, state)
        token = logits.argmax(dim=-1)  # (B, 1, vocab_size) -> (B, 1)
        tokens.append(token)
        looks.append(weights)
    written = torch.cat(tokens, dim=1)  # (B, T)
    if not return_weights:
        return written
    return written, None if looks[0] is None else torch.cat(looks, dim=1)


def _take(x: Tensor, positions: Tensor) -> Tensor:
    """Take from x (B, S, h) what stands at the positions (B, n), counted in a circle: (B, n, h)."""
    S = x.shape[1]
    positions = positions + S * ((positions < 0).long() - (positions >= S).long())
    return x.gather(1, positions.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


def _check_tokens(name: str, tokens: Tensor, vocab_size: int) -> None:
    if not isinstance(tokens, Tensor) or tokens.dtype not in (torch.int64, torch.int32):
        got = tokens.dtype if isinstance(tokens, Tensor) else type(tokens).__name__
        raise ValueError(f"{name}: expected a tensor of integers (int64), got {got}")
    if tokens.ndim != 2 or tokens.shape[1] == 0:
        raise ValueError(
            f"{name}: expected shape (B, number) with at least one token, got {tuple(tokens.shape)}"
        )
    check_range(name, tokens, "tokens", 0, vocab_size - 1)
