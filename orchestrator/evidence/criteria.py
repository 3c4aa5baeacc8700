"""Criteria: what an `Expect:` says of a file the harness's own run wrote, and what is frozen when work starts."""

from __future__ import annotations

import hashlib
import json
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from orchestrator.evidence.commands import selected_paths
from orchestrator.facts import ExpectResult, Frozen
from orchestrator.git import Git
from orchestrator.records.plan import Plan, parse_expectation

__all__ = ["check_expectation", "evaluator_paths", "freeze", "lies_below", "rows_digest"]

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_ABSENT = object()
_SHOWN = 80


def _lookup(data: object, dotted: str) -> object:
    for key in dotted.split("."):
        if not isinstance(data, Mapping) or key not in data:
            return _ABSENT
        data = data[key]
    return data


def _parse_value(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _holds(found: object, comparison: str, wanted: object) -> bool:
    if comparison == "==":
        return found == wanted and isinstance(found, bool) == isinstance(wanted, bool)
    if isinstance(found, bool) or isinstance(wanted, bool):
        return False
    if not isinstance(found, int | float) or not isinstance(wanted, int | float):
        return False
    return _COMPARISONS[comparison](found, wanted)


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def check_expectation(text: str, folder: Path) -> ExpectResult:
    """Hold one `Expect:` against the files in `folder`; whatever is absent or not comparable does not hold."""
    expectation = parse_expectation(text)
    if expectation is None:
        return ExpectResult(text, "not readable as `file:key op value`", holds=False)
    path = folder / expectation.file
    if not path.is_file() or path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()):
        return ExpectResult(text, None, holds=False)
    if not expectation.key:
        return ExpectResult(text, f"{path.stat().st_size} bytes", holds=expectation.op == "exists")
    try:
        found = _lookup(json.loads(path.read_text(encoding="utf-8")), expectation.key)
    except (ValueError, RecursionError):
        return ExpectResult(text, "not readable as JSON", holds=False)
    if found is _ABSENT:
        return ExpectResult(text, None, holds=False)
    holds = expectation.op == "exists" or _holds(found, expectation.op, _parse_value(expectation.value or ""))
    is_size = isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)
    decided = expectation.op == "==" or (expectation.op != "exists" and is_size)
    shown = found if isinstance(found, bool | float | None) else _printable(str(found)[:_SHOWN])
    return ExpectResult(text, shown, holds, decided)


def rows_digest(plan: Plan) -> str:
    """SHA-256 of everything in the rows that decides whether a criterion holds; ticks and prose are left out."""
    decisive = [
        (row.id, row.phase, row.run, row.test, row.expects, row.recheck, row.limit_s, row.needs, row.allow_skip)
        + (("stochastic",) if row.stochastic else ())
        + (("hypothesis", row.hypothesis) if row.hypothesis else ())
        for row in plan.rows
        if row.run or row.test or row.expects
    ]
    return hashlib.sha256(json.dumps([plan.evaluators, decisive]).encode()).hexdigest()


def lies_below(path: str, roots: Iterable[str]) -> bool:
    """Whether a path is one of the roots or lies in one of them."""
    return any(path == root or path.startswith(f"{root}/") for root in roots)


def evaluator_paths(plan: Plan) -> tuple[str, ...]:
    """Paths that decide a criterion: those the plan names, and what its `Test:` rows select."""
    named = [path.strip("/") for path in plan.evaluators]
    named += [path for row in plan.rows if row.test for path in selected_paths(row.test)]
    return tuple(dict.fromkeys(named))


def freeze(plan: Plan, git: Git, tree: str) -> Frozen:
    """Return digests of the plan's criteria and of everything that evaluates them, as they stand in `tree`."""
    roots = evaluator_paths(plan)
    blobs = sorted({(path, *entry) for root in roots for path, entry in git.ls_tree(tree, root).items()})
    return Frozen(rows_digest(plan), hashlib.sha256(json.dumps(blobs).encode()).hexdigest())
