"""Which of the tensors are the weights: training scripts store more than one model, and more.

A copy of a Vision Transformer is known by names of its blocks and of its patch embedding; what
stands before them is its prefix, whether it comes from a wrapper (``module.``), from a level of
the file (``state_dict/``) or from several of both.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from .checkpoint_contents import Contents, Stored, some
from .checkpoint_layouts import LAYOUTS, Layout

_LONGEST_NAME = 300  # letters; a longer one is of no layout

# What compiling, sharding and checkpointing put into the middle of names.
_WRAPPER = re.compile(r"(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
# Of two copies the one for use: of the best epoch, averaged over steps, or the teacher.
_PREFERRED = re.compile(r"(?:^|[./_])(?:best|ema|swa|averaged?|teacher|target)(?:[./_]|$)", re.I)
_OF_OPTIMISER = re.compile(r"(?:^|[./])opt(?:imi[sz]er)?(?:_state|_states|_state_dict)?[./]", re.I)
_OF_WEIGHTS = re.compile(
    r"(?:model|net|network|module|weights|params|encoder|backbone|student|teacher|ema|best|"
    r"state_dict)(?:_(?:model|net|ema|weights|params|state|dict))*"
)


@dataclass(frozen=True)
class Copy:
    """The weights of one model.

    Args:
        layout: whose names they have.
        tensors: by the layout's names, without the prefix.
        full_names: what each of them is called in the file.
        notes: what was chosen, and what was left out.
    """

    layout: Layout
    tensors: dict[str, Stored]
    full_names: dict[str, str]
    notes: list[str]


def choose_copy(contents: Contents, where: str) -> Copy:
    """Choose the weights of one model, strictly: whatever is beside them is a note or an error."""
    names: dict[str, str] = {}  # without wrappers -> in full
    for full in contents.tensors:
        name = _WRAPPER.sub("", full)
        if name in names:
            raise ValueError(
                f"path_or_mapping: expected one {some([name])}, got {some([names[name], full])} "
                f"{where}"
            )
        names[name] = full
    copies = _find_copies(names)
    if not copies:
        raise ValueError(
            "path_or_mapping: expected names of a vision transformer as of timm, torchvision, "
            f"Hugging Face or JAX, got {some(names)} {where}"
        )
    prefix = next((x for x in copies if _PREFERRED.search(x)), next(iter(copies)))
    layout = copies.pop(prefix)
    notes = []
    if copies:
        notes.append(f"weights taken from {_shown(prefix)}, not from {some(map(_shown, copies))}")
    if empty := [x for x in contents.empty if _OF_WEIGHTS.fullmatch(x.rpartition("/")[2])]:
        notes.append(f"{some(empty)} empty in it")
    level = prefix[: prefix.rfind("/") + 1]
    own, beside = {}, []
    for name, full in names.items():
        rest = name[len(level) :]
        if not name.startswith(level) or ("/" in rest and not layout.is_jax):
            continue  # of another mapping: an optimiser's, for example
        if name.startswith(prefix):
            own[name[len(prefix) :]] = full
        elif not any(name.startswith(other) for other in copies):
            beside.append(full)
    if beside:
        notes.append(f"left out, since they stand beside {_shown(prefix)}: {some(beside)}")
    full_names: dict[str, str] = {}
    for name, full in own.items():
        short = re.sub(f"^{layout.prefix}", "", name)
        if short in full_names:
            raise ValueError(
                f"path_or_mapping: expected one {some([short])}, got "
                f"{some([full_names[short], full])} {where}"
            )
        full_names[short] = full
    tensors = {short: contents.tensors[full] for short, full in full_names.items()}
    return Copy(layout, tensors, full_names, notes)


def _find_copies(names: dict[str, str]) -> dict[str, Layout]:
    """The prefixes of all copies, in the file's order, each with its layout."""
    counts: Counter[tuple[str, Layout]] = Counter()
    for name in names:
        if len(name) <= _LONGEST_NAME:
            for layout in LAYOUTS:
                if match := layout.landmarks.fullmatch(name):
                    counts[match[1], layout] += 1
    of_models = {
        key: n
        for key, n in counts.items()
        if key[0].startswith("opt/target/") or not _OF_OPTIMISER.search(key[0])
    }
    most = max(of_models.values(), default=0)
    return {prefix: layout for (prefix, layout), n in of_models.items() if 2 * n > most}


def _shown(prefix: str) -> str:
    return some([prefix.rstrip("./")]) if prefix else "the names without a prefix"
