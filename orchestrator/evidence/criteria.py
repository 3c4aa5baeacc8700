"""Criteria: what an `Expect:` says of a file the harness's own run wrote, and what is frozen when work starts."""

from __future__ import annotations

import hashlib
import json
import math
import operator
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeGuard

from orchestrator.evidence.commands import selected_paths
from orchestrator.facts import ExpectResult, Frozen
from orchestrator.git import Git
from orchestrator.records.plan import Plan, Row, parse_expectation

__all__ = ["check_expectation", "evaluator_paths", "freeze", "implemented_paths", "lies_below", "rows_digest"]

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_ABSENT = object()
_SHOWN = 80
_READ_LIMIT = 64_000_000


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


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """Make an object of its pairs; one with a key twice can be read in two ways, and is not read at all."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in an object")
    return found


def _read(path: Path) -> object:
    if path.stat().st_size > _READ_LIMIT:
        raise ValueError(f"more than {_READ_LIMIT} bytes")
    return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_object)


def _is_size(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number that another one can be larger than."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _holds(found: object, comparison: str, wanted: object) -> bool:
    if comparison == "==":
        return found == wanted and isinstance(found, bool) == isinstance(wanted, bool)
    return _is_size(found) and _is_size(wanted) and _COMPARISONS[comparison](found, wanted)


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
        found = _lookup(_read(path), expectation.key)
    except (ValueError, RecursionError):
        return ExpectResult(text, "not readable as JSON", holds=False)
    if found is _ABSENT:
        return ExpectResult(text, None, holds=False)
    holds = expectation.op == "exists" or _holds(found, expectation.op, _parse_value(expectation.value or ""))
    decided = expectation.op == "==" or (expectation.op != "exists" and _is_size(found))
    shown = found if isinstance(found, bool | float | None) else _printable(str(found)[:_SHOWN])
    return ExpectResult(text, shown, holds, decided)


def rows_digest(plan: Plan) -> str:
    """SHA-256 of everything in the rows that decides whether a criterion holds; ticks and prose are left out."""
    decisive = [
        (row.id, row.phase, row.run, row.test, row.expects, row.recheck, row.limit_s, row.needs, row.allow_skip)
        + (("stochastic",) if row.stochastic else ())
        + (("implemented", *written) if (written := sorted(_written_here(row, implemented_paths(plan)))) else ())
        + (("hypothesis", row.hypothesis) if row.hypothesis else ())
        for row in plan.rows
        if row.run or row.test or row.expects
    ]
    return hashlib.sha256(json.dumps([plan.evaluators, decisive]).encode()).hexdigest()


def lies_below(path: str, roots: Iterable[str]) -> bool:
    """Whether a path is one of the roots or lies in one of them."""
    return any(path == root or path.startswith(f"{root}/") for root in roots)


def evaluator_paths(plan: Plan) -> tuple[str, ...]:
    """Paths that decide a criterion: those the plan names, and what its `Test:` rows select and nobody is to write."""
    named = [path.strip("/") for path in plan.evaluators]
    named += [path for row in plan.rows if row.test for path in selected_paths(row.test)]
    asked = implemented_paths(plan) - {path.strip("/") for path in plan.evaluators}
    return tuple(path for path in dict.fromkeys(named) if path not in asked)


def implemented_paths(plan: Plan) -> frozenset[str]:
    """Files that a plan itself asks to be written."""
    return frozenset(text.split("::")[0].split(" — ")[0].strip("` ") for row in plan.rows for text in row.implement)


def _written_here(row: Row, asked: Collection[str]) -> set[str]:
    """Return what a row's `Test:` selects although the plan asks for it to be written: that too is a criterion."""
    return set(selected_paths(row.test)) & set(asked) if row.test else set()


def freeze(plan: Plan, git: Git, tree: str) -> Frozen:
    """Return digests of the plan's criteria and of everything that evaluates them, as they stand in `tree`."""
    roots = evaluator_paths(plan)
    blobs = sorted({(path, *entry) for root in roots for path, entry in git.ls_tree(tree, root).items()})
    return Frozen(rows_digest(plan), hashlib.sha256(json.dumps(blobs).encode()).hexdigest())
