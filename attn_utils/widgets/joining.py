"""Joins the front-end files of a widget into one ES module.

JupyterLab loads a widget's module from a blob, where relative imports cannot resolve, and there is
no bundler and no Node in this project. So the sources are written as ordinary modules, and the
files that a module imports are put in front of it, each once, without ``import`` and ``export``.
Only what this needs is allowed: named imports without renaming, from relative paths.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

KIT = Path(__file__).parent / "kit"

_IMPORT = re.compile(r'^import \{([\w$,\s]+)\} from "(\.{1,2}/[^"\n]+)";\n', re.MULTILINE)
_COMMENT = re.compile(r"^ *//.*\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?function\b|const\b|let\b|class\b)", re.MULTILINE)
_DECLARED = re.compile(
    r"^(export )?(?:(?:async )?function\*?|const|let|class) ([\w$]+|\[[^=]*\]|\{[^=]*\})",
    re.MULTILINE,
)


class FrontEnd:
    """A class attribute whose text is read from the sources whenever it is asked for.

    A widget asks once, when it is created: an author who has changed a source re-runs the cell
    and sees the change, without a new kernel.
    """

    def __init__(self, own: Path) -> None:
        self.own = own

    def __get__(self, instance: object, owner: type | None = None) -> str:
        if self.own.suffix == ".js":
            return joined(self.own)
        files = [*sorted(KIT.glob(f"*{self.own.suffix}")), self.own]
        return "\n".join(_read(file) for file in files if file.exists())


def front_end(module: str, suffix: str) -> FrontEnd:
    """Read a widget's module with all that it imports, or its style sheet after the kit's.

    Args:
        module: ``__file__`` of the widget's Python module; the others lie beside it.
        suffix: ".js" or ".css".
    """
    return FrontEnd(Path(module).with_suffix(suffix))


class _Source(NamedTuple):
    """A file as it was read, and without its imports."""

    text: str
    body: str


# The last joined text of a module, and what it was made from: joining anew takes ten times as long
# as reading the files.
_last: dict[Path, tuple[dict[Path, _Source], str]] = {}


def joined(entry: Path) -> str:
    """Write a module and the files it imports, directly or not, as one text without imports.

    Lines that are a comment stay behind: a sixth of what a reader's browser would have to load.
    """
    entry = entry.resolve()
    if entry in _last:
        sources, text = _last[entry]
        if all(f.is_file() and _read(f) == source.text for f, source in sources.items()):
            return text
    sources = {}
    _collect(entry, (), sources)
    _refuse_equal_names(sources)
    text = "\n".join(_COMMENT.sub("", _EXPORT.sub("", s.body)) for s in sources.values())
    _last[entry] = (sources, text)
    return text


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _refuse_equal_names(sources: dict[Path, _Source]) -> None:
    """Refuse two files that declare the same name: joined, they are one module."""
    owner: dict[str, Path] = {}
    for file, source in sources.items():
        for name, _ in _declared(source.body):
            if name in owner:
                raise ValueError(
                    f"{file}: expected top-level names that no joined file has yet, "
                    f"got {name}, which {owner[name]} declares"
                )
            owner[name] = file


def _collect(file: Path, importers: tuple[Path, ...], sources: dict[Path, _Source]) -> None:
    """Put what ``file`` imports into ``sources``, then the file itself; each file once."""
    if file in importers:
        names = " → ".join(step.name for step in (*importers[importers.index(file) :], file))
        raise ValueError(f"{importers[-1]}: expected imports without a circle, got {names}")
    if file in sources:
        return
    if not file.is_file():
        asked = f"{importers[-1]}: " if importers else ""
        raise ValueError(f"{asked}expected a file at {file}, got none")
    text = _read(file)
    for names, path in _IMPORT.findall(text):
        source = (file.parent / path).resolve()
        _collect(source, (*importers, file), sources)
        exported = {name for name, is_exported in _declared(sources[source].body) if is_exported}
        missing = sorted({name.strip() for name in names.split(",")} - exported - {""})
        if missing:
            raise ValueError(f"{file}: expected names that {source} exports, got {missing[0]}")
    body = _IMPORT.sub("", text).lstrip("\n")
    _refuse_other_forms(file, body, is_entry=not importers)
    sources[file] = _Source(text, body)


def _declared(body: str) -> Iterator[tuple[str, bool]]:
    """Find the names that a file declares at its top level, and whether it exports them."""
    for export, names in _DECLARED.findall(body):
        for name in re.findall(r"[\w$]+", names):
            yield name, bool(export)


def _refuse_other_forms(file: Path, body: str, *, is_entry: bool) -> None:
    """Refuse imports and exports that joining as text would get wrong."""
    for line in re.findall(r"^(?:import|export)\b.*", body, re.MULTILINE):
        default = is_entry and line.startswith("export default ")
        if not default and not _EXPORT.match(line):
            raise ValueError(
                f'{file}: expected `import {{ name }} from "./file.js";` or an exported '
                f"declaration, got {line!r}"
            )
