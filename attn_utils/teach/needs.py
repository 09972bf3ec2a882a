"""Which cells an answer needs: to mark one exercise nobody has to train the chapter's networks.

A cell is needed if it gives a value to a name that a needed cell uses. This reads the code and runs
nothing, so it errs where a name is made behind the code's back; then a name is missing, and the
judge runs the whole notebook instead.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_MAGIC = re.compile(r"^\s*(?:[%!?]|.*\?\s*$)")


@dataclass(frozen=True)
class Unit:
    """A piece of code, and the names of the notebook that it has to do with."""

    gives: frozenset[str] = frozenset()  # names that get a value
    changes: frozenset[str] = frozenset()  # names whose value is changed: x[0] = 1, x.append(1)
    uses: frozenset[str] = frozenset()  # names whose value is needed
    imports: frozenset[str] = frozenset()  # those of `gives` that an import makes


def unit(code: str) -> Unit:
    """Read a cell or a statement. Lines with magics are passed over; so is what is no Python."""
    plain = "\n".join("pass" if _MAGIC.match(line) else line for line in code.split("\n"))
    try:
        tree = ast.parse(plain)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Unit()
    reader = _Reader()
    reader.visit(tree)
    uses = reader.uses | (reader.later - reader.gives)
    return Unit(*map(frozenset, (reader.gives, reader.changes, uses, reader.imports)))


class _Reader(ast.NodeVisitor):  # the names of its methods are ast's
    """Goes through a cell in the order of its execution."""

    def __init__(self) -> None:
        self.gives: set[str] = set()
        self.changes: set[str] = set()
        self.uses: set[str] = set()  # before the cell itself gives them a value
        self.later: set[str] = set()  # in functions
        self.imports: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.uses |= {node.id} - self.gives
        else:
            self.gives.add(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.uses |= _root(node.target) - self.gives
        self.changes |= _root(node.target)
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        for part in (node.iter, node.target, *node.body, *node.orelse):
            self.visit(part)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        names = {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        self.imports |= names
        self.gives |= names

    visit_ImportFrom = visit_Import

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for part in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
            if part is not None:
                self.visit(part)
        self.later |= _free(node)
        self.gives.add(node.name)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.later |= _free(node)

    def visit_ListComp(self, node: ast.expr) -> None:
        self.uses |= _free(node) - self.gives

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for base in (*node.bases, *node.decorator_list):
            self.visit(base)
        self.later |= _free(node)
        self.gives.add(node.name)

    def visit_Attribute(self, node: ast.Attribute | ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.changes |= _root(node)
        self.generic_visit(node)

    visit_Subscript = visit_Attribute

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
            self.changes |= _root(node.value.func)
        self.generic_visit(node)


def _free(node: ast.AST) -> set[str]:
    """Return the names that a function, class or comprehension takes from outside."""
    loaded: set[str] = set()
    own: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            (loaded if isinstance(inner.ctx, ast.Load) else own).add(inner.id)
        elif isinstance(inner, ast.arg):
            own.add(inner.arg)
        elif inner is not node and isinstance(inner, ast.FunctionDef | ast.ClassDef):
            own.add(inner.name)
    return loaded - own


def statements(code: str) -> list[str]:
    """Split a cell of the book, which is plain Python, into its statements."""
    return [ast.unparse(statement) for statement in ast.parse(code).body]


def needed(units: Sequence[Unit], wanted: Iterable[int]) -> list[int]:
    """Return which units have to be run for the wanted ones, in order.

    A call of something in a module, ``torch.manual_seed(1)``, does not count as a change of it.
    """
    modules = frozenset(name for one in units for name in one.imports)
    chosen: set[int] = set()
    for last in wanted:
        open_ = {last}
        while open_:
            number = open_.pop()
            chosen.add(number)
            for name in units[number].uses | (units[number].changes - modules):
                # what stands in a function is looked up when it is called, which is later
                for end in {number, last}:
                    open_ |= _givers(units, name, end, modules) - chosen
    return sorted(chosen)


def _givers(units: Sequence[Unit], name: str, end: int, modules: frozenset[str]) -> set[int]:
    """Return the last unit before ``end`` that gives the name a value, and those that change it."""
    found: set[int] = set()
    for number in range(end - 1, -1, -1):
        one = units[number]
        if name in one.gives:
            found.add(number)
            break
        if name in one.changes and name not in modules:
            found.add(number)
    return found


def _root(node: ast.expr) -> set[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()
