"""What kind of file a path is, and which changes of a turn cross a fence."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from orchestrator.facts import PathChange, PathClass
from orchestrator.policy.rules import Breach, breach
from orchestrator.roles import RoleSpec

__all__ = ["classify", "crossing", "locks", "matches"]

_LOCK_FILE = re.compile(
    r"(?:.*/)?(?:(?:requirements[^/]*|constraints)\.txt|(?:poetry|uv)\.lock|package-lock\.json)|requirements/[^/]+\.txt"
)


def matches(path: str, pattern: str) -> bool:
    """Whether a repository path matches a glob; `**/` also stands for no folder at all."""
    return fnmatchcase("/" + path, pattern.replace("**/", "*/") if pattern.startswith("**/") else "/" + pattern)


def classify(path: str, *, tests: Sequence[str], docs: Sequence[str]) -> PathClass:
    """Class of a path: evidence and plans by their place, tests and documents by glob, the rest is production."""
    if _LOCK_FILE.fullmatch(path):
        return PathClass.LOCK
    if path.startswith("plans/"):
        return PathClass.EVIDENCE if "/reports/" in path else PathClass.PLAN
    if any(matches(path, pattern) for pattern in tests):
        return PathClass.TESTS
    if any(matches(path, pattern) for pattern in docs):
        return PathClass.DOCS
    return PathClass.PRODUCTION


def _dependencies(pyproject: str) -> object:
    """Return everything a `pyproject.toml` wants installed; None where it cannot be read."""
    try:
        data = tomllib.loads(pyproject)
    except tomllib.TOMLDecodeError:
        return None
    tables: list[Mapping[str, object]] = [data, data.get("project", {}), data.get("tool", {}).get("poetry", {})]
    names = ("build-system", "dependencies", "optional-dependencies", "dependency-groups", "group")
    return [[table.get(name) for name in names] for table in tables]


def locks(before: str, after: str) -> bool:
    """Whether a `pyproject.toml` asks for other packages than before."""
    return _dependencies(before) != _dependencies(after)


def crossing(
    changes: Iterable[PathChange], role: RoleSpec, hub: str, forbidden: Callable[[str], tuple[str, str] | None]
) -> tuple[Breach, ...]:
    """Return changes the role may not make; `where` is the path.

    Parameters
    ----------
    changes : iterable of PathChange
        The turn's diff.
    role : RoleSpec
        Who worked.
    hub : str
        The turn's own hub, whose `agent/` folder is open to the agent; empty while there is none.
    forbidden : callable
        Tells why nobody may change a path, as criteria of an item: the rule's id and the reason; None when there is
        no such reason.
    """
    found = []
    for change in changes:
        against = forbidden(change.path)
        own = bool(hub) and change.path.startswith(f"{hub}agent/")
        if not against and not own and (change.path in role.fenced_files or change.kind in role.fenced_kinds):
            against = "FENCE-ROLE", f"{change.kind.value}, not {role.role.value}'s to write"
        if against:
            rule, why = against
            found.append(breach(rule, f"was put back ({why})", change.path))
    return tuple(found)
