"""Dates as people write them: the data of chapter 4. :mod:`attn_utils.decoder` offers them."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = [
    "SOURCE_CHARACTERS",
    "TARGET_CHARACTERS",
    "all_dates",
    "source_tokens",
    "target_text",
    "target_tokens",
    "written_forms",
]

SOURCE_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789 ,./-"  # tokens from 1; 0 is padding
TARGET_CHARACTERS = "0123456789-"  # tokens from 0
FIRST, LAST = datetime.date(1970, 1, 1), datetime.date(2069, 12, 31)

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
]
_ORDINALS += [f"twenty-{_ORDINALS[i]}" for i in range(9)] + ["thirtieth", "thirty-first"]


def all_dates() -> list[datetime.date]:
    """Every day of the century whose years two digits can tell apart: 1970 to 2069, 36,525.

    Example:
        >>> from attn_utils import all_dates
        >>> dates = all_dates()
        >>> print(len(dates), dates[0], dates[-1])
        36525 1970-01-01 2069-12-31
    """
    return [FIRST + datetime.timedelta(days) for days in range((LAST - FIRST).days + 1)]


def written_forms(date: datetime.date) -> list[str]:
    """Write a date in fifteen ways, in lower case, from "3.3.19" to a whole phrase.

    Two digits of a year mean 1970 to 2069. Numbers with dots have the day first, numbers with
    slashes the year: nothing is ambiguous.

    Raises:
        ValueError: a date before 1970 or after 2069.

    Example:
        >>> import datetime
        >>> from attn_utils import written_forms
        >>> forms = written_forms(datetime.date(2019, 3, 3))
        >>> print(len(forms), forms[8], forms[13], sep=" | ")
        15 | 3.3.19 | the third of march, 2019
    """
    if not FIRST <= date <= LAST:
        raise ValueError(f"date: expected one from {FIRST} to {LAST}, got {date}")
    d, m, y, yy = date.day, date.month, date.year, f"{date.year % 100:02d}"
    month, day, ordinal = _MONTHS[m - 1], _DAYS[date.weekday()], _ORDINALS[d - 1]
    dth = f"{d}{ordinal[-2:]}"  # third: 3rd
    return [
        f"{d} {month} {y}",
        f"{d} {month[:3]} {y}",
        f"{month[:3]} {d}, {yy}",
        f"{month} {d}, {y}",
        f"{month} {d} {y}",
        f"{dth} {month} {y}",
        f"the {dth} of {month}, {y}",
        f"{d:02d}.{m:02d}.{y}",
        f"{d}.{m}.{yy}",
        f"{y}/{m}/{d}",
        f"{d}-{month[:3]}-{y}",
        f"{day}, {d} {month} {y}",
        f"{day[:3]} {d} {month[:3]} {yy}",
        f"the {ordinal} of {month}, {y}",
        f"{day}, the {ordinal} of {month}, in the year {y}",
    ]


def source_tokens(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Turn texts into tokens, one for each character; upper case is read as lower case.

    Returns:
        Tokens (B, S), padded with 0, and lengths (B,).

    Raises:
        ValueError: no text, an empty one, or a character that is not in ``SOURCE_CHARACTERS``.

    Example:
        >>> from attn_utils import source_tokens
        >>> tokens, lengths = source_tokens(["3.3.19", "ABC"])
        >>> tokens  # a is 1; 0 is padding
        tensor([[30, 39, 30, 39, 28, 36],
                [ 1,  2,  3,  0,  0,  0]])
        >>> lengths
        tensor([6, 3])
    """
    texts = [text.lower() for text in texts]
    if not texts or not all(texts):
        raise ValueError("texts: expected at least one, each with at least one character")
    unknown = sorted(set("".join(texts)) - set(SOURCE_CHARACTERS))
    if unknown:
        raise ValueError(f"texts: expected letters, digits, blanks and , . / - only, got {unknown}")
    lengths = torch.tensor([len(text) for text in texts])
    tokens = torch.zeros(len(texts), int(lengths.max()), dtype=torch.long)
    numbers = {character: i + 1 for i, character in enumerate(SOURCE_CHARACTERS)}
    for row, text in zip(tokens, texts, strict=True):
        row[: len(text)] = torch.tensor([numbers[character] for character in text])
    return tokens, lengths


def target_tokens(dates: Sequence[datetime.date]) -> Tensor:
    """Turn dates into the tokens (B, 10) of their ISO forms, such as "2019-03-03".

    Example:
        >>> import datetime
        >>> from attn_utils import target_tokens
        >>> target_tokens([datetime.date(2019, 3, 3)])  # 10 is the hyphen
        tensor([[ 2,  0,  1,  9, 10,  0,  3, 10,  0,  3]])
    """
    return torch.tensor([[TARGET_CHARACTERS.index(c) for c in f"{d}"] for d in dates])


def target_text(tokens: Tensor) -> list[str]:
    """Turn tokens (B, T) back into texts.

    Example:
        >>> import datetime
        >>> from attn_utils import target_text, target_tokens
        >>> target_text(target_tokens([datetime.date(2019, 3, 3)]))
        ['2019-03-03']
    """
    return ["".join(TARGET_CHARACTERS[i] for i in row) for row in tokens.tolist()]
