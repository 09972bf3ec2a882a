from __future__ import annotations

import pytest
import torch

from attn_utils.checks import check
from attn_utils.cues import cue_weights, fuzzy_lookup

RIGHT_CUES = {
    "a siren in the street": "nonvolitional",
    "looking for your keys": "volitional",
    "a red cup among grey things": "nonvolitional",
    "reading the exit signs on a motorway": "volitional",
    "your name in somebody else's talk": "nonvolitional",
}
SWAPPED = {"volitional": "nonvolitional", "nonvolitional": "volitional"}


def right_dial(s, m, t):
    return torch.softmax(4.0 * (1 - abs(t - 1)) * s + 4.0 * max(0.0, t - 1) * m, dim=-1)


def right_lookup(q, k, v):
    return (q @ k.T).softmax(-1) @ v


def right_break_even(s, m, g, a, b):
    return g * (s[a] - s[b]) / (m[b] - m[a])


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("cues.sort", RIGHT_CUES),
        ("cues.dial", right_dial),
        ("cues.lookup", right_lookup),
        ("cues.lookup", fuzzy_lookup),
        ("cues.break_even", right_break_even),
        ("cues.break_even", lambda *args: right_break_even(*args).item()),
    ],
)
def test_right_answers_pass(name, answer):
    result = check(name, answer)
    assert result, result.message


WRONG = [
    ("cues.sort", dict.fromkeys(RIGHT_CUES, "?"), "no answer yet"),
    ("cues.sort", {k: SWAPPED[v] for k, v in RIGHT_CUES.items()}, "all five are swapped"),
    ("cues.sort", RIGHT_CUES | {"your name in somebody else's talk": "volitional"}, "your name"),
    ("cues.sort", RIGHT_CUES | {"looking for your keys": "nonvolitional"}, "looking for your keys"),
    ("cues.sort", RIGHT_CUES | {"looking for your keys": "both"}, "neither"),
    ("cues.sort", None, "should be a dictionary"),
    ("cues.dial", lambda s, m, t: ..., "nothing is computed"),
    ("cues.dial", lambda s, m, t: None, "nothing is computed"),
    ("cues.dial", lambda s, m, t: (4 * s + 4 * m).softmax(-1), "both cues count in full"),
    ("cues.dial", lambda s, m, t: 4 * (1 - abs(t - 1)) * s + 4 * max(0, t - 1) * m, "softmax"),
    (
        "cues.dial",
        lambda s, m, t: (4 * t * s + 4 * max(0, t - 1) * m).softmax(-1),
        "salience gain has grown to 8",
    ),
    (
        "cues.dial",
        lambda s, m, t: (4 * min(t, 1) * s + 4 * max(0, t - 1) * m).softmax(-1),
        "should have faded out",
    ),
    ("cues.dial", lambda s, m, t: right_dial(m, s, t), "swapped"),
    (
        "cues.dial",
        lambda s, m, t: ((1 - abs(t - 1)) * s + max(0, t - 1) * m).softmax(-1),
        "the gain is 1",
    ),
    (
        "cues.dial",
        lambda s, m, t: cue_weights(
            s, m, salience_gain=4 * (1 - abs(t - 1)), query_gain=8 * max(0, t - 1)
        ),
        "query gain is 8",
    ),
    ("cues.dial", lambda s, m, t: right_dial(s, m, round(t)), "in proportion"),
    ("cues.dial", lambda s, m, t: right_dial(s, m, int(t)), "in proportion"),
    ("cues.lookup", lambda q, k, v: ..., "nothing has been computed"),
    ("cues.lookup", lambda q, k, v: (q @ k.T).softmax(0) @ v, "each query's weights (a row)"),
    ("cues.lookup", lambda q, k, v: (k @ q.T).softmax(-1) @ v, "queries and keys are swapped"),
    ("cues.lookup", lambda q, k, v: q @ k.T @ v, "no softmax"),
    ("cues.lookup", lambda q, k, v: v[(q @ k.T).argmax(-1)], "best key alone"),
    ("cues.lookup", lambda q, k, v: (q @ k.T).softmax(-1), "applied to the values"),
    ("cues.lookup", lambda q, k, v: v.mean(0).expand(len(q), -1), "plain mean"),
    ("cues.lookup", lambda q, k, v: (q @ k).softmax(-1) @ v, "stopped with RuntimeError"),
    ("cues.break_even", lambda s, m, g, a, b: g * (s[a] - s[b]), "divide by the lead in match"),
    ("cues.break_even", lambda s, m, g, a, b: (s[a] - s[b]) / (m[b] - m[a]), "gain is missing"),
    ("cues.break_even", lambda s, m, g, a, b: -right_break_even(s, m, g, a, b), "sign is wrong"),
    (
        "cues.break_even",
        lambda s, m, g, a, b: g * (m[b] - m[a]) / (s[a] - s[b]),
        "upside down",
    ),
]


@pytest.mark.parametrize(("name", "answer", "says"), WRONG)
def test_wrong_answers_are_named(name, answer, says):
    result = check(name, answer)
    assert not result
    assert says in result.message


def test_grading_raises(monkeypatch):
    from attn_utils.checks import Mistake

    monkeypatch.setenv("ATTN_CHECKS", "raise")
    with pytest.raises(Mistake, match="no answer yet"):
        check("cues.sort", dict.fromkeys(RIGHT_CUES))
