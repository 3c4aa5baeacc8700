"""What of a production diff is code: functions and methods that differ, however the file is laid out; pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable

from orchestrator.facts import CodeDiff, PathChange

__all__ = ["MODULE", "PYTEST_FILES", "changed_units", "code_diff"]

MODULE = "<module>"
_READ_BY_OTHERS = re.compile(r".*\.(?:c|cc|cpp|cu|f|f90|go|h|h5|hdf5|hpp|java|js|nc|pxd|pyx|rs|sh|so|ts)")
_COMPILED = re.compile(r"^\s*(?:import|from)\s+(?:jax|numba|tensorflow|torch)\b", re.MULTILINE)
PYTEST_FILES = frozenset({"pyproject.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg"})


class _Units(ast.NodeTransformer):
    """Takes functions out of a module; what is left runs on import. Docstrings and `__all__` are no code."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[int, str]] = {}
        self._outer: list[str] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Take the methods out of a class."""
        self._outer.append(node.name)
        self.generic_visit(node)
        self._outer.pop()
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Take a function out, with everything inside it."""
        name = ".".join([*self._outer, node.name])
        while name in self.found:
            name += "'"  # a property and its setter
        line = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        node.body = [part for part in node.body if not _is_text(part)]
        self.found[name] = (line, ast.dump(node))

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Leave out what only stands there."""
        return None if _is_text(node) else node

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        """Leave out the list of public names."""
        return None if [ast.unparse(target) for target in node.targets] == ["__all__"] else node


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _units(source: str) -> dict[str, tuple[int, str]]:
    units = _Units()
    rest = units.visit(ast.parse(source))
    return {**units.found, MODULE: (0, ast.dump(rest))}


def changed_units(before: str, after: str) -> dict[str, int]:
    """Return the functions of `after` that differ from `before`, each with its first line; nothing if all run alike.

    `MODULE` with line 0 stands for everything outside of functions, for functions that were only taken away, and for
    a file that cannot be parsed. Comments, blanks, docstrings and `__all__` change nothing.
    """
    try:
        old, new = _units(before), _units(after)
    except (SyntaxError, ValueError, RecursionError):
        return {MODULE: 0}
    dumps = {name: dump for name, (_, dump) in old.items()}
    changed = {name: line for name, (line, dump) in new.items() if dumps.get(name) != dump}
    return changed or ({MODULE: 0} if old.keys() - new.keys() else {})


def code_diff(before: Callable[[str], str], after: Callable[[str], str], changes: Iterable[PathChange]) -> CodeDiff:
    """Return what differs as code in the changed files; data, other languages and removed files are told by name.

    What configures pytest is read in every run and says nothing. Functions that something compiles at run time are
    not seen to be called: of a file with such an import, that it was imported has to do.
    """
    units: dict[str, dict[str, int]] = {}
    data, other = [], []
    for change in changes:
        if change.path in PYTEST_FILES:
            continue
        if change.status == "D" or _READ_BY_OTHERS.fullmatch(change.path):
            other.append(change.path)
        elif not change.path.endswith(".py"):
            data.append(change.path)
        elif found := changed_units(before(change.path), text := after(change.path)):
            units[change.path] = found | ({MODULE: 0} if _COMPILED.search(text) else {})
    return CodeDiff(units, tuple(data), tuple(other))
