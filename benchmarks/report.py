"""The book's page of benchmarks and its picture, from the numbers that `make bench` measured.

    python benchmarks/report.py        # reads benchmarks/results.json, measures nothing

Comparisons with peers stand apart from what a choice saves and how things grow. A bound is shown
where all of the range keeps it, and a number that is unfavourable to us needs a sentence.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
BENCHMARKS = {
    "import_time": "Import",
    "sequence": "Small modules",
    "attention": "Attention",
    "multi_head": "Multi-head attention",
    "transformer": "Transformer",
    "channel": "Channel attention",
    "spatial": "Spatial attention",
    "vit": "Vision Transformer",
}
# Not ours against theirs: what a choice saves, and how something grows.
OURS_ALONE = (
    "is_causal / unmasked",
    "writing with a cache / without",
    "without weights: memory grows",
    "bfloat16 weights",
)
UNFAVOURABLE = 1.1  # from here on a sentence is due
SENTENCES = {
    "nadaraya_watson / formula": "`nadaraya_watson` passes over all differences more often than "
    "the formula: it divides by the bandwidth, looks for overflow, and subtracts each row's "
    "smallest distance, so that a query far from all keys keeps its digits.",
    "masked_softmax / fill with −10⁶, then softmax": "`masked_softmax` gives exactly 0 where the "
    "mask forbids, and rows of zeros where it forbids everything; filling with −10⁶ gives neither.",
    "AdditiveAttention / formula": "`AdditiveAttention` checks shapes and lengths at each call, "
    "which costs a noticeable share of the time at short lengths.",
    "DotProductAttention / bmm, softmax, bmm": "`DotProductAttention` checks too; at 512 tokens "
    "the fused kernel behind it more than makes up for that.",
    "SinusoidalPositionalEncoding / table": "`SinusoidalPositionalEncoding` checks its input "
    "before one addition; the other side only adds.",
    "RotaryEmbedding / complex numbers": "`RotaryEmbedding` checks its input and turns pairs "
    "of real numbers; the other side multiplies complex numbers.",
    "with a mask / fused with it": "A mask is checked and given the right axes at each call; up to "
    "128 tokens this is a noticeable share of the time.",
    "(1, 4, 16), 2 heads, forward / 4 Linear + fused": "With four tokens of width 16, the sizes of "
    "the chapters' examples, the arithmetic takes next to no time: the checks of the input show.",
    "(2, 10, 64), 4 heads, forward / 4 Linear + fused": "With ten tokens of width 64 the checks "
    "show as well.",
    "pre-norm encoder, inference / torch's fast path": "PyTorch's fast path for a whole layer "
    "frees what it has used; our layer calls its sub-layers one by one (so that hooks and adapters "
    "work) and holds a little more up to 256 tokens. From 1024 tokens on it holds half.",
    "post-norm encoder, inference / torch's fast path": "The same holds for the post-norm layer.",
}
PAGE = """\
# Benchmarks

What do the package's modules cost, compared with what you would use instead: PyTorch's own layers,
Keras's, or the formula written out directly? The tables give ratios, because ratios depend much
less on the machine than times do.

```{{figure}} assets/benchmarks.svg
:name: fig-benchmarks
:alt: {alt}

Our time divided by theirs, a dot for each row of the tables below. Left of the vertical line ours
is faster. Grey lines: the range of the middle 80 % of the turns.
```

**How it was measured.** On {date} with `make bench`: {machine}.
Everything ran on one CPU thread; nothing was measured on a GPU. Ours and theirs took turns within
one run. A number is the ratio of two medians of CPU time; the brackets show the range of the middle
80 % of the turns. Even so, other work on the machine can move a ratio by a few per cent. The column
n is the number of tokens. The other side is PyTorch's layer, or Keras's on its PyTorch backend
(Keras has others, which were not measured). For SE, ECA, CBAM and ViT the other side is
straightforward code written for this comparison, in the style of timm, and not timm itself. Run it
on your own machine: the command writes this page anew, and the numbers as
`benchmarks/results.json`.

## Ours against theirs

**A number below 1 means that ours needs less.** Memory is the peak of all tensors alive, ours
divided by theirs. A bound (≤) that the benchmark checks is shown where the whole range keeps it.
"""
ALONE = """\
## What a choice saves, and how things grow

Here both sides are ours: the ratio of times says what a mask, a cache or smaller numbers save.
PyTorch's CPU kernel takes the keys in blocks of 512, so a causal mask saves nothing up to 512
tokens and nearly half for long sequences. An exponent of 1 means that memory grows in proportion to
the length.
"""


def described(name: str) -> str:
    """What a benchmark's docstring says after its first line: sizes and conditions."""
    doc = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))) or ""
    parts = [part.replace("\n", " ") for part in doc.split("\n\n")[1:]]
    parts = [part.split(" Exit code 1")[0] for part in parts if not part.startswith("    ")]
    return " ".join(part for part in parts if not part.startswith("Exit code"))


