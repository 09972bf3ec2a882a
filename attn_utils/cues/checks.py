"""Self-checks of chapter 1, Attention cues."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from attn_utils.checks import Mistake, compare, exercise

from .cues import cue_weights, fuzzy_lookup

_SITUATIONS = {
    "a siren in the street": "nonvolitional",
    "looking for your keys": "volitional",
    "a red cup among grey things": "nonvolitional",
    "reading the exit signs on a motorway": "volitional",
    "your name in somebody else's talk": "nonvolitional",
}


@exercise("cues.sort")
def _sort(answers: Any) -> None:
    """Exercise 1.1: which cue is it?"""
    if not isinstance(answers, Mapping):
        raise Mistake(f"the answer should be a dictionary, not {type(answers).__name__}")
    missing = [name for name in _SITUATIONS if answers.get(name) in (None, "", "?", ...)]
    if missing:
        raise Mistake(f"no answer yet for {missing[0]!r} ({len(missing)} to go)")
    odd = [a for a in answers.values() if a not in ("volitional", "nonvolitional")]
    if odd:
        raise Mistake(f"{odd[0]!r} is neither 'volitional' nor 'nonvolitional'")
    wrong = [name for name, right in _SITUATIONS.items() if answers[name] != right]
    if len(wrong) == len(_SITUATIONS):
        raise Mistake("all five are swapped: volitional is what you will, what you intend")
    if "your name in somebody else's talk" in wrong:
        raise Mistake("your name: did you intend to listen to that talk when it came?")
    if wrong:
        raise Mistake(f"look at {wrong[0]!r} again: did an intent come first, or the thing?")


def _dial(salience: Tensor, match: Tensor, t: float, top: float = 4.0) -> Tensor:
    return cue_weights(
        salience, match, salience_gain=top * (1 - abs(t - 1)), query_gain=top * max(0.0, t - 1)
    )


@exercise("cues.dial")
def _check_dial(dial: Callable[[Tensor, Tensor, float], Any]) -> None:
    """Exercise 1.2: one dial from average pooling to salience only to query only."""
    salience = torch.tensor([1.0, 0.3, 0.1, 0.2])
    match = torch.tensor([0.1, 0.4, 1.3, 0.9])
    at = {t: dial(salience, match, t) for t in (0.0, 0.5, 1.0, 1.5, 2.0)}
    if all(weights is None or weights is Ellipsis for weights in at.values()):
        raise Mistake("nothing is computed yet")
    compare(
        at[0.0],
        torch.full((4,), 0.25),
        "dial(…, 0), which should be average pooling,",
        {
            "at 0 the weights are 0, not equal: they have to sum to 1 (is the softmax missing?)": (
                torch.zeros(4)
            ),
            "at 0 salience counts already: its gain should start at 0": _dial(salience, match, 1),
            "at 0 both cues count in full: both gains should be 0 there, and t is not used": (
                cue_weights(salience, match, salience_gain=4, query_gain=4)
            ),
        },
    )
    compare(
        at[1.0],
        _dial(salience, match, 1),
        "dial(…, 1), which should be salience only,",
        {
            "at 1 the query counts instead of the salience: the two are swapped": (
                cue_weights(salience, match, salience_gain=0, query_gain=4)
            ),
            "at 1 both cues count: the query should come in only after 1": (
                cue_weights(salience, match, salience_gain=4, query_gain=4)
            ),
            "at 1 the gain is 1: it should be 4 there": (
                cue_weights(salience, match, salience_gain=1, query_gain=0)
            ),
            "at 1 you return scores or gains, not weights (is the softmax missing?)": 4 * salience,
        },
    )
    compare(
        at[2.0],
        _dial(salience, match, 2),
        "dial(…, 2), which should be query only,",
        {
            "at 2 the salience still counts in full: it should have faded out": (
                cue_weights(salience, match, salience_gain=4, query_gain=4)
            ),
            "at 2 the salience gain has grown to 8: it should have faded out": (
                cue_weights(salience, match, salience_gain=8, query_gain=4)
            ),
            "at 2 the query gain is 8: it should run from 0 at 1 to 4 at 2": (
                cue_weights(salience, match, salience_gain=0, query_gain=8)
            ),
        },
    )
    for t in (0.5, 1.5):
        jumps = {
            f"at {t} the weights are still those of {stop:g}: move the gains in proportion to t": (
                _dial(salience, match, stop)
            )
            for stop in (t - 0.5, t + 0.5)
        }
        compare(at[t], _dial(salience, match, t), f"dial(…, {t})", jumps)


@exercise("cues.lookup")
def _check_lookup(lookup: Callable[[Tensor, Tensor, Tensor], Any]) -> None:
    """Exercise 1.3: the fuzzy dictionary for many queries at once."""
    generator = torch.Generator().manual_seed(1)
    # as many queries as keys, so that a softmax over the wrong axis does not betray itself
    queries = torch.randn(4, 3, generator=generator)
    keys = torch.randn(4, 3, generator=generator)
    values = torch.randn(4, 2, generator=generator)
    scores = queries @ keys.T
    hard = values[scores.argmax(dim=1)]
    compare(
        lookup(queries, keys, values),
        fuzzy_lookup(queries, keys, values),
        "the blend",
        {
            "the softmax runs over the queries: each query's weights (a row) must sum to 1": (
                scores.softmax(dim=0) @ values
            ),
            "queries and keys are swapped: row i should answer query i": (
                scores.T.softmax(dim=1) @ values
            ),
            "there is no softmax: the scores themselves weigh the values": scores @ values,
            "you return the value of the best key alone: the lookup should blend": hard,
            "you return the weights: they still have to be applied to the values": (
                scores.softmax(dim=1)
            ),
            "every query gets the plain mean: the scores are not used": (
                values.mean(dim=0).expand(4, 2)
            ),
        },
    )
    queries, keys, values = queries[:2], keys[:3], values[:3]
    compare(lookup(queries, keys, values), fuzzy_lookup(queries, keys, values), "2 queries, 3 keys")


@exercise("cues.break_even")
def _check_break_even(break_even: Callable[[Tensor, Tensor, float, int, int], Any]) -> None:
    """Exercise 1.4: the query gain at which thing b draws level with thing a."""
    salience = torch.tensor([0.2, 1.0, 0.35, 0.1])
    match = torch.tensor([0.7, 0.1, 0.9, 0.4])
    for gain, a, b in ((3.0, 1, 2), (2.0, 1, 0)):
        distance, reach = salience[a] - salience[b], match[b] - match[a]
        compare(
            break_even(salience, match, gain, a, b),
            gain * distance / reach,
            "the query gain",
            {
                "the ratio is upside down: a better match needs a smaller gain": (
                    gain * reach / distance
                ),
                "the sign is wrong: solve g_s·s_a + g_q·m_a = g_s·s_b + g_q·m_b for g_q": (
                    -gain * distance / reach
                ),
                "the salience gain is missing: twice the gain, twice the effort": distance / reach,
                "the lead in salience alone is not enough: divide by the lead in match": (
                    gain * distance
                ),
            },
        )
