"""Whether production code asks if it is being tested."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from orchestrator.git import Git
from orchestrator.policy.rules import Breach, breach

__all__ = ["find_testwise", "suspicions"]

_RUNNER = re.compile(r"_?pytest(?:[._].*)?|PYTEST_\w+|_?unittest(?:\..*)?")
_PLACES = frozenset({"modules", "environ", "getenv", "argv", "orig_argv"})
_QUESTIONS = (ast.Compare, ast.Subscript, ast.Call)


def find_testwise(source: str) -> dict[str, int]:
    """Return the expressions that look for a test runner among modules, variables or arguments, with their line."""
    if not re.search("pytest|unittest", source, re.IGNORECASE):
        return {}
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return {}
    questions = [node for node in ast.walk(tree) if isinstance(node, _QUESTIONS)]
    return {ast.unparse(node): node.lineno for node in reversed(questions) if _names_a_runner(node)}


def _names_a_runner(question: ast.AST) -> bool:
    parts = list(ast.walk(question))
    names = {part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "") for part in parts}
    texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return bool(names & _PLACES) and any(_RUNNER.fullmatch(text) for text in texts)


def suspicions(git: Git, start: str, tree: str, is_production: Callable[[str], bool]) -> tuple[Breach, ...]:
    """Return where production code has come to ask, since `start`, whether it is being tested."""
    found = []
    for change in git.diff_tree(start, tree):
        if change.status != "D" and change.path.endswith(".py") and is_production(change.path):
            before = find_testwise(git.document(start, change.path))
            now = find_testwise(git.document(tree, change.path))
            new = {question: line for question, line in now.items() if question not in before}
            found += [breach("EVIDENCE-BLIND", f"asks {q!r}", f"{change.path}:{line}") for q, line in new.items()]
    return tuple(found)