def comparisons(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of times, each with the ratio of memories that follows it, if any."""
    found: list[dict[str, Any]] = []
    for row in rows:
        what = row["what"].strip()
        if what == "memory of the plain formula":  # beside ours, both in score matrices
            found[-1]["memory"] /= row["value"]
        elif what.startswith("its memory"):
            # a bound in score matrices is none of a ratio
            bound = row["bound"] if what == "its memory" else None
            found[-1] |= {"memory": row["value"], "memory_bound": bound}
        else:
            found.append({**row, "what": what, "memory": None, "memory_bound": None})
    return found


def is_ours_alone(row: dict[str, Any]) -> bool:
    """Whether both sides of a ratio are ours, or there is only one."""
    return any(part in row["what"] for part in OURS_ALONE)


def cells(row: dict[str, Any]) -> str:
    """One comparison as a line of its table."""
    time, bound = f"{row['value']:.2f}", row["bound"]
    if row["low"]:
        time += f" ({row['low']:.2f}–{row['high']:.2f})"
    if bound is not None and max(row["value"], row["high"] or 0) <= bound:
        time += f", ≤ {bound:.2f}"
    memory = "" if row["memory"] is None else f"{row['memory']:.2f}"
    if row["memory_bound"] is not None and row["memory"] <= row["memory_bound"]:
        memory += f", ≤ {row['memory_bound']:.2f}"
    what = re.sub(
        r"(?<=[a-z])(?=[A-Z])|(?<=_)", "<wbr>", row["what"]
    )  # long names break on a phone
    return f"| {what} | {row['n'] or ''} | {time} | {memory} |"


def explained(rows: list[dict[str, Any]]) -> list[str]:
    """A sentence for each comparison in which ours needs noticeably more.

    Raises:
        ValueError: an unfavourable number has no sentence.
    """
    poor = [row["what"] for row in rows if max(row["value"], row["memory"] or 0) >= UNFAVOURABLE]
    if lacking := [what for what in poor if what not in SENTENCES]:
        raise ValueError(f"SENTENCES: expected a word on {lacking[0]!r}, got none")
    return [f"- {SENTENCES[what]}" for what in dict.fromkeys(poor)]


def section(name: str, rows: list[dict[str, Any]]) -> str:
    """One benchmark: its conditions, its table, its sentences."""
    head = "| ours / theirs | n | time | memory |\n|---|---:|---:|---:|"
    parts = [f"### {BENCHMARKS[name]}", described(name), "\n".join([head, *map(cells, rows)])]
    return "\n\n".join([*parts, "\n".join(explained(rows))]).rstrip() + "\n"


def alone(results: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """What is no comparison with a peer: choices, growth, and the price of the import."""
    lines = [f"| {row['what']} | {row['n'] or ''} | {row['value']:.2f} |" for row in rows]
    table = "| what | n | ratio or exponent |\n|---|---:|---:|\n" + "\n".join(lines)
    torch, both, _ = [row["value"] for row in results["import_time"]["rows"]]
    words = (
        f"`import torch` takes {torch:.2f} s of CPU time, and with `attn_utils` {both:.2f} times "
        "as much. Libraries for plots, widgets and data are not loaded."
    )
    return f"{ALONE}\n{table}\n\n### Import\n\n{words}\n"


def draw(peers: dict[str, list[dict[str, Any]]], file: Path) -> None:
    """Draw all ratios of times, a row for each benchmark; the same numbers give the same SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams |= {"svg.hashsalt": "benchmarks", "svg.fonttype": "none"}
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    ax = figure.subplots()
    for place, rows in enumerate(peers.values()):
        for i, row in enumerate(rows):
            y = place + 0.7 * ((i + 0.5) / len(rows) - 0.5)  # beside each other
            if row["low"]:
                ax.plot([row["low"], row["high"]], [y, y], color="0.75", lw=1, zorder=1)
            ax.plot(row["value"], y, "o", ms=3.5, color="#0072B2", zorder=2)
    ax.axvline(1, color="0.3", lw=1)
    ax.set_xscale("log")
    ticks = [0.25, 0.5, 1, 2, 4]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_yticks(range(len(peers)), [BENCHMARKS[name] for name in peers])
    ax.set(ylim=(len(peers) - 0.5, -0.5), xlabel="time, ours / theirs")
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None})


def write(results: dict[str, Any], page: Path, picture: Path) -> None:
    """Write the page and its picture."""
    groups = {name: comparisons(results[name]["rows"]) for name in BENCHMARKS}
    peers = {
        name: [row for row in rows if not is_ours_alone(row)]
        for name, rows in groups.items()
        if name != "import_time"
    }
    every = [row for rows in peers.values() for row in rows]
    machine = results["attention"]["machine"]
    words = (
        f"{machine['cpu']} ({machine['system']}, Python {machine['python']}, "
        f"PyTorch {machine['torch']})"
    )
    slowest = max(every, key=lambda row: row["value"])
    alt = (
        f"A chart of {len(every)} dots on a logarithmic axis from a quarter to four. "
        f"{sum(row['value'] <= 1.1 for row in every)} of them lie left of 1.1; the one furthest "
        f"to the right, {slowest['what'].split(' /')[0]}, is at {slowest['value']:.1f}."
    )
    parts = [PAGE.format(date=results["date"], machine=words, alt=alt)]
    parts += [section(name, rows) for name, rows in peers.items()]
    parts.append(
        alone(results, [row for rows in groups.values() for row in rows if is_ours_alone(row)])
    )
    page.write_text("\n".join(parts), encoding="utf-8")
    draw(peers, picture)


def main() -> None:
    """Write the page from the stored numbers."""
    results = json.loads((HERE / "results.json").read_text(encoding="utf-8"))
    write(results, ROOT / "book" / "benchmarks.md", ROOT / "book" / "assets" / "benchmarks.svg")


if __name__ == "__main__":
    main()
