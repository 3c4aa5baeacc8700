"""Why a failing test is not charged: it failed before the run began, or the machine lacks something; pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

__all__ = ["excuses"]

_NO_MODULE = re.compile(r"ModuleNotFoundError: No module named '(?P<name>[^']+)'")
_ABSENT = re.compile(r"(?:ModuleNotFoundError|FileNotFoundError)\b")


def excuses(failing: Mapping[str, str], at_start: Mapping[str, str], is_own: Callable[[str], bool]) -> dict[str, str]:
    """Return the excuse of each failing test that has one.

    Parameters
    ----------
    failing
        Exception and message by test, as they are now.
    at_start
        The same of these tests at the start of the run, empty where they passed; without those that were not there.
    is_own
        Tells whether a module belongs to the repository, or is asked for by code that this turn changed.
    """
    found = {}
    for node, cause in failing.items():
        module = _NO_MODULE.match(cause)
        foreign = module is not None and not is_own(module["name"].partition(".")[0])
        before = at_start.get(node)
        if foreign and (before is None or _NO_MODULE.match(before)):
            found[node] = f"environment: {cause.splitlines()[0]}; install what is missing, or map another test"
        elif before and module is None and _ABSENT.match(cause) and _ABSENT.match(before):
            found[node] = f"environment: {cause.splitlines()[0]}; provide the file, or map another test"
        elif before:
            found[node] = "pre-existing: it failed at the start of the run too; to mend it, let a row ask for it"
    return found
