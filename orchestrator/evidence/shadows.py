"""Files that would stand in for a module with which evidence is produced, wherever Python would look for it first."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import packages_distributions
from pathlib import PurePosixPath

from orchestrator.errors import EvidenceError
from orchestrator.evidence.checkout import first_party
from orchestrator.evidence.commands import resolve_command, selected_paths, words_of
from orchestrator.facts import PathChange
from orchestrator.git import Git
from orchestrator.records.plan import Row

__all__ = ["search_places", "shadowing"]

_HARMLESS = frozenset({"test", "tests", "docs", "examples", "scripts", "setup", "conftest", "__main__"})
_STARTUP = frozenset({"sitecustomize", "usercustomize", "orchestrator_probe", "orchestrator_launch"})
_IMPORTED = (".py", ".so")
_SOURCES = "src"


def search_places(rows: Iterable[Row], is_package: Callable[[str], bool]) -> frozenset[str]:
    """Return the folders below the root that are searched for modules when these rows run.

    Those are the folders of scripts that a `Run:` starts, of tests that a `Test:` selects unless they lie in a
    package, and what `PYTHONPATH=` names.
    """
    places = {_SOURCES}
    for row in rows:
        for text in filter(None, (row.run, row.recheck, row.test)):
            try:
                words, environment = resolve_command(words_of(text), {})
            except EvidenceError:
                continue
            places |= {path.strip("/") for path in environment.get("PYTHONPATH", "").split(":")}
            places |= {_folder(word) for word in words if text != row.test and word.endswith(".py")}
        tests = selected_paths(row.test) if row.test else ()
        places |= {_folder(path) for path in tests if path.endswith(".py") and not is_package(_folder(path))}
    return frozenset(place for place in places if place not in {"", "."})


def shadowing(
    git: Git, start: str, changes: Sequence[PathChange], places: Iterable[str], is_test: Callable[[str], bool]
) -> set[str]:
    """Return changed paths that bring, where Python looks first, a module new since `start` under a name taken before.

    Parameters
    ----------
    git
        The repository.
    start
        The commit that the run started from.
    changes
        The turn's diff.
    places
        Folders that are searched beside the root.
    is_test
        Tells files that older tests are run without.
    """
    added = [c.path for c in changes if c.status == "A" and c.path.endswith(_IMPORTED)]
    found = {path for path in added if PurePosixPath(path).stem in _STARTUP}
    taken = _STARTUP | sys.stdlib_module_names | set(packages_distributions()) if added else set()
    for place in ("", *places) if added else ():
        above = f"{place}/" if place else ""
        own = {*first_party(git, start), "__init__"} if place not in {"", _SOURCES} else set()
        for path in (path for path in added if path.startswith(above) and not (place and is_test(path))):
            name = path.removeprefix(above).partition("/")[0].partition(".")[0]
            stood = git.entry(start, f"{above}{name}.py") or git.entry(start, f"{above}{name}")
            if not stood and name in (taken | own) - _HARMLESS:
                found.add(path)
    return found


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
