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


def in_place_dial(s, m, t):
    return s.mul_(4.0 * (1 - abs(t - 1))).add_(4.0 * max(0.0, t - 1) * m).softmax(-1)


def right_lookup(q, k, v):
    return (q @ k.T).softmax(-1) @ v


def right_break_even(s, m, g, a, b):
    return g * (s[a] - s[b]) / (m[b] - m[a])


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("cues.sort", RIGHT_CUES),
        ("cues.sort", {k: v.replace("non", "Non-") for k, v in RIGHT_CUES.items()}),
        ("cues.dial", right_dial),
        ("cues.dial", lambda s, m, t: right_dial(s, m, t).tolist()),
        ("cues.lookup", right_lookup),
        ("cues.lookup", fuzzy_lookup),
        ("cues.lookup", lambda q, k, v: right_lookup(q, k, v).numpy()),
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
    ("cues.sort", RIGHT_CUES | {"a siren in the street": "volitional"}, "a siren in the street"),
    ("cues.sort", dict.fromkeys(RIGHT_CUES, "volitional"), "your name"),
    ("cues.sort", list(RIGHT_CUES.values()), "should be a dictionary"),
    ("cues.dial", lambda s, m, t: ..., "nothing has been computed"),
    ("cues.dial", lambda s, m, t: None, "nothing has been computed"),
    ("cues.dial", in_place_dial, "changed the caller's s"),
    ("cues.dial", lambda s, m, t: right_dial(s, m, round(2 * t) / 2), "linearly"),
    ("cues.dial", lambda s, m, t: (4 * (1 - abs(t - 1)) * s + 4 * (t - 1) * m).softmax(-1), "−4"),
    (  # in proportion to t, as if each gain rose from 0 at t = 0
        "cues.dial",
        lambda s, m, t: (4 * (1 - abs(t - 1)) * s + 2 * t * m).softmax(-1),
        "differs from",
    ),
    ("cues.dial", lambda s, m, t: (4 * s + 4 * m).softmax(-1), "both cues count in full"),
    ("cues.dial", lambda s, m, t: 4 * (1 - abs(t - 1)) * s + 4 * max(0, t - 1) * m, "softmax"),
    (
        "cues.dial",
        lambda s, m, t: (4 * t * s + 4 * max(0, t - 1) * m).softmax(-1),
        "saliency gain has grown to 8",
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
    ("cues.dial", lambda s, m, t: right_dial(s, m, round(t)), "linearly"),
    ("cues.dial", lambda s, m, t: right_dial(s, m, int(t)), "linearly"),
    ("cues.lookup", lambda q, k, v: ..., "nothing has been computed"),
    ("cues.lookup", lambda q, k, v: (q @ k.T).softmax(0) @ v, "each query's weights (a row)"),
    ("cues.lookup", lambda q, k, v: (k @ q.T).softmax(-1) @ v, "queries and keys are swapped"),
    ("cues.lookup", lambda q, k, v: q @ k.T @ v, "no softmax"),
    ("cues.lookup", lambda q, k, v: v[(q @ k.T).argmax(-1)], "best key alone"),
    ("cues.lookup", lambda q, k, v: (q @ k.T).softmax(-1), "applied to the values"),
    ("cues.lookup", lambda q, k, v: v.mean(0).expand(len(q), -1), "plain mean"),
    ("cues.lookup", lambda q, k, v: (q @ k).softmax(-1) @ v, "stopped with RuntimeError"),
    ("cues.lookup", lambda q, k, v: (q @ k.T / 3**0.5).softmax(-1) @ v, "divided by √d"),
    ("cues.lookup", lambda q, k, v: fuzzy_lookup(q, k, v, sharpness=5.0), "should be 1"),
    ("cues.lookup", lambda q, k, v: (q @ k.T).exp() @ v, "division by the sum"),
    ("cues.lookup", lambda q, k, v: (q @ k.T).softmax(-1).T @ v, "transposed"),
    ("cues.break_even", lambda s, m, g, a, b: g * (s[a] - s[b]), "divide by the lead in match"),
    ("cues.break_even", lambda s, m, g, a, b: (s[a] - s[b]) / (m[b] - m[a]), "gain is missing"),
    ("cues.break_even", lambda s, m, g, a, b: -right_break_even(s, m, g, a, b), "sign is wrong"),
    (
        "cues.break_even",
        lambda s, m, g, a, b: g * (m[b] - m[a]) / (s[a] - s[b]),
        "upside down",
    ),
    ("cues.break_even", lambda *args: right_break_even(*args).abs(), "can be negative"),
    ("cues.break_even", lambda *args: max(0.0, right_break_even(*args)), "differs from"),
    (
        "cues.break_even",
        lambda s, m, g, a, b: g * (s[a] + s[b]) / (m[a] + m[b]),
        "take the differences",
    ),
    ("cues.break_even", lambda s, m, g, a, b: g * s[a] / m[b], "differs from"),
    ("cues.break_even", lambda *args: None, "nothing has been computed"),
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


def test_every_exercise_has_eight_wrong_answers():
    names = [name for name, *_ in WRONG]
    assert {name: names.count(name) >= 8 for name in names} == dict.fromkeys(names, True)
