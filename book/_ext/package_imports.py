"""Which files of attn_utils the outputs of a notebook depend on, found without running anything.

The files that it imports, and those that they import, wherever in a file the statement stands.
``import attn_utils`` runs all of the package; here it counts for the names that are used of it,
since no module does anything but define names when it is imported. Code that looks modules up
while it runs depends on all files. It is better to execute a notebook in vain than to show what
is no longer true.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path

PACKAGE = "attn_utils"
CHECK = re.compile(r"(\w+)\.\w+")  # check("pooling.by_hand", …) looks into attn_utils/pooling
LOOKS_UP = {"import_module", "__import__"}
# These look up what a notebook names: a check, a widget.
FOLLOWED = {PACKAGE, f"{PACKAGE}.checks", f"{PACKAGE}.widgets"}
SHOWS_SOURCE = re.compile(r"\b(getsource|getdoc|__doc__|traceback|help\()")
FRONT_END_AND_NOTES = {".js", ".css", ".md", ".pyc"}  # the front end is written anew each time


class Package:
    """The package in a folder, as its source tells."""

    def __init__(self, root: Path):
        self.root = root
        files = sorted(f for f in (root / PACKAGE).rglob("*") if f.is_file())
        self.modules = {self._name(file): file for file in files if file.suffix == ".py"}
        self.data = [f for f in files if f.suffix not in {".py", *FRONT_END_AND_NOTES}]
        self._trees: dict[str, ast.Module] = {}

    def _name(self, file: Path) -> str:
        parts = file.relative_to(self.root).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def tree(self, module: str) -> ast.Module:
        """Return the syntax tree of a module."""
        if module not in self._trees:
            self._trees[module] = ast.parse(self.modules[module].read_bytes())
        return self._trees[module]

    @cached_property
    def exported(self) -> dict[str, str]:
        """Where the package's public names come from."""
        return {
            alias.asname or alias.name: f"{PACKAGE}.{node.module}"
            for node in self.tree(PACKAGE).body
            if isinstance(node, ast.ImportFrom) and node.level == 1
            for alias in node.names
        }

    @cached_property
    def widgets(self) -> dict[str, str]:
        """The module of each widget, all of which can be imported from attn_utils.widgets."""
        return {
            node.name: name
            for name in self.modules
            if name.endswith(".widget")
            for node in self.tree(name).body
            if isinstance(node, ast.ClassDef)
        }

    def found_by(self, name: str) -> set[str]:
        """Return the modules that a dotted name stands for; all of them if that is not clear."""
        parts = name.split(".")
        known = [".".join(parts[: end + 1]) for end in range(len(parts))]
        known = [module for module in known if module in self.modules]
        rest = parts[len(known) :]
        if known == [PACKAGE] and rest:
            if rest[0] in self.exported:
                return self.found_by(f"{self.exported[rest[0]]}.{rest[0]}")
            return {PACKAGE} if rest[0] == "__version__" else set(self.modules)
        if known[-1] == f"{PACKAGE}.widgets" and rest:
            own = [self.widgets[rest[0]]] if rest[0] in self.widgets else self.widgets.values()
            return {*known, *own}
        return set(known)

    def reached(self, code: str) -> set[str]:
        """Return the modules on which the code of a notebook depends."""
        try:
            tree = ast.parse(code)
        except (SyntaxError, ValueError):  # a magic: who knows
            return set(self.modules)
        strings = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
        checks = [CHECK.fullmatch(text) for text in strings if isinstance(text, str)]
        more = {f"{PACKAGE}.{name[1]}.checks" for name in checks if name} & set(self.modules)
        more |= self._named(_names(tree, ""))
        found: set[str] = set()
        while more:
            found |= more
            parents = {name.rpartition(".")[0] for name in more} - {""}
            more = parents.union(*map(self.imports, more - {PACKAGE})) - found
        return found

    @cache  # noqa: B019 - a package lives as long as the build
    def imports(self, module: str) -> set[str]:
        """Return the modules that a module names."""
        is_folder = self.modules[module].name == "__init__.py"
        folder = module if is_folder else module.rpartition(".")[0]
        names = set(_names(self.tree(module), folder))
        return self._named(names - LOOKS_UP if module in FOLLOWED else names)

    def _named(self, names: Iterable[str]) -> set[str]:
        """Return the modules that names stand for."""
        names = set(names)
        if LOOKS_UP & names:
            return set(self.modules)
        ours = [name for name in names if name.split(".")[0] == PACKAGE]
        return set[str]().union(*map(self.found_by, ours))

    @cache  # noqa: B019
    def digest(self, module: str, as_written: bool) -> str:
        """Hash a module: its text, or what runs of it."""
        if as_written:
            return hashlib.sha256(self.modules[module].read_bytes()).hexdigest()
        runs = ast.dump(_without_docs(copy.deepcopy(self.tree(module))))
        return hashlib.sha256(runs.encode()).hexdigest()

    def fingerprint(self, code: str) -> str:
        """Hash the files on which the code of a notebook depends.

        Comments, docstrings and layout count only if something may show them.
        """
        modules = self.reached(code)
        texts = [self.modules[name].read_text(encoding="utf-8") for name in modules]
        as_written = any(SHOWS_SOURCE.search(text) for text in [code, *texts])
        digest = hashlib.sha256()
        for name in sorted(modules):
            digest.update(f"{name} {self.digest(name, as_written)}\n".encode())
        folders = {self.modules[name].parent for name in modules}
        for file in self.data:
            if file.parent in folders or not list(file.parent.glob("*.py")):
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                digest.update(f"{file.relative_to(self.root).as_posix()} {content}\n".encode())
        return digest.hexdigest()


def _names(tree: ast.Module, folder: str) -> Iterator[str]:
    """Yield the dotted names that code imports or uses of the package, and plain ones it uses."""
    package: set[str] = set()  # what the code calls it
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
                if alias.name.split(".")[0] == PACKAGE and (
                    not alias.asname or alias.name == PACKAGE
                ):
                    package.add(alias.asname or PACKAGE)
        elif isinstance(node, ast.ImportFrom):
            above = folder.split(".")[: len(folder.split(".")) - node.level + 1]
            parts = [*(above if node.level else []), *([node.module] if node.module else [])]
            yield from (".".join([*parts, alias.name]) for alias in node.names)
            yield from (alias.name for alias in node.names if alias.name in LOOKS_UP)
    inside = {node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
            base, _, rest = _dotted(node).partition(".")
            if base in package:
                yield f"{PACKAGE}.{rest}"
        elif isinstance(node, ast.Name):
            yield node.id
            if node.id in package and node not in inside:  # handed on: anything may be taken of it
                yield f"{PACKAGE}.*"


def _dotted(node: ast.expr) -> str:
    """Return ``a.b.c`` for a chain of attributes; empty if its beginning is no name."""
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value)
        return base and f"{base}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _without_docs(tree: ast.Module) -> ast.Module:
    """Take the docstrings out of a syntax tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return tree
