"""Files at a repository's root that would stand in for a module with which evidence is produced."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import packages_distributions

from orchestrator.evidence.checkout import first_party
from orchestrator.facts import PathChange
from orchestrator.git import Git

__all__ = ["shadowing"]

_HARMLESS = frozenset({"test", "tests", "docs", "examples", "scripts"})
_STARTUP = frozenset({"sitecustomize", "usercustomize", "orchestrator_probe", "orchestrator_launch"})


def _module(path: str) -> str:
    top, _, rest = path.partition("/")
    return top if rest else top.removesuffix(".py")


def shadowing(git: Git, base: str, changes: Sequence[PathChange]) -> set[str]:
    """Return changed paths whose top-level module, new since `base`, has the name of an installed or standard one."""
    added = {c.path: _module(c.path) for c in changes if c.status == "A" and c.path.endswith(".py")}
    if not added:
        return set()
    known = set(first_party(git, base))
    new = {path: name for path, name in added.items() if name not in known}
    suspects = set(new.values()) - set(git.folder(base))
    if not suspects:
        return set()
    taken = _STARTUP | sys.stdlib_module_names | set(packages_distributions())
    return {path for path, name in new.items() if name in (suspects & taken) - _HARMLESS}
