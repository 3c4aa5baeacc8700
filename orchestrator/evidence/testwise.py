"""Whether production code asks if it is being tested, or was written to please a test."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from orchestrator.git import Git
from orchestrator.policy.rules import Breach, breach

__all__ = ["find_testwise", "find_yes_men", "suspicions"]

_RUNNER = re.compile(r"_?pytest(?:[._].*)?|PYTEST_\w+|_?unittest(?:\..*)?")
_PLACES = frozenset({"modules", "environ", "getenv", "argv", "orig_argv"})
_CALLERS = frozenset({"co_consts", "code_context"})
_VALUES = frozenset({"int", "float", "complex", "bool", "str", "bytes", "list", "tuple", "dict", "set", "object"})
_QUESTIONS = (ast.Compare, ast.Subscript, ast.Call)
_PAIR = 2


def find_testwise(source: str) -> dict[str, int]:
    """Return the expressions that look for a test runner or at a caller's constants, with their line."""
    if not re.search("pytest|unittest|co_consts|code_context", source, re.IGNORECASE):
        return {}
    nodes = _nodes(source)
    looks = [node for node in nodes if isinstance(node, ast.Attribute) and node.attr in _CALLERS]
    questions = [node for node in nodes if isinstance(node, _QUESTIONS) and _names_a_runner(node)]
    return {ast.unparse(node): node.lineno for node in (*looks, *reversed(questions))}


def find_yes_men(source: str) -> dict[str, int]:
    """Return the classes that compare equal without looking at what they are compared with, with their line."""
    classes = [node for node in _nodes(source) if isinstance(node, ast.ClassDef)] if "__eq__" in source else []
    methods = [(c.name, m) for c in classes for m in c.body if isinstance(m, ast.FunctionDef) and m.name == "__eq__"]
    return {name: method.lineno for name, method in methods if not _looks_at_other(method)}


def _looks_at_other(method: ast.FunctionDef) -> bool:
    """Whether a comparison uses its other side, for more than to see what kind of plain value it is."""
    names = [argument.arg for argument in (*method.args.posonlyargs, *method.args.args)]
    nodes = [node for statement in method.body for node in ast.walk(statement)]
    asked = [node.args for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance"]
    kinds = [part for what in asked if len(what) == _PAIR and _is_plain(what[1]) for part in ast.walk(what[0])]
    used = [node for node in nodes if isinstance(node, ast.Name) and node not in kinds]
    only_refuses = not any(isinstance(node, ast.Return) and _may_be_true(node.value) for node in nodes)
    return only_refuses or len(names) != _PAIR or any(node.id == names[1] for node in used)


def _is_plain(kinds: ast.expr) -> bool:
    return all(part.id in _VALUES for part in ast.walk(kinds) if isinstance(part, ast.Name))


def _may_be_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.expr) and ast.unparse(value) not in {"False", "NotImplemented", "None"}


def _nodes(source: str) -> list[ast.AST]:
    try:
        return list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError):
        return []


def _names_a_runner(question: ast.AST) -> bool:
    parts = list(ast.walk(question))
    names = {part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "") for part in parts}
    texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return bool(names & _PLACES) and any(_RUNNER.fullmatch(text) for text in texts)


_LOOKS = (
    (find_testwise, "EVIDENCE-BLIND", "asks {!r}"),
    (find_yes_men, "EVIDENCE-EQUAL", "{} compares without looking at the other side"),
)


def suspicions(git: Git, start: str, tree: str, is_production: Callable[[str], bool]) -> tuple[Breach, ...]:
    """Return where production code has come, since `start`, to ask whether it is tested, or to equal anything."""
    found = []
    for change in git.diff_tree(start, tree):
        if change.status != "D" and change.path.endswith(".py") and is_production(change.path):
            before, now = git.document(start, change.path), git.document(tree, change.path)
            for look, rule, says in _LOOKS:
                stood = look(before)
                new = {what: line for what, line in look(now).items() if what not in stood}
                found += [breach(rule, says.format(what), f"{change.path}:{line}") for what, line in new.items()]
    return tuple(found)
