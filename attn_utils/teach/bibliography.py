"""The book's list of works, as far as a notebook outside of the book needs it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_ENTRY = re.compile(r"^@\w+\{([^,\s]+),\s*\n(.*?)^\}", re.M | re.S)
_FIELD = re.compile(r"^\s*(\w+)\s*=\s*\{(.*)\},?\s*$", re.M)
_SIGNS = {"--": "–", r"\&": "&", r"\%": "%", r"\_": "_", "~": " "}

Works = Mapping[str, Mapping[str, str]]  # the fields of each work, by its key


def works(file: Path) -> Works:
    """Read a BibTeX file that has a field in each line, as the book's has."""
    if not file.exists():
        return {}
    text = file.read_text(encoding="utf-8")
    return {key: dict(_FIELD.findall(fields)) for key, fields in _ENTRY.findall(text)}


def mention(work: Mapping[str, str]) -> tuple[str, str]:
    """Return who wrote a work, as a sentence names them, and when."""
    names = [_plain(name).split(",")[0] for name in work["author"].split(" and ")]
    if len(names) > 2:
        return f"{names[0]} et al.", work["year"]
    return " and ".join(names), work["year"]


def line(work: Mapping[str, str]) -> str:
    """Write a work as a line of a list, with a link if there is one."""
    people = [_plain(name) for name in work["author"].split(" and ")]
    named = [" ".join(reversed(name.split(", ", 1))) for name in people]
    who = ", ".join(named[:3]) + (" et al." if len(named) > 3 else "")
    where = work.get("journal") or work.get("booktitle") or work.get("publisher") or ""
    link = f"https://doi.org/{work['doi']}" if "doi" in work else work.get("url", "")
    if not link and "eprint" in work:
        link = f"https://arxiv.org/abs/{work['eprint']}"
    title = _plain(work["title"])
    parts = [who, f"[{title}]({link})" if link else title, f"*{_plain(where)}*" if where else ""]
    return ". ".join(part.rstrip(".") for part in parts if part) + f", {work['year']}."


def _plain(text: str) -> str:
    for sign, character in _SIGNS.items():
        text = text.replace(sign, character)
    return re.sub(r"[{}]", "", text).strip()
