"""Self-checks of chapter 1, Attention cues."""

from __future__ import annotations

import math
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
    # "Non-volitional" is a matter of spelling
    given = {name: str(answers[name]).strip().lower().replace("-", "") for name in _SITUATIONS}
    odd = [name for name, cue in given.items() if cue not in ("volitional", "nonvolitional")]
    if odd:
        raise Mistake(f"{answers[odd[0]]!r} is neither 'volitional' nor 'nonvolitional'")
    wrong = [name for name, right in _SITUATIONS.items() if given[name] != right]
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
    """Exercise 1.2: one dial from average pooling to saliency only to query only."""
    salience = torch.tensor([1.0, 0.3, 0.1, 0.2])
    match = torch.tensor([0.1, 0.4, 1.3, 0.9])

    def of(salience_gain: float, query_gain: float) -> Tensor:
        return cue_weights(salience, match, salience_gain=salience_gain, query_gain=query_gain)

    at_stops: tuple[tuple[float, str, dict[str, Tensor]], ...] = (
        (
            0.0,
            "average pooling",
            {
                "at 0 the weights are 0, not equal: they have to sum to 1 (is the softmax "
                "missing?)": torch.zeros(4),
                "at 0 saliency counts already: its gain should start at 0": of(4, 0),
                "at 0 both cues count in full: both gains should be 0 there, and t is not used": (
                    of(4, 4)
                ),
                "at 0 the query gain is −4: it should be 0 until t = 1": of(0, -4),
            },
        ),
        (
            1.0,
            "saliency only",
            {
                "at 1 the query counts instead of the saliency: the two are swapped": of(0, 4),
                "at 1 both cues count: the query should come in only after 1": of(4, 4),
                "at 1 the gain is 1: it should be 4 there": of(1, 0),
                "at 1 you return scores or gains, not weights (is the softmax missing?)": (
                    4 * salience
                ),
            },
        ),
        (
            2.0,
            "query only",
            {
                "at 2 the saliency still counts in full: it should have faded out": of(4, 4),
                "at 2 the saliency gain has grown to 8: it should have faded out": of(8, 4),
                "at 2 the saliency gain is −4: it should have faded out to 0": of(-4, 4),
                "at 2 the query gain is 8: it should run from 0 at 1 to 4 at 2": of(0, 8),
            },
        ),
    )
    for t, kind, mistakes in at_stops:
        got = dial(salience, match, t)
        what = f"dial(…, {t:g}), which should be {kind},"
        compare(got, _dial(salience, match, t), what, mistakes)
    for t in (0.25, 0.5, 1.25, 1.5, 1.9):  # no multiples of a half alone: some round to these
        below, above = math.floor(t), math.floor(t) + 1
        jumps = {
            f"at {t} the weights are those of {stop:g}: between two stops the gains change "
            "linearly with t": _dial(salience, match, stop)
            for stop in (below, below + 0.5, above)
            if stop != t
        }
        compare(dial(salience, match, t), _dial(salience, match, t), f"dial(…, {t})", jumps)


@exercise("cues.lookup")
def _check_lookup(lookup: Callable[[Tensor, Tensor, Tensor], Any]) -> None:
    """Exercise 1.3: the fuzzy dictionary for many queries at once."""
    generator = torch.Generator().manual_seed(1)
    # as many queries as keys, so that a softmax over the wrong axis does not betray itself
    for T, S, dv, dtype in ((4, 4, 4, torch.float32), (2, 3, 5, torch.float64)):
        queries, keys, values = (
            torch.randn(*shape, generator=generator).to(dtype)
            for shape in ((T, 3), (S, 3), (S, dv))
        )
        scores = queries @ keys.T
        weights = scores.softmax(dim=1)
        mistakes = {
            "the softmax runs over the queries: each query's weights (a row) must sum to 1": (
                scores.softmax(dim=0) @ values
            ),
            "there is no softmax: the scores themselves weigh the values": scores @ values,
            "exp is there, but the division by the sum over the keys is missing": (
                scores.exp() @ values
            ),
            "you return the value of the best key alone: the lookup should blend": (
                values[scores.argmax(dim=1)]
            ),
            "you return the weights: they still have to be applied to the values": weights,
            "every query gets the plain mean: the scores are not used": (
                values.mean(dim=0).expand(T, dv)
            ),
            "the scores are divided by √d: here the sharpness is 1, the plain dot product": (
                (scores / math.sqrt(3)).softmax(dim=1) @ values
            ),
            "the sharpness is 5, as in the chapter's example: it should be 1": (
                (5 * scores).softmax(dim=1) @ values
            ),
        }
        if T == S:
            mistakes["queries and keys are swapped: row i should answer query i"] = (
                scores.T.softmax(dim=1) @ values
            )
            mistakes["the weights are transposed: it is weights @ values, (T, S) @ (S, dv)"] = (
                weights.T @ values
            )
        compare(
            lookup(queries, keys, values),
            fuzzy_lookup(queries, keys, values),
            "the blend",
            mistakes,
        )


@exercise("cues.break_even")
def _check_break_even(break_even: Callable[[Tensor, Tensor, float, int, int], Any]) -> None:
    """Exercise 1.4: the query gain at which thing b draws level with thing a."""
    salience = torch.tensor([0.2, 1.0, 0.35, 0.1])
    match = torch.tensor([0.7, 0.1, 0.9, 0.4])
    for gain, a, b in ((3.0, 1, 2), (2.0, 1, 0), (2.0, 0, 3)):
        distance, reach = salience[a] - salience[b], match[b] - match[a]
        right = gain * distance / reach
        turned = (  # in the third case a leads in both
            "the sign is wrong: solve g_s·s_a + g_q·m_a = g_s·s_b + g_q·m_b for g_q"
            if right > 0
            else "the gain can be negative: so it is if a leads by saliency and by match"
        )
        mistakes = {
            "the ratio is upside down: a better match needs a smaller gain": gain
            * reach
            / distance,
            turned: -right,
            "the saliency gain is missing: twice the gain, twice the effort": distance / reach,
            "the lead in saliency alone is not enough: divide by the lead in match": (
                gain * distance
            ),
            "both lines are added up: take the differences of a and b": (
                gain * (salience[a] + salience[b]) / (match[a] + match[b])
            ),
        }
        got = break_even(salience, match, gain, a, b)
        compare(got, right, "the query gain", mistakes)
