"""What kind of file a path is, and which changes of a turn cross a fence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from orchestrator.facts import PathChange, PathClass
from orchestrator.roles import RoleSpec

__all__ = ["classify", "crossing", "matches"]


def matches(path: str, pattern: str) -> bool:
    """Whether a repository path matches a glob; `**/` also stands for no folder at all."""
    return fnmatchcase("/" + path, pattern.replace("**/", "*/") if pattern.startswith("**/") else "/" + pattern)


def classify(path: str, *, tests: Sequence[str], docs: Sequence[str]) -> PathClass:
    """Class of a path: evidence and plans by their place, tests and documents by glob, the rest is production."""
    if path.startswith("plans/"):
        return PathClass.EVIDENCE if "/reports/" in path else PathClass.PLAN
    if any(matches(path, pattern) for pattern in tests):
        return PathClass.TESTS
    if any(matches(path, pattern) for pattern in docs):
        return PathClass.DOCS
    return PathClass.PRODUCTION


def crossing(
    changes: Iterable[PathChange], role: RoleSpec, hub: str, forbidden: Callable[[str], str]
) -> tuple[tuple[PathChange, str], ...]:
    """Return changes the role may not make, each with the reason.

    Parameters
    ----------
    changes : iterable of PathChange
        The turn's diff.
    role : RoleSpec
        Who worked.
    hub : str
        The turn's own hub, whose `agent/` folder is open to the agent; empty while there is none.
    forbidden : callable
        Tells why nobody may change a path, as criteria of an item; empty when there is no such reason.
    """
    found = []
    for change in changes:
        why = forbidden(change.path)
        if why:
            found.append((change, why))
        elif hub and change.path.startswith(f"{hub}agent/"):
            continue
        elif change.path in role.fenced_files or change.kind in role.fenced_kinds:
            found.append((change, f"{change.kind.value}, not {role.role.value}'s to write"))
    return tuple(found)
